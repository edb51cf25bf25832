package listing

import "strconv"

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
