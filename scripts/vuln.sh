#!/bin/sh
# Looks for known vulnerabilities that the command, the server or the page's program can reach, with Go's own scanner. Where its
# database cannot be reached, WEIGHTROOM_VULNDB names a checkout of github.com/golang/vulndb, from which the same database is made
# with that repository's own command. A program with a known hole is scanned first: a scanner that misses it sees nothing.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
GOBIN=$dir go install golang.org/x/vuln/cmd/govulncheck@v1.9.0

db=https://vuln.go.dev
if [ -n "${WEIGHTROOM_VULNDB:-}" ]; then
	(cd "$WEIGHTROOM_VULNDB" && go run ./cmd/indexdb -vulns data/osv -out "$dir/db")
	db=file://$dir/db
fi

mkdir "$dir/control"
cat >"$dir/control/go.mod" <<'MOD'
module control

go 1.26

require golang.org/x/text v0.3.5
MOD
cat >"$dir/control/main.go" <<'GO'
package main

import "golang.org/x/text/language"

func main() { language.ParseAcceptLanguage("en") }
GO
(
	cd "$dir/control"
	GOFLAGS=-mod=mod go mod tidy
	"$dir/govulncheck" -db "$db" ./... | grep -q '^Your code is affected by'
) || { echo "vuln: the scanner does not find a hole that is known, so it would find none here"; exit 1; }

echo "vuln: the command, the server and their tests"
"$dir/govulncheck" -db "$db" -test ./...
echo "vuln: the page's program"
GOOS=js GOARCH=wasm "$dir/govulncheck" -db "$db" ./wasm/... ./statedict/...
