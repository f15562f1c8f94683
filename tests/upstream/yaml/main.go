// Answers of the libraries that kubectl 1.35 reads and prints objects with.
//
//	go run . cases              what is written for chosen texts, keys and numbers
//	go run . random SEED COUNT  what is written for COUNT random objects
//	go run . reading            what is read from chosen JSON texts
//	go run . letters            edges of unicode.IsLetter and unicode.IsDigit
//
// The first two print a line of JSON for each object: "in" is the object as
// JSON text, "yaml" and "json" are what `-o yaml` and `-o json` print for it.
// Of the third, "in" is text in hexadecimal, "out" what was read as compact JSON;
// it is not there where reading fails.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"unicode"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// written is an object and what kubectl prints for it.
type written struct {
	In   string `json:"in"`
	YAML string `json:"yaml"`
	JSON string `json:"json,omitempty"`
}

// write prints an object as k8s.io/cli-runtime/pkg/printers does. It is not ok
// where upstream fails, or where its answer changes from one call to the next:
// its order of keys has cycles, and what then comes out depends on the order in
// which a Go map is walked.
func write(object any, calls int) (answer written, ok bool) {
	in, err := json.Marshal(object)
	if err != nil {
		return answer, false
	}
	value, err := read(in)
	if err != nil {
		return answer, false
	}
	if in, err = json.Marshal(value); err != nil {
		return answer, false
	}
	for call := range calls {
		text, err := yaml.JSONToYAML(in)
		if err != nil || call > 0 && answer.YAML != string(text) {
			return answer, false
		}
		answer.YAML = string(text)
	}
	indented, err := json.MarshalIndent(value, "", "    ")
	if err != nil {
		return answer, false
	}
	answer.In, answer.JSON = string(in), string(indented)+"\n"
	return answer, true
}

// read reads JSON as the API server and kubectl do.
func read(text []byte) (any, error) {
	var value any
	err := kjson.UnmarshalCaseSensitivePreserveInts(text, &value)
	return value, err
}

// printer prints lines of JSON as they are, without escapes for HTML.
type printer struct{ *json.Encoder }

func newPrinter(out *bufio.Writer) printer {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return printer{encoder}
}

func (p printer) line(value any) {
	if err := p.Encode(value); err != nil {
		log.Fatal(err)
	}
}

func main() {
	log.SetFlags(0)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := newPrinter(out)
	switch {
	case len(os.Args) == 2 && os.Args[1] == "cases":
		for _, object := range cases() {
			answer, ok := write(object, 20)
			if !ok {
				log.Fatalf("no steady answer for %v", object)
			}
			if !printsJSON(object) {
				answer.JSON = ""
			}
			lines.line(answer)
		}
	case len(os.Args) == 4 && os.Args[1] == "random":
		seed, err := strconv.ParseUint(os.Args[2], 10, 64)
		if err != nil {
			log.Fatal(err)
		}
		count, err := strconv.Atoi(os.Args[3])
		if err != nil {
			log.Fatal(err)
		}
		random := newRandom(seed)
		for range count {
			if answer, ok := write(random.object(), 24); ok {
				lines.line(answer)
			}
		}
	case len(os.Args) == 2 && os.Args[1] == "reading":
		for _, text := range readings() {
			answer := map[string]any{"in": hex.EncodeToString(text)}
			if value, err := read(text); err == nil {
				var compact bytes.Buffer
				encoder := json.NewEncoder(&compact)
				if err := encoder.Encode(value); err != nil {
					log.Fatal(err)
				}
				answer["out"] = string(bytes.TrimRight(compact.Bytes(), "\n"))
			}
			lines.line(answer)
		}
	case len(os.Args) == 2 && os.Args[1] == "letters":
		edges(out, "LETTERS", unicode.IsLetter)
		edges(out, "DIGITS", unicode.IsDigit)
	default:
		log.Fatal("usage: cases | random SEED COUNT | reading | letters")
	}
}

// edges prints where a property begins and where it ends, beyond ASCII.
func edges(out *bufio.Writer, name string, is func(rune) bool) {
	var at []rune
	inside := false
	for char := rune(0x80); char <= unicode.MaxRune; char++ {
		if is(char) != inside {
			inside = !inside
			at = append(at, char)
		}
	}
	fmt.Fprintf(out, "pub(super) const %s: [u32; %d] = [", name, len(at))
	for _, edge := range at {
		fmt.Fprintf(out, "%#x, ", edge)
	}
	fmt.Fprintln(out, "];")
}
