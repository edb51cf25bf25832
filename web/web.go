// Package web holds the page as it is served. scripts/build-wasm.sh fills dist; without it the folder is empty.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Dist is the built page: index.html, build.json and the hashed files they name.
func Dist() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // dist is a constant and valid
	}
	return sub
}
