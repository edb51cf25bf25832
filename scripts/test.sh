#!/usr/bin/env bash
# Installs what the tests need where it can, says what is missing where it can't, and runs every test.
#   WEIGHTROOM_CORPUS=DIR   also runs the tests over a corpus of real checkpoints
#   WEIGHTROOM_PYTHON=PATH  the Python that has torch (default /usr/bin/python3)
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '== %s\n' "$*" >&2; }
missing() { printf '== missing: %s\n' "$*" >&2; }
py() { "${WEIGHTROOM_PYTHON:-/usr/bin/python3}" -c "$1" >/dev/null 2>&1; }
has() {
  case $1 in
    chromium) command -v chromium >/dev/null || command -v google-chrome >/dev/null || [ -n "${CHROME_PATH:-}" ] ;;
    nodejs) command -v node >/dev/null ;;
    python3-torch) py 'import torch' ;;
    python3-numpy) py 'import numpy' ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

if ! command -v go >/dev/null; then
  missing 'the Go toolchain (https://go.dev/dl/, go.mod names the version); nothing can be tested without it'
  exit 1
fi

# The packages of Debian and Ubuntu, and what is skipped without each.
declare -A needed_for=(
  [chromium]='the tests of the page'
  [nodejs]='the codec tests as WebAssembly'
  [python3-numpy]='the comparisons with NumPy'
  [python3-torch]='the round trips through real PyTorch'
  [unzip]='the archive checks by unzip -t'
)
wanted=()
for p in "${!needed_for[@]}"; do has "$p" || wanted+=("$p"); done
if [ ${#wanted[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  say "installing ${wanted[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y --no-install-recommends "${wanted[@]}" >/dev/null 2>&1 ||
    { apt-get update >/dev/null 2>&1 && apt-get install -y --no-install-recommends "${wanted[@]}" >/dev/null 2>&1; } ||
    for p in "${wanted[@]}"; do apt-get install -y --no-install-recommends "$p" >/dev/null 2>&1 || true; done
fi
for p in "${wanted[@]}"; do has "$p" || missing "$p: ${needed_for[$p]} will be skipped"; done
[ -n "${WEIGHTROOM_CORPUS:-}" ] || missing 'WEIGHTROOM_CORPUS is not set: the tests over a corpus of real checkpoints will be skipped'

say 'gofmt'
unformatted=$(gofmt -l cmd internal statedict wasm web 2>/dev/null || true)
if [ -n "$unformatted" ]; then
  printf 'not formatted: %s\n' $unformatted >&2
  exit 1
fi

say 'vet and build'
go vet ./...
GOOS=js GOARCH=wasm go vet ./statedict/... ./wasm/...
go build ./...

say 'the page'
scripts/build-wasm.sh

say 'the codec on 32 bits'
GOARCH=386 go build ./cmd/... ./internal/... ./statedict/...
if [ "$(go env GOARCH)" = amd64 ]; then
  GOARCH=386 CGO_ENABLED=0 go test ./statedict/...
fi

say 'the codec as WebAssembly'
if command -v node >/dev/null; then
  GOOS=js GOARCH=wasm go test -exec "$(go env GOROOT)/lib/wasm/go_js_wasm_exec" ./statedict/...
fi

# The documentation site that the tests build needs a thousand packages; they stay there for the next run.
if command -v npm >/dev/null && [ -z "${WEIGHTROOM_NPM+set}" ]; then
  export WEIGHTROOM_NPM=${XDG_CACHE_HOME:-$HOME/.cache}/weightroom-npm
fi

# The checks for accessibility are axe-core's.
axe=4.10.3
if [ -z "${WEIGHTROOM_AXE:-}" ]; then
  place=${XDG_CACHE_HOME:-$HOME/.cache}/weightroom-axe-$axe
  export WEIGHTROOM_AXE=$place/node_modules/axe-core/axe.min.js
  if [ ! -e "$WEIGHTROOM_AXE" ]; then
    { command -v npm >/dev/null && mkdir -p "$place" && npm install --prefix "$place" --no-save --silent --no-audit --no-fund "axe-core@$axe" >/dev/null 2>&1; } || true
  fi
  if [ ! -e "$WEIGHTROOM_AXE" ]; then
    missing "axe-core $axe, which npm could not install: the checks for accessibility will be skipped"
    unset WEIGHTROOM_AXE
  fi
fi

say 'a little fuzzing'
for pkg in $(grep -rl --include='*_test.go' '^func Fuzz' statedict internal | xargs -n1 dirname | sort -u); do
  for target in $(grep -hoE '^func Fuzz[A-Za-z]+' "$pkg"/*_test.go | cut -c6-); do
    go test -run '^$' -fuzz "^$target\$" -fuzztime 2000x -fuzzminimizetime 10x "./$pkg"
  done
done

say 'everything'
go test -timeout 20m ./...
