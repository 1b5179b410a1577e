package policy

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFilesAreFormatted(t *testing.T) {
	t.Parallel()
	w := checked(t)
	if out, err := w.run("fmt", "-check", "-recursive", "-no-color"); err != nil {
		t.Errorf("terraform fmt -recursive terraform/ would change:\n%s", out)
	}
}

// Every module is valid and passes its own tests, which apply it under a mock of the provider.
func TestModules(t *testing.T) {
	t.Parallel()
	w := checked(t)
	files, err := filepath.Glob(filepath.Join(w.dir, "terraform", "modules", "*", "versions.tf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(w.dir, "terraform", "versions.tf")) {
		folder, err := filepath.Rel(w.dir, filepath.Dir(file))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.ToSlash(folder), func(t *testing.T) {
			for _, args := range [][]string{{"init", "-backend=false", "-input=false", "-no-color"}, {"validate", "-no-color"}, {"test", "-no-color"}} {
				if out, err := w.runIn(folder, args...); err != nil {
					t.Fatalf("terraform %s: %v\n%s", args[0], err, out)
				}
			}
			tests, err := filepath.Glob(filepath.Join(w.dir, folder, "tests", "*.tftest.hcl"))
			if err != nil || len(tests) == 0 {
				t.Errorf("%s/tests has no test", folder)
			}
		})
	}
}

// checkoutModels are the manifests of the checkout, for which the tests of the root module are written.
func checkoutModels(t *testing.T) []fixture {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "models", "*", "model.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var all []fixture
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fixture{filepath.Base(filepath.Dir(f)), string(text)})
	}
	return all
}

// checked gives a copy of the configuration that nobody applies, or skips.
func checked(t *testing.T) *workspace {
	t.Helper()
	w, err := open(t.TempDir())
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	if err := w.models(checkoutModels(t)...); err != nil {
		t.Fatal(err)
	}
	return w
}

// What is planned is what lies in the checkout: no state, no plan, no variables of an environment belong there.
func TestTheCheckoutHoldsNoState(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"*.tfstate*", "*.bin", "*.auto.tfvars*"} {
		found, err := filepath.Glob(filepath.Join(root, "terraform", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if _, err := os.Stat(f); err == nil {
				t.Errorf("%s lies in the checkout", f)
			}
		}
	}
}
