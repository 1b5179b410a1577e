package storage_test

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestOnlyThisMachinesProgramsAreServed(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	for name, c := range map[string]struct {
		header string
		status int
	}{
		"127.0.0.1 with a port":     {"Host: 127.0.0.1:80", 200},
		"localhost":                 {"Host: localhost", 200},
		"IPv6 loopback":             {"Host: [::1]:4443", 200},
		"another name":              {"Host: storage.example.com", 403},
		"a name that looks alike":   {"Host: 127.0.0.1.example.com", 403},
		"another address":           {"Host: 10.0.0.1:80", 403},
		"a foreign origin":          {"Origin: https://evil.example", 403},
		"an origin of this machine": {"Origin: http://127.0.0.1:8080", 403},
		"a null origin":             {"Origin: null", 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := s.send(t, "GET", "/storage/v1/b/box", "", c.header).wants(t, c.status)
			for h := range a.header {
				if strings.HasPrefix(h, "Access-Control-") {
					t.Errorf("CORS header %s", h)
				}
			}
		})
	}
}

func TestWhatIsGivenUpIsNamed(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=o", "x").wants(t, 200)
	for name, c := range map[string]struct {
		method, path, body, header, word string
	}{
		"object ACL":         {"GET", "/storage/v1/b/box/o/o/acl", "", "", "ACLs"},
		"bucket ACL":         {"GET", "/storage/v1/b/box/acl", "", "", "ACLs"},
		"IAM policy":         {"GET", "/storage/v1/b/box/iam", "", "", "IAM"},
		"predefined ACL":     {"POST", "/upload/storage/v1/b/box/o?uploadType=media&name=p&predefinedAcl=publicRead", "x", "", "ACLs"},
		"signed URL":         {"GET", "/box/o?X-Goog-Signature=abc", "", "", "signed URLs"},
		"XML write":          {"PUT", "/box/o", "x", "", "XML"},
		"XML listing":        {"GET", "/box", "", "", "XML"},
		"XML buckets":        {"GET", "/", "", "", "XML"},
		"HMAC keys":          {"GET", "/storage/v1/projects/p/hmacKeys", "", "", "HMAC"},
		"soft delete":        {"GET", "/storage/v1/b/box/o?softDeleted=true", "", "", "soft delete"},
		"restore":            {"POST", "/storage/v1/b/box/o/o/restore", "", "", "soft delete"},
		"customer's keys":    {"GET", "/box/o", "", "x-goog-encryption-key: abc", "encryption keys"},
		"managed keys":       {"PATCH", "/storage/v1/b/box/o/o", `{"kmsKeyName":"k"}`, "", "encryption keys"},
		"holds":              {"PATCH", "/storage/v1/b/box/o/o", `{"temporaryHold":true}`, "", "holds"},
		"versions":           {"PATCH", "/storage/v1/b/box", `{"versioning":{"enabled":true}}`, "", "versioning"},
		"lifecycle":          {"POST", "/storage/v1/b", `{"name":"other","lifecycle":{"rule":[{}]}}`, "", "lifecycle"},
		"folders":            {"POST", "/storage/v1/b/box/managedFolders", "", "", "folders"},
		"other events":       {"POST", "/storage/v1/b/box/notificationConfigs", `{"topic":"//pubsub.googleapis.com/projects/p/topics/t","payload_format":"NONE","event_types":["OBJECT_DELETE"]}`, "", "OBJECT_DELETE"},
		"events of all kind": {"POST", "/storage/v1/b/box/notificationConfigs", `{"topic":"//pubsub.googleapis.com/projects/p/topics/t","payload_format":"NONE"}`, "", "event_types"},
		"compose that eats":  {"POST", "/storage/v1/b/box/o/p/compose", `{"deleteSourceObjects":true,"sourceObjects":[{"name":"o"}]}`, "", "deleteSourceObjects"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := []string{}
			if c.header != "" {
				headers = append(headers, c.header)
			}
			s.send(t, c.method, c.path, c.body, headers...).wants(t, 501, "notImplemented", c.word)
		})
	}
}

func TestErrorsHaveTheProtocolsBody(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	a := s.send(t, "GET", "/storage/v1/b/box/o/none", "").wants(t, 404)
	var e struct {
		Error struct {
			Code    int
			Message string
			Errors  []struct{ Domain, Reason, Message string }
		}
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatal(err)
	}
	if e.Error.Code != 404 || e.Error.Message == "" || len(e.Error.Errors) != 1 || e.Error.Errors[0].Reason != "notFound" || e.Error.Errors[0].Domain != "global" {
		t.Errorf("%s", a.body)
	}
	for name, c := range map[string]struct {
		method, path, body string
		status             int
	}{
		"unknown path":                 {"GET", "/storage/v1/b/box/nothing", "", 404},
		"wrong method":                 {"POST", "/storage/v1/b/box/o/x", "", 405},
		"generation that is no number": {"GET", "/storage/v1/b/box/o/x?ifGenerationMatch=abc", "", 400},
		"negative generation":          {"GET", "/storage/v1/b/box/o/x?generation=-1", "", 400},
		"broken JSON":                  {"PATCH", "/storage/v1/b/box/o/x", "{", 400},
		"JSON that is no object":       {"PATCH", "/storage/v1/b/box/o/x", "[1]", 400},
		"bad page token":               {"GET", "/storage/v1/b/box/o?pageToken=***", "", 400},
		"bad page size":                {"GET", "/storage/v1/b/box/o?maxResults=many", "", 400},
		"bad glob":                     {"GET", "/storage/v1/b/box/o?matchGlob=%5Ba", "", 400},
		"bad fields":                   {"GET", "/storage/v1/b/box?fields=a(b", "", 400},
		"bad upload type":              {"POST", "/upload/storage/v1/b/box/o?uploadType=carrier-pigeon&name=x", "", 400},
		"upload without a name":        {"POST", "/upload/storage/v1/b/box/o?uploadType=media", "x", 400},
		"bucket of a reserved word":    {"POST", "/storage/v1/b", `{"name":"upload"}`, 400},
		"bucket without a name":        {"POST", "/storage/v1/b", `{}`, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.send(t, c.method, c.path, c.body).wants(t, c.status)
		})
	}
}
