// Prints what Kubernetes' CBOR serializer writes and reads, one per line: the
// stored value in hexadecimal, a tab, and the object as JSON or "error".
//
//	go run . > ../../../fixtures/kube/cbor.txt
//
// First come objects that were encoded here, then items that were written down
// by hand inside an object, then objects of which some bytes were changed.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured/unstructuredscheme"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
)

var serializer = cbor.NewSerializer(
	unstructuredscheme.NewUnstructuredCreator(),
	unstructuredscheme.NewUnstructuredObjectTyper(),
)

// object adds what every object has to the fields.
func object(fields map[string]any) map[string]any {
	fields["apiVersion"], fields["kind"] = "example.com/v1", "Widget"
	return fields
}

var encoded = []map[string]any{
	{},
	{"metadata": map[string]any{
		"name": "w1", "namespace": "shop", "uid": "8d5a0ec4-6b66-4e07-a2bc-1c5be2a9cd31",
		"generation": int64(3), "creationTimestamp": "2026-11-22T14:35:20Z",
		"labels":      map[string]any{"app.kubernetes.io/name": "w", "": "empty", "z": "", "é": "ü\U0001f600"},
		"annotations": map[string]any{"note": "line one\nline two\t\"quoted\" \u2028 <&>"},
		"managedFields": []any{map[string]any{
			"manager": "kubectl", "operation": "Update", "fieldsType": "FieldsV1",
			"fieldsV1": map[string]any{"f:spec": map[string]any{".": map[string]any{}, `k:{"port":80}`: map[string]any{}}},
		}},
	}},
	{"numbers": []any{
		int64(0), int64(1), int64(23), int64(24), int64(255), int64(256), int64(65535), int64(65536),
		int64(4294967295), int64(4294967296), int64(9223372036854775807),
		int64(-1), int64(-24), int64(-25), int64(-256), int64(-257), int64(-65537), int64(-9223372036854775808),
	}},
	{"floats": []any{
		0.0, 1.0, -1.5, 0.1, 1e-7, 1e20, 1e21, 1e300, 5e-324, 65504.0, 65505.0, 3.4028234663852886e38,
		6.103515625e-05, 5.960464477539063e-08, 1.0 / 3, -0.000001, 123456.789, 9007199254740993.0,
	}},
	{"plain": []any{nil, true, false, "", []any{}, map[string]any{}, []any{[]any{map[string]any{"a": []any{}}}}}},
	{"bytes": []any{"not \xff text", "\xe2\x82", "\xed\xa0\x80", "\x00"}},
	{"long": strings.Repeat("0123456789abcdef", 5000)},
	{"many": manyKeys()},
}

func manyKeys() map[string]any {
	many := map[string]any{}
	for i := range 300 {
		many[fmt.Sprintf("key-%d", i)] = int64(i)
	}
	return many
}

