// Writes down what the API server's own code makes of encryption
// configurations and of stored values: which configurations it takes, and for
// every configuration and every value what TransformFromStorage answers.
//
//	go run . > verdicts.json
//
// Nonces are random, so every run gives other values; the verdicts stay.
package main

import (
	"bytes"
	"context"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
	aestransformer "k8s.io/apiserver/pkg/storage/value/encrypt/aes"
	"k8s.io/apiserver/pkg/storage/value/encrypt/envelope"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/klog/v2"
	kmsservice "k8s.io/kms/pkg/service"
)

// plugin stands for a KMS plugin: it "encrypts" by turning every bit.
type plugin struct{ keyID string }

func turned(data []byte) []byte {
	out := bytes.Clone(data)
	for i := range out {
		out[i] ^= 0xff
	}
	return out
}

func (p plugin) Status(context.Context) (*kmsservice.StatusResponse, error) {
	return &kmsservice.StatusResponse{Version: "v2", Healthz: "ok", KeyID: p.keyID}, nil
}

func (p plugin) Encrypt(_ context.Context, _ string, data []byte) (*kmsservice.EncryptResponse, error) {
	return &kmsservice.EncryptResponse{
		Ciphertext:  turned(data),
		KeyID:       p.keyID,
		Annotations: map[string][]byte{"local-kek.kms.example.com": []byte("kek")},
	}, nil
}

func (p plugin) Decrypt(_ context.Context, _ string, r *kmsservice.DecryptRequest) ([]byte, error) {
	return turned(r.Ciphertext), nil
}

// oldPlugin is the same for KMS v1.
type oldPlugin struct{}

func (oldPlugin) Encrypt(data []byte) ([]byte, error) { return turned(data), nil }
func (oldPlugin) Decrypt(data []byte) ([]byte, error) { return turned(data), nil }

type config struct {
	Name  string `json:"name"`
	Text  string `json:"text"`
	Error string `json:"error,omitempty"`
}

type stored struct {
	Name     string `json:"name"`
	Group    string `json:"group"`
	Resource string `json:"resource"`
	Key      string `json:"key"`
	Stored   []byte `json:"stored"`
	// What was encrypted. For every value, changed or not.
	Plain []byte `json:"plain"`
}

type document struct {
	Configs []config `json:"configs"`
	Values  []stored `json:"values"`
	// What TransformFromStorage may answer: "fresh" or "stale", with ", other" if
	// something else came out than went in, or an error, or a panic.
	Answers []string `json:"answers"`
	// For each configuration that was taken, the number of the answer for each
	// value.
	Verdicts map[string]string `json:"verdicts"`
}

func main() {
	klog.InitFlags(nil)
	must(flag.Set("logtostderr", "false"))
	must(flag.Set("alsologtostderr", "false"))
	must(flag.Set("stderrthreshold", "FATAL"))
	klog.SetOutput(discard{})
	must(utilfeature.DefaultMutableFeatureGate.Set("KMSv1=true"))
	encryptionconfig.EnvelopeKMSv2ServiceFactory = func(_ context.Context, _, name string, _ time.Duration) (kmsservice.Service, error) {
		return plugin{keyID: "key-of-" + name}, nil
	}

	var doc document
	doc.Verdicts = map[string]string{}
	numbers := map[string]int{}
	servers := map[string]encryptionconfig.StaticTransformers{}
	for _, c := range configs() {
		transformers, err := load(c.Text)
		if err != nil {
			c.Error = err.Error()
		} else {
			servers[c.Name] = transformers
		}
		doc.Configs = append(doc.Configs, c)
	}
	doc.Values = values(servers)
	for _, c := range doc.Configs {
		server, taken := servers[c.Name]
		if !taken {
			continue
		}
		var row []string
		for _, v := range doc.Values {
			answer := verdict(server, v)
			number, known := numbers[answer]
			if !known {
				number = len(doc.Answers)
				numbers[answer] = number
				doc.Answers = append(doc.Answers, answer)
			}
			row = append(row, fmt.Sprint(number))
		}
		doc.Verdicts[c.Name] = strings.Join(row, " ")
	}
	write(doc)
}

