package main

import (
	"fmt"
	"math"
	"strings"
)

type (
	list = []any
	dict = map[string]any
)

// Text that reads as something else, or nearly does.
var lookalikes = strings.Fields(`
	y Y yes Yes YES yEs n N no No NO true True TRUE tRue on On ON oN off Off OFF false False FALSE
	null Null NULL nULL ~ ~~ nil None none t f o T F O yy nn

	0 00 000 1 12 007 08 09 0x 0x1 0X1 0x1F 0x1g 0xFFFFFFFFFFFFFFFF 0x1FFFFFFFFFFFFFFFF -0x8000000000000000
	-0x8000000000000001 0o 0o7 0O7 0o8 0b 0b1 0B1 0b2 0b-1 0b+1 0b-2 -0b1 -0b-1 -0b+1 +0b1 0b_1 0b1_
	0b1111111111111111111111111111111111111111111111111111111111111111
	0b11111111111111111111111111111111111111111111111111111111111111111
	9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 +9223372036854775807
	+9223372036854775808 18446744073709551615 18446744073709551616 100000000000000000000 1000000000000000000000
	01777777777777777777777 07777777777777777777777 1_000 1__ _1 -1_0 +_1 -_ +_ 1_ 0_ 0_8 0_x1 0x_1 1_0x 1e_5 1e5_ 1_e5

	1. .1 . .. ... .... 1.5 -1.5 +1.5 1.2.3 1.2. 1..2 -. +. -.5 +.5 .5. .e1 .5e .5e1 .5e+1 .5e- .5_5 .5__5 ._5 .5_ .5e1_0
	.5e_1 .1e400 .1e-400 1e 1e1 1E1 1e+1 1e-1 1e+ 1e- e1 1e1.5 1e400 1E400 -1e400 1e-400 1.e1 1.5e3 1_0.5 1._5 1.5_ 0e0 00.5
	0x1p4 0x.8p1 1p4 .inf .Inf .INF .iNF +.inf -.inf +.Inf -.INF inf Inf +inf -inf Infinity .nan .NaN .NAN .Nan nan NaN +.nan
	- -- --- -1- -- --a ---a - + ++ +1 +a -a 1- 1+ 1a a1 100m 1Gi 10.0.0.1 10.0.0.0/8 1/2 50% 3f2a 3e2 12e4 1e10a

	1:2 12:30 12:30:45 1:60 1:59 1:5:9 1:05 1:005 1:2:60 -1:2 +1:2 :1 1: 1:: 1:2: 1:2. 1:2.5 1:2.5_ 1:2._ 1_0:2 _1:2 1:2_0 1.5:2
	190:20:30 a:1 1:a 00:00 24:00 99:99 1:2:3:4:5

	2001-1-1 2001-01-01 2001-12-31 2001-13-01 2001-00-01 2001-1-0 2001-1-32 2001-2-29 2000-2-29 2004-02-30 1900-2-29 2001-4-31
	2001-1-1T 2001-1-1T1:2:3Z 2001-1-1t1:2:3Z 2001-1-1T1:2:3z 2001-01-01T00:00:00Z 2001-01-01T24:00:00Z 2001-01-01T23:60:00Z
	2001-01-01T23:59:60Z 2001-01-01T23:59:59.5Z 2001-01-01T23:59:59,5Z 2001-01-01T23:59:59.Z 2001-01-01T23:59:59.1234567890123Z
	2001-01-01T23:59:59+01:00 2001-01-01T23:59:59-24:60 2001-01-01T23:59:59-25:00 2001-01-01T23:59:59+00:61
	2001-01-01T23:59:59+0100 2001-01-01T23:59:59 2001-01-01T23:59:59Z1 2001-1-1T1:2:3*01:00 201-1-1 20011-1-1 2001-111-1 2001-1-111
	0000-1-1 9999-12-31 2001-1 2001- 2001--1 2001-1-1- 2001/1/1 2001-01-01T1:2Z 2001-1-1T:1:1Z

	= == < << <<< > >> ! !a & &a * *a % %a @ @a ! | |a ? ?a ?? : :a :: a: a:b a::b # #a a# a#b , ,a a,b [ [a ] { {a } a[ a{ a? a?b
	' 'a a' '' "a a" "" \ \a a\b / a/b a/ $a ^a a=b (a) ;a <a> a&b a|b a!b a@b a%b`)

// Text with blanks.
var blanks = []string{
	"", " ", "  ", " a", "a ", "  a", "a  ", "a b", "a  b", " a b ", "a : b", "a: b", "a :b", ": a", ":", "a # b", "a #b", "a# b", "# a",
	"- a", "? a", "a - b", "a ? b", "-  a", "?  a", "- ", "? ", ": ", "a, b", "{ a }", "[ a ]", "--- a", "---  ", "... a", "a --- b",
	"1 2", "1 ", " 1", "2001-1-1 1:2:3", "2001-1-1  1:2:3", "2001-1-1 1:2:3 ", "2001-1-1 1:2:3.5", "2001-1-1 1:2:3Z", "2001-1-1 1:2",
	"2001-1-1 ", "2001-1-1 24:2:3", "12:30 ", "yes ", "it's", "a 'b' c", "a \"b\" c", "' ", "'' '", "null null", "~ ~", "a\tb", "\t", "\ta",
	"a\t", "a \t b", "a\r\nb", "a\r", "\r", "a\u00a0b", "\u00a0", "a\u2003b", "\u3000a", "{\"a\":\"b\"}", "{\"a\":\"b\"}\n",
}

