// Command gcloud stands on PATH in tests: it hands its arguments to the test that started it, which plays Cloud Run.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	args, err := json.Marshal(os.Args[1:])
	if err != nil {
		panic(err)
	}
	resp, err := http.Post(os.Getenv("PLAYED_GCLOUD"), "application/json", bytes.NewReader(args))
	if err != nil {
		fmt.Fprintln(os.Stderr, "ERROR: (gcloud)", err)
		os.Exit(1)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		os.Exit(1)
	}
	if resp.StatusCode != http.StatusOK {
		os.Stderr.Write(body)
		os.Exit(1)
	}
	os.Stdout.Write(body)
}
