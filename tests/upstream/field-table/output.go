package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
)

// Bits of a field's flags.
const (
	flagPointer = 1 << iota
	flagRepeated
	flagMap
	flagOmitEmpty
	flagOmitZero
	flagInline
	flagIfPresent
)

// binaryForm lays the table out as docs/format/field-table.md says.
func (t *table) binaryForm(newestMinor uint16) ([]byte, error) {
	names := sortedKeys(t.types)
	index := map[string]uint16{}
	for i, name := range names {
		index[name] = uint16(i)
	}
	if len(names) >= 0xffff {
		return nil, fmt.Errorf("%d types are too many", len(names))
	}
	var text textPool
	for _, key := range sortedKeys(t.kinds) {
		text.want(key)
	}
	for _, name := range names {
		text.want(name)
		for _, f := range t.types[name] {
			text.want(f.JSON)
		}
	}
	text.build()

	var kindRows, typeRows, fieldRows []byte
	le := binary.LittleEndian
	for _, key := range sortedKeys(t.kinds) {
		kindRows = le.AppendUint32(kindRows, text.offset(key))
		kindRows = le.AppendUint16(kindRows, uint16(len(key)))
		kindRows = le.AppendUint16(kindRows, index[t.kinds[key]])
	}
	total := 0
	for _, name := range names {
		fields := t.types[name]
		typeRows = le.AppendUint32(typeRows, uint32(total))
		typeRows = le.AppendUint32(typeRows, text.offset(name))
		typeRows = le.AppendUint16(typeRows, uint16(len(name)))
		typeRows = le.AppendUint16(typeRows, uint16(len(fields)))
		total += len(fields)
		for _, f := range fields {
			messageType := uint16(0xffff)
			if f.Type != "" {
				messageType = index[f.Type]
			}
			fieldRows = le.AppendUint32(fieldRows, text.offset(f.JSON))
			fieldRows = le.AppendUint16(fieldRows, uint16(len(f.JSON)))
			fieldRows = le.AppendUint16(fieldRows, messageType)
			fieldRows = le.AppendUint16(fieldRows, uint16(f.Number))
			fieldRows = append(fieldRows, byte(slices.Index(kinds, f.Kind)), f.flags())
		}
	}

	out := []byte("ESFT")
	out = le.AppendUint16(out, 1)
	out = le.AppendUint16(out, newestMinor)
	for _, n := range []int{len(t.kinds), len(names), total, len(text.bytes)} {
		out = le.AppendUint32(out, uint32(n))
	}
	return slices.Concat(out, kindRows, typeRows, fieldRows, text.bytes), nil
}

func (f field) flags() (flags byte) {
	switch f.Shape {
	case pointer:
		flags |= flagPointer
	case repeated:
		flags |= flagRepeated
	case mapping:
		flags |= flagMap
	}
	for _, bit := range []struct {
		set  bool
		flag byte
	}{
		{f.OmitEmpty, flagOmitEmpty},
		{f.OmitZero, flagOmitZero},
		{f.Inline, flagInline},
		{f.IfPresent, flagIfPresent},
	} {
		if bit.set {
			flags |= bit.flag
		}
	}
	return flags
}

// A textPool stores texts once; a text that is part of a longer one shares its bytes.
type textPool struct {
	wanted  map[string]bool
	offsets map[string]uint32
	bytes   []byte
}

func (p *textPool) want(text string) {
	if p.wanted == nil {
		p.wanted = map[string]bool{}
	}
	p.wanted[text] = true
}

func (p *textPool) build() {
	texts := sortedKeys(p.wanted)
	// Long ones first, so that the short ones find themselves within them.
	slices.SortStableFunc(texts, func(a, b string) int { return len(b) - len(a) })
	p.offsets = map[string]uint32{}
	for _, text := range texts {
		at := bytes.Index(p.bytes, []byte(text))
		if at < 0 {
			at = len(p.bytes)
			p.bytes = append(p.bytes, text...)
		}
		p.offsets[text] = uint32(at)
	}
}

func (p *textPool) offset(text string) uint32 {
	return p.offsets[text]
}

// jsonForm is the table for reading by eye and for comparing.
func (t *table) jsonForm() ([]byte, error) {
	names := sortedKeys(t.types)
	index := map[string]int{}
	for i, name := range names {
		index[name] = i
	}
	type jsonField struct {
		Number    int    `json:"n"`
		JSON      string `json:"j"`
		Kind      kind   `json:"k"`
		Type      *int   `json:"t,omitempty"`
		Shape     shape  `json:"p,omitempty"`
		OmitEmpty bool   `json:"oe,omitempty"`
		OmitZero  bool   `json:"oz,omitempty"`
		Inline    bool   `json:"inl,omitempty"`
		IfPresent bool   `json:"present,omitempty"`
	}
	type jsonType struct {
		Name   string      `json:"name"`
		Fields []jsonField `json:"f"`
	}
	var out struct {
		Kinds map[string]int `json:"kinds"`
		Types []jsonType     `json:"types"`
	}
	out.Kinds = map[string]int{}
	for key, goType := range t.kinds {
		out.Kinds[key] = index[goType]
	}
	for _, name := range names {
		row := jsonType{Name: name, Fields: []jsonField{}}
		for _, f := range t.types[name] {
			j := jsonField{f.Number, f.JSON, f.Kind, nil, f.Shape, f.OmitEmpty, f.OmitZero, f.Inline, f.IfPresent}
			if f.Type != "" {
				i := index[f.Type]
				j.Type = &i
			}
			row.Fields = append(row.Fields, j)
		}
		out.Types = append(out.Types, row)
	}
	return json.MarshalIndent(out, "", " ")
}
