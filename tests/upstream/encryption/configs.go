package main

import "strings"

// configs are all configurations, those that a server refuses among them.
func configs() []config {
	identity := provider("identity")
	cbc := func(keys ...string) string { return provider("aescbc", keys...) }
	gcm := func(keys ...string) string { return provider("aesgcm", keys...) }
	box := func(keys ...string) string { return provider("secretbox", keys...) }
	k1, k2 := "k1="+a32, "k2="+b32
	g16, g24, g32 := "g16="+a16, "g24="+a24, "g32="+c32
	s1, s2 := "s1="+a32, "s2="+b32
	secrets := func(providers ...string) string { return with(entry("secrets", providers...)) }
	kms := func(version, name string) string {
		return "  - kms:\n      apiVersion: " + version + "\n      name: " + name +
			"\n      endpoint: unix:///nowhere.sock\n      timeout: 20ms\n"
	}
	one := secrets(cbc(k1), identity)
	replaced := func(old, new string) string {
		if !strings.Contains(one, old) {
			panic("nothing to replace: " + old)
		}
		return strings.Replace(one, old, new, 1)
	}
	json := `{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":` +
		`[{"resources":["secrets"],"providers":[{"aescbc":{"keys":[{"name":"k1","secret":"` + a32 + `"}]}},{"identity":{}}]}]}`

	return []config{
		{Name: "cbc", Text: secrets(cbc(k1, k2), identity)},
		{Name: "cbc-rotated", Text: secrets(cbc(k2, k1), identity)},
		{Name: "cbc-only-second", Text: secrets(cbc(k2), identity)},
		{Name: "cbc-wrong-secret", Text: secrets(cbc("k1=" + b32))},
		{Name: "cbc-two-providers", Text: secrets(cbc(k2), cbc(k1))},
		{Name: "cbc-same-name-twice", Text: secrets(cbc("k1="+c32), cbc(k1), identity)},
		{Name: "cbc-same-name-in-one", Text: secrets(cbc("k1="+c32, k1), identity)},
		{Name: "cbc-16", Text: secrets(cbc("k16="+a16), identity)},
		{Name: "identity-first", Text: secrets(identity, cbc(k1), gcm(g32), box(s1))},
		{Name: "identity-alone", Text: secrets(identity)},
		{Name: "no-identity", Text: secrets(cbc(k1), gcm(g32), box(s1))},
		{Name: "gcm-16", Text: secrets(gcm(g16, g24, g32), identity)},
		{Name: "gcm-24", Text: secrets(gcm(g24, g16, g32), identity)},
		{Name: "gcm-32", Text: secrets(gcm(g32, g24, g16), identity)},
		{Name: "gcm-wrong-secret", Text: secrets(gcm("g32="+b32), identity)},
		{Name: "gcm-other-name", Text: secrets(gcm("renamed="+c32), identity)},
		{Name: "box", Text: secrets(box(s1, s2), identity)},
		{Name: "box-2", Text: secrets(box(s2, s1), identity)},
		{Name: "box-wrong-secret", Text: secrets(box("s1="+c32, "s2="+c32), identity)},
		{Name: "names-with-colons", Text: secrets(cbc("a="+a32, "a:b="+b32), identity)},
		{Name: "name-with-colon-first", Text: secrets(cbc("a:b="+b32, "a="+a32), identity)},
		{Name: "wild", Text: with(
			entry("secrets", cbc(k1)), entry("configmaps", identity), entry("'*.apps'", box(s1)), entry("'*.*'", gcm(g32)))},
		{Name: "wild-core", Text: with(entry("'*.'", box(s2)))},
		{Name: "wild-all", Text: with(entry("'*.*'", gcm(g32), cbc(k1), box(s1, s2), identity))},
		{Name: "two-entries", Text: with(entry("secrets", cbc(k2)), entry("secrets, configmaps", cbc(k1), identity))},
		{Name: "kms-v2", Text: secrets(kms("v2", "plugin"), cbc(k1), identity)},
		{Name: "kms-v2-other", Text: secrets(kms("v2", "another"), identity)},
		{Name: "kms-v1", Text: secrets(kms("v1", "old-plugin"), identity)},
		{Name: "kms-both", Text: secrets(kms("v1", "old:plugin"), kms("v2", "plugin"))},
		{Name: "kms-default-version", Text: secrets("  - kms: {name: old-plugin, endpoint: 'unix:///x', timeout: 20ms}\n")},

		{Name: "JSON", Text: json},
		{Name: "JSON, escaped", Text: strings.ReplaceAll(json, "=", `\u003d`)},
		{Name: "old kind", Text: replaced(head, "kind: EncryptionConfig\napiVersion: v1\n")},
		{Name: "comments, marks", Text: "# a comment\n---\n" + one + "# behind\n"},
		{Name: "a second document", Text: one + "---\nsomething: else\n"},
		{Name: "secret in several lines", Text: replaced(a32, "|\n          "+a32[:20]+"\n          "+a32[20:])},
		{Name: "secret with loose bits", Text: replaced(a32, a32[:len(a32)-2]+"5=")},
		{Name: "resources twice", Text: with(entry("secrets", cbc(k1)), entry("secrets", identity))},
		{Name: "an alias", Text: with("- resources: [secrets]\n  providers: &p\n"+cbc(k1)+identity, "- resources: [configmaps]\n  providers: *p\n")},

		{Name: "bad: empty", Text: ""},
		{Name: "bad: comment", Text: "# nothing\n"},
		{Name: "bad: no mapping", Text: "secrets"},
		{Name: "bad: syntax", Text: one + "  x: [\n"},
		{Name: "bad: binary", Text: "\x00\x01\x02"},
		{Name: "bad: no kind", Text: replaced("kind: EncryptionConfiguration\n", "")},
		{Name: "bad: other kind", Text: replaced("EncryptionConfiguration", "Secret")},
		{Name: "bad: other version", Text: replaced("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v2")},
		{Name: "bad: old group, new kind", Text: replaced("apiserver.config.k8s.io/v1", "v1")},
		{Name: "bad: no resources", Text: head},
		{Name: "bad: resources empty", Text: head + "resources: []\n"},
		{Name: "bad: resources a mapping", Text: head + "resources: {}\n"},
		{Name: "bad: no resource", Text: with(entry("", identity))},
		{Name: "bad: no providers", Text: with("- resources: [secrets]\n")},
		{Name: "bad: unknown field", Text: replaced("keys:", "key:")},
		{Name: "bad: unknown provider", Text: replaced("aescbc", "aesctr")},
		{Name: "bad: provider of nothing", Text: secrets("  - {}\n")},
		{Name: "bad: identity null", Text: secrets("  - identity:\n")},
		{Name: "bad: identity with keys", Text: secrets("  - identity: {keys: []}\n")},
		{Name: "bad: two providers in one", Text: replaced("  - identity: {}\n", "    identity: {}\n")},
		{Name: "bad: no keys", Text: secrets("  - aescbc: {keys: []}\n")},
		{Name: "bad: key without name", Text: secrets(cbc("=" + a32))},
		{Name: "bad: key without secret", Text: secrets(cbc("k1="))},
		{Name: "bad: key as text", Text: secrets("  - aescbc: {keys: [" + a32 + "]}\n")},
		{Name: "bad: keys as text", Text: secrets("  - aescbc: {keys: " + a32 + "}\n")},
		{Name: "bad: secret as a list", Text: replaced("secret: "+a32, "secret: ["+a32+"]")},
		{Name: "bad: secret as a field", Text: replaced("secret: "+a32, a32+": x")},
		{Name: "bad: field twice", Text: replaced("secret: "+a32, "secret: "+a32+"\n        secret: "+a32)},
		{Name: "bad: not base64", Text: replaced(a32, a32[:8]+"!"+a32[9:])},
		{Name: "bad: base64 without end", Text: replaced(a32, strings.TrimRight(a32, "="))},
		{Name: "bad: length for AES", Text: secrets(cbc("k1=" + secretOf("x", 31)))},
		{Name: "bad: length for GCM", Text: secrets(gcm("k1=" + secretOf("x", 33)))},
		{Name: "bad: length for secretbox", Text: secrets(box("k1=" + a24))},
		{Name: "bad: masked by a group", Text: with(entry("'*.apps'", identity), entry("deployments.apps", identity))},
		{Name: "bad: masked by all", Text: with(entry("'*.*'", identity), entry("secrets", identity))},
		{Name: "bad: core group twice", Text: with(entry("'*.'", identity), entry("'*.'", identity))},
		{Name: "bad: overlap", Text: with(entry("secrets, '*.'", identity))},
		{Name: "bad: overlap with all", Text: with(entry("'*.*', secrets", identity))},
		{Name: "bad: kms without name", Text: secrets("  - kms: {apiVersion: v2, endpoint: 'unix:///x'}\n")},
		{Name: "bad: kms v2 with a colon", Text: secrets(kms("v2", "a:b"))},
		{Name: "bad: kms v2 twice", Text: secrets(kms("v2", "a"), kms("v2", "a"))},
		{Name: "bad: kms v3", Text: secrets(kms("v3", "a"))},

		// What servers refuse today and took once: rules without effect.
		{Name: "odd: the same twice", Text: with(entry("secrets, secrets", cbc(k1), identity))},
		{Name: "odd: capitals", Text: with(entry("Secrets", cbc(k1), identity))},
		{Name: "odd: a star", Text: with(entry("'*'", cbc(k1), identity))},
		{Name: "odd: events.k8s.io", Text: with(entry("events.events.k8s.io", cbc(k1), identity))},
		{Name: "odd: extensions", Text: with(entry("ingresses.extensions", cbc(k1), identity))},
		{Name: "odd: across groups", Text: with(entry("'events.*'", cbc(k1), identity))},
		{Name: "odd: no API", Text: with(entry("serviceipallocations", cbc(k1), identity))},
		{Name: "odd: kms without endpoint", Text: secrets("  - kms: {apiVersion: v2, name: plugin}\n")},
	}
}
