package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

func writePrinter(out *file, random *rand.Rand) {
	now := time.Now().UTC().Truncate(time.Second)
	out.line(object{"now": now.Format(time.RFC3339)})
	// In the middle of a day of age, so that a slow run changes nothing.
	ago := func(days int) string {
		return now.Add(-time.Duration(days)*24*time.Hour - 12*time.Hour).Format(time.RFC3339)
	}
	objects, written := []object{}, []any{}
	for _, text := range []string{
		`{"apiVersion":"e/v1","kind":"W","metadata":{"name":"w1","creationTimestamp":"` + ago(20) + `"},
		  "spec":{"s":"text","i":3,"f":2.5,"whole":4.0,"b":true,"no":false,"null":null,"m":{"b":1,"a":"<x>"},"l":["a","b"],"e":[],"multi":"one\ntwo","big":1e21,"half":1000000.5,"million":1000000.0,"tiny":0.000001,"huge":1e300,"minus":-2.9,"blank":"","esc":"\u001b[1m"},
		  "status":{"conditions":[{"type":"Ready","status":"True","t":"` + ago(100) + `"},{"type":"Ok","status":"False"}],"when":"` + ago(900) + `","old":"` + ago(3000) + `","bad":"yesterday","zero":"0001-01-01T00:00:00Z","day":"2020-01-01","num":5,"off":"` + strings.Replace(ago(15), "Z", "+00:00", 1) + `"}}`,
		`{"apiVersion":"e/v1","kind":"W","metadata":{"name":"w2"}}`,
	} {
		objects = append(objects, decodeObject(text))
		written = append(written, json.RawMessage(text))
	}
	out.line(written)
	one := func(index int, columns ...apiextensionsv1.CustomResourceColumnDefinition) {
		var definitions []any
		for _, column := range columns {
			definitions = append(definitions, object{"name": column.Name, "type": column.Type, "jsonPath": column.JSONPath, "priority": column.Priority})
		}
		line := object{"columns": definitions, "object": index}
		convertor, err := tableconvertor.New(columns)
		if err != nil {
			line["fault"] = err.Error()
		}
		table, err := convertor.ConvertToTable(context.Background(), &unstructured.Unstructured{Object: objects[index]}, nil)
		check(err)
		headers, cells := []string{}, []any{}
		for _, column := range table.ColumnDefinitions {
			headers = append(headers, strings.ToUpper(column.Name))
		}
		for _, cell := range table.Rows[0].Cells {
			// As it arrives at kubectl, and is printed there.
			text, err := json.Marshal(cell)
			check(err)
			var arrived any
			check(utiljson.Unmarshal(text, &arrived))
			if arrived == nil {
				cells = append(cells, "")
			} else {
				cells = append(cells, fmt.Sprint(arrived))
			}
		}
		line["headers"], line["cells"] = headers, cells
		out.line(line)
	}
	column := func(name, kind, path string) apiextensionsv1.CustomResourceColumnDefinition {
		return apiextensionsv1.CustomResourceColumnDefinition{Name: name, Type: kind, JSONPath: path}
	}
	paths := []string{
		".spec.s", ".spec.i", ".spec.f", ".spec.whole", ".spec.b", ".spec.no", ".spec.null", ".spec.m", ".spec.l", ".spec.l[*]", ".spec.l[1]", ".spec.l[9]", ".spec.e", ".spec.e[*]", ".spec.multi", ".spec.big", ".spec.half", ".spec.million", ".spec.tiny", ".spec.huge", ".spec.minus", ".spec.blank", ".spec.esc",
		".spec.missing", ".missing.more", `.status.conditions[?(@.type=="Ready")].status`, `.status.conditions[?(@.type=="No")].status`, `.status.conditions[*].type`, ".status.conditions[0].t", ".status.when", ".status.old", ".status.bad", ".status.zero", ".status.day", ".status.num", ".status.off", ".metadata.creationTimestamp", ".metadata.name", ".metadata", "..status", ".spec.s.*",
	}
	for index := range objects {
		for _, kind := range []string{"string", "integer", "number", "boolean", "date", "object"} {
			var columns []apiextensionsv1.CustomResourceColumnDefinition
			for place, path := range paths {
				if path == "..status" {
					continue
				}
				columns = append(columns, column(fmt.Sprintf("c%d", place), kind, path))
			}
			one(index, columns...)
		}
		one(index, column("Age", "date", ".metadata.creationTimestamp"))
		one(index, column("ß straße", "string", ".spec.s"), column("é", "date", ".status.when"))
		one(index, column("Good", "string", ".spec.s"), column("Bad", "string", ".spec.l["), column("Late", "string", ".spec.s"))
		one(index, column("A", "string", "spec.s"), column("B", "string", "{.spec.s}"), column("C", "string", ""), column("D", "string", ".spec.s}x{.spec.i"))
	}
}