// Items by hand, in hexadecimal.
var written = []string{
	// Integers in longer forms than they need, and beyond 64 bits.
	"1800", "190001", "1a00000001", "1b0000000000000001", "3800", "1bffffffffffffffff", "1b8000000000000000",
	"3bffffffffffffffff", "3b8000000000000000", "3b7fffffffffffffff",
	// Strings: text, bytes, of indefinite length, not UTF-8, cut short.
	"6161", "4161", "60", "40", "7f61616162ff", "5f41614162ff", "7fff", "5fff", "61ff", "41ff", "7f61c361a9ff", "62c3a9",
	"7f4161ff", "5f6161ff", "7f7f6161ffff", "62", "7f61", "5f", "7f6161", "7bffffffffffffffff", "5b7fffffffffffffff61",
	// Lists and maps of definite and indefinite length.
	"80", "83010203", "9f010203ff", "9fff", "8301", "9f01", "9bffffffffffffffff", "a0", "a1616101", "bf616101ff", "bfff",
	"bf6161ff", "a16161", "a2616101616102", "a2616101416102", "bf616101616102ff", "a14161f6", "bf4161f5ff",
	"bbffffffffffffffff", "a10101", "a1f601", "a1f501", "a18001", "a1a001", "a1fb000000000000000001", "a161ff01", "a141ff01",
	// Tags: expected encodings, times, big numbers, others, several.
	"d5430102fb", "d6430102fb", "d7430102fb", "d54401fffefd", "d640", "d6826161820101", "d6824161816162", "d6a141614162",
	"d6d54161", "d5d64161", "d6d7a141618141ff", "d6820141ff", "d65f41ff41feff", "d6d864d5814161", "d66161", "d61903e8",
	"c074323032362d31312d32325431343a33353a32305a", "c07819323032362d31312d32325431343a33353a32302b30323a3030",
	"c0781b323032362d31312d32325431343a33353a32302e3132333435365a", "c0", "c06161", "c001", "c04161",
	"c0781832303236 2d31312d32325431343a33353a32302e3132335a",
	"c100", "c11a65000000", "c120", "c1fb41d9400000400000", "c1f93c00", "c1f93e00", "c16161", "c1f6", "c11bffffffffffffffff",
	"c1fbc1d9400000400000", "c1f9be00", "c13b00000e79747c1000", "c1f97c00", "c1f97e00",
	"c24101", "c249010000000000000000", "c34101", "c24161", "c201", "d9d9f701", "d9d9f7d9d9f76161", "d8646161", "d87bf6", "d901",
	"dbffffffffffffffff01", "dc01", "ca6161", "d8641bffffffffffffffff", "d6", "d81801",
	// Simple values and floats.
	"f4", "f5", "f6", "f7", "f0", "e0", "f3", "f800", "f814", "f820", "f8ff", "fc", "fd", "fe", "ff", "f90000", "f98000",
	"f93c00", "f97bff", "f90001", "f97c00", "f97e00", "f9fc00", "fa47c35000", "fa7f800000", "fa7fc00000", "fb3ff199999999999a",
	"fb7ff0000000000000", "fb7ff8000000000000", "fb43e0000000000000", "fbc3e0000000000000", "fb43dfffffffffffff", "f9", "fa0000",
	"1c", "1d", "1e", "1f", "3f", "5c", "7e", "9d", "bc", "dd", "df",
}

// holding writes an object with the item under "v".
func holding(item []byte) []byte {
	var out bytes.Buffer
	out.WriteString("\xd9\xd9\xf7\xa3\x4aapiVersion\x4eexample.com/v1\x44kind\x46Widget\x41v")
	out.Write(item)
	return out.Bytes()
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	var good [][]byte
	record := func(value []byte) bool {
		var decoded map[string]any
		answer := []byte("error")
		if err := direct.Unmarshal(value, &decoded); err == nil {
			if answer, err = json.Marshal(decoded); err != nil {
				panic(err)
			}
		}
		fmt.Fprintf(out, "%s\t%s\n", hex.EncodeToString(value), answer)
		return string(answer) != "error"
	}
	for _, fields := range encoded {
		var value bytes.Buffer
		if err := serializer.Encode(&unstructured.Unstructured{Object: object(fields)}, &value); err != nil {
			panic(err)
		}
		if record(value.Bytes()) && value.Len() < 500 {
			good = append(good, value.Bytes())
		}
	}
	// Typed bytes, which become base64 text.
	typed, err := direct.Marshal(map[string]any{"bytes": []byte("\x00\xff"), "list": [][]byte{{}, {1}}})
	if err != nil {
		panic(err)
	}
	record(holding(typed))
	good = append(good, holding(typed))
	for _, item := range written {
		bytes, err := hex.DecodeString(strings.ReplaceAll(item, " ", ""))
		if err != nil {
			panic(err)
		}
		if record(holding(bytes)) {
			good = append(good, holding(bytes))
		}
	}
	random := rand.New(rand.NewSource(1))
	for range 2000 {
		value := bytes.Clone(good[random.Intn(len(good))])
		// Mostly behind the magic, the type and the key "v".
		for range 1 + random.Intn(2) {
			from := min(44, len(value)-1)
			at := from + random.Intn(len(value)-from)
			switch random.Intn(4) {
			case 0:
				value[at] = byte(random.Intn(256))
			case 1:
				value[at] ^= 1 << random.Intn(8)
			case 2:
				value = append(value[:at], append([]byte{byte(random.Intn(256))}, value[at:]...)...)
			default:
				value = append(value[:at], value[at+1:]...)
			}
		}
		record(value)
	}
}
