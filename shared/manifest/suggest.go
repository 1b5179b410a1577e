package manifest

import (
	"strings"
	"unicode/utf8"
)

// Suggest is the candidate that the word most likely was meant to be, or "": one that differs only in case, else the
// nearest by edit distance if no more than a third of the word is wrong. Ties go to the earlier candidate.
func Suggest(word string, candidates []string) string {
	best, bestCost := "", utf8.RuneCountInString(word)/3+1
	if len(word) > 100 { // nobody mistypes that; keeps hostile keys cheap
		return ""
	}
	w := []rune(strings.ToLower(word))
	for _, c := range candidates {
		if strings.EqualFold(c, word) {
			return c
		}
		if d := distance(w, []rune(strings.ToLower(c)), bestCost); d < bestCost || (d == bestCost && best == "" && d <= 1) {
			best, bestCost = c, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, replacements and swaps of neighbours between a and b, or more than
// limit if it is more than limit.
func distance(a, b []rune, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}