// write prints the document with one element to a line.
func write(doc document) {
	line := func(value any) string {
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		must(encoder.Encode(value))
		return strings.TrimSpace(out.String())
	}
	var parts []string
	section := func(name, open, end string, lines []string) {
		parts = append(parts, fmt.Sprintf("%q: %s\n%s\n%s", name, open, strings.Join(lines, ",\n"), end))
	}
	var configs, values, answers, verdicts []string
	for _, c := range doc.Configs {
		configs = append(configs, line(c))
		if row, taken := doc.Verdicts[c.Name]; taken {
			verdicts = append(verdicts, line(c.Name)+": "+line(row))
		}
	}
	for _, v := range doc.Values {
		values = append(values, line(v))
	}
	for _, a := range doc.Answers {
		answers = append(answers, line(a))
	}
	section("configs", "[", "]", configs)
	section("values", "[", "]", values)
	section("answers", "[", "]", answers)
	section("verdicts", "{", "}", verdicts)
	fmt.Printf("{\n%s\n}\n", strings.Join(parts, ",\n"))
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func load(text string) (encryptionconfig.StaticTransformers, error) {
	directory, err := os.MkdirTemp("", "")
	must(err)
	defer os.RemoveAll(directory)
	path := filepath.Join(directory, "config")
	must(os.WriteFile(path, []byte(text), 0o600))
	loaded, err := encryptionconfig.LoadEncryptionConfig(context.Background(), path, false, "id")
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), path, "FILE"))
	}
	return loaded.Transformers, nil
}

func verdict(server encryptionconfig.StaticTransformers, v stored) (answer string) {
	defer func() {
		if problem := recover(); problem != nil {
			answer = fmt.Sprint("panic: ", problem)
		}
	}()
	resource := schema.GroupResource{Group: v.Group, Resource: v.Resource}
	plain, stale, err := server.TransformerForResource(resource).
		TransformFromStorage(context.Background(), v.Stored, value.DefaultContext(v.Key))
	if err != nil {
		// What gRPC says of a socket that is not there changes with every release.
		text, _, _ := strings.Cut(err.Error(), ": rpc error")
		return "error: " + text
	}
	answer = "fresh"
	if stale {
		answer = "stale"
	}
	if !bytes.Equal(plain, v.Plain) {
		answer += ", other"
	}
	return answer
}

