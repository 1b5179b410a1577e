package devserver

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// The ports of make run, counted from PORT. A model's own is portModels plus a number that it keeps (slots.go).
const (
	portConsole = iota
	portStorage
	portGRPC
	portOnUpload
	portBatchTrigger
	portModels = 10
)

// purposes name the ports for the message about one that is taken.
var purposes = map[int]string{
	portConsole: "the console", portStorage: "Cloud Storage", portGRPC: "Firestore and Vertex AI", portOnUpload: "onupload", portBatchTrigger: "batchtrigger",
}

// listen binds the port that lies offset above base on loopback; base 0 takes a free one.
func listen(base, offset int) (net.Listener, error) {
	port := 0
	if base != 0 {
		port = base + offset
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		purpose, ok := purposes[offset]
		if !ok {
			purpose = "a model"
		}
		return nil, fmt.Errorf("port %d, for %s, is taken: stop what listens there, or choose another with PORT=%d make run (PORT=0 takes free ones)", port, purpose, base+1000)
	}
	return l, err
}

// closeAll closes listeners; those that a server closed already say so, which is fine.
func closeAll(ls []net.Listener) {
	for _, l := range ls {
		if l != nil {
			_ = l.Close()
		}
	}
}
