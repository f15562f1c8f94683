package main

import (
	"math"
	"math/rand/v2"
	"strings"
)

// random makes objects of awkward texts, keys and numbers.
type random struct {
	*rand.Rand
	made int
}

func newRandom(seed uint64) *random {
	return &random{Rand: rand.New(rand.NewPCG(seed, 0))}
}

func (r *random) object() any {
	r.made++
	return r.value(r.IntN(6) + 1)
}

func (r *random) value(depth int) any {
	kind := r.IntN(10)
	if depth == 0 {
		kind %= 6
	}
	switch kind {
	case 0:
		return r.number()
	case 1, 2, 3, 4, 5:
		return r.text()
	case 6, 7:
		elements := list{}
		for range r.size() {
			elements = append(elements, r.value(depth-1))
		}
		return elements
	default:
		entries := dict{}
		for range r.size() {
			entries[r.key()] = r.value(depth - 1)
		}
		return entries
	}
}

func (r *random) size() int {
	switch r.IntN(20) {
	case 0:
		return 0
	case 1:
		return 15 + r.IntN(30)
	default:
		return 1 + r.IntN(4)
	}
}

func (r *random) key() string {
	switch r.IntN(8) {
	case 0, 1:
		return r.text()
	case 2:
		return r.of(1+r.IntN(5), "ab01-_.", "A9é/")
	case 3:
		return strings.Repeat("k", 100+r.IntN(25)) + r.of(r.IntN(12), "ab 1", "\n:")
	default:
		return r.of(1+r.IntN(12), "abcdefghijklmnopqrstuvwxyz", "ABC.-/_")
	}
}

// of makes a text of often and, one time in four, of seldom.
func (r *random) of(length int, often, seldom string) string {
	many, few := []rune(often), []rune(seldom)
	text := make([]rune, length)
	for i := range text {
		if r.IntN(4) > 0 {
			text[i] = many[r.IntN(len(many))]
		} else {
			text[i] = few[r.IntN(len(few))]
		}
	}
	return string(text)
}

func (r *random) text() string {
	switch r.IntN(14) {
	case 0:
		return lookalikes[r.IntN(len(lookalikes))]
	case 1:
		// One character changed, left out or put in.
		text := []rune(lookalikes[r.IntN(len(lookalikes))])
		at := r.IntN(len(text))
		other := []rune("0123456789abefxoEXB.+-_:TZ yn~")
		switch r.IntN(3) {
		case 0:
			text[at] = other[r.IntN(len(other))]
		case 1:
			text = append(text[:at], text[at+1:]...)
		default:
			text = append(text[:at], append([]rune{other[r.IntN(len(other))]}, text[at:]...)...)
		}
		return string(text)
	case 2:
		return r.of(r.IntN(9), "0123456789", ".eE+-_:xXbBoO ")
	case 3:
		return r.of(r.IntN(12), "ab \n", string(characters))
	case 4:
		return r.of(r.IntN(30), "ab c", "\n\n \u2028\u2029#:-'")
	case 5:
		return string(characters[r.IntN(len(characters))]) + r.of(r.IntN(5), "ab ", "\n:#")
	case 6:
		return r.words(60+r.IntN(40), "")
	case 7:
		return r.words(100+r.IntN(200), "")
	case 8:
		return r.words(70+r.IntN(100), string(characters[r.IntN(len(characters))]))
	case 9:
		var lines strings.Builder
		for range 1 + r.IntN(6) {
			lines.WriteString(strings.Repeat(" ", max(0, r.IntN(6)-3)) + r.words(r.IntN(100), "") + strings.Repeat("\n", 1+max(0, r.IntN(6)-4)))
		}
		return lines.String()[:lines.Len()-r.IntN(2)]
	case 10:
		return r.of(r.IntN(10), "a", string(rune(r.IntN(0x3000))))
	case 11:
		return r.of(1+r.IntN(6), "/-.", "ab09")
	default:
		return r.of(1+r.IntN(20), "abcdefghijklmnopqrstuvwxyz-", "0123456789./")
	}
}

// words are letters with blanks here and there, and another text in some places.
func (r *random) words(length int, other string) string {
	var text strings.Builder
	for text.Len() < length {
		text.WriteString(strings.Repeat("w", r.IntN(1+r.IntN(14))))
		switch r.IntN(12) {
		case 0:
			text.WriteString("  ")
		case 1:
			text.WriteString(other)
		case 2:
			text.WriteString(" é")
		default:
			text.WriteString(" ")
		}
	}
	if r.IntN(3) > 0 {
		return strings.TrimSpace(text.String())
	}
	return text.String()
}

func (r *random) number() any {
	switch r.IntN(9) {
	case 0:
		return int64(r.Uint64())
	case 1:
		return r.IntN(2000) - 1000
	case 2:
		if number := math.Float64frombits(r.Uint64()); !math.IsNaN(number) && !math.IsInf(number, 0) {
			return number
		}
		return nil
	case 3:
		return math.Pow(10, float64(r.IntN(60)-30)) * float64(r.IntN(1000))
	case 4:
		return float64(r.IntN(1<<30)) / float64(int(1)<<r.IntN(40))
	case 5:
		return (r.Float64() - 0.5) * math.Pow(2, float64(r.IntN(160)-80))
	case 6:
		return float64(r.IntN(1000000)) / 1000
	case 7:
		return r.IntN(2) == 0
	default:
		return numbers[r.IntN(len(numbers))]
	}
}
