#!/bin/sh
# Compares the casts of all 2^32 float32 patterns to every smaller float with the hashes that testdata/gen.py took from
# torch and from its second implementation. Takes minutes. With --regenerate the hashes are made anew (half an hour; needs
# a Python with torch 1.13, named by PYTHON).
set -eu
cd "$(dirname "$0")/../statedict/internal/convert"
if [ "${1:-}" = --regenerate ]; then
	"${PYTHON:-python3}" testdata/gen.py exhaustive >testdata/exhaustive.tsv
fi
WEIGHTROOM_EXHAUSTIVE=1 exec go test -count=1 -timeout 2h -run '^TestExhaustive$' -v .
