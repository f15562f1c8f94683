package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand"
	"sort"
	"strings"
	"unicode/utf8"

	"k8s.io/client-go/util/jsonpath"
)

var pathObjects = []string{
	`{"kind":"List","apiVersion":"v1","items":[
		{"kind":"Pod","metadata":{"name":"web-1","namespace":"shop","labels":{"app":"web","a.b/c":"x"}},
		 "spec":{"containers":[{"name":"main","image":"nginx:1","ports":[{"port":80},{"port":443}]},{"name":"side","image":"envoy"}],"n":3,"f":1.5,"on":true},
		 "status":{"phase":"Running"}},
		{"kind":"Pod","metadata":{"name":"web-2","namespace":"shop","labels":{"app":"web"}},
		 "spec":{"containers":[{"name":"main","image":"nginx:2","ports":[]}],"n":10,"f":1e21,"on":false},
		 "status":{"phase":"Pending"}},
		{"kind":"Pod","metadata":{"name":"db-1","namespace":"data","labels":null},
		 "spec":{"containers":null,"n":-1,"f":0.000001,"on":null},
		 "status":{}}]}`,
	`{"metadata":{"name":"one"},"list":[0,1,2,3,4,5,6,7,8,9],"words":["a","b","c"],"empty":[],"none":null,"text":"ab","nested":[[1,2],[3,[4]]],
	  "numbers":[{"v":1},{"v":2},{"v":2.0},{"v":"2"},{"v":true},{"v":null},{}],"m":{"k":"<&>\u2028"},"q":"it's \"q\"","":{"":"blank"},"*":"star"}`,
	`{"a":{"b":[{"c":1,"d":"x"},{"c":2,"d":"y"},{"c":3}]},"e":"é","n":9007199254740993,"big":12345678901234567890,"neg":-0.5,"f":[1000000.0,100000.0,0.0001,0.00001,123456789.0,1e300,2.0]}`,
}

