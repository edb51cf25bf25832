package listing

import (
	"fmt"
	"strconv"
	"strings"
)

var units = []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}

// Size prints a number of bytes for people, in powers of 1000 as file managers and the model hubs do: "37.6 kB".
func Size(n int64) string {
	if n < 0 {
		return "?"
	}
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, u := float64(n), 0
	for f >= 999.95 && u < len(units)-1 {
		f /= 1000
		u++
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + units[u]
}

// ParseSize reads a number of bytes: "5GB" and "5G" are powers of 1000, "5GiB" of 1024, a bare number counts bytes.
func ParseSize(s string) (int64, error) {
	num := strings.TrimRight(s, "BbIiKkMmGgTtPp ")
	unit := strings.ToLower(strings.TrimSpace(s[len(num):]))
	f, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
	mult := 1.0
	base := 1000.0
	if strings.HasSuffix(unit, "ib") {
		base, unit = 1024, strings.TrimSuffix(unit, "ib")
	} else {
		unit = strings.TrimSuffix(unit, "b")
	}
	known := true
	if unit != "" {
		i := strings.Index("kmgtp", unit)
		known = len(unit) == 1 && i >= 0
		for ; known && i >= 0; i-- {
			mult *= base
		}
	}
	if err != nil || !known || !(f >= 0) || f*mult >= 1<<63 {
		return 0, fmt.Errorf("%q is no size: write it like 5GB, 500MiB or 1000000", s)
	}
	return int64(f * mult), nil
}
