package manifest

import "strings"

// Suggest is the candidate that the word most likely was meant to be, or "": one that differs only in case, else the
// nearest by edit distance if that is small for the word's length. Ties go to the earlier candidate.
func Suggest(word string, candidates []string) string {
	if len(word) > 100 { // nobody mistypes that, and hostile keys stay cheap
		return ""
	}
	w := []rune(strings.ToLower(word))
	best, bestCost := "", allowed(len(w))+1
	for _, c := range candidates {
		if strings.EqualFold(c, word) {
			return c
		}
		if d := distance(w, []rune(strings.ToLower(c)), bestCost); d < bestCost {
			best, bestCost = c, d
		}
	}
	return best
}

// allowed is how many slips a word of that many characters may have.
func allowed(length int) int {
	switch {
	case length < 2:
		return 0
	case length < 5:
		return 1
	case length < 9:
		return 2
	}
	return 3
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