var pathTemplates = []string{
	"", "text", "{}", "{ }", "{", "}", "a}b", "a{b", "{.kind}", "{ .kind }", "{.kind", "{kind}", "{.}", "{@}", "{$}", "{@.kind}", "{$.kind}", "{..}",
	"{.items[*].metadata.name}", "{.items[0].metadata.name}", "{.items[-1].metadata.name}", "{.items[5].metadata.name}", "{.items[-4].metadata.name}",
	"{.items[0:2].metadata.name}", "{.items[1:].metadata.name}", "{.items[:2].metadata.name}", "{.items[::2].metadata.name}", "{.items[0:0].metadata.name}",
	"{.items[:].metadata.name}", "{.items[].metadata.name}", "{.items[0,2].metadata.name}", "{.items[0, 2]['metadata.name','kind']}", "{.items[0,7].metadata.name}",
	"{.items[*]['metadata.name']}", "{.items[*].metadata.labels['app']}", "{.items[*].metadata.labels.app}", `{.items[*].metadata.labels.a\.b/c}`,
	`{.items[*].metadata.labels['a\.b/c']}`, `{.items[*].metadata.labels['a.b/c']}`, "{.items[*].metadata.labels}", "{.items[*].metadata.labels.*}",
	"{.items[*].spec.n}", "{.items[*].spec.f}", "{.items[*].spec.on}", "{.items[*].spec.containers[*].name}", "{.items[*].spec.containers[0].name}",
	"{.items[*].spec.containers}", "{.items[0].spec.containers}", "{.items[0].spec}", "{.items[*].status}", "{.items[*].missing}", "{.missing.more[3].deep}",
	"{.items[*].spec.containers[*].ports[*].port}", "{range .items[*]}{.metadata.name}{\"\\n\"}{end}", "{range .items[*]}{.metadata.name}{'\\t'}{.status.phase}{\"\\n\"}{end}",
	"{range .items[*]}{.metadata.name}: {range .spec.containers[*]}{.name} {end}{\"\\n\"}{end}after",
	"{range .items[*]}{range .spec.containers[*]}{range .ports[*]}{.port},{end};{end}|{end}.", "{range .empty[*]}{.x}{end}after", "{range .missing[*]}{range .x[*]}{.y}{end}z{end}after {.kind}",
	"{range .items[*]}{.metadata.name}", "{end}", "{range}{end}", "{range .items[*]}{end}{end}", "a{end}b", "{range .items[*]}x{end}{range .items[*]}y{end}{.kind}",
	"{range .items[*]}{.metadata.name}{range .spec.containers[*]}{.name}{end}{end}{range .items[*]}{.kind}{end}", "{range .items}{.kind}{end}", "{range .kind}{@}{end}",
	"{range .items[?(@.spec.n>0)]}{.metadata.name} {end}", "{range .words[*]}[{@}]{end}", "{range .list[2:5]}{@}{\" \"}{end}{.text}", "{range .none}{@}{end}x", "{range .none[*]}{@}{end}x",
	"{range .empty[*]}{[0]}{end}x", "{range .empty[*]}{[?(@.x)]}{end}x", "{range .empty[*]}{@}{$}{.a[0]}{..x}{.*}{5}{'t'}{end}x", "{range .empty[*]}{range}{end}{end}x", "{range .empty[*]}{.a}{end}x",
	`{.items[?(@.metadata.name=="web-1")].status.phase}`, `{.items[?(@.metadata.name=='web-1')].status.phase}`, `{.items[?(@.metadata.name!="web-1")].metadata.name}`,
	`{.items[?(@.spec.n>1)].metadata.name}`, `{.items[?(@.spec.n>=3)].metadata.name}`, `{.items[?(@.spec.n<3)].metadata.name}`, `{.items[?(@.spec.n<=3)].metadata.name}`,
	`{.items[?(@.spec.n==3)].metadata.name}`, `{.items[?(@.spec.n!=3)].metadata.name}`, `{.items[?(@.spec.f>1.0)].metadata.name}`, `{.items[?(@.spec.f>1)].metadata.name}`,
	`{.items[?(@.spec.on==true)].metadata.name}`, `{.items[?(@.metadata.labels.app)].metadata.name}`, `{.items[?(@.metadata.labels)].metadata.name}`, `{.items[?(@.spec.containers[1])].metadata.name}`,
	`{.items[?(@.status.phase=="Running" && @.spec.n==3)].metadata.name}`, `{.items[?(@.status.phase=="Running"||@.spec.n==3)].metadata.name}`, `{.items[?(.kind=="Pod")].metadata.name}`,
	`{.items[?(@.metadata.name=~"web")].metadata.name}`, `{.items[?(@.metadata.name===" ")].metadata.name}`, `{.items[?(@.spec.n<>3)].metadata.name}`, `{.items[?(@.a==@.b)].metadata.name}`, `{.items[?(@.kind==@.kind)].metadata.name}`,
	`{.items[?(@.metadata.name==web-1)].kind}`, `{.items[?(@.spec.n==)].kind}`, `{.items[?(==3)].kind}`, `{.items[?()].kind}`, `{.items[?(@.spec.n=3)].kind}`, `{.items[?(@.spec.n!3)].kind}`, `{.items[?(3)].kind}`, `{.items[?("x")].kind}`, `{.items[?(x)].kind}`,
	`{.kind[?(@.x)]}`, `{.metadata[?(@.name)]}`, `{.none[?(@.name)]}`, `{.words[?(@=="b")]}`, `{.list[?(@>7)]}`, `{.words[?("b"==@)]}`, `{.list[?(@>"7")]}`, `{.numbers[?(@.v==2)]}`, `{.numbers[0:2][?(@.v==2)]}`, `{.numbers[?(@.v)]}`,
	`{.numbers[0:2][?(@.v>1)].v}`, `{.numbers[2:3][?(@.v>1.5)].v}`, `{.numbers[4:5][?(@.v==true)].v}`, `{.numbers[4:5][?(@.v<true)].v}`, `{.numbers[5:6][?(@.v==null)].v}`, `{.numbers[6:7][?(@.v==2)].v}`, `{.numbers[5:7][?(@.v)].v}`, `{.nested[?(@[0]==1)]}`, `{.nested[?(@[5])]}`, `{.nested[?(@[*]==1)]}`, `{.nested[?(@[0]==@[0])]}`,
	`{.items[?(@.x"[?(@.a)]"==1)]}`, `{.items[?(@.metadata.name=="web-1"].kind}`, `{.items[?(@.metadata.name=="web-1)].kind}`, `{.items[?(@.metadata.name=='web\'-1')].kind}`, `{.items[?(@.spec.n == 3)].kind}`, `{.items[?( @.spec.n==3 )].kind}`, `{.items[?(@.spec.n==+3)].kind}`, `{.items[?(@.spec.n==-1)].metadata.name}`, `{.items[?(@.spec.n==3.0)].kind}`,
	`{.items[?(@['metadata.name']=="web-1")].kind}`, `{.items[?(@.kind in "Pod")].kind}`, "{.items[?(@.kind==\"Pod\n\")].kind}", `{.items[?(@.metadata.name=="a)b")].kind}x`, `{.items[?(@.spec.containers[?(@.name=="main")])].kind}`, `{.items[?(@.kind'[?(@.a)].c')]}`,
	"{..name}", "{..metadata.name}", "{.items..name}", "{.items[0]..image}", "{..port}", "{..[0]}", "{..containers[0].name}", "{..*}", "{...name}", "{....name}", "{..['name']}", "{.words..}", "{.text..}", "{.nested..}", "{.none..}", "{.list..}", "{..nested[*]}", "{.m..}", "{.a..c}", "{..c}", "{..d}",
	"{.*}", "{.words.*}", "{.text.*}", "{.list.*}", "{.none.*}", "{.m.*}", "{.text[0]}", "{.m[0]}", "{.none[0]}", "{.list[0]['x']}", "{.nested[*]}", "{.nested[*][0]}", "{.nested[1][1][0]}", "{.nested.*.*}",
	"{.list[2]}", "{.list[-2]}", "{.list[2:4]}", "{.list[-3:-1]}", "{.list[-3:]}", "{.list[:-3]}", "{.list[1:9:3]}", "{.list[::3]}", "{.list[::0]}", "{.list[::-1]}", "{.list[5:2]}", "{.list[5:5]}", "{.list[-1:0]}", "{.list[9]}", "{.list[10]}", "{.list[10:]}", "{.list[0:11]}", "{.list[11:11]}", "{.list[-10]}", "{.list[-11]}", "{.list[ 1 ]}", "{.list[1,2,3]}", "{.list[1, 2:4 ,-1]}", "{.list[1,]}", "{.list[,]}", "{.list[a]}", "{.list[*]}", "{.list[**]}", "{.list[1:2:3:4]}", "{.list[-]}", "{.list[:-]}", "{.list[99999999999999999999]}", "{.list[9223372036854775807]}", "{.list[-9223372036854775808]}", "{.list[0:9223372036854775807]}", "{.list[::9223372036854775807]}", "{.empty[0]}", "{.empty[*]}", "{.empty[-1]}", "{.empty[:]}", "{.empty}", "{.empty[0:1]}", "{.list[0:2,0:2]}", "{.list['0']}",
	"{.list[1}", "{.list[1\n]}", "{.list]}", "{['text']}", "{['text','words'][0]}", "{['words','list'][0]}", "{['']}", "{['','text']}", "{[\"text\"]}", "{['te xt']}", "{['text'}", "{['a.b']}", "{['a','e']}", "{['a.b[0']}", "{['a}{e']}", "{['*']}", "{['..d']}", "{[*]}", "{[0]}", "{.a['b'][0].c}", "{.a['b[0]'].c}", "{.''}", "{.a b}", "{.a .b}", "{.e.x}", "{.e .a}",
	"{1}", "{-1}", "{+1}", "{1.5}", "{1.}", "{.5}", "{1.2.3}", "{-}", "{+}", "{1e3}", "{99999999999999999999}", "{-99999999999999999999}", "{1 2}", "{.list 5}", "{true}", "{false}", "{.list true}", "{truex}", "{null}", "{\"a\"}", "{'a'}", "{\"a\" \"b\"}", "{\"a\"'b'}",
	`{"\n\t\\\"\a\b\f\r\v"}`, `{"\x41\u00e9\U0001F600\101"}`, `{"\xff"}`, `{'\''}`, `{'"'}`, `{"'"}`, `{"\'"}`, `{'\"'}`, `{"\q"}`, `{"\x4"}`, `{"\ud800"}`, `{"\U00110000"}`, `{"\400"}`, `{"\377"}`, `{"\08"}`, `{"abc}`, `{'abc}`, `{"a\"b"}`, `{"a\\"}`, `{"a\\" }"}`, `{"}"}`, `{"{"}`, "{\"a\nb\"}", "{.a\n}", "{\n.a}", "{\t.a}", "{.a\t}", "{.a\r}",
	"{.e}", "{.n}", "{.big}", "{.neg}", "{.f}", "{.f[*]}", "{.q}", "{.m}", "{.m.k}", "{.none}", "{[\"none\"]}", "{.numbers}", "{.numbers[*].v}", "{.a}", "{.a.b}", "{.a.b[*]}", "{.a.b[*].d}", "{.a.b[?(@.d)].c}", "{.a.b[?(@.c>1)].d}", "{.a.b[?(@.d==\"x\")]}", "{.a.b[?(@.d>\"x\")].c}",
	"{#}", "{(}", "{.a#}", "{.a(}", "{!}", "{*}", "{/}", "{_}", "{_a}", "{é}", "{.é}", "{..é}", "{,}", "{=}", "{\\}", "{.\\}", "{.a\\}", "{.\\.}", "{.a\\ b}", "{.e\\.f}", "{.\\e}", "{.*.*}", "{.**}", "{.*a}", "{.list.*}", "{.$}", "{.@}", "{$$}", "{@@}", "{@.@}", "{.a.b.}", "{.a.}", "{.a..}", "{.a.b[0].}", "{.a.b[0]c}", "{.a.b[0] .c}", "{ $.a.b[0] . c}",
	"{.a{.b}}", "{{.a}}", "{.a}}", "{}{}", "{.a}{.e}", "x{.e}y{.n}z", "{.e}\n{.n}", "$.e", ".e", "{.items[*]}{.kind}", "{.kind}{.items[9]}", "{.items[0].kind}{.items[0].missing}", "é{.e}é", "{range .items[*]}\n{end}", "{range .items[*]}{.kind}{end", "{ range .items[*] }{ .kind }{ end }", "{range .items[*] }{.kind} {end}", "{range.items[*]}{.kind}{end}", "{range .items[*]}{range .spec.containers[*]}{.name}{end}", "{range .items[*]}{.metadata.name}{end}{.kind}{range .items[0:1]}{.kind}{end}{.apiVersion}",
	"{.items[*].metadata['name','namespace']}", "{.items[*]['kind','missing']}", "{.items[*]['missing','kind']}", "{.items['kind']}", "{[?(@.a)]}", "{.items[?(range)]}{.kind}", "{.items[?(end)]}", "{['a',end]}", "{.items[?(@.spec.n>range)]}", "{range .items[*]}{[?(@.a)]}{end}", "{range .a.b[?(@.c==2)]}{.c}{range .x}{.y}{end}{.d}{end}",
	"{range .items[*]}{.metadata.name}{range .metadata.labels}{.app}{end} {end}", "{range .items[0:2]}{range .spec.containers[*]}{range .ports[*]}p{.port}{end}c{.name}{end}i{end}!", "{range .items[*]}{range .missing[*]}{range .more[*]}x{end}y{end}z{end}!", "{range .missing}{range .missing}x{end}y{end}z{range .items[*]}w{end}",
}

