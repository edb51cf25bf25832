package model

import (
	"net/url"
	"strings"
)

// Address is the address of a file in what somebody pasted: one http or https address and nothing else.
func Address(text string) (address string, ok bool) {
	text = strings.TrimSpace(text)
	if len(text) > 4096 || strings.ContainsAny(text, " \t\r\n") {
		return "", false
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return "", false
	}
	return text, true
}
