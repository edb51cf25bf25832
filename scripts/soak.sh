#!/usr/bin/env bash
# The long versions of the tests: an hour or so. Not part of scripts/test.sh.
#   scripts/soak.sh [TIME_PER_FUZZ_TARGET [KILLS]]     10m and 200 when absent; 0 leaves a part out
set -euo pipefail
cd "$(dirname "$0")/.."
fuzztime=${1:-10m}
kills=${2:-200}
dir=$(mktemp -d "${TMPDIR:-/tmp}/weightroom-soak.XXXXXX")
full=
cleanup() {
  if [ -n "$full" ]; then umount "$full" || true; fi
  rm -rf "$dir"
}
trap cleanup EXIT
fail() { echo "soak.sh: $*" >&2; exit 1; }
go build -trimpath -o "$dir/weightroom" ./cmd/weightroom
wr=$dir/weightroom

if [ "$kills" != 0 ]; then
  echo "== $kills times kill -9 in an edit of 300 MB"
  # A safetensors file by hand: an 8-byte length, a header, the data.
  header='{"x.a":{"dtype":"U8","shape":[300000000],"data_offsets":[0,300000000]}}'
  header=$(printf '%-72s' "$header")
  { printf "\\x$(printf %x ${#header})\0\0\0\0\0\0\0$header"; head -c 300000000 /dev/urandom; } >"$dir/in.safetensors"
  mkdir "$dir/out"
  "$wr" edit "$dir/in.safetensors" -o "$dir/want.safetensors" --strip-prefix x. >/dev/null
  before=$(sha256sum <"$dir/in.safetensors")
  want=$(sha256sum <"$dir/want.safetensors")
  absent=0 complete=0
  for _ in $(seq "$kills"); do
    rm -f "$dir/out/out.safetensors"
    "$wr" edit "$dir/in.safetensors" -o "$dir/out/out.safetensors" --strip-prefix x. >/dev/null 2>&1 &
    pid=$!
    sleep "0.$(printf %03d $((RANDOM % 600)))"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    if [ -e "$dir/out/out.safetensors" ]; then
      [ "$(sha256sum <"$dir/out/out.safetensors")" = "$want" ] || fail 'a target is there and not complete'
      complete=$((complete + 1))
    else
      absent=$((absent + 1))
    fi
    # What the killed run left is one temporary file at most: each run clears up after the one before.
    [ "$(find "$dir/out" -name '.*.part' | wc -l)" -le 1 ] || fail 'temporary files pile up'
  done
  [ "$(sha256sum <"$dir/in.safetensors")" = "$before" ] || fail 'the source has changed'
  rm -f "$dir/out/out.safetensors"
  "$wr" edit "$dir/in.safetensors" -o "$dir/out/out.safetensors" --strip-prefix x. >/dev/null
  [ "$(ls -A "$dir/out")" = out.safetensors ] || fail 'the last run has not cleared up'
  echo "   target absent $absent times, complete $complete times; source unchanged"

  if [ "$(id -u)" = 0 ] && mkdir "$dir/full" && mount -t tmpfs -o size=100m tmpfs "$dir/full" 2>/dev/null; then
    full=$dir/full
    echo '== a full disk'
    if "$wr" edit "$dir/in.safetensors" -o "$full/out.safetensors" --strip-prefix x. >"$dir/log" 2>&1; then fail 'an edit fits where it cannot'; fi
    grep -q 'no space left on device' "$dir/log" || fail "the message is: $(cat "$dir/log")"
    [ -z "$(ls -A "$full")" ] || fail 'a full disk stays full'
    mount -o remount,ro "$full"
    echo '== a read-only folder'
    if "$wr" edit "$dir/in.safetensors" -o "$full/out.safetensors" --strip-prefix x. >"$dir/log" 2>&1; then fail 'an edit writes to a read-only folder'; fi
    grep -q 'read-only file system' "$dir/log" || fail "the message is: $(cat "$dir/log")"
  else
    echo '== missing: root and mount, for the full disk and the read-only folder' >&2
  fi
fi

if [ "$fuzztime" != 0 ]; then
  echo '== every truncation of twelve small files, and every byte of them changed'
  WEIGHTROOM_DAMAGE=all go test -run '^TestDamage$' -v -timeout 30m ./statedict | grep -v '^==='
  echo '== two clean builds of the page'
  for n in 1 2; do GOCACHE=$dir/cache$n scripts/build-wasm.sh "$dir/page$n" >/dev/null; done
  diff -r "$dir/page1" "$dir/page2" || fail 'two builds differ'
  for pkg in $(go list ./statedict/... ./internal/...); do
    for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
      echo "== $pkg $target for $fuzztime"
      go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime 10x "$pkg"
    done
  done
fi
echo '== nothing was lost'
