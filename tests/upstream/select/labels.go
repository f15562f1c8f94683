package main

import (
	"math/rand"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

var labelSets = []labels.Set{
	{},
	{"a": ""},
	{"a": "b"},
	{"a": "c", "x": "10"},
	{"a": "in", "x": "-3", "notin": "exists"},
	{"app.kubernetes.io/name": "web", "tier": "front-end", "x": "007"},
	{"in": "in", "x": "9223372036854775807", "y": "+4"},
	{"x": "9223372036854775808", "y": "0x10", "a": "B"},
	{"x": "1_0", "y": " 4", "tier": "back"},
	{"y": "4", "a": "d", "b": "a"},
}

func matched(matches func(labels.Set) bool) string {
	var out strings.Builder
	for _, set := range labelSets {
		if matches(set) {
			out.WriteByte('1')
		} else {
			out.WriteByte('0')
		}
	}
	return out.String()
}

func writeLabels(out *file, random *rand.Rand) {
	out.line(labelSets)
	one := func(text string) {
		selector, err := labels.Parse(text)
		if err != nil {
			out.line(object{"selector": text, "error": short(err)})
			return
		}
		matches := func(set labels.Set) bool { return selector.Matches(set) }
		out.line(object{"selector": text, "matches": matched(matches), "text": selector.String()})
	}
	long := strings.Repeat("a", 63)
	label := strings.Repeat(strings.Repeat("d", 60)+".", 4)
	for _, text := range []string{
		"", " ", "\t\r\n", "a", "!a", "! a", "a=b", "a==b", "a = b", "a!=b", "a =b", "a= ", "a=", "a==", "a!=", "a=,b=a",
		"a in (b)", "a in (b,c)", "a in(b)", "a in ( b , c )", "a notin (b,c)", "a notin(b)", "a in ()", "a in (,)",
		"a in (,b)", "a in (b,)", "a in (b,,c)", "a in (,,)", "a notin ()", "a in (in,notin)", "in in (in)", "notin",
		"in", "in=in", "notin notin (exists)", "!in", "x>9", "x > 9", "x<0", "x>9223372036854775806", "x<9223372036854775807",
		"x>9223372036854775807", "x>9223372036854775808", "x>a", "x>", "x>-4", "x>+4", "y>3", "y<5", "x>=3", "x=>3", "x><3", "x<>3",
		"a=b,x", "a,!b", ",a", "a,", "a,,b", ",", "a b", "a=b c", "a=b=c", "a===b", "a!b", "a!!=b", "!a=b", "!a in (b)", "!!a",
		"(a)", "a(b)", "a in b", "a in (b", "a in b)", "a in (b c)", "a in ((b))", "a in (b=c)", "a in (b!)", "a in (!b)",
		"a=(b)", "a='b'", "a=\"b\"", "'a'=b", "a=b*", "a=b/c", "a=-b", "a=b-", "a=b_", "a=_b", "a=b.c", "a=.b", "a=é", "é=b", "é",
		"app.kubernetes.io/name=web", "app.kubernetes.io/name", "!app.kubernetes.io/name", "app/=web", "/name=web", "a/b/c=d",
		"App/name=web", "app_x/name=web", "a-/name=web", "-a/name", "a..b/name", "name-", "-name", "_name", "a_b.c-d", "A",
		"tier=front-end,app.kubernetes.io/name in (web,db),x<8", "tier notin (front-end,back),!app.kubernetes.io/name",
		"a=b,a=c", "a=b,a!=b", "a in (b,b,b)", "x=10,x>9,x<11", "y=4", "a\x00b", "a=b\x00c", "\x00", "a\n=\nb", "a=b\t,\tx",
		"a exists", "exists", "a gt 3", "x gt 3", "a=b;c", "a==b==c", "a!==b", "a=!b", "a=,", "a!=,b=a", "a==,,", "a in (c) , x",
		long, long + "a", "a=" + long, "a=" + long + "a", label[:243] + "/a", label[:243] + "aaaaaaaaaaa/a", "a in (" + long + "a)",
		"a=b,", "a in (b),", "a in (b),,x", "x>1,y", "x>,y", "x<,", "a notin (b", "a notin", "a in", "a in ,", "a,in", "a in (a", "a in (a,", "a in (",
	} {
		one(text)
	}
	parts := []string{
		"a", "b", "x", "y", "in", "notin", "tier", "app.kubernetes.io/name", "web", "10", "-3", "007", "9", "c", "front-end", "B",
		"=", "==", "!=", "!", ">", "<", "(", ")", ",", ",", " ", " ", "\t", "in (", "notin (", ")", "= ", "/", ".", "-", "é",
	}
	for range 500 {
		var text strings.Builder
		for range 1 + random.Intn(9) {
			text.WriteString(pick(random, parts))
		}
		one(text.String())
	}
	keys := []string{"a", "b", "x", "y", "tier", "in", "app.kubernetes.io/name"}
	values := []string{"", "b", "c", "10", "-3", "web", "4", "in", "front-end"}
	for range 300 {
		var terms []string
		for range 1 + random.Intn(3) {
			key, value := pick(random, keys), pick(random, values)
			term := key + pick(random, []string{"=", "==", "!=", ">", "<", " = ", " != "}) + value
			switch random.Intn(5) {
			case 0:
				term = key
			case 1:
				term = "!" + key
			case 2, 3:
				list := value
				for range random.Intn(3) {
					list += "," + pick(random, values)
				}
				term = key + pick(random, []string{" in (", " notin ("}) + list + ")"
			}
			terms = append(terms, term)
		}
		one(strings.Join(terms, ","))
	}
}
