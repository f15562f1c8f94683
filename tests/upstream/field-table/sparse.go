package main

import (
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed sparse/main.go
var sparseMain string

// sparse builds and runs sparse/main.go against one release. Here upstream's code is compiled:
// it is Go that encodes the objects and prints them.
func sparse(args []string) error {
	flags := flag.NewFlagSet("sparse", flag.ExitOnError)
	name := flags.String("release", "", "release in the list, such as 1.21")
	openshift := flags.Bool("openshift", false, "a release of openshift.txt")
	last := flags.Bool("last", false, "only the kinds that no newer release has")
	each := flags.Int("each", 0, "objects of each kind, instead of a choice")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("usage: field-table sparse -release NAME [-openshift] [-last] [-each N] FILE")
	}
	out, err := filepath.Abs(flags.Arg(0))
	if err != nil {
		return err
	}
	releases, err := readReleases("kubernetes.txt")
	if err != nil {
		return err
	}
	roots := kubernetesModules
	if *openshift {
		beside := releases[0].modules
		if releases, err = readReleases("openshift.txt"); err != nil {
			return err
		}
		for i := range releases {
			releases[i].modules = append(releases[i].modules, beside...)
		}
		roots = openshiftModules
	}
	i := slices.IndexFunc(releases, func(r release) bool { return r.name == *name })
	if i < 0 {
		return fmt.Errorf("no release %q", *name)
	}
	t, err := readTable(releases[i], roots)
	if err != nil {
		return err
	}
	if *openshift {
		t.dropKindsOutside("github.com/openshift/")
	}
	if *last {
		for _, newer := range releases[:i] {
			u, err := readTable(newer, roots)
			if err != nil {
				return err
			}
			for key := range u.kinds {
				delete(t.kinds, key)
			}
		}
	}

	dir, err := os.MkdirTemp("", "sparse-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	goMod := "module sparse\n\ngo 1.24\n\n"
	for _, m := range releases[i].modules {
		goMod += fmt.Sprintf("require %s %s\n", m.path, m.version)
	}
	for name, text := range map[string]string{
		"go.mod":   goMod,
		"main.go":  strings.Replace(sparseMain, "//go:build sparse\n", "", 1),
		"kinds.go": kindsFile(t),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, words := range [][]string{
		{"go", "build", "-mod=mod", "-o", "sparse", "."},
		{"./sparse", fmt.Sprintf("-each=%d", *each), out},
	} {
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(words, " "), err)
		}
	}
	return nil
}

// kindsFile lists a release's kinds in Go.
func kindsFile(t table) string {
	imports := map[string]string{}
	var rows strings.Builder
	for _, key := range sortedKeys(t.kinds) {
		parts := strings.SplitN(key, "/", 3)
		dot := strings.LastIndexByte(t.kinds[key], '.')
		path, name := t.kinds[key][:dot], t.kinds[key][dot+1:]
		if imports[path] == "" {
			imports[path] = fmt.Sprintf("p%d", len(imports))
		}
		fmt.Fprintf(&rows, "\t{%q, %q, %q, func() object { return &%s.%s{} }},\n",
			parts[0], parts[1], parts[2], imports[path], name)
	}
	var b strings.Builder
	b.WriteString("package main\n\nimport (\n")
	for _, path := range sortedKeys(imports) {
		fmt.Fprintf(&b, "\t%s %q\n", imports[path], path)
	}
	fmt.Fprintf(&b, ")\n\nvar kinds = []registered{\n%s}\n", rows.String())
	return b.String()
}
