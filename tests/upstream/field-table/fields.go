package main

import (
	"fmt"
	"go/ast"
	"reflect"
	"strconv"
	"strings"
)

// A field of a message, as the table holds it.
type field struct {
	Number    int
	JSON      string // name in JSON; "" for an inlined message
	Kind      kind
	Type      string // Go type of a message, or the one that a wrapper's kind speaks of
	Shape     shape
	OmitEmpty bool
	OmitZero  bool
	Inline    bool
	IfPresent bool // shown only if it is on the wire, whatever the other rules say
}

type shape string

const (
	single   shape = ""
	pointer  shape = "ptr"
	repeated shape = "rep"
	mapping  shape = "map"
)

// A kind says how a value lies on the wire and looks in JSON. The table holds its position here.
type kind string

var kinds = []kind{
	"str", "bool", "int", "float", "bytes",
	strlist, msg,
	"Time", "MicroTime", "Quantity", "IntOrString", "RawExtension", "FieldsV1",
	"JSON", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrStringArray",
	strmap, msglist, "Fields",
}

const (
	msg kind = "msg"
	// Go slices and maps that are messages of their own on the wire: field 1 has the entries.
	strlist kind = "strlist"
	strmap  kind = "strmap"
	msglist kind = "msglist"
)

// Types with a JSON form of their own. A type reached that is not here and has a MarshalJSON
// stops the program.
var ownForm = map[string]kind{
	metaV1 + ".Time":      "Time",
	metaV1 + ".MicroTime": "MicroTime",
	metaV1 + ".FieldsV1":  "FieldsV1",
	metaV1 + ".Fields":    "Fields",
	"k8s.io/apimachinery/pkg/api/resource.Quantity":         "Quantity",
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString":       "IntOrString",
	"k8s.io/apimachinery/pkg/runtime.RawExtension":          "RawExtension",
	apiextensions + "/v1.JSON":                              "JSON",
	apiextensions + "/v1.JSONSchemaPropsOrBool":             "JSONSchemaPropsOrBool",
	apiextensions + "/v1.JSONSchemaPropsOrArray":            "JSONSchemaPropsOrArray",
	apiextensions + "/v1.JSONSchemaPropsOrStringArray":      "JSONSchemaPropsOrStringArray",
	apiextensions + "/v1beta1.JSON":                         "JSON",
	apiextensions + "/v1beta1.JSONSchemaPropsOrBool":        "JSONSchemaPropsOrBool",
	apiextensions + "/v1beta1.JSONSchemaPropsOrArray":       "JSONSchemaPropsOrArray",
	apiextensions + "/v1beta1.JSONSchemaPropsOrStringArray": "JSONSchemaPropsOrStringArray",
}

const (
	metaV1        = "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiextensions = "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
)

// What a Go type expression comes to.
type resolved struct {
	kind  kind
	typ   string
	shape shape
}

// fieldsOf reads the fields of a struct from its tags. It also names what the tags leave out.
func (u *universe) fieldsOf(goType string) (fields []field, leftOut []string, err error) {
	structType, file, p, err := u.structOf(goType)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range structType.Fields.List {
		goName := ""
		if len(f.Names) > 0 {
			goName = f.Names[0].Name
			if !ast.IsExported(goName) {
				continue
			}
		}
		var tag reflect.StructTag
		if f.Tag != nil {
			text, err := strconv.Unquote(f.Tag.Value)
			if err != nil {
				return nil, nil, err
			}
			tag = reflect.StructTag(text)
		}
		where := fmt.Sprintf("%s.%s", goType, goName)
		protobuf, inProtobuf := tag.Lookup("protobuf")
		jsonTag := tag.Get("json")
		if !inProtobuf || protobuf == "-" {
			// TypeMeta is not in protobuf: the envelope has apiVersion and kind.
			if goName != "" || !isTypeMeta(f.Type) {
				leftOut = append(leftOut, where)
			}
			continue
		}
		if jsonTag == "-" {
			leftOut = append(leftOut, where+" (not in JSON)")
			continue
		}
		if len(f.Names) > 1 {
			return nil, nil, fmt.Errorf("%s: several names share a tag", where)
		}
		value, err := u.resolve(p, file, f.Type)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", where, err)
		}
		// The wire type before the number is not used: a few tags have it wrong, and the generator
		// of protobuf code goes by the Go type.
		wire := strings.Split(protobuf, ",")
		if len(wire) < 2 {
			return nil, nil, fmt.Errorf("%s: tag %q", where, protobuf)
		}
		number, err := strconv.Atoi(wire[1])
		if err != nil || number < 1 || number > 0xffff {
			return nil, nil, fmt.Errorf("%s: field number %q", where, wire[1])
		}
		out := field{Number: number, Kind: value.kind, Type: value.typ, Shape: value.shape}
		name, options, _ := strings.Cut(jsonTag, ",")
		for _, option := range strings.Split(options, ",") {
			switch option {
			case "omitempty":
				out.OmitEmpty = true
			case "omitzero":
				out.OmitZero = true
			case "string":
				return nil, nil, fmt.Errorf("%s: JSON option %q", where, option)
			}
			// Others mean nothing to encoding/json, `inline` among them: it flattens an embedded
			// struct that has no name.
		}
		switch {
		case name != "":
			out.JSON = name
		case goName != "":
			out.JSON = goName
		case value.kind == msg && (value.shape == single || value.shape == pointer):
			out.Inline = true
		default:
			return nil, nil, fmt.Errorf("%s: embeds something that is not a message", where)
		}
		fields = append(fields, out)
	}
	return fields, leftOut, nil
}