// values are written by the servers of some configurations, then changed.
func values(servers map[string]encryptionconfig.StaticTransformers) []stored {
	protobuf := []byte("k8s\x00\n\x0c\n\x02v1\x12\x06Secret\x12\x09\n\x07\n\x01a\x12\x00\x1a\x00\x1a\x00\"\x00")
	custom := []byte(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w1"}}` + "\n")
	cbor := []byte("\xd9\xd9\xf7\xa1\x44kind\x46Widget")
	var all []stored
	add := func(name, group, resource, key string, plain, data []byte) []byte {
		all = append(all, stored{name, group, resource, key, data, plain})
		return data
	}
	write := func(server, group, resource, key string, plain []byte) []byte {
		transformers, there := servers[server]
		if !there {
			panic("no configuration " + server)
		}
		data, err := transformers.TransformerForResource(schema.GroupResource{Group: group, Resource: resource}).
			TransformToStorage(context.Background(), plain, value.DefaultContext(key))
		must(err)
		return add("by "+server, group, resource, key, plain, data)
	}
	const secret = "/registry/secrets/default/a"
	const widget = "/registry/example.com/widgets/default/w1"

	add("plain protobuf", "", "secrets", secret, protobuf, protobuf)
	add("plain JSON", "example.com", "widgets", widget, custom, custom)
	add("nothing", "", "secrets", secret, []byte{}, []byte{})
	for _, server := range []string{
		"cbc", "cbc-rotated", "cbc-16", "gcm-16", "gcm-24", "gcm-32", "box", "box-2",
		"names-with-colons", "name-with-colon-first", "kms-v2",
	} {
		data := write(server, "", "secrets", secret, protobuf)
		header := bytes.LastIndexByte(data[:min(len(data), 30)], ':') + 1
		switch server {
		case "cbc", "gcm-32", "box":
		default:
			continue
		}
		change := func(name string, at int) {
			changed := bytes.Clone(data)
			changed[at] ^= 1
			add(server+", "+name, "", "secrets", secret, protobuf, changed)
		}
		change("nonce changed", header)
		change("first byte changed", header+24)
		change("last byte changed", len(data)-1)
		for _, length := range []int{0, 1, 11, 12, 15, 16, 17, 24, 28, 32, 39, 40, 48} {
			add(fmt.Sprint(server, ", cut to ", length), "", "secrets", secret, protobuf, data[:header+length])
		}
		add(server+", moved", "", "secrets", "/registry/secrets/default/b", protobuf, data)
		add(server+", of another resource", "", "configmaps", "/registry/configmaps/default/a", protobuf, data)
		add(server+", of a group", "apps", "deployments", "/registry/deployments/default/a", protobuf, data)
		write(server, "", "secrets", secret, custom)
		write(server, "", "secrets", secret, cbor)
		write(server, "", "secrets", secret, []byte{})
		write(server, "", "secrets", secret, []byte("16 bytes of text"))
	}
	write("wild", "", "secrets", secret, protobuf)
	write("wild", "", "configmaps", "/registry/configmaps/default/a", protobuf)
	write("wild", "", "pods", "/registry/pods/default/a", protobuf)
	write("wild", "apps", "deployments", "/registry/deployments/default/a", protobuf)
	write("wild", "example.com", "widgets", widget, custom)
	write("wild-core", "", "pods", "/registry/pods/default/a", protobuf)
	write("wild-core", "apps", "deployments", "/registry/deployments/default/a", protobuf)

	old := envelope.NewEnvelopeTransformer(oldPlugin{}, 0, func(block cipher.Block) (value.Transformer, error) {
		return aestransformer.NewGCMTransformer(block)
	})
	data, err := old.TransformToStorage(context.Background(), protobuf, value.DefaultContext(secret))
	must(err)
	add("by kms v1", "", "secrets", secret, protobuf, append([]byte("k8s:enc:kms:v1:old-plugin:"), data...))

	for _, text := range []string{
		"k8s:enc:", "k8s:enc:aescbc", "k8s:enc:aescbc:v1:", "k8s:enc:aescbc:v1:k1", "k8s:enc:aescbc:v1:k1:",
		"k8s:enc:aescbc:v1::x", "k8s:enc:aescbc:v2:k1:0123456789abcdef0123456789abcdef", "k8s:enc:rot13:v1:k:uryyb",
		"k8s:enc:kms:v1:old-plugin:", "k8s:enc:kms:v2:plugin:\xff\xff", "k8s:enc:kms:v3:plugin:x", "k8s:enc", "k8s:en",
	} {
		add("text "+text, "", "secrets", secret, []byte(text), []byte(text))
	}
	return all
}

func secretOf(text string, length int) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(text, length)[:length]))
}

var (
	a16 = secretOf("sixteen bytes a.", 16)
	a24 = secretOf("twenty-four bytes, a key", 24)
	a32 = secretOf("thirty-two bytes of a first key.", 32)
	b32 = secretOf("thirty-two bytes, another key!!!", 32)
	c32 = secretOf("and thirty-two of the third key:", 32)
)

const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"

// provider is one line of a list of providers. Keys are NAME=SECRET.
func provider(kind string, keys ...string) string {
	if kind == "identity" {
		return "  - identity: {}\n"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "  - %s:\n      keys:\n", kind)
	for _, key := range keys {
		name, secret, _ := strings.Cut(key, "=")
		fmt.Fprintf(&text, "      - name: %q\n        secret: %s\n", name, secret)
	}
	return text.String()
}

func entry(resources string, providers ...string) string {
	return "- resources: [" + resources + "]\n  providers:\n" + strings.Join(providers, "")
}

func with(entries ...string) string {
	return head + "resources:\n" + strings.Join(entries, "")
}
