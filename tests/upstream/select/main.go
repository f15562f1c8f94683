// Records what Kubernetes' own packages say of selectors, paths, columns and
// arguments, as fixtures for the tests in src/kube/select.
//
//	go run . OUT-DIR
//
// Writes OUT-DIR/select-*.jsonl. Inputs are hand-picked ones and random ones
// from a fixed seed; ages in select-printer.jsonl depend on the day it is made.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

type object = map[string]any

// file is one of the fixtures, a JSON value a line.
type file struct {
	out *bufio.Writer
}

func (f *file) line(value any) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	check(encoder.Encode(value))
	_, err := f.out.Write(buffer.Bytes())
	check(err)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// guarded gives the error of ask, also where upstream panics.
func guarded(ask func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return ask()
}

// decode reads JSON as clients do: whole numbers as int64.
func decode(text string) any {
	var value any
	check(utiljson.Unmarshal([]byte(text), &value))
	return value
}

func decodeObject(text string) object {
	return decode(text).(object)
}

// short is the beginning of an error: tests ask only whether there is one.
func short(err error) string {
	text := strings.SplitN(err.Error(), "\n", 2)[0]
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:60], "") + "…"
	}
	return text
}

func pick[T any](random *rand.Rand, from []T) T {
	return from[random.Intn(len(from))]
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: select OUT-DIR")
		os.Exit(2)
	}
	for _, part := range []struct {
		name  string
		write func(*file, *rand.Rand)
	}{
		{"labels", writeLabels},
		{"fields", writeFields},
		{"jsonpath", writeJSONPath},
		{"columns", writeColumns},
		{"sort", writeSort},
		{"printer", writePrinter},
		{"arguments", writeArguments},
	} {
		path := filepath.Join(os.Args[1], "select-"+part.name+".jsonl")
		target, err := os.Create(path)
		check(err)
		out := file{bufio.NewWriter(target)}
		part.write(&out, rand.New(rand.NewSource(1)))
		check(out.out.Flush())
		check(target.Close())
		fmt.Println(path)
	}
}
