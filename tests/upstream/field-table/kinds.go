package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"strconv"
)

// kindsOf finds the kinds that a package registers for decoding: "group/version/Kind" and the
// qualified name of the Go type. It reads the calls of AddKnownTypes (and of AddUnversionedTypes
// in meta/v1) in the package's functions.
func (u *universe) kindsOf(p *goPackage) (map[string]string, error) {
	kinds := map[string]string{}
	for _, function := range p.funcs {
		if function.decl.Body == nil {
			continue
		}
		local := map[string]ast.Expr{}
		var failure error
		ast.Inspect(function.decl.Body, func(node ast.Node) bool {
			if assign, ok := node.(*ast.AssignStmt); ok && len(assign.Lhs) == 1 && len(assign.Rhs) == 1 {
				if name, ok := assign.Lhs[0].(*ast.Ident); ok {
					local[name.Name] = assign.Rhs[0]
				}
			}
			call, ok := node.(*ast.CallExpr)
			if !ok || failure != nil {
				return failure == nil
			}
			callee, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || callee.Sel.Name != "AddKnownTypes" && callee.Sel.Name != "AddUnversionedTypes" {
				return true
			}
			group, version, ok := p.groupVersion(call.Args[0])
			if !ok {
				// A parameter: meta/v1 adds its options to every group that asks for them.
				return true
			}
			objects := call.Args[1:]
			if call.Ellipsis != token.NoPos {
				variable, ok := objects[0].(*ast.Ident)
				if !ok {
					failure = fmt.Errorf("%s: cannot follow the list of types", p.path)
					return false
				}
				list, ok := local[variable.Name].(*ast.CompositeLit)
				if !ok {
					list, ok = p.values[variable.Name].(*ast.CompositeLit)
				}
				if !ok {
					failure = fmt.Errorf("%s: cannot follow the list %s", p.path, variable.Name)
					return false
				}
				objects = list.Elts
			}
			for _, object := range objects {
				name, goType, err := u.object(p, function.file, object)
				if err != nil {
					failure = fmt.Errorf("%s: %w", p.path, err)
					return false
				}
				if goType != "" {
					kinds[group+"/"+version+"/"+name] = goType
				}
			}
			return true
		})
		if failure != nil {
			return nil, failure
		}
	}
	return kinds, nil
}

// object reads `&T{}` or `&pkg.T{}`. The Go type is "" if it has no protobuf form.
func (u *universe) object(p *goPackage, file *ast.File, expr ast.Expr) (name, goType string, err error) {
	address, ok := expr.(*ast.UnaryExpr)
	if !ok {
		return "", "", fmt.Errorf("registers something that is not &T{}")
	}
	literal, ok := address.X.(*ast.CompositeLit)
	if !ok {
		return "", "", fmt.Errorf("registers something that is not &T{}")
	}
	owner := p
	switch t := literal.Type.(type) {
	case *ast.Ident:
		name = t.Name
	case *ast.SelectorExpr:
		name = t.Sel.Name
		qualifier, ok := t.X.(*ast.Ident)
		if !ok {
			return "", "", fmt.Errorf("cannot follow a type's package")
		}
		importPath, err := imported(file, qualifier.Name)
		if err != nil {
			return "", "", err
		}
		if owner, err = u.load(importPath); err != nil {
			return "", "", err
		}
	default:
		return "", "", fmt.Errorf("registers something that is not &T{}")
	}
	if !owner.hasMethod(name, "Marshal") {
		return name, "", nil
	}
	return name, owner.path + "." + name, nil
}

// groupVersion reads a variable such as
// `SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1"}`.
func (p *goPackage) groupVersion(expr ast.Expr) (group, version string, ok bool) {
	variable, ok := expr.(*ast.Ident)
	if !ok {
		return "", "", false
	}
	literal, ok := p.values[variable.Name].(*ast.CompositeLit)
	if !ok {
		// One variable may stand for another: `SchemeGroupVersion = GroupVersion`.
		if other, isName := p.values[variable.Name].(*ast.Ident); isName && other.Name != variable.Name {
			return p.groupVersion(other)
		}
		return "", "", false
	}
	for _, element := range literal.Elts {
		pair, isPair := element.(*ast.KeyValueExpr)
		if !isPair {
			return "", "", false
		}
		text, known := p.text(pair.Value)
		if !known {
			return "", "", false
		}
		switch pair.Key.(*ast.Ident).Name {
		case "Group":
			group = text
		case "Version":
			version = text
		}
	}
	return group, version, version != ""
}

// text reads a string literal or a constant of the package.
func (p *goPackage) text(expr ast.Expr) (string, bool) {
	switch expr := expr.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(expr.Value)
		return text, err == nil
	case *ast.Ident:
		if value, ok := p.values[expr.Name]; ok {
			return p.text(value)
		}
	}
	return "", false
}
