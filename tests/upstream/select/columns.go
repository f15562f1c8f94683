package main

import (
	"bytes"
	"encoding/json"
	"math/rand"
	"strings"

	"github.com/liggitt/tabwriter"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/kubectl/pkg/cmd/get"
)

// cells prints one object with columns between single tabs.
func cells(printer *get.CustomColumnsPrinter, about object) (string, error) {
	var buffer bytes.Buffer
	err := guarded(func() error {
		writer := tabwriter.NewWriter(&buffer, 0, 8, 0, '\x01', tabwriter.RememberWidths|tabwriter.Debug)
		if err := printer.PrintObj(&unstructured.Unstructured{Object: about}, writer); err != nil {
			return err
		}
		return writer.Flush()
	})
	return strings.TrimRight(strings.ReplaceAll(buffer.String(), "\x01", ""), "\n"), err
}

func writeColumns(out *file, random *rand.Rand) {
	var objects []object
	var written []any
	for _, text := range pathObjects {
		// A list would be printed item by item.
		text = strings.Replace(text, `"items"`, `"elements"`, 1)
		objects = append(objects, decodeObject(text))
		written = append(written, json.RawMessage(text))
	}
	out.line(written)
	one := func(spec string, index int) {
		line := object{"spec": spec, "object": index}
		printer, err := get.NewCustomColumnsPrinterFromSpec(spec, nil, true)
		if err == nil {
			var text string
			if text, err = cells(printer, objects[index]); err == nil {
				var headers []string
				for _, column := range printer.Columns {
					headers = append(headers, column.Header)
				}
				line["headers"] = headers
				line["cells"] = strings.Split(text, "|")
				// Maps are walked in another order each time.
				for range 12 {
					if again, _ := cells(printer, objects[index]); again != text {
						line["unordered"] = true
					}
				}
			}
		}
		if err != nil {
			line["error"] = short(err)
		}
		out.line(line)
	}
	specs := []string{
		"", "NAME", "NAME:", "NAME:.metadata.name", "NAME:metadata.name", "NAME:{metadata.name}", "NAME:{.metadata.name}", "NAME:..name", ":.kind", "A:.kind,B:.apiVersion", "A:.kind,B", "A:.kind,", ",A:.kind",
		"A:.elements[*].metadata.name", "A:.elements[*].spec.n", "A:.elements[*].spec.f", "A:.elements[*].spec.on", "A:.elements[*].metadata.labels", "A:.elements[0].spec.containers", "A:.missing", "A:.missing.more,B:.kind", "A:.elements[7].kind",
		"A:.list", "A:.list[2:4]", "A:.list[1,2]", "A:.nested", "A:.none", "A:.empty", "A:.empty[*]", "A:.numbers", "A:.numbers[*].v", "A:.m", "A:.a.b", "A:.a", "A:.f", "A:.n", "A:.big", "A:.neg", "A:.e", "A:.q", "A:.", "A:{.}", "A:{}", "A:{{.kind}}", "A:{.kind}{.kind}",
		"A:x{.kind}", "A:.kind}", "A: .kind", "A:.kind ", "A:.a:b", "A:.metadata.labels['a.b/c']", "A:[0]", "A:.list[a]", "A:.list[", "A:range .elements", "A:$", "A:@", "A:.elements[?(@.spec.n>1)].metadata.name", "A:.elements[?(@.kind==\"Pod\")].kind", "NODE:.spec.nodeName,IMG:..image",
		"A:.text", "A:.text.*", "A:.words.*", "A:.elements[*]", "A:\"quoted\"", "A:'x'", "A:5", "A:-5", "A:true", "A:.*.b",
	}
	for _, spec := range specs {
		for index := range objects {
			one(spec, index)
		}
	}
	templates := []string{
		"", "\n", "NAME", "NAME\n", "NAME\n.metadata.name", "NAME KIND\n{metadata.name} {.kind}\n", "  NAME\tKIND  \r\n  .metadata.name\t\t.kind  \r\nmore\n", "NAME KIND\n.kind\n", "NAME\n\n", "\n\n", "A\n{.a}{.b}\n", "A\n.list[\n", "A\u00a0B\n.e\u2003.n\n", "A B\n.e .n",
	}
	for _, template := range templates {
		line := object{"template": template, "object": 2}
		printer, err := get.NewCustomColumnsPrinterFromTemplate(strings.NewReader(template), nil)
		if err == nil {
			headers := []string{}
			for _, column := range printer.Columns {
				headers = append(headers, column.Header)
			}
			if len(headers) == 0 {
				continue
			}
			printer.NoHeaders = true
			var text string
			if text, err = cells(printer, objects[2]); err == nil {
				line["headers"] = headers
				line["cells"] = strings.Split(text, "|")
			}
		}
		if err != nil {
			line["error"] = short(err)
		}
		out.line(line)
	}
	var relaxed []string
	for _, about := range []string{"", ".", "{.}", "{}", "{{}}", "a", ".a", "..a", "{a}", "{.a}", "{..a}", "{a", "a}", "a{b}", "{a}{b}", "{ a }", "\n", "{\n}", ".\n", "{.a\n}", "{.a}\n", "é", "{é}"} {
		relaxed = append(relaxed, about)
	}
	for _, about := range relaxed {
		line := object{"relaxed": about}
		if text, err := get.RelaxedJSONPathExpression(about); err != nil {
			line["error"] = short(err)
		} else {
			line["output"] = text
		}
		out.line(line)
	}
}
