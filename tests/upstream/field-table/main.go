// Field-table makes src/kube/field_table/*.bin: how the fields of every Kubernetes and OpenShift
// type that is stored as protobuf are numbered, named and printed. See README.md.
package main

import (
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Modules whose kinds go into a table.
var (
	kubernetesModules = []string{
		"k8s.io/api", "k8s.io/apimachinery", "k8s.io/apiextensions-apiserver", "k8s.io/kube-aggregator",
	}
	openshiftModules = []string{"github.com/openshift/api"}
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("field-table: ")
	if len(os.Args) > 1 && os.Args[1] == "sparse" {
		if err := sparse(os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		return
	}
	out := flag.String("out", "../../../src/kube/field_table", "directory of the tables")
	jsonDir := flag.String("json", "", "directory for the tables as JSON too")
	reports := flag.String("reports", "", "directory for reports of what changed between releases")
	flag.Parse()
	if err := run(*out, *jsonDir, *reports); err != nil {
		log.Fatal(err)
	}
}

func run(out, jsonDir, reports string) error {
	kubernetes, err := readReleases("kubernetes.txt")
	if err != nil {
		return err
	}
	merged := newMerger()
	if err := mergeAll(merged, kubernetes, kubernetesModules); err != nil {
		return err
	}
	newest, err := strconv.ParseUint(strings.TrimPrefix(kubernetes[0].name, "1."), 10, 16)
	if err != nil {
		return fmt.Errorf("release %q: %w", kubernetes[0].name, err)
	}
	merged.settleLater()
	everything := maps.Clone(merged.types)
	merged.prune()
	if err := write("kubernetes", merged, uint16(newest), out, jsonDir, reports); err != nil {
		return err
	}

	openshift, err := readReleases("openshift.txt")
	if err != nil {
		return err
	}
	// OpenShift's types mention those of Kubernetes, of which all releases are known by now. Its own
	// go.mod files are not followed: the newest release that was read above gives their source.
	for i := range openshift {
		openshift[i].modules = append(openshift[i].modules, kubernetes[0].modules...)
	}
	own := newMerger()
	if err := mergeAll(own, openshift, openshiftModules); err != nil {
		return err
	}
	own.settleLater()
	for goType, fields := range everything {
		if _, ok := own.types[goType]; ok {
			own.types[goType] = fields
		}
	}
	// Merged Kubernetes types can mention more than the newest release's.
	for changed := true; changed; {
		changed = false
		for _, fields := range maps.Clone(own.types) {
			for _, f := range fields {
				if _, ok := own.types[f.Type]; !ok && f.Type != "" {
					own.types[f.Type] = everything[f.Type]
					changed = true
				}
			}
		}
	}
	// Core kinds that OpenShift registers beside its own are in the other table.
	own.dropKindsOutside("github.com/openshift/")
	own.prune()
	return write("openshift", own, uint16(newest), out, jsonDir, reports)
}

func mergeAll(m *merger, releases []release, roots []string) error {
	for _, r := range releases {
		t, err := readTable(r, roots)
		if err != nil {
			return err
		}
		log.Printf("%s: %d kinds, %d types, %d fields", r.name, len(t.kinds), len(t.types), t.countFields())
		m.leftOut = append(m.leftOut, t.leftOut...)
		m.add(r.name, t)
	}
	return nil
}

func write(name string, m *merger, newest uint16, out, jsonDir, reports string) error {
	data, err := m.binaryForm(newest)
	if err != nil {
		return err
	}
	log.Printf("%s.bin: %d kinds, %d types, %d fields, %d bytes",
		name, len(m.kinds), len(m.types), m.countFields(), len(data))
	if err := os.WriteFile(filepath.Join(out, name+".bin"), data, 0o644); err != nil {
		return err
	}
	if jsonDir != "" {
		text, err := m.jsonForm()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(jsonDir, name+".json"), text, 0o644); err != nil {
			return err
		}
	}
	if reports != "" {
		if err := os.WriteFile(filepath.Join(reports, name+".txt"), []byte(m.report()), 0o644); err != nil {
			return err
		}
	}
	if len(m.problems) > 0 {
		return fmt.Errorf("%s: releases contradict each other:\n%s", name, strings.Join(m.problems, "\n"))
	}
	return nil
}

// report tells what the releases did not agree on.
func (m *merger) report() string {
	var b strings.Builder
	fmt.Fprintln(&b, "# Fields that only older releases know (the newest that does)")
	slices.Sort(m.added)
	for _, line := range m.added {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintln(&b, "\n# Message types replaced by another in the same field (older release)")
	for _, pair := range slices.SortedFunc(maps.Keys(m.renamed), func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) }) {
		fmt.Fprintf(&b, "%s -> %s: %s\n", pair[0], pair[1], m.renamed[pair])
	}
	fmt.Fprintln(&b, "\n# Fields printed by another rule (up to release, since release)")
	for _, c := range m.changes {
		fmt.Fprintf(&b, "%s %d: %s (to %s), %s (from %s)\n", c.goType, c.is.Number, describe(c.was), c.older, describe(c.is), c.newer)
	}
	fmt.Fprintln(&b, "\n# Fields newer than their type that would show though absent (since release)")
	for _, line := range m.later {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintln(&b, "\n# Kinds that the newest release no longer has (the newest that does)")
	newest := ""
	for _, name := range m.latest {
		if newest == "" || laterRelease(name, newest) {
			newest = name
		}
	}
	for _, key := range sortedKeys(m.kinds) {
		if m.latest[key] != newest {
			fmt.Fprintf(&b, "%s: %s\n", key, m.latest[key])
		}
	}
	fmt.Fprintln(&b, "\n# Go fields left out: not in protobuf, or not in JSON")
	slices.Sort(m.leftOut)
	for _, line := range slices.Compact(m.leftOut) {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

// laterRelease orders "1.9" before "1.10".
func laterRelease(a, b string) bool {
	var aMajor, aMinor, bMajor, bMinor int
	fmt.Sscanf(a, "%d.%d", &aMajor, &aMinor)
	fmt.Sscanf(b, "%d.%d", &bMajor, &bMinor)
	return aMajor > bMajor || aMajor == bMajor && aMinor > bMinor
}
