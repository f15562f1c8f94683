//go:build sparse

// Sparse writes objects with some of their fields filled, as an API server stores them, and what
// Go says that they are in JSON. `field-table sparse` builds it together with a list of one
// release's kinds: see README.md.
//
// For each kind there is one empty object, and of the random ones those that bring a field into
// a state that none before had: absent, present and zero, present and not zero. With -each N it is
// N objects for each kind instead.
package main

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"log"
	"math/rand"
	"os"
	"reflect"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// An object is an API object that has a protobuf form.
type object interface {
	runtime.Object
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// A registered kind; kinds.go lists them.
type registered struct {
	group, version, kind string
	empty                func() object
}

// Candidates of each kind from which those are chosen that show something new.
const candidates = 40

func main() {
	log.SetFlags(0)
	each := flag.Int("each", 0, "objects of each kind, instead of a choice")
	flag.Parse()
	out, err := os.Create(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	known := states{}
	count, size := 0, 0
	n := candidates
	if *each > 0 {
		n = *each
	}
	// Every kind's small objects before any kind's large ones: fewer bytes show as much.
	for i := range n {
		for _, k := range kinds {
			prefer := known
			if *each > 0 {
				prefer = nil
			}
			record, object := k.make(i, n, prefer)
			if news := known.add(reflect.ValueOf(object).Elem()); *each > 0 || i == 0 || news {
				if _, err := out.Write(record); err != nil {
					log.Fatal(err)
				}
				count, size = count+1, size+len(record)
			}
		}
	}
	if err := out.Close(); err != nil {
		log.Fatal(err)
	}
	fields, set := map[string]bool{}, 0
	for state := range known {
		field, how, _ := strings.Cut(state, " ")
		fields[field] = true
		if how == "set" {
			set++
		}
	}
	log.Printf("%d objects of %d kinds, %d bytes; %d fields, of which %d were set; %d states",
		count, len(kinds), size, len(fields), set, len(known))
}

// make gives the record of one object, and the object as Go reads it back.
func (k registered) make(i, n int, known states) ([]byte, object) {
	name := fmt.Sprintf("%s/%s/%s/%d", k.group, k.version, k.kind, i)
	seed := fnv.New64a()
	seed.Write([]byte(name))
	filled := k.empty()
	if i > 0 {
		f := filler{
			rand:    rand.New(rand.NewSource(int64(seed.Sum64()))),
			percent: []int{10, 25, 40, 60, 80}[i*5/n],
			known:   known,
			news:    map[reflect.Type]bool{},
		}
		f.fill(reflect.ValueOf(filled).Elem(), 0)
	}
	raw, err := filled.Marshal()
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	// What Go reads back is what the bytes say: an empty list that is not nil is not in them.
	read := k.empty()
	if err := read.Unmarshal(raw); err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	gvk := schema.GroupVersionKind{Group: k.group, Version: k.version, Kind: k.kind}
	read.GetObjectKind().SetGroupVersionKind(gvk)
	text, err := json.Marshal(read)
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	envelope := runtime.Unknown{
		TypeMeta: runtime.TypeMeta{APIVersion: gvk.GroupVersion().String(), Kind: k.kind},
		Raw:      raw,
	}
	stored, err := envelope.Marshal()
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	stored = append([]byte("k8s\x00"), stored...)
	var record []byte
	for _, part := range [][]byte{[]byte(name), stored, text} {
		record = binary.LittleEndian.AppendUint32(record, uint32(len(part)))
		record = append(record, part...)
	}
	return record, read
}

// A filler sets fields at random.
type filler struct {
	rand    *rand.Rand
	percent int
	known   states // fields seen so far, if those not seen are to be preferred
	news    map[reflect.Type]bool
}

// Deeper than this no pointer, list or map is filled: some types contain themselves.
const deepest = 14

func (f *filler) fill(v reflect.Value, depth int) {
	if f.special(v) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.PkgPath != "" || field.Name == "TypeMeta" {
				continue
			}
			if f.rand.Intn(100) >= f.chance(v.Type(), field, depth) {
				continue
			}
			f.fill(v.Field(i), depth+1)
		}
	case reflect.Ptr:
		if depth < deepest {
			v.Set(reflect.New(v.Type().Elem()))
			// Often left at zero: a pointer to zero is printed, a zero may not be.
			if f.rand.Intn(3) > 0 {
				f.fill(v.Elem(), depth+1)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			data := make([]byte, f.rand.Intn(6))
			f.rand.Read(data)
			v.SetBytes(data)
		} else if depth < deepest {
			n := f.count()
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				f.fill(v.Index(i), depth+1)
			}
		}
	case reflect.Map:
		if depth < deepest {
			v.Set(reflect.MakeMap(v.Type()))
			for range f.count() {
				key := reflect.New(v.Type().Key()).Elem()
				key.SetString(f.pick("", "a", "b/c", "k8s.io/name", "É", "9"))
				value := reflect.New(v.Type().Elem()).Elem()
				f.fill(value, depth+1)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.String:
		v.SetString(f.pick("", "x", "two words", "é\n", "<a&b>", "\u2028", "null", "-1", "日本", `"q"\`))
	case reflect.Bool:
		v.SetBool(f.rand.Intn(2) > 0)
	case reflect.Int, reflect.Int32:
		v.SetInt(int64(int32(f.number())))
	case reflect.Int64:
		v.SetInt(f.number())
	case reflect.Uint32:
		v.SetUint(uint64(uint32(f.number())))
	case reflect.Float64:
		v.SetFloat([]float64{0, 1, -2.5, 1e21, 123456789, 1e-7, 3.14}[f.rand.Intn(7)])
	case reflect.Interface:
		// RawExtension's Object is not in protobuf.
	default:
		log.Fatalf("cannot fill %s", v.Type())
	}
}

// chance gives the percentage of objects in which a field is filled.
func (f *filler) chance(t reflect.Type, field reflect.StructField, depth int) int {
	percent := f.percent
	if depth > 5 {
		percent /= 2
	}
	// Take the opportunity of what lies deep and was not seen yet.
	if f.known != nil && (!f.known[state(t, field.Name, "set")] || f.hasNews(field.Type)) {
		percent = max(percent, 65)
	}
	return percent
}

// hasNews tells if a type holds a field, at any depth, that was not seen yet.
func (f *filler) hasNews(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Ptr, reflect.Slice, reflect.Map:
		return f.hasNews(t.Elem())
	case reflect.Struct:
	default:
		return false
	}
	if answer, ok := f.news[t]; ok {
		return answer
	}
	f.news[t] = false // for types that contain themselves
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Tag.Get("protobuf") == "" {
			continue
		}
		if f.hasNews(field.Type) || !f.known[state(t, field.Name, "set")] {
			f.news[t] = true
			return true
		}
	}
	return false
}

// count gives the length of a list or map. One that is there and empty can only be told from one
// that is absent where it is a message of its own.
func (f *filler) count() int {
	return []int{0, 1, 1, 1, 1, 1, 2, 2}[f.rand.Intn(8)]
}

func (f *filler) pick(texts ...string) string {
	return texts[f.rand.Intn(len(texts))]
}

func (f *filler) number() int64 {
	switch f.rand.Intn(5) {
	case 0:
		return 0
	case 1:
		return -int64(f.rand.Intn(1000))
	case 2:
		return f.rand.Int63()
	}
	return int64(f.rand.Intn(70000))
}

// special fills types whose JSON is not that of their Go fields.
func (f *filler) special(v reflect.Value) bool {
	// From 1903 to 2096, and some without a fraction.
	seconds, nanos := f.rand.Int63n(6_100_000_000)-2_100_000_000, f.rand.Int63n(1_000_000_000)*f.rand.Int63n(2)
	switch at := v.Addr().Interface().(type) {
	case *metav1.Time:
		*at = metav1.Time{Time: time.Unix(seconds, nanos)}
	case *metav1.MicroTime:
		*at = metav1.MicroTime{Time: time.Unix(seconds, nanos)}
	case *resource.Quantity:
		*at = resource.MustParse(f.pick("0", "1", "100m", "1500Mi", "3e3", "0.5", "1n", "16Gi", "-2k", "12345678901"))
	case *intstr.IntOrString:
		if f.rand.Intn(2) > 0 {
			*at = intstr.FromString(f.pick("", "25%", "http"))
		} else {
			*at = intstr.IntOrString{Type: intstr.Int, IntVal: int32(f.number())}
		}
	default:
		// By name, since not every release has all of them.
		switch v.Type().Name() {
		case "RawExtension", "FieldsV1", "JSON":
			raw := v.FieldByName("Raw")
			raw.SetBytes([]byte(f.pick("{}", `{"z":1,"a":[true,null,"<x>"]}`, `{"f:a":{".":{}}}`, `"text"`, "1.50", `{"b":{"é":-7}}`)))
		default:
			return false
		}
	}
	return true
}

// States says which fields were seen, and how.
type states map[string]bool

func isEmptyStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() == 0
}

func state(t reflect.Type, field, how string) string {
	return fmt.Sprintf("%s.%s.%s %s", t.PkgPath(), t.Name(), field, how)
}

// add walks an object and tells if any of its fields is in a new state.
func (s states) add(v reflect.Value) (news bool) {
	switch v.Kind() {
	case reflect.Struct:
		t := v.Type()
		for i := range v.NumField() {
			if t.Field(i).Tag.Get("protobuf") == "" {
				continue
			}
			value := v.Field(i)
			how := "set"
			switch value.Kind() {
			case reflect.Ptr:
				if value.IsNil() {
					how = "absent"
				} else if value.Elem().IsZero() && !isEmptyStruct(value.Type().Elem()) {
					how = "zero"
				}
			case reflect.Slice, reflect.Map:
				if value.Len() == 0 {
					how = "absent"
				}
			default:
				if value.IsZero() && !isEmptyStruct(value.Type()) {
					how = "zero"
				}
			}
			if is := state(t, t.Field(i).Name, how); !s[is] {
				s[is] = true
				news = true
			}
			if s.add(value) {
				news = true
			}
		}
	case reflect.Ptr:
		if !v.IsNil() {
			return s.add(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			if s.add(v.Index(i)) {
				news = true
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if s.add(v.MapIndex(key)) {
				news = true
			}
		}
	}
	return news
}
