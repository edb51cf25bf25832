package model

// Effects name the text of the page for what statedict's scan says that a global can do.
var Effects = map[string]string{
	"imports a module that is not known here and runs what it holds": "unknown",
	"reaches code that can do anything the user can":                 "any",
	"runs Python code":                        "python",
	"runs programs or commands of the system": "programs",
	"reaches other functions by name":         "names",
	"reads or writes files":                   "files",
	"reads another pickle":                    "pickle",
	"imports any module":                      "modules",
	"opens network connections":               "network",
	"calls machine code":                      "machine",
}

// ASCII is Visible with every character beyond ASCII as an escape: among names of code, a letter that looks like another one
// has no other purpose.
func ASCII(s string) string {
	var b []byte
	for _, r := range Visible(s) {
		switch {
		case r < 0x7f || r == '…':
			b = append(b, string(r)...)
		case r < 0x100:
			b = append(b, `\x`+hex(uint64(r), 2)...)
		case r <= 0xffff:
			b = append(b, `\u`+hex(uint64(r), 4)...)
		default:
			b = append(b, `\U`+hex(uint64(r), 8)...)
		}
	}
	return string(b)
}
