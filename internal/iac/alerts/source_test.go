package alerts

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// root is the repository.
const root = "../../.."

// eventLine is a log line of product code that carries the key event.
type eventLine struct {
	at   string // file and line
	keys map[string]bool
}

// sources are the folders whose code runs on Google Cloud.
var sources = []string{"shared", "functions", "pipelines"}

// eventLines reads the code for slog.String("event", …): which keys each such line has, those of helpers of the package that
// make attributes included.
func eventLines(t *testing.T) map[string][]eventLine {
	t.Helper()
	lines := map[string][]eventLine{}
	for _, folder := range sources {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			p := readPackage(t, path)
			for _, file := range p.files {
				p.find(file, lines)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

type source struct {
	fset  *token.FileSet
	files []*ast.File
	funcs map[string]*ast.FuncDecl
}

func readPackage(t *testing.T, dir string) *source {
	t.Helper()
	p := &source{fset: token.NewFileSet(), funcs: map[string]*ast.FuncDecl{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(p.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		p.files = append(p.files, file)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				p.funcs[f.Name.Name] = f
			}
		}
	}
	return p
}

// find adds the lines of a file. A line is the statement around its event, and what is appended to its attributes later in
// the function.
func (p *source) find(file *ast.File, lines map[string][]eventLine) {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			s, ok := n.(ast.Stmt)
			if !ok || !isSimple(s) {
				return true
			}
			keys := map[string]bool{}
			var events []string
			p.attributes(s, keys, &events, true)
			if len(events) > 0 {
				p.appended(f.Body, assigned(s), keys)
			}
			for _, e := range events {
				lines[e] = append(lines[e], eventLine{p.fset.Position(s.Pos()).String(), keys})
			}
			return true
		})
	}
}

// assigned is the variable that a statement sets, "" if it sets none.
func assigned(s ast.Stmt) string {
	if a, ok := s.(*ast.AssignStmt); ok && len(a.Lhs) == 1 {
		if x, ok := a.Lhs[0].(*ast.Ident); ok {
			return x.Name
		}
	}
	return ""
}

// appended adds the keys of what a function appends to a variable.
func (p *source) appended(body *ast.BlockStmt, variable string, keys map[string]bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		s, ok := n.(*ast.AssignStmt)
		if !ok || variable == "" || assigned(s) != variable || s.Tok != token.ASSIGN {
			return true
		}
		p.attributes(s, keys, nil, false)
		return true
	})
}

// isSimple says that no other statement lies in it, so that an event is found once.
func isSimple(s ast.Stmt) bool {
	switch s.(type) {
	case *ast.ExprStmt, *ast.AssignStmt, *ast.ReturnStmt, *ast.DeferStmt:
		return true
	}
	return false
}

// attributes gathers the keys of slog attributes below n, and of the functions of the package that n calls; events only of n
// itself.
func (p *source) attributes(n ast.Node, keys map[string]bool, events *[]string, itself bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			if x, ok := f.X.(*ast.Ident); ok && x.Name == "slog" && len(call.Args) == 2 {
				key := text(call.Args[0])
				keys[key] = true
				if key == "event" && itself {
					*events = append(*events, text(call.Args[1]))
				}
			}
		case *ast.Ident:
			if d := p.funcs[f.Name]; d != nil && returnsAttributes(d) {
				p.attributes(d.Body, keys, events, false)
			}
		}
		return true
	})
	delete(keys, "")
}

func returnsAttributes(d *ast.FuncDecl) bool {
	if d.Type.Results == nil || len(d.Type.Results.List) != 1 {
		return false
	}
	list, ok := d.Type.Results.List[0].Type.(*ast.ArrayType)
	if !ok {
		return false
	}
	of, ok := list.Elt.(*ast.SelectorExpr)
	return ok && of.Sel.Name == "Attr"
}

func text(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(l.Value)
	if err != nil {
		return ""
	}
	return s
}

// keysOf are the keys that some line of an event has.
func keysOf(lines []eventLine) map[string]bool {
	all := map[string]bool{}
	for _, l := range lines {
		maps.Copy(all, l.keys)
	}
	return all
}
