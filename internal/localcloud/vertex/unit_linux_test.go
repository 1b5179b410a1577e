package vertex

import (
	"os"
	"strings"
	"testing"
)

func TestOnlyTaskFoldersMarkAStray(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]bool{
		"TMPDIR=/data/p/us/job/12/1/tmp": true, "A=1 TMPDIR=/data/p/us/job/12/1/tmp B=2": true,
		"TMPDIR=/data": false, "TMPDIR=/data/": false, "TMPDIR=/data/x/tmp": false, "TMPDIR=/data/p/us/job/x/1/tmp": false, "TMPDIR=/other/p/us/job/12/1/tmp": false,
		"XTMPDIR=/data/p/us/job/12/1/tmp": false, "": false,
	} {
		if got := inTaskFolder([]byte(strings.ReplaceAll(env, " ", "\x00")), "/data"); got != want {
			t.Errorf("inTaskFolder(%q) = %v", env, got)
		}
	}
}

func TestIdentityIsOfOneProcess(t *testing.T) {
	t.Parallel()
	mine := identity(os.Getpid())
	if mine == "" || mine != identity(os.Getpid()) || mine == identity(1) {
		t.Errorf("identity of this process %q, of the first %q", mine, identity(1))
	}
	if got := identity(1 << 30); got != "" {
		t.Errorf("identity of no process = %q", got)
	}
}