// Characters that need care somewhere.
var characters = []rune("\x00\x01\x07\x08\x09\x0a\x0b\x0c\x0d\x1b\x1f !\"#%&'*,-.:<>?@[\\]`{|}~" +
	"\u0085\u00a0\u00ad\u00e9\u0300\u0660\u07ff\u0800\u200b\u2027\u2028\u2029\u202a\u3042\ud7ff\ue000\ufdd0\ufeff\ufffd\U00010000\U0001f600\U000e0001\U0010ffff")

// around puts a character in all the places that make a difference.
func around(char rune) []string {
	c := string(char)
	return []string{
		c, c + c, c + "a", "a" + c, "a" + c + "b", c + " a", "a " + c, " " + c, c + " ", "a " + c + " b", "a" + c + " b", "a " + c + "b",
		c + "\na", "a\n" + c, "a" + c + "\n", "a\n" + c + "b\n", c + c + "a" + c + c + "b", "1" + c, c + "1", "---" + c, "a" + c + "'\"\\",
	}
}

// short are all texts of up to length of the given characters.
func short(alphabet string, length int) []string {
	all := []string{""}
	for from := 0; length > 0; length-- {
		until := len(all)
		for ; from < until; from++ {
			for _, char := range alphabet {
				all = append(all, all[from]+string(char))
			}
		}
	}
	return all
}

// folded are texts long enough to be folded: blanks at every place near the
// edge, in words that make each of the styles.
func folded(first, last int) []string {
	var all []string
	for _, style := range []string{"", "'", "\t", "é"} {
		for at := first; at <= last; at++ {
			for _, gap := range []string{" ", "  ", " ' "} {
				text := style + strings.Repeat("x", at-len([]rune(style))) + gap + "yy zz" + strings.Repeat("z", 78) + gap + "end"
				all = append(all, text)
			}
		}
	}
	for _, tail := range []string{" ", "  ", " .", ".", ". ", "\n"} {
		all = append(all, strings.Repeat("w", 90)+tail, strings.Repeat("w ", 60)+tail, strings.Repeat("ab: ", 40)+tail,
			strings.Repeat("\ue000 \u2028", 30)+tail, strings.Repeat(" ", 90)+tail, "x"+strings.Repeat(" ", 90)+tail+"y")
	}
	return all
}

// longKeys are keys around the length of 128 bytes from which on they are
// written apart, and keys of several lines.
func longKeys() []string {
	var all []string
	for length := 126; length <= 131; length++ {
		all = append(all, strings.Repeat("k", length), strings.Repeat("k", length-2)+"é", strings.Repeat("k", 90)+" "+strings.Repeat("k", length-91),
			"'"+strings.Repeat("k", 90)+" "+strings.Repeat("k", length-92), strings.Repeat("0", length))
	}
	return append(all, "a\nb", "a\n", "\n", "\na", " \n", "a \nb", "a\u2028b", "\u2028", "a\rb", "a\tb", "k:{\"type\":\"Ready\"}",
		"k:{\"name\":\""+strings.Repeat("n", 130)+"\"}", ".", "f:metadata", strings.Repeat("k ", 70), strings.Repeat("k\t ", 70))
}

// Numbers as Go has them after reading.
var numbers = list{
	0, 1, -1, 9, 10, 99, 100, 1000000, int64(math.MaxInt64), int64(math.MinInt64), int64(math.MinInt64) + 1, 1 << 53, 1<<53 + 1,
	0.0, math.Copysign(0, -1), 0.1, 0.5, 1.5, -1.5, 1.0, 100.0, 1e5, 123456.5, 1234567.5, 12345678.5, 1e15, 1e18, 9.2e18, 9.3e18, 1e19,
	1.8e19, 1.9e19, 1e20, 123456789012345678901.0, 1e21, 1.5e21, 1e30, 1e100, 1.7976931348623157e308, -1e19, -1e20, -1e21,
	0.01, 0.001, 0.0001, 0.00012, 0.00001, 0.000012, 0.000001, 0.0000011, 0.0000009, 1e-7, 1.5e-7, 1e-9, 1e-10, 1e-100, 5e-324,
	2.2250738585072014e-308, 1.0 / 3, 2.0 / 3, 1e23, 9007199254740993.0, 4.35, 0.1 + 0.2, 1e22, 8.41e21, 2.5, 100000.5, 999999.5,
	true, false, nil,
}

