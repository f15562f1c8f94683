package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A goPackage is what one directory of Go source declares, as far as the table needs it.
// Only syntax is read: nothing has to compile, so one Go can read ten years of releases.
type goPackage struct {
	path    string
	types   map[string]declaredType
	methods map[string][]string // by receiver's type
	values  map[string]ast.Expr // package-level constants and variables
	funcs   []declaredFunc
	// Whether the package has a generated.pb.go: its types can be written as protobuf.
	protobuf bool
}

type declaredType struct {
	spec *ast.TypeSpec
	file *ast.File
}

type declaredFunc struct {
	decl *ast.FuncDecl
	file *ast.File
}

func (p *goPackage) hasMethod(typeName, method string) bool {
	return slices.Contains(p.methods[typeName], method)
}

// A universe holds the packages of one release, parsed when first asked for.
type universe struct {
	release  release
	packages map[string]*goPackage
}

func (u *universe) load(importPath string) (*goPackage, error) {
	if p, ok := u.packages[importPath]; ok {
		return p, nil
	}
	dir := u.release.dirOf(importPath)
	if dir == "" {
		return nil, fmt.Errorf("no module of release %s has package %s", u.release.name, importPath)
	}
	p := &goPackage{
		path:    importPath,
		types:   map[string]declaredType{},
		methods: map[string][]string{},
		values:  map[string]ast.Expr{},
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		if name == "generated.pb.go" {
			p.protobuf = true
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.add(file)
	}
	u.packages[importPath] = p
	return p, nil
}

func (p *goPackage) add(file *ast.File) {
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			p.funcs = append(p.funcs, declaredFunc{decl, file})
			if decl.Recv != nil {
				receiver := decl.Recv.List[0].Type
				if star, ok := receiver.(*ast.StarExpr); ok {
					receiver = star.X
				}
				if name, ok := receiver.(*ast.Ident); ok {
					p.methods[name.Name] = append(p.methods[name.Name], decl.Name.Name)
				}
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					p.types[spec.Name.Name] = declaredType{spec, file}
				case *ast.ValueSpec:
					for i, name := range spec.Names {
						if i < len(spec.Values) {
							p.values[name.Name] = spec.Values[i]
						}
					}
				}
			}
		}
	}
}

// imported gives the import path that a file knows under a name.
func imported(file *ast.File, name string) (string, error) {
	for _, spec := range file.Imports {
		importPath, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return "", err
		}
		if spec.Name != nil && spec.Name.Name == name || spec.Name == nil && path.Base(importPath) == name {
			return importPath, nil
		}
	}
	return "", fmt.Errorf("no import named %s", name)
}

// protobufPackages lists the packages of a module that have generated protobuf code.
func protobufPackages(m module) ([]string, error) {
	var found []string
	err := filepath.WalkDir(m.dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "vendor" || entry.Name() == "third_party") {
			return filepath.SkipDir
		}
		if entry.Name() == "generated.pb.go" {
			rel, err := filepath.Rel(m.dir, filepath.Dir(file))
			if err != nil {
				return err
			}
			found = append(found, path.Join(m.path, filepath.ToSlash(rel)))
		}
		return nil
	})
	slices.Sort(found)
	return found, err
}
