package main

import (
	"fmt"
	"slices"
	"strings"
)

// A table is what one release, or several merged, say of the types stored as protobuf.
type table struct {
	kinds map[string]string // "group/version/Kind": Go type
	types map[string][]field
	// Fields that Go's types have and protobuf or JSON has not.
	leftOut []string
}

// readTable reads the source of one release. `roots` are the modules whose kinds are wanted;
// the others only hold types that those mention.
func readTable(r release, roots []string) (table, error) {
	u := &universe{release: r, packages: map[string]*goPackage{}}
	t := table{kinds: map[string]string{}, types: map[string][]field{}}
	for _, m := range r.modules {
		paths := []string{}
		if m.path == "k8s.io/apimachinery" {
			// Its other protobuf packages are test data and parts of other types.
			paths = append(paths, metaV1)
		} else {
			var err error
			if paths, err = protobufPackages(m); err != nil {
				return t, err
			}
		}
		if !slices.Contains(roots, m.path) {
			continue
		}
		for _, path := range paths {
			if slices.Contains(r.without, path) {
				continue
			}
			p, err := u.load(path)
			if err != nil {
				return t, err
			}
			found, err := u.kindsOf(p)
			if err != nil {
				return t, err
			}
			for key, goType := range found {
				if old, ok := t.kinds[key]; ok && old != goType {
					return t, fmt.Errorf("%s: kind %s is %s and %s", r.name, key, old, goType)
				}
				t.kinds[key] = goType
			}
		}
	}
	for _, goType := range t.kinds {
		if err := t.addType(u, goType); err != nil {
			return t, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	slices.Sort(t.leftOut)
	return t, nil
}

// addType reads a type and all that it mentions.
func (t *table) addType(u *universe, goType string) error {
	if _, ok := t.types[goType]; ok {
		return nil
	}
	fields, leftOut, err := u.fieldsOf(goType)
	if err != nil {
		return err
	}
	slices.SortFunc(fields, func(a, b field) int { return a.Number - b.Number })
	for i := range fields {
		if i > 0 && fields[i].Number == fields[i-1].Number {
			return fmt.Errorf("%s has field %d twice", goType, fields[i].Number)
		}
	}
	t.types[goType] = fields
	t.leftOut = append(t.leftOut, leftOut...)
	for _, f := range fields {
		if f.Type != "" {
			if err := t.addType(u, f.Type); err != nil {
				return err
			}
		}
	}
	return nil
}

// A change of the rule for printing a field between two releases.
type change struct {
	goType, older, newer string
	was, is              field
}

// A merger puts an older release under what newer ones said.
type merger struct {
	table
	latest   map[string]string // the newest release that has a kind
	last     map[string]map[int]seen
	oldest   map[string]string // the oldest release that has a type
	changes  []change
	added    []string // "type.field: release" of fields that only older releases know
	later    []string // "type.field: release" of fields that settleLater marked
	renamed  map[[2]string]string
	problems []string
}

// What the release read last said of a field, which is the next newer one.
type seen struct {
	release string
	field   field
}

func newMerger() *merger {
	return &merger{
		table:   table{kinds: map[string]string{}, types: map[string][]field{}},
		latest:  map[string]string{},
		last:    map[string]map[int]seen{},
		oldest:  map[string]string{},
		renamed: map[[2]string]string{},
	}
}

// add merges a release. Call it from the newest to the oldest.
func (m *merger) add(name string, t table) {
	for key, goType := range t.kinds {
		if _, ok := m.kinds[key]; !ok {
			m.kinds[key] = goType
			m.latest[key] = name
		}
	}
	for _, goType := range sortedKeys(t.types) {
		m.oldest[goType] = name
		m.compare(name, goType, t.types[goType])
		known, ok := m.types[goType]
		if !ok {
			m.types[goType] = slices.Clone(t.types[goType])
			continue
		}
		m.addFields(name, goType, known, t.types[goType])
		// A field whose message type was replaced by another keeps what the older type could hold.
		for _, f := range t.types[goType] {
			i := slices.IndexFunc(known, func(k field) bool { return k.Number == f.Number })
			if i >= 0 && f.Type != "" && known[i].Type != f.Type && known[i].Kind == f.Kind {
				newer := known[i].Type
				m.renamed[[2]string{f.Type, newer}] = name
				m.addFields(name+" as "+f.Type, newer, m.types[newer], t.types[f.Type])
			}
		}
	}
}

func (m *merger) addFields(name, goType string, known, fields []field) {
	for _, f := range fields {
		i := slices.IndexFunc(known, func(k field) bool { return k.Number == f.Number })
		if i >= 0 {
			k := known[i]
			if k.JSON != f.JSON || k.Kind != f.Kind || (k.Shape == repeated) != (f.Shape == repeated) ||
				(k.Shape == mapping) != (f.Shape == mapping) || k.Inline != f.Inline {
				m.problems = append(m.problems,
					fmt.Sprintf("%s field %d: %s in %s, else %s", goType, f.Number, describe(f), name, describe(k)))
			}
			continue
		}
		if j := slices.IndexFunc(known, func(k field) bool { return k.JSON == f.JSON }); j >= 0 && f.JSON != "" {
			m.problems = append(m.problems,
				fmt.Sprintf("%s.%s: number %d in %s, else %d", goType, f.JSON, f.Number, name, known[j].Number))
		}
		f.IfPresent = true
		known = append(known, f)
		m.added = append(m.added, fmt.Sprintf("%s.%s (%d): %s", goType, f.JSON, f.Number, name))
	}
	slices.SortFunc(known, func(a, b field) int { return a.Number - b.Number })
	m.types[goType] = known
}

// compare notes fields printed by another rule than in the next newer release that has them.
func (m *merger) compare(name, goType string, fields []field) {
	if m.last[goType] == nil {
		m.last[goType] = map[int]seen{}
	}
	for _, f := range fields {
		if newer, ok := m.last[goType][f.Number]; ok {
			was, is := f, newer.field
			was.Type, is.Type = "", ""
			if was != is {
				m.changes = append(m.changes, change{goType, name, newer.release, f, newer.field})
			}
		}
		m.last[goType][f.Number] = seen{name, f}
	}
}

func (t *table) countFields() (n int) {
	for _, fields := range t.types {
		n += len(fields)
	}
	return n
}

// dropKindsOutside keeps the kinds whose Go types are of packages with the prefix.
func (t *table) dropKindsOutside(prefix string) {
	for key, goType := range t.kinds {
		if !strings.HasPrefix(goType, prefix) {
			delete(t.kinds, key)
		}
	}
}

// settleLater marks the fields that were added to a type that was there before, and that show in
// JSON though they are not on the wire. A server that knows such a field writes it every time if
// it is held by value; so where it is absent, the writer did not know it and did not show it.
func (m *merger) settleLater() {
	for goType, fields := range m.types {
		for i, f := range fields {
			first, ok := m.last[goType][f.Number]
			if ok && first.release != m.oldest[goType] && f.alwaysPrinted() && f.byValue() {
				fields[i].IfPresent = true
				m.later = append(m.later, fmt.Sprintf("%s.%s (%d): %s", goType, f.JSON, f.Number, first.release))
			}
		}
	}
	slices.Sort(m.later)
}

// prune drops the types that no kind leads to.
func (t *table) prune() {
	reached := map[string]bool{}
	var visit func(string)
	visit = func(goType string) {
		if reached[goType] {
			return
		}
		reached[goType] = true
		for _, f := range t.types[goType] {
			if f.Type != "" {
				visit(f.Type)
			}
		}
	}
	for _, goType := range t.kinds {
		visit(goType)
	}
	for goType := range t.types {
		if !reached[goType] {
			delete(t.types, goType)
		}
	}
}

// alwaysPrinted tells if a field shows in JSON though it is not on the wire: a message held by
// value does, as an empty one.
func (f field) alwaysPrinted() bool {
	switch {
	case f.IfPresent || f.OmitZero || f.Inline:
		return false
	case f.isMessage() && f.Shape == single:
		return true
	}
	return !f.OmitEmpty
}

// byValue tells if Go's code writes a field every time.
func (f field) byValue() bool {
	scalar := f.Kind == "str" || f.Kind == "bool" || f.Kind == "int" || f.Kind == "float"
	return f.Shape == single && (scalar || f.isMessage())
}

// isMessage tells if Go holds a single value in a struct.
func (f field) isMessage() bool {
	switch f.Kind {
	case "str", "bool", "int", "float", "bytes", strlist, strmap, msglist:
		return false
	}
	return true
}

func describe(f field) string {
	words := []string{f.JSON, string(f.Kind)}
	if f.Shape != single {
		words = append(words, string(f.Shape))
	}
	if f.OmitEmpty {
		words = append(words, "omitempty")
	}
	if f.OmitZero {
		words = append(words, "omitzero")
	}
	if f.Inline {
		words = append(words, "inline")
	}
	return strings.Join(words, " ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
