package identity

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	host, _ := google(t)
	signed := fakeGcloud(t, `[ "$*" = "auth print-access-token --quiet" ] && echo "ya29.person"`)
	b, err := json.Marshal(serviceAccount(t, host))
	if err != nil {
		t.Fatal(err)
	}
	account := write(t, filepath.Join(t.TempDir(), "account.json"), string(b), 0o600)
	broken := write(t, filepath.Join(t.TempDir(), "broken.json"), "rubbish", 0o600)
	home := t.TempDir()
	write(t, filepath.Join(home, ".config", "gcloud", "application_default_credentials.json"), `{"type":"api_key"}`, 0o600)
	for name, tc := range map[string]struct {
		env  func(string) string
		want Credential
		err  string
	}{
		"the variable":          {env(AccessVariable, "ya29.x", "PATH", signed), Credential{Token: "ya29.x", Source: AccessVariable, Default: true}, ""},
		"a named file":          {env(fileVariable, account, "PATH", signed), Credential{Token: "access", Source: fileVariable, Account: "me@p.iam.gserviceaccount.com", Project: "p", Default: true}, ""},
		"the metadata server":   {env("GCE_METADATA_HOST", host, "PATH", signed), Credential{Token: "machine", Source: "the metadata server", Account: "vm@p.iam.gserviceaccount.com", Project: "p", Default: true}, ""},
		"gcloud alone":          {env("PATH", signed), Credential{Token: "ya29.person", Source: "gcloud"}, ""},
		"nothing":               {env(), Credential{}, "gcloud auth application-default login"},
		"gcloud without login":  {env("PATH", fakeGcloud(t, `echo "ERROR: (gcloud.auth.print-access-token) no active account" >&2; exit 1`)), Credential{}, "no active account); run: gcloud auth login"},
		"a broken file":         {env(fileVariable, broken), Credential{}, broken + " holds no credentials"},
		"a file that is absent": {env(fileVariable, broken+"x", "PATH", signed), Credential{}, "cannot be read"},
		"a default of no use":   {env("HOME", home, "PATH", signed), Credential{}, "application_default_credentials.json gave no access token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Access(t.Context(), tc.env)
			if err != nil {
				if tc.err == "" || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("%v, want %q", err, tc.err)
				}
				return
			}
			if tc.err != "" || *got != tc.want {
				t.Errorf("%+v, want %+v or %q", *got, tc.want, tc.err)
			}
		})
	}
}