// Keys whose order is not that of their bytes.
var orders = [][]string{
	{"_", "1", "X", "a", "x-1", "x/1", "x9", "x10", "é"},
	{"k1", "k2", "k9", "k10", "k11", "k100", "k01", "k001", "k"},
	{"a.b", "a/b", "a-b", "a_b", "ab", "aB", "a", "a1b", "a 1"},
	{"config.yaml", "config.v1.yaml", "config.v10.yaml", "config.v9.yaml", "config-10", "config-9", "config"},
	{"0", "00", "000", "01", "1", "10", "010", "2", "20"},
	{"x0", "x00", "x1", "x01", "x001", "x10", "x100", "x-0"},
	{"10-", "10", "100", "1-", "12", "1", "19", "1.5"},
	{"a99999999999999999999", "a99999999999999999998", "a100000000000000000000", "a9"},
	{"é", "e", "z", "Z", "ß", "Ω", "я", "あ", "漢", "ー", "ª"},
	{"a١", "a٢", "a10", "a٠", "a١٠"},
	{"٣", "3", "३", "x", "-"},
	{"\u0301", "a\u0301", "a", "b", "ab"},
	{"ⅷ", "v", "8", "⑧", "²", "z"},
	{"", " ", "\t", "\n", "~", "!", "A"},
	{"a-b", "a.b", "a/b", "a:b", "a b"},
}

// below puts a value at a depth, in maps or in lists.
func below(depth int, lists bool, value any) any {
	for ; depth > 0; depth-- {
		if lists {
			value = list{value}
		} else {
			value = dict{"k": value}
		}
	}
	return value
}

// cases are the objects of the fixture.
func cases() []any {
	var texts []string
	texts = append(texts, lookalikes...)
	texts = append(texts, blanks...)
	for _, char := range characters {
		texts = append(texts, around(char)...)
	}
	texts = append(texts, short("a \n", 5)...)
	texts = append(texts, short("a \n\u2028", 3)...)
	texts = append(texts, short("-:#1 ", 3)...)
	texts = append(texts, short("\u0085a ", 4)...)

	var all []any
	// As value, as element, as key.
	group := func(texts []string, shape func(text string) any) {
		var part list
		for _, text := range texts {
			if one := shape(text); steady(one) {
				part = append(part, one)
			}
			if len(part) == 60 {
				all, part = append(all, dict{"k": part}), nil
			}
		}
		if len(part) > 0 {
			all = append(all, dict{"k": part})
		}
	}
	group(texts, func(text string) any { return text })
	group(texts, func(text string) any { return dict{text: 0} })
	group(blanks, func(text string) any { return dict{"k": dict{"k": text}, "l": text} })
	for _, depth := range []int{0, 1, 3} {
		group(folded(82-2*depth-4, 82-2*depth), func(text string) any { return below(depth, false, text) })
		group(folded(82-2*depth-2, 82-2*depth), func(text string) any { return below(depth, true, text) })
	}
	for _, depth := range []int{20, 39, 40, 41, 50} {
		all = append(all, below(depth, false, "a b c 'd' e"), below(depth, true, "a: b c"), below(depth, false, list{"a\tb c d", "12 34", "a\nb"}))
	}
	for _, text := range append(texts[:40:40], "a\nb", "a\nb\n", " a\nb", "a\n\n", strings.Repeat("w ", 60)+"w") {
		if steady(text) {
			all = append(all, text)
		}
	}
	all = append(all, dict{}, list{}, nil, list{dict{}, list{}, nil, list{list{}, dict{}}, dict{"k": dict{}, "l": list{}}}, numbers,
		dict{"k": list{list{1, list{2, dict{"k": list{3}, "l": 4}}}, dict{"k": dict{"k": list{dict{"k": nil, "l": list{}}}}}}})
	for _, number := range numbers {
		all = append(all, number)
	}
	values := list{dict{"k": 1, "l": list{1}}, list{1, dict{"k": 1}, list{2}}, "a\nb", strings.Repeat("w ", 60), nil, dict{}, list{}, "v"}
	for at, key := range longKeys() {
		for _, value := range values[at%7 : at%7+2] {
			all = append(all, dict{key: value, "zz": dict{key: 1}})
		}
		all = append(all, list{dict{key: dict{key: "v"}}, dict{key: list{dict{key: 1, "k": 2}}}})
	}
	for _, keys := range orders {
		object := dict{}
		for _, key := range keys {
			object[key] = fmt.Sprintf("%+q", key)
		}
		all = append(all, object)
	}
	kept := all[:0]
	for _, object := range all {
		if steady(object) {
			kept = append(kept, object)
		}
	}
	for random := newRandom(1); random.made < 150; {
		if object := random.object(); steady(object) {
			kept = append(kept, object)
		}
	}
	return kept
}

func steady(object any) bool {
	_, ok := write(object, 20)
	return ok
}

// printsJSON tells the objects of which the fixture has JSON as well: small ones.
func printsJSON(object any) bool {
	answer, _ := write(object, 1)
	return len(answer.JSON) < 700
}
