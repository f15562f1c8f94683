package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	"k8s.io/kubectl/pkg/cmd/get"
)

func table(values []any) *metav1.Table {
	table := &metav1.Table{}
	for index, value := range values {
		about := object{"metadata": object{"name": fmt.Sprint(index)}, "spec": object{}}
		if value != missing {
			about["spec"].(object)["v"] = value
		}
		table.Rows = append(table.Rows, metav1.TableRow{Object: runtime.RawExtension{Object: &unstructured.Unstructured{Object: about}}})
	}
	return table
}

const missing = "\x00missing"

// order is where the rows come from, after sorting.
func order(values []any, path string) (places []int, err error) {
	err = guarded(func() error {
		table := table(values)
		sorter, err := get.NewTableSorter(table, path)
		if err != nil {
			return err
		}
		if err := sorter.Sort(); err != nil {
			return err
		}
		for _, row := range table.Rows {
			about := row.Object.Object.(*unstructured.Unstructured)
			var place int
			if _, err := fmt.Sscan(about.GetName(), &place); err != nil {
				return err
			}
			places = append(places, place)
		}
		return nil
	})
	return places, err
}

// written keeps it visible which numbers are float64.
func written(values []any) (out []any) {
	for _, value := range values {
		if number, isFloat := value.(float64); isFloat && number == float64(int64(number)) {
			value = json.RawMessage(fmt.Sprintf("%d.0", int64(number)))
		}
		out = append(out, value)
	}
	return out
}

