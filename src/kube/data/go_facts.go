//go:build ignore

// go_facts lists, for the structs of Go packages, what make_tables.py wants to know and no .proto file says.
// usage: go run go_facts.go FOLDER=k8s.io.api.core.v1 ... > facts.tsv
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

func main() {
	for _, a := range os.Args[1:] { // dir=prefix
		i := strings.Index(a, "=")
		dir, prefix := a[:i], a[i+1:]
		fs := token.NewFileSet()
		files, _ := filepath.Glob(dir + "/*.go")
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") || strings.Contains(f, "generated") {
				continue
			}
			af, err := parser.ParseFile(fs, f, nil, parser.ParseComments)
			if err != nil {
				panic(err)
			}
			for _, d := range af.Decls {
				g, ok := d.(*ast.GenDecl)
				if !ok {
					continue
				}
				for _, s := range g.Specs {
					t, ok := s.(*ast.TypeSpec)
					if !ok {
						continue
					}
					st, ok := t.Type.(*ast.StructType)
					if !ok {
						continue
					}
					doc := g.Doc.Text()
					typemeta := ""
					for _, fl := range st.Fields.List {
						if se, ok := fl.Type.(*ast.SelectorExpr); ok && len(fl.Names) == 0 && se.Sel.Name == "TypeMeta" {
							typemeta = "T"
						}
						if id, ok := fl.Type.(*ast.Ident); ok && len(fl.Names) == 0 && id.Name == "TypeMeta" {
							typemeta = "T"
						}
					}
					atomic := ""
					if g.Doc != nil {
						for _, c := range g.Doc.List {
							if strings.Contains(c.Text, "+structType=atomic") {
								atomic = "A"
							}
						}
					}
					fmt.Printf("%s.%s\t\t%s%s\t%s\n", prefix, t.Name.Name, typemeta, atomic, clean(doc))
					for _, fl := range st.Fields.List {
						if fl.Tag == nil {
							continue
						}
						tag := reflect.StructTag(strings.Trim(fl.Tag.Value, "`")).Get("json")
						parts := strings.Split(tag, ",")
						flags := ""
						if _, ok := fl.Type.(*ast.StarExpr); ok {
							flags += "p"
						}
						if len(parts) == 1 {
							flags += "a"
						}
						if parts[0] == "" {
							continue
						}
						fmt.Printf("%s.%s\t%s\t%s\t%s\n", prefix, t.Name.Name, parts[0], flags, clean(fl.Doc.Text()))
					}
				}
			}
		}
	}
}
func clean(s string) string {
	var out []string
	for _, l := range strings.Split(s, "\n") {
		t := strings.TrimSpace(l)
		if strings.HasPrefix(t, "+") || t == "---" {
			continue
		}
		if strings.HasPrefix(t, "TODO") {
			continue
		}
		out = append(out, t)
	}
	r := strings.TrimSpace(strings.Join(out, "\n"))
	r = strings.ReplaceAll(r, "\\", "\\\\")
	r = strings.ReplaceAll(r, "\t", " ")
	r = strings.ReplaceAll(r, "\n", "\\n")
	return r
}
