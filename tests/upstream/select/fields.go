package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
)

var fieldObjects = []string{
	`{"metadata":{"name":"web","namespace":"shop"},"spec":{"nodeName":"node1","restartPolicy":"Always"},"status":{"phase":"Running","ready":true}}`,
	`{"metadata":{"name":"a,b=c\\d","namespace":""},"spec":{"replicas":3,"weight":2.5,"paused":false},"type":"Opaque"}`,
	`{"metadata":{"name":"db"},"spec":{"replicas":-1,"big":1e21,"nodeName":null},"status":{"phase":"Pending"},"é":"ü"}`,
}

// flat lists the fields of an object as the API server's field sets do, all as
// text and absent ones as nothing.
func flat(prefix string, value any, into fields.Set) {
	switch value := value.(type) {
	case object:
		for key, below := range value {
			flat(strings.TrimPrefix(prefix+"."+key, "."), below, into)
		}
	case nil:
	default:
		into[prefix] = fmt.Sprint(value)
	}
}

func writeFields(out *file, random *rand.Rand) {
	var sets []fields.Set
	var objects []any
	for _, text := range fieldObjects {
		set := fields.Set{}
		flat("", decode(text), set)
		sets = append(sets, set)
		objects = append(objects, json.RawMessage(text))
	}
	out.line(objects)
	one := func(text string) {
		selector, err := fields.ParseSelector(text)
		if err != nil {
			out.line(object{"selector": text, "error": short(err)})
			return
		}
		matches := ""
		for _, set := range sets {
			if selector.Matches(set) {
				matches += "1"
			} else {
				matches += "0"
			}
		}
		out.line(object{"selector": text, "matches": matches})
	}
	for _, text := range []string{
		"", ",", ",,", "metadata.name=web", "metadata.name==web", "metadata.name!=web", "metadata.name=", "metadata.name!=",
		"metadata.namespace=shop", "metadata.namespace=", "metadata.namespace!=", "metadata.name=web,status.phase=Running",
		"metadata.name=web,,status.phase!=Running,", "status.phase", "=", "==", "!=", "=a", "!=a", "metadata.name", "metadata.name!",
		`metadata.name=a\,b\=c\\d`, `metadata.name=a,b=c`, `metadata.name=a\,b`, `metadata.name=a\b`, `metadata.name=a\`, `metadata.name=a\\`,
		`metadata.name!=a\,b\=c\\d`, `a\,b=c`, `a\=b=c`, "metadata.name=web ", " metadata.name=web", "metadata.name = web",
		"metadata.name=web=x", "metadata.name==web==x", "metadata.name===web", "metadata.name!==web", "metadata.name=!web", "metadata.name=>web",
		"spec.replicas=3", "spec.replicas=03", "spec.replicas!=3", "spec.replicas=-1", "spec.weight=2.5", "spec.paused=false", "spec.paused=",
		"status.ready=true", "status.ready!=true", "spec.big=1e+21", "spec.nodeName=", "spec.nodeName!=", "spec.nodeName=<nil>",
		"spec.absent=", "spec.absent!=", "spec.absent=x", "spec.absent!=x", "type=Opaque", "type!=Opaque", "é=ü", "é!=ü", "metadata=", "metadata!=",
		"metadata.name.more=", "metadata.name.more!=", ".metadata.name=web", "metadata..name=web", "metadata.name in (web)", "metadata.name>a",
		"metadata.name=web,metadata.name=db", "metadata.name!=web,metadata.name!=db", "!metadata.name", "metadata.name=\x00", `\`, `\\=`, `\=\`,
	} {
		one(text)
	}
	parts := []string{
		"metadata.name", "status.phase", "spec.replicas", "web", "Running", "3", "=", "==", "!=", "!", ",", `\`, `\,`, `\=`, `\\`, " ", "é", "a",
	}
	for range 400 {
		var text strings.Builder
		for range 1 + random.Intn(8) {
			text.WriteString(pick(random, parts))
		}
		one(text.String())
	}
}
