package storagetest

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"cloud.google.com/go/storage"
)

// parallel runs fn n times at once and returns when all are done.
func parallel(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

var races = []check{
	{"of 16 creates with DoesNotExist one wins", func(e *env) {
		for round := range 25 {
			var won atomic.Int64
			o := e.b.Object(fmt.Sprint("o", round)).If(storage.Conditions{DoesNotExist: true})
			parallel(16, func(i int) {
				switch _, err := e.write(o, fmt.Sprint(i)); code(err) {
				case 200:
					won.Add(1)
				case 412:
				default:
					e.Errorf("round %d: %v", round, err)
				}
			})
			if won.Load() != 1 {
				e.Fatalf("round %d: %d winners", round, won.Load())
			}
		}
	}},
	{"a counter by compare-and-swap loses nothing", func(e *env) {
		e.put("n", "0")
		parallel(8, func(int) {
			for done := 0; done < 5; {
				r, err := e.b.Object("n").NewReader(e.ctx)
				if err != nil {
					e.Error(err)
					return
				}
				b, err := io.ReadAll(r)
				if err := errors.Join(err, r.Close()); err != nil {
					e.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(b))
				_, err = e.write(e.b.Object("n").If(storage.Conditions{GenerationMatch: r.Attrs.Generation}), strconv.Itoa(n+1))
				switch code(err) {
				case 200:
					done++
				case 412:
				default:
					e.Error(err)
					return
				}
			}
		})
		e.holds("n", "40")
	}},
	{"concurrent overwrites never share a generation", func(e *env) {
		var mu sync.Mutex
		seen := map[int64]bool{}
		parallel(16, func(i int) {
			for j := range 20 {
				a, err := e.write(e.b.Object(fmt.Sprint("o", j%4)), fmt.Sprint(i, j))
				if err != nil {
					e.Error(err)
					return
				}
				mu.Lock()
				if seen[a.Generation] {
					e.Errorf("generation %d twice", a.Generation)
				}
				seen[a.Generation] = true
				mu.Unlock()
			}
		})
	}},
	{"readers during overwrites see whole contents", func(e *env) {
		versions := []string{noise(100 << 10), noise(200 << 10)[1:], "short"}
		e.put("o", versions[0])
		stop := make(chan struct{})
		var writer sync.WaitGroup
		writer.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := e.write(e.b.Object("o"), versions[i%3]); err != nil {
					e.Error(err)
					return
				}
			}
		})
		parallel(8, func(int) {
			for range 20 {
				got, err := e.get(e.b.Object("o"))
				if err != nil {
					e.Error(err)
					return
				}
				if got != versions[0] && got != versions[1] && got != versions[2] {
					e.Errorf("read %d bytes that nobody wrote", len(got))
				}
			}
		})
		close(stop)
		writer.Wait()
	}},
}
