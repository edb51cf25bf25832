package model

import (
	"strconv"
	"strings"
)

// Numerals is how a language writes numbers.
type Numerals struct {
	Group string // between the thousands
	Point string // before the decimals
	// Short are the units of large counts, each Step digits above the one before: "k", "M" with 3, "萬", "億" with 4.
	Short []string
	Step  int
}

// numerals are those of English until SetNumerals.
var numerals = Numerals{Group: ",", Point: ".", Short: []string{"k", "M", "B", "T"}, Step: 3}

// SetNumerals makes all numbers from now on those of a language.
func SetNumerals(n Numerals) { numerals = n }

// ParseShort reads units in short form: "3 k M B T".
func ParseShort(text string) (step int, units []string) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return 0, nil
	}
	step, err := strconv.Atoi(fields[0])
	if err != nil || step < 1 || step > 9 {
		return 0, nil
	}
	return step, fields[1:]
}

// decimal is f with some digits behind the point, grouped.
func decimal(f float64, digits int) string {
	s := strconv.FormatFloat(f, 'f', digits, 64)
	whole, part, _ := strings.Cut(s, ".")
	if part != "" {
		part = numerals.Point + part
	}
	return group(whole) + part
}

// Bytes is a number of bytes in the largest decimal unit that leaves at least 1: "46.8 MB".
func Bytes(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n), -1
	for f >= 999.5 && unit < 5 {
		f /= 1000
		unit++
	}
	digits := 1
	if f >= 99.95 {
		digits = 0
	}
	return decimal(f, digits) + " " + []string{"kB", "MB", "GB", "TB", "PB", "EB"}[unit]
}

// Number is n in full, with its thousands apart: "46,830,571".
func Number(n int64) string { return group(strconv.FormatInt(n, 10)) }

func group(s string) string {
	start := 0
	if strings.HasPrefix(s, "-") {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + numerals.Group + s[i:]
	}
	return s
}

// Count is a number of parameters in short: "11.7 M", and "1,170 萬" where one counts in ten thousands.
func Count(n int64) string {
	f, unit := float64(n), -1
	power := 1.0
	for range numerals.Step {
		power *= 10
	}
	for f >= power && unit < len(numerals.Short)-1 {
		f /= power
		unit++
	}
	if unit < 0 {
		return Number(n)
	}
	digits := 1
	if f >= 999.95 {
		digits = 0
	}
	return decimal(f, digits) + " " + numerals.Short[unit]
}