func isTypeMeta(expr ast.Expr) bool {
	if qualified, ok := expr.(*ast.SelectorExpr); ok {
		expr = qualified.Sel
	}
	name, ok := expr.(*ast.Ident)
	return ok && name.Name == "TypeMeta"
}

// structOf finds the struct behind a type, through `type List metav1.List` and the like.
func (u *universe) structOf(goType string) (*ast.StructType, *ast.File, *goPackage, error) {
	dot := strings.LastIndexByte(goType, '.')
	p, err := u.load(goType[:dot])
	if err != nil {
		return nil, nil, nil, err
	}
	declared, ok := p.types[goType[dot+1:]]
	if !ok {
		return nil, nil, nil, fmt.Errorf("no type %s", goType)
	}
	switch t := declared.spec.Type.(type) {
	case *ast.StructType:
		return t, declared.file, p, nil
	case *ast.Ident:
		return u.structOf(p.path + "." + t.Name)
	case *ast.SelectorExpr:
		importPath, err := imported(declared.file, t.X.(*ast.Ident).Name)
		if err != nil {
			return nil, nil, nil, err
		}
		return u.structOf(importPath + "." + t.Sel.Name)
	}
	return nil, nil, nil, fmt.Errorf("%s is not a struct", goType)
}

// resolve says what a type expression in a file of a package means for the table.
func (u *universe) resolve(p *goPackage, file *ast.File, expr ast.Expr) (resolved, error) {
	switch expr := expr.(type) {
	case *ast.StarExpr:
		return u.shaped(p, file, expr.X, pointer)
	case *ast.ArrayType:
		if element, ok := expr.Elt.(*ast.Ident); ok && (element.Name == "byte" || element.Name == "uint8") {
			return resolved{kind: "bytes"}, nil
		}
		return u.shaped(p, file, expr.Elt, repeated)
	case *ast.MapType:
		key, err := u.resolve(p, file, expr.Key)
		if err != nil {
			return resolved{}, err
		}
		if key != (resolved{kind: "str"}) {
			return resolved{}, fmt.Errorf("a map's key is not a string")
		}
		return u.shaped(p, file, expr.Value, mapping)
	case *ast.SelectorExpr:
		importPath, err := imported(file, expr.X.(*ast.Ident).Name)
		if err != nil {
			return resolved{}, err
		}
		if importPath == "time" && expr.Sel.Name == "Duration" {
			return resolved{kind: "int"}, nil
		}
		other, err := u.load(importPath)
		if err != nil {
			return resolved{}, err
		}
		return u.named(other, expr.Sel.Name)
	case *ast.Ident:
		if _, ok := p.types[expr.Name]; ok {
			return u.named(p, expr.Name)
		}
		switch expr.Name {
		case "string":
			return resolved{kind: "str"}, nil
		case "bool":
			return resolved{kind: "bool"}, nil
		case "int", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32":
			return resolved{kind: "int"}, nil
		case "float64":
			return resolved{kind: "float"}, nil
		}
		// uint64 is not here: it would need a kind of its own above 2^63.
		return resolved{}, fmt.Errorf("type %s is not provided for", expr.Name)
	}
	return resolved{}, fmt.Errorf("type expression %T is not provided for", expr)
}

// shaped resolves the type inside a pointer, list or map, which must not have a shape itself.
func (u *universe) shaped(p *goPackage, file *ast.File, inner ast.Expr, outer shape) (resolved, error) {
	r, err := u.resolve(p, file, inner)
	if err == nil && r.shape != single {
		err = fmt.Errorf("%s within %s", r.shape, outer)
	}
	r.shape = outer
	return r, err
}

// named resolves a declared type.
func (u *universe) named(p *goPackage, name string) (resolved, error) {
	goType := p.path + "." + name
	declared, ok := p.types[name]
	if !ok {
		return resolved{}, fmt.Errorf("no type %s", goType)
	}
	if own, ok := ownForm[goType]; ok {
		r := resolved{kind: own}
		if strings.HasPrefix(string(own), "JSONSchemaProps") {
			r.typ = p.path + ".JSONSchemaProps"
		}
		return r, nil
	}
	if p.hasMethod(name, "MarshalJSON") || p.hasMethod(name, "MarshalText") {
		return resolved{}, fmt.Errorf("%s has a JSON form of its own", goType)
	}
	if declared.spec.Assign.IsValid() {
		return u.resolve(p, declared.file, declared.spec.Type)
	}
	if _, _, _, err := u.structOf(goType); err == nil {
		return resolved{kind: msg, typ: goType}, nil
	}
	r, err := u.resolve(p, declared.file, declared.spec.Type)
	if err != nil || !p.hasMethod(name, "Marshal") {
		return r, err
	}
	switch {
	case r.shape == repeated && r.kind == "str":
		return resolved{kind: strlist}, nil
	case r.shape == mapping && r.kind == "str":
		return resolved{kind: strmap}, nil
	case r.shape == repeated && r.kind == msg:
		return resolved{kind: msglist, typ: r.typ}, nil
	}
	return resolved{}, fmt.Errorf("%s is a message around something not provided for", goType)
}
