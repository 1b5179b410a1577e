package firestore

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Limits of Cloud Firestore on names ("Quotas and limits").
const (
	maxID   = 1500
	maxName = 6 << 10
)

// docName is a document's name in two parts, comparable so that it can be a map key.
type docName struct {
	database string // "projects/p/databases/d"
	path     string // "runs/a" or "runs/a/tasks/b": an even number of ids
}

// String is the resource name as it is on the wire.
func (n docName) String() string { return n.database + "/documents/" + n.path }

func (n docName) id() string { return n.path[strings.LastIndexByte(n.path, '/')+1:] }

func (n docName) collection() collName {
	return collName{n.database, n.path[:strings.LastIndexByte(n.path, '/')]}
}

// collName is a collection: a path with an odd number of ids.
type collName struct{ database, path string }

func (c collName) id() string { return c.path[strings.LastIndexByte(c.path, '/')+1:] }

func (c collName) doc(id string) docName { return docName{c.database, c.path + "/" + id} }

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// checkDatabase accepts every well-formed database name: local databases need not be created.
func checkDatabase(s string) error {
	parts := strings.Split(s, "/")
	if len(parts) != 4 || parts[0] != "projects" || parts[1] == "" || parts[2] != "databases" || parts[3] == "" {
		return invalid("database %q: expected projects/PROJECT/databases/DATABASE", s)
	}
	return nil
}

// splitName cuts "projects/p/databases/d/documents/rest" into database and rest.
func splitName(s string) (database, rest string, err error) {
	parts := strings.SplitN(s, "/", 6)
	if len(parts) < 5 || parts[4] != "documents" {
		return "", "", invalid("name %q: expected projects/PROJECT/databases/DATABASE/documents/…", s)
	}
	database = strings.Join(parts[:4], "/")
	if err := checkDatabase(database); err != nil {
		return "", "", err
	}
	if len(s) > maxName {
		return "", "", invalid("name of %d bytes: at most %d are allowed", len(s), maxName)
	}
	if len(parts) == 6 {
		rest = parts[5]
	}
	return database, rest, nil
}

// parseDoc reads a document's resource name and checks its ids.
func parseDoc(s string) (docName, error) {
	database, path, err := splitName(s)
	if err != nil {
		return docName{}, err
	}
	ids := strings.Split(path, "/")
	if len(ids)%2 != 0 {
		return docName{}, invalid("name %q: a document's path has an even number of ids", s)
	}
	return docName{database, path}, checkIDs(s, ids)
}

// parseDocIn is parseDoc for a name that must lie in the request's database.
func parseDocIn(database, s string) (docName, error) {
	n, err := parseDoc(s)
	if err == nil && n.database != database {
		err = invalid("name %q: not in the request's database %q", s, database)
	}
	return n, err
}

// parseParent reads the parent of a collection: a document, or the database's root with an empty path.
func parseParent(s string) (database, path string, err error) {
	database, path, err = splitName(s)
	if err != nil || path == "" {
		return database, path, err
	}
	n, err := parseDoc(s)
	return n.database, n.path, err
}

func childCollection(database, parent, id string) (collName, error) {
	path := id
	if parent != "" {
		path = parent + "/" + id
	}
	if strings.Contains(id, "/") {
		return collName{}, invalid("collection id %q: must not contain a slash", id)
	}
	return collName{database, path}, checkIDs(path, []string{id})
}

func checkIDs(name string, ids []string) error {
	for _, id := range ids {
		if p := idProblem(id); p != "" {
			return invalid("name %q: id %s", shorten(name), p)
		}
	}
	return nil
}

func idProblem(id string) string {
	switch {
	case id == "":
		return "must not be empty"
	case id == "." || id == "..":
		return fmt.Sprintf("must not be %q", id)
	case reserved(id):
		return fmt.Sprintf("%q is reserved (__…__)", shorten(id))
	case len(id) > maxID:
		return fmt.Sprintf("of %d bytes: at most %d are allowed", len(id), maxID)
	}
	return ""
}

// reserved matches __.*__ as the service does; "__" alone is too short.
func reserved(s string) bool {
	return len(s) >= 4 && strings.HasPrefix(s, "__") && strings.HasSuffix(s, "__")
}

func shorten(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}
