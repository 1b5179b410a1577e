package identity

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
)

// metadataAddress is where Google Cloud's metadata server is, in every network.
const metadataAddress = "169.254.169.254"

// metadataLimit is long for a server on the same host, and short for a person who waits.
const metadataLimit = 5 * time.Second

// metadata asks the metadata server of Google Cloud, where this process runs there.
func metadata(ctx context.Context, getenv func(string) string, audience string) (string, error) {
	query := url.Values{"audience": {audience}, "format": {"full"}}
	body, host, err := metadataGet(ctx, getenv, "instance/service-accounts/default/identity?"+query.Encode())
	if err != nil {
		return "", err
	}
	return check(string(body), "the metadata server at "+host)
}

// metadataGet reads one value. Whether there is a server, Google's library finds out with probes into the network that take
// seconds on a laptop, and by the process's own environment; here the signs are local: the variable of Google's clients, the
// variables of Cloud Run, the name of the machine.
func metadataGet(ctx context.Context, getenv func(string) string, path string) (body []byte, host string, err error) {
	if host = getenv("GCE_METADATA_HOST"); host == "" {
		if getenv("K_SERVICE") == "" && getenv("CLOUD_RUN_JOB") == "" && !googleMachine() {
			return nil, "", errNone
		}
		host = metadataAddress
	}
	ctx, cancel := context.WithTimeout(ctx, metadataLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/computeMetadata/v1/"+path, nil)
	if err != nil {
		return nil, host, fault.New(fault.Invalid, err, "GCE_METADATA_HOST is %q, expected HOST or HOST:PORT", host)
	}
	req.Header.Set("Metadata-Flavor", "Google")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: the server is on this host
	resp, err := client.Do(req)
	if err != nil {
		return nil, host, fault.New(fault.Unauthenticated, err, "the metadata server at %s gave no token", host)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	switch {
	case err != nil:
		return nil, host, fault.New(fault.Unauthenticated, err, "the metadata server at %s gave no token", host)
	case resp.StatusCode == http.StatusNotFound: // a machine without a service account: gcloud may know a person
		return nil, host, errNone
	case resp.StatusCode != http.StatusOK:
		return nil, host, fault.New(fault.Unauthenticated, nil, "the metadata server at %s answered %d to the request for a token", host, resp.StatusCode)
	}
	return body, host, nil
}

// googleMachine says whether the firmware names a machine of Google Cloud, as Google's clients ask it.
func googleMachine() bool {
	name, err := os.ReadFile("/sys/class/dmi/id/product_name")
	product := strings.TrimSpace(string(name))
	return err == nil && (product == "Google" || product == "Google Compute Engine")
}