func writeSort(out *file, random *rand.Rand) {
	klog.OsExit = func(int) { panic("exit") }
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	quantities := []string{
		"0", "1", "-1", "+1", "10", "9", "1k", "1Ki", "1M", "1Mi", "1G", "1Gi", "1T", "1Ti", "1P", "1Pi", "1E", "1Ei", "100m", "0.1", "0.10", ".1", "1.", "1.5Gi", "1536Mi", "1e3", "1E3", "1e-3", "1n", "1u", "0.5n", "0.000000001", "0.0000000001", "-0.0000000001",
		"9Ei", "8Ei", "9223372036854775807", "9223372036854775808", "99999999999999999999", "9223372036854775807Ki", "100E", "1e30", "1e31", "1.0000000000000000000001", "1.0000000000000000000002", "00012", "-5Gi", "1e", "1ee3", "e3", "k", ".", "-", "+", "", "1kk", "1 ", " 1", "1K", "1ki", "1.2.3", "--1", "0x1", "1e400", "1e-400", "0e3", "0k", "0Kx", "000Ki", "0000000000000000000000.1", "12345678901234567890123456789012345678901234567890", "1_000", "1é", "2.5E", "3m", "3mi", "-9Ei", "-1e3", "7e+2", "1i", "1nu",
	}
	out.line("quantities")
	for _, a := range quantities {
		line := object{"quantity": a}
		if quantity, err := resource.ParseQuantity(a); err != nil {
			line["error"] = short(err)
		} else {
			signs := ""
			for _, b := range quantities {
				other, err := resource.ParseQuantity(b)
				sign := "x"
				if err == nil {
					sign = map[int]string{-1: "<", 0: "=", 1: ">"}[quantity.Cmp(other)]
				}
				signs += sign
			}
			line["compared"] = signs
		}
		out.line(line)
	}
	out.line("sort")
	one := func(path string, values ...any) {
		line := object{"path": path, "values": written(values)}
		for _, value := range values {
			if value == missing {
				line["missing"] = missing
			}
		}
		// kubectl takes what its relaxed form refuses as it is.
		full, err := get.RelaxedJSONPathExpression(path)
		if err != nil {
			full = path
		}
		// Whether the order is a sound one among these values.
		less := func(a, b any) bool {
			places, err := order([]any{b, a}, full)
			return err == nil && len(places) == 2 && places[0] == 1
		}
		places, err := order(values, full)
		if err != nil {
			line["error"] = short(err)
			out.line(line)
			return
		}
		seen, distinct := map[string]bool{}, []any{}
		for _, value := range values {
			if text := fmt.Sprintf("%T %v", value, value); !seen[text] {
				seen[text] = true
				distinct = append(distinct, value)
			}
		}
		for _, a := range distinct {
			for _, b := range distinct {
				for _, c := range distinct {
					if a == missing || b == missing || c == missing {
						continue
					}
					alike := func(a, b any) bool { return !less(a, b) && !less(b, a) }
					if less(a, b) && less(b, c) && !less(a, c) || alike(a, b) && alike(b, c) && !alike(a, c) {
						return
					}
				}
			}
		}
		line["order"] = places
		out.line(line)
	}
	// JSON numbers as clients have them.
	n := func(text string) any { return decode(text) }
	v := ".spec.v"
	one(v, "b", "a", "c")
	one("{.spec.v}", "b", "a", "c")
	one("spec.v", "b", "a", "c")
	one("{spec.v}", "b", "a", "c")
	one(".spec.missing", "b", "a", "c")
	one(".spec.v.x", "b", "a")
	one("{.spec.v}{.spec.v}", "b", "a")
	one("{.spec.v", "b", "a")
	one("x{.spec.v}", "b", "a")
	one("", "b", "a")
	one(v, missing, missing)
	one(v, missing)
	one(v, "a", missing, "b")
	one(v, missing, "b", missing, "a")
	one(v, n("3"), n("1"), n("2"))
	one(v, n("3"), n("-1"), n("9223372036854775807"), n("-9223372036854775808"))
	one(v, n("3.5"), n("1.5"), n("2.5"), n("1e300"))
	one(v, n("3"), n("1.5"))
	one(v, "3", n("1"))
	one(v, n("1"), "3")
	one(v, nil, nil)
	one(v, "a", nil)
	one(v, nil, "a")
	one(v, "a", nil, "b", missing, nil)
	one(v, true, false)
	one(v, false)
	one(v, true, missing)
	one(v, object{"a": n("1")}, object{"a": n("2")})
	one(v, []any{"b"}, []any{"a"})
	one(".spec.v[0]", []any{"b"}, []any{"a"}, []any{"c"})
	one(".spec.v[*]", []any{"b", "z"}, []any{"a"}, []any{}, []any{"c"})
	one(".spec.v[1]", []any{"b", "z"}, []any{"a"})
	one(".spec.v[?(@.k==\"x\")].n", []any{object{"k": "x", "n": n("2")}}, []any{object{"k": "x", "n": n("1")}}, []any{object{"k": "y", "n": n("0")}})
	one("@", "a", "b")
	one("5", "a", "b")
	one("\"x\"", "a", "b")
	one(v, "2026-01-02T00:00:00Z", "2025-01-02T00:00:00Z", "2026-01-01T00:00:00Z")
	one(v, "web-10", "web-9", "web-1")
	one(v, "10", "9", "1")
	one(v, "10Gi", "9Gi", "100Mi", "1Ti")
	one(v, "10Gi", "9Gi", "x", "1Ti")
	one(v, "B", "a", "C", "é", "")
	for _, a := range quantities {
		b := pick(random, quantities)
		one(v, a, b)
		one(v, b, a)
	}
	kinds := [][]any{}
	strings := []any{}
	for _, text := range []string{"alpha", "beta", "web-1", "web-2", "web-10", "Zed", "", "zeta", "é", "kube-system"} {
		strings = append(strings, text)
	}
	amounts := []any{}
	for _, text := range quantities[:40] {
		amounts = append(amounts, text)
	}
	numbers, floats := []any{}, []any{}
	for index := range 12 {
		numbers = append(numbers, n(fmt.Sprint(index*index-20)))
		floats = append(floats, float64(index)*1.25-3)
	}
	kinds = append(kinds, strings, amounts, numbers, floats)
	for range 120 {
		kind := pick(random, kinds)
		var values []any
		for range 2 + random.Intn(10) {
			value := pick(random, kind)
			switch random.Intn(15) {
			case 0:
				value = missing
			case 1:
				value = nil
			}
			values = append(values, value)
		}
		one(v, values...)
	}
	for range 10 {
		kind := pick(random, kinds)
		var values []any
		for range 60 {
			values = append(values, pick(random, kind))
		}
		one(v, values...)
	}
}
