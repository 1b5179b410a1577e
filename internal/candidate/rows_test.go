package candidate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// shop is a manifest with everything that a file writes otherwise than a request.
const shop = `name: shop
version: "1"
serve: [batch]
artifact: {path: artifact/m, format: xgboost, sha256: "0000000000000000000000000000000000000000000000000000000000000000"}
inputs:
  - {name: "price, net", type: number, nullable: true}
  - {name: weight, type: number, nullable: true, null_strings: ["n/a", "-"]}
  - {name: word, type: categorical, values: ["a \"quoted\" one", "with, comma", "two\nlines", " spaced ", "NA", "plain;"]}
  - {name: size, type: categorical, values: [1, 2.5, 40]}
  - {name: maybe, type: categorical, values: [x, y], nullable: true, null_strings: ["none"]}
  - {name: sold, type: timestamp, layouts: [rfc3339, "1/2/2006 15:04"]}
  - {name: seen, type: timestamp, layouts: [unix]}
  - {name: gift, type: boolean}
  - {name: count, type: integer, default: 3}
  - {name: rating, type: number, nullable: true, default: 4.5}
  - {name: shop, type: categorical, values: [north, south]}
features:
  - "price, net"
  - weight
  - word
  - size
  - maybe
  - {name: hour, expr: hour(sold)}
  - {name: day, expr: dayofyear(seen)}
  - gift
  - count
  - rating
  - shop
outputs: [{name: y}]
id_columns: [ticket, shop, "the line"]
batch: {uploads: {prefix: shop/}}
`

// shopRows is shop's rows: the first in full, the others with changes, null by the text null, nothing by "".
func shopRows(t *testing.T, changes ...map[string]string) []map[string]any {
	t.Helper()
	all := make([]map[string]any, 0, len(changes))
	for _, change := range changes {
		fields := map[string]string{"price, net": "1.25", "weight": "7", "word": `"NA"`, "size": "2.5", "maybe": `"x"`, "sold": `"2026-01-31T23:15:00+02:00"`,
			"seen": "86400", "gift": "true", "count": "5", "rating": "1", "shop": `"south"`}
		for k, v := range change {
			fields[k] = v
		}
		row := map[string]any{}
		for k, v := range fields {
			if v == "" {
				continue
			}
			d := json.NewDecoder(strings.NewReader(v))
			d.UseNumber()
			var value any
			if err := d.Decode(&value); err != nil {
				t.Fatal(err)
			}
			row[k] = value
		}
		all = append(all, row)
	}
	return all
}

// written makes a file of instances and reads it back.
func written(t *testing.T, text string, instances []map[string]any) (*rows, error) {
	t.Helper()
	m, err := manifest.Parse("model.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c, err := feature.New(m)
	if err != nil {
		t.Fatal(err)
	}
	r := &rows{n: len(instances), ids: m.IDColumns}
	for i := range instances {
		r.lines = append(r.lines, 10*(i+1))
	}
	if err := r.write(m, instances); err != nil {
		return nil, err
	}
	asked := c.NewRows()
	fill(asked, c, instances)
	if p := asked.Problems(); len(p) > 0 {
		t.Fatalf("the instances break the contract: %v", p[0])
	}
	return r, r.readBack(c, delimiter(m), asked)
}

func TestRowsMeanTheSameInAFile(t *testing.T) {
	t.Parallel()
	changes := []map[string]string{
		{}, {"price, net": "null"}, {"price, net": ""}, {"price, net": "-0.0"}, {"price, net": "1e-300"}, {"price, net": "0.1000000000000000055511151231257827"},
		{"weight": "null"}, {"weight": ""}, {"weight": "-1"},
		{"word": `"a \"quoted\" one"`}, {"word": `"with, comma"`}, {"word": `"two\nlines"`}, {"word": `" spaced "`}, {"word": `"plain;"`},
		{"size": "1"}, {"size": "40.0"}, {"size": "4e1"}, {"maybe": "null"}, {"maybe": ""}, {"maybe": `"y"`},
		{"sold": `"1/31/2026 07:05"`}, {"seen": "0"}, {"seen": "-1"}, {"seen": "1.5"}, {"seen": `"86401"`},
		{"gift": "false"}, {"count": ""}, {"count": "-9007199254740992"}, {"rating": ""}, {"rating": "null"}, {"shop": `"north"`},
	}
	for _, delimiter := range []string{",", ";", "|", "\t"} {
		text := strings.Replace(shop, "{prefix: shop/}", "{prefix: shop/}, delimiter: "+string(mustJSON(t, delimiter)), 1)
		r, err := written(t, text, shopRows(t, changes...))
		if err != nil {
			t.Errorf("with %q: %v", delimiter, err)
			continue
		}
		header, _, _ := strings.Cut(string(r.text), "\n")
		if delimiter == "," && header != `ticket,the line,"price, net",weight,word,size,maybe,sold,seen,gift,count,rating,shop` {
			t.Errorf("the header is %s", header)
		}
		if got := strings.Join(r.idText[1], " "); got != "parity.jsonl:20 south parity.jsonl:20" {
			t.Errorf("the ids of the second row are %s", got)
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRowsThatNoFileCanCarryAreNamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		from, to string
		row      map[string]string
		says     string
	}{
		"a number that means null":  {`null_strings: ["n/a", "-"]`, `null_strings: ["-1"]`, map[string]string{"weight": "-1"}, "means something else than in a request"},
		"a null without a word":     {`null_strings: ["n/a", "-"]`, `null_strings: [" - "]`, map[string]string{"weight": "null"}, "names no text that means it"},
		"another layout that fits":  {`layouts: [unix]`, `layouts: ["20060102", unix]`, map[string]string{"seen": "20110203"}, "means something else"},
		"a category with two forms": {`values: [x, y], nullable: true, null_strings: ["none"]`, `values: [x, y], nullable: true, null_strings: [" "]`, map[string]string{"maybe": "null"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := written(t, strings.Replace(shop, tc.from, tc.to, 1), shopRows(t, map[string]string{}, tc.row))
			if tc.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "parity.jsonl:20: ") || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want the line 20 and %q", err, tc.says)
			}
		})
	}
}

func TestTheRowsOfBikeDemand(t *testing.T) {
	t.Parallel()
	r, err := readRows(os.DirFS(filepath.Join(models, "bike-demand")))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(r.text), "\n")
	if lines[0] != "instant,dteday,hr,season,holiday,workingday,weathersit,temp,atemp,hum,windspeed" ||
		lines[1] != "parity.jsonl:1,1/1/2011,0,1,false,false,1,0.24,0.2879,0.81,0.0" || len(lines) != r.n+2 {
		t.Errorf("%d lines, %s\n%s", len(lines), lines[0], lines[1])
	}
}
