#!/usr/bin/env bash
# Builds the page and the command and serves the page on this machine. Needs the Go toolchain and nothing else.
#   scripts/run.sh [flags of weightroom serve, e.g. --addr 127.0.0.1:9000 --root ~/checkpoints]
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v go >/dev/null; then
  echo "run.sh: the Go toolchain is missing: install it from https://go.dev/dl/ (go.mod names the version)" >&2
  exit 1
fi
scripts/build-wasm.sh
go build -trimpath -o bin/weightroom ./cmd/weightroom
exec bin/weightroom serve "$@"
