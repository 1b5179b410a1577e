package doctor

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What doctor looks for is what Terraform makes, by the same names.
func TestNamesAreTerraforms(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	folder := os.DirFS("../../terraform")
	err := fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".tf") {
			return err
		}
		b, err := fs.ReadFile(folder, path)
		text.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(strings.Fields(text.String()), " ") // without terraform fmt's columns
	for _, name := range []string{`"` + onUpload + `"`, `"` + batchTrigger + `"`, `"` + runner + `"`, "deployer = ", "builder = ", `"${var.service.name}-push"`, `"` + tickAccount + `"`, `"` + topic + `"`, `"` + pushName + `"`, `"` + deadTopic + `"`,
		placeholder, "functions = {", "images = {", "drain = ", "reconcile = ", `"${var.model}-${each.key}"`, `"predict-${`, "-inbox", "-outbox", "-staging", "-artifacts", "run-sources-${var.project}-${var.location}", "${var.project}-terraform",
		`"environment"`, `"bucket_prefix"`, `"firestore_database"`, `"state_bucket"`, `"github"`, `managed-by = "millrace"`} {
		if !strings.Contains(all, name) {
			t.Errorf("no %s below terraform/", name)
		}
	}
	b, err := fs.ReadFile(folder, "apis.tf")
	if err != nil {
		t.Fatal(err)
	}
	_, always, _ := strings.Cut(string(b), "apis = toset(concat(")
	always, _, _ = strings.Cut(always, "],")
	var made []string
	for _, m := range regexp.MustCompile(`"([a-z]+\.googleapis\.com)"`).FindAllStringSubmatch(always, -1) {
		made = append(made, m[1])
	}
	slices.Sort(made)
	if !slices.Equal(made, slices.Sorted(slices.Values(wantAPIs))) {
		t.Errorf("Terraform enables %q, doctor looks for %q", made, wantAPIs)
	}
}
