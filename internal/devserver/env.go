package devserver

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// EnvFile is the file in the data folder with the lines that point clients to the local cloud.
const EnvFile = "env"

// setting is one variable; the file keeps their order.
type setting struct{ key, value string }

// clientEnv are the variables for people's own programs: Google's clients, gcloud storage, and millrace itself.
func (d *Server) clientEnv() []setting {
	storage := d.addr[portStorage]
	return []setting{
		{"GOOGLE_CLOUD_PROJECT", project}, {"REGION", region},
		{"STORAGE_EMULATOR_HOST", "http://" + storage},
		{"FIRESTORE_EMULATOR_HOST", d.addr[portGRPC]}, {"VERTEX_ENDPOINT", d.addr[portGRPC]},
		{"CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", "http://" + storage + "/"},
		{"CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true"}, {"CLOUDSDK_CORE_PROJECT", project},
		{"INBOX_BUCKET", inboxBucket}, {"OUTBOX_BUCKET", outboxBucket},
		{"STAGING_BUCKET", stagingBucket}, {"ARTIFACTS_BUCKET", artifactsBucket},
		{"MILLRACE_CONSOLE", "http://" + d.addr[portConsole]},
		{"MILLRACE_URL", "http://" + d.addr[portBatchTrigger]},
	}
}

// functionEnv are the settings of onupload and batchtrigger, as Terraform would set them.
func (d *Server) functionEnv() map[string]string {
	env := map[string]string{"PIPELINE_SERVICE_ACCOUNT": "pipelines@" + project + ".iam.gserviceaccount.com", "OPERATORS": "*"}
	for _, s := range d.clientEnv() {
		env[s.key] = s.value
	}
	return env
}

// stepEnv are the addresses that a step's process gets; everything else comes as a parameter of its pipeline.
func (d *Server) stepEnv() map[string]string {
	return map[string]string{
		"STORAGE_EMULATOR_HOST": d.addr[portStorage], "FIRESTORE_EMULATOR_HOST": d.addr[portGRPC], "VERTEX_ENDPOINT": d.addr[portGRPC],
	}
}

func (d *Server) writeEnv() error {
	var b strings.Builder
	b.WriteString("# . " + filepath.Join(d.opts.Data, EnvFile) + " points Google's clients, gcloud storage and millrace to this machine.\n")
	for _, s := range d.clientEnv() {
		fmt.Fprintf(&b, "export %s=%s\n", s.key, s.value)
	}
	// Written beside and moved, so that a reader sees the old lines or the new ones.
	temp := filepath.Join(d.opts.Data, "."+EnvFile)
	if err := os.WriteFile(temp, []byte(b.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(d.opts.Data, EnvFile))
}

// ReadEnv gives the variables of a data folder's env file; there are none where nothing was started yet.
func ReadEnv(data string) (map[string]string, error) {
	f, err := os.Open(filepath.Join(data, EnvFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	env := map[string]string{}
	in := bufio.NewScanner(f)
	for in.Scan() {
		if k, v, ok := strings.Cut(strings.TrimPrefix(in.Text(), "export "), "="); ok && !strings.HasPrefix(k, "#") {
			env[k] = v
		}
	}
	return env, in.Err()
}