var pathPieces = []string{
	".items", ".kind", ".metadata", ".name", ".labels", ".spec", ".containers", ".n", ".list", ".words", ".text", ".nested", ".none", ".missing", ".a", ".b", ".c", ".*", "..", "..name", "[*]", "[0]", "[-1]", "[1:]", "[:2]", "[::2]", "[0,1]",
	"['name']", "['name','kind']", "['a.b']", `[?(@.name=="main")]`, "[?(@.c>1)]", "[?(@.n<=3)]", "[?(@.name)]", `[?(@=="b")]`, "@", "$", " ", "5", `"t"`, "true", "range ", "end",
}

var pathBytes = []string{
	"{", "}", "[", "]", "(", ")", "?", ".", "..", "'", `"`, `\`, ",", ":", "*", "@", "$", " ", "a", "list", "items", "0", "1", "-", "=", "==", "<", "range", "end", "é", "\n", "true", "&",
}

func randomTemplate(random *rand.Rand) string {
	var text strings.Builder
	switch random.Intn(4) {
	case 0:
		text.WriteString("{")
		for range 1 + random.Intn(8) {
			text.WriteString(pick(random, pathBytes))
		}
		text.WriteString("}")
	case 1:
		open := 0
		for range 1 + random.Intn(5) {
			switch random.Intn(4) {
			case 0:
				text.WriteString("{range " + pick(random, pathPieces) + pick(random, pathPieces) + "}")
				open++
			case 1:
				if open > 0 {
					text.WriteString("{end}")
					open--
				}
			default:
				text.WriteString("{" + pick(random, pathPieces) + pick(random, pathPieces) + "}-")
			}
		}
		for range open {
			text.WriteString("{end}")
		}
	default:
		text.WriteString("{")
		for range 1 + random.Intn(6) {
			text.WriteString(pick(random, pathPieces))
		}
		text.WriteString("}")
	}
	return text.String()
}

func writeJSONPath(out *file, random *rand.Rand) {
	var objects, written []any
	for _, text := range pathObjects {
		objects = append(objects, decode(text))
		written = append(written, json.RawMessage(text))
	}
	out.line(written)
	execute := func(template string, about any, lenient, asJSON bool) (text string, err error) {
		var buffer bytes.Buffer
		err = guarded(func() error {
			path := jsonpath.New("out")
			if err := path.Parse(template); err != nil {
				return err
			}
			path.AllowMissingKeys(lenient)
			path.EnableJSONOutput(asJSON)
			return path.Execute(&buffer, about)
		})
		return buffer.String(), err
	}
	// Maps are walked in another order each time.
	one := func(template string, index int, lenient, asJSON bool) bool {
		text, err := execute(template, objects[index], lenient, asJSON)
		line := object{"template": template, "object": index}
		if !lenient {
			line["strict"] = true
		}
		if asJSON {
			line["json"] = true
		}
		words := func(text string) []string {
			words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,[]\n", r) })
			sort.Strings(words)
			return words
		}
		for range 12 {
			again, errAgain := execute(template, objects[index], lenient, asJSON)
			if (err == nil) != (errAgain == nil) {
				return false
			}
			if again != text {
				if strings.Join(words(again), " ") != strings.Join(words(text), " ") {
					return false
				}
				line["unordered"] = true
			}
		}
		switch {
		case err != nil:
			line["error"] = short(err)
		case !utf8.ValidString(text):
			line["hex"] = hex.EncodeToString([]byte(text))
		default:
			if len(text) > 900 {
				return false
			}
			line["output"] = text
		}
		out.line(line)
		return err == nil
	}
	for _, template := range pathTemplates {
		for index := range objects {
			one(template, index, true, false)
		}
		if random.Intn(4) == 0 {
			index := random.Intn(len(objects))
			one(template, index, false, false)
			one(template, index, true, true)
		}
	}
	for kept, tried := 0, 0; kept < 500 && tried < 20000; tried++ {
		template, index := randomTemplate(random), random.Intn(len(objects))
		text, err := execute(template, objects[index], true, false)
		// Mostly those with something to compare.
		if (err != nil || strings.Trim(text, " -") == "") && random.Intn(12) != 0 {
			continue
		}
		one(template, index, random.Intn(5) != 0, random.Intn(12) == 0)
		kept++
	}
}
