package storage_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/internal/localcloud/storage"
)

// BenchmarkSmallCreates writes 10,000 objects of 1 KiB by Google's client, 16 at a time, to a server that fsyncs, in a
// process of its own. Run with -benchtime=1x.
func BenchmarkSmallCreates(b *testing.B) {
	for b.Loop() {
		p := startProcess(b, b.TempDir(), "")
		client := p.client(b)
		content := data(1 << 10)
		var next atomic.Int64
		var wg sync.WaitGroup
		began := time.Now()
		for range 16 {
			wg.Go(func() {
				for n := next.Add(1); n <= 10_000; n = next.Add(1) {
					w := client.Bucket("box").Object(fmt.Sprintf("o%05d", n)).NewWriter(b.Context())
					w.ChunkSize = block // the client zeroes a buffer of this size for every write, 16 MiB by default
					_, err := io.WriteString(w, content)
					if cerr := w.Close(); err != nil || cerr != nil {
						b.Error(err, cerr)
						return
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(time.Since(began).Seconds(), "s/10000creates")
		b.ReportMetric(float64(p.resident(b))/(1<<20), "MB-resident")
		p.kill()
	}
}

// BenchmarkLargeUpload sends 2 GiB through Google's client in its default chunks. Run with -benchtime=1x.
func BenchmarkLargeUpload(b *testing.B) {
	const size = 2 << 30
	for b.Loop() {
		p := startProcess(b, b.TempDir(), "")
		began := time.Now()
		w := p.client(b).Bucket("box").Object("o").NewWriter(b.Context())
		_, err := io.CopyN(w, zeros{}, size)
		if cerr := w.Close(); err != nil || cerr != nil {
			b.Fatal(err, cerr)
		}
		b.ReportMetric(size/(1<<20)/time.Since(began).Seconds(), "MiB/s")
		b.ReportMetric(float64(p.resident(b))/(1<<20), "MB-resident")
		p.kill()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// BenchmarkStart opens a folder of 100,000 objects, a tenth of them in files.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	s, err := storage.Open(db, dir, storage.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	fill(b, s, 100_000)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := storage.Open(db, dir, storage.Options{}); err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// fill writes objects through the handler, without a network.
func fill(b *testing.B, s *storage.Server, n int) {
	if err := s.CreateBucket("box"); err != nil {
		b.Fatal(err)
	}
	small, large := data(100), data(65<<10)
	h := s.Handler()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				content := small
				if i%10 == 0 {
					content = large
				}
				r, _ := http.NewRequestWithContext(b.Context(), "POST", fmt.Sprintf("http://127.0.0.1/upload/storage/v1/b/box/o?uploadType=media&name=o%06d", i), strings.NewReader(content))
				h.ServeHTTP(nobody{http.Header{}}, r)
			}
		})
	}
	wg.Wait()
}

// nobody takes an answer.
type nobody struct{ header http.Header }

func (n nobody) Header() http.Header         { return n.header }
func (n nobody) Write(p []byte) (int, error) { return len(p), nil }
func (n nobody) WriteHeader(int)             {}

// resident is the most memory that the process ever had, in bytes; 0 where /proc has no answer.
func (p *process) resident(b *testing.B) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		b.Logf("no resident size: %v", err)
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kb << 10
}
