package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A release is the source of one minor release: where each of its modules lies on this machine.
type release struct {
	name    string
	modules []module
	without []string // packages whose kinds are not wanted
}

// A module is a Go module unpacked in the module cache.
type module struct {
	path    string
	version string
	dir     string
}

// readReleases reads a list of releases: on each line a name, then its modules as path@version,
// and packages to leave out as -path. Text from '#' on is a comment. Every module is downloaded if the module cache lacks it.
func readReleases(file string) ([]release, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var releases []release
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		r := release{name: words[0]}
		for _, query := range words[1:] {
			if left, ok := strings.CutPrefix(query, "-"); ok {
				r.without = append(r.without, left)
				continue
			}
			m, err := download(query)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file, r.name, err)
			}
			r.modules = append(r.modules, m)
		}
		releases = append(releases, r)
	}
	return releases, lines.Err()
}

// download puts a module into Go's module cache; Go checks it against the checksum database.
func download(query string) (module, error) {
	path, version, ok := strings.Cut(query, "@")
	if !ok {
		return module{}, fmt.Errorf("%q is not path@version", query)
	}
	// Outside any module, so that no go.mod or go.sum is consulted or written.
	cmd := exec.Command("go", "mod", "download", "-json", query)
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOWORK=off", "GO111MODULE=on", "GOFLAGS=")
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr != nil {
		return module{}, fmt.Errorf("go mod download %s: %w", query, err)
	}
	if answer.Error != "" {
		return module{}, fmt.Errorf("go mod download: %s", answer.Error)
	}
	return module{path, version, answer.Dir}, nil
}

// dirOf gives the directory of an imported package, "" if no module of the release has it.
func (r release) dirOf(importPath string) string {
	for _, m := range r.modules {
		if importPath == m.path {
			return m.dir
		}
		if rest, ok := strings.CutPrefix(importPath, m.path+"/"); ok {
			return filepath.Join(m.dir, filepath.FromSlash(rest))
		}
	}
	return ""
}
