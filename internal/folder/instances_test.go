package folder

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/manifest"
)

const shopManifest = `name: shop
version: "1"
serve: [batch]
artifact: {path: a.ubj, format: xgboost, sha256: "0000000000000000000000000000000000000000000000000000000000000000"}
inputs:
  - {name: size, type: number, nullable: true, null_strings: ["", NA]}
  - {name: colour, type: categorical, values: [red, " blue"]}
  - {name: shop, type: categorical, values: [10, 20]}
  - {name: open, type: boolean}
  - {name: at, type: timestamp, layouts: ["2006-01-02"]}
features: [size, colour, shop, open]
outputs: [{name: price}]
batch: {delimiter: ";", uploads: {prefix: shop/}}
`

func TestRowsOfFiles(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse("shop", []byte(shopManifest))
	if err != nil {
		t.Fatal(err)
	}
	c, err := feature.New(m)
	if err != nil {
		t.Fatal(err)
	}
	const one = `{"size": 1.50, "colour": "red"}`
	for name, tc := range map[string]struct{ file, text, want string }{
		"CSV with the model's delimiter": {"a.csv", "size;colour;shop;open;at;id\n+1.50; blue;10.0; TRUE ;2025-01-02;x\nNA;red;20;0;2025-01-03;y\n", `1:{"at":"2025-01-02","colour":" blue","open":true,"shop":10,"size":1.5} 2:{"at":"2025-01-03","colour":"red","open":false,"shop":20} refused 0`},
		"CSV with bad rows":              {"a.CSV", "size;colour;shop;open;at\n1;pink;10;1;2025-01-02\n1;red\n2;red;10;1;2025-01-02\n", `3:{"at":"2025-01-02","colour":"red","open":true,"shop":10,"size":2} refused 2`},
		"CSV of bad rows only":           {"a.csv", "size;colour;shop;open;at\n1;pink;10;1;2025-01-02\n", "error: a.csv: has no rows to compare: all 1 break the contract"},
		"CSV without a column":           {"a.csv", "size;color;shop;open;at\n", `error: a.csv: column "colour" is missing`},
		"a request":                      {"a.json", `{"instances": [` + one + `]}`, `1:{"colour":"red","size":1.50} refused 0`},
		"a list":                         {"a.json", `[` + one + `,` + one + `]`, `1:{"colour":"red","size":1.50} 2:{"colour":"red","size":1.50} refused 0`},
		"one instance":                   {"a.json", one, `1:{"colour":"red","size":1.50} refused 0`},
		"parity rows":                    {"a.jsonl", `{"instance": ` + one + `, "prediction": 1}` + "\n\n", `1:{"colour":"red","size":1.50} refused 0`},
		"lines without instances":        {"a.jsonl", one + "\n", "error: a.jsonl: line 1: expected an object with the key instance"},
		"two values":                     {"a.json", one + one, "error: a.json: expected a list of instances"},
		"nothing":                        {"a.jsonl", "\n", "error: a.jsonl: has no rows to compare"},
		"another kind of file":           {"a.parquet", "", "error: a.parquet: expected a file called .csv, .json or .jsonl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, refused, err := readRows(tc.file, []byte(tc.text), m, c)
			got := ""
			for _, r := range rows {
				b, err := json.Marshal(r.Instance)
				if err != nil {
					t.Fatal(err)
				}
				got += fmt.Sprintf("%d:%s ", r.Number, b)
			}
			got += fmt.Sprintf("refused %d", refused)
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != tc.want && !(err != nil && strings.HasPrefix(got, tc.want)) {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
