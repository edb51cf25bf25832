#!/bin/sh
# Assembles wasm/simd/simd.wat to simd.wasm beside it, with one exact version of the wabt package from the npm registry.
# With --check it assembles to a temporary file and fails if that differs from simd.wasm; exit code 75 says that the
# assembler could not be had. WABT names a folder that already has the package in node_modules.
set -eu
version=1.0.39
cd "$(dirname "$0")/../wasm/simd"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tool=${WABT:-$work}
if [ ! -d "$tool/node_modules/wabt" ]; then
	(cd "$work" && npm install --no-save --no-audit --no-fund --ignore-scripts "wabt@$version" >/dev/null 2>"$work/log") || {
		cat "$work/log" >&2
		exit 75
	}
	tool=$work
fi
node "$tool/node_modules/wabt/bin/wat2wasm" simd.wat -o "$work/simd.wasm"
if [ "${1:-}" = --check ]; then
	cmp "$work/simd.wasm" simd.wasm
else
	cp "$work/simd.wasm" simd.wasm
fi
