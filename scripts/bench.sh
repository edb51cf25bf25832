#!/usr/bin/env bash
# Measures the command against what people use today, side by side on this machine, then the library and the page.
#   scripts/bench.sh [GIB]     size of the large file, 4 when absent; it needs three times as much free disk in $TMPDIR, and
#                              as much memory: torch.load reads it whole
# Run it on a machine that does nothing else: a ratio above 1 says that weightroom takes longer than the other.
# Python with torch is $WEIGHTROOM_PYTHON (/usr/bin/python3). Files made for it stay in $BENCH_DIR between runs when it is set.
set -euo pipefail
cd "$(dirname "$0")/.."
gib=${1:-4}
python=${WEIGHTROOM_PYTHON:-/usr/bin/python3}
if [ -n "${BENCH_DIR:-}" ]; then
  dir=$BENCH_DIR
  mkdir -p "$dir"
else
  dir=$(mktemp -d "${TMPDIR:-/tmp}/weightroom-bench.XXXXXX")
  trap 'rm -rf "$dir"' EXIT
fi
go build -trimpath -o "$dir/weightroom" ./cmd/weightroom
wr=$dir/weightroom
if ! "$python" -c 'import torch' 2>/dev/null; then
  echo "bench.sh: $python has no torch (WEIGHTROOM_PYTHON names another): nothing to compare with" >&2
  exit 1
fi

load=$(awk '{ print $1 }' /proc/loadavg 2>/dev/null || echo 0)
if awk -v load="$load" -v cores="$(nproc 2>/dev/null || echo 1)" 'BEGIN { exit !(load > cores) }'; then
  echo "bench.sh: the machine is busy (load $load): times are too long, and ratios are rough" >&2
fi

# Each figure is the best of three wall-clock times; the two sides take turns, so that a busy machine is busy for both.
timed() { # timed COMMAND...: seconds
  local t0=$EPOCHREALTIME
  "$@" >/dev/null
  awk -v a="$t0" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'
}
best() { sort -g | head -n 1; }
row() { awk -v what="$1" -v a="$2" -v b="$3" -v goal="$4" 'BEGIN { printf "| %s | %.3f s | %.3f s | %.3f | %s |\n", what, a, b, a / b, goal }'; }

if [ ! -e "$dir/big-$gib.pth" ]; then
  "$python" - "$dir/big-$gib.pth" "$gib" <<'PY'
import sys, torch
n = int(float(sys.argv[2]) * 16)
values = torch.randn(4096, 4096) * 0.02
torch.save({f"module.layers.{i}.weight": values.clone() for i in range(n)}, sys.argv[1])
PY
fi
if [ ! -e "$dir/keys-legacy.pth" ]; then
  "$python" - "$dir" <<'PY'
import sys, torch, collections
keys = collections.OrderedDict((f"model.layers.{i}.block.weight", torch.zeros(2, 2)) for i in range(100_000))
torch.save(keys, sys.argv[1] + "/keys.pth")
torch.save(keys, sys.argv[1] + "/keys-legacy.pth", _use_new_zipfile_serialization=False)
PY
fi

rm -f "$dir"/times.*
clean() { rm -f "$dir/out.pth"; sync -f "$dir"; }
copy() { cp "$dir/big-$gib.pth" "$dir/out.pth" && sync "$dir/out.pth"; }
copy_unsynced() { cp "$dir/big-$gib.pth" "$dir/out.pth"; }
strip() { "$wr" edit "$dir/big-$gib.pth" -o "$dir/out.pth" --strip-prefix module.; }
cast() { "$wr" edit "$dir/big-$gib.pth" -o "$dir/out.pth" --cast float16; }
peak() { "$python" -c "
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)" "$@"; }
torch_strip() {
  "$python" -c "
import torch, sys
d = torch.load(sys.argv[1])
torch.save({k[7:]: v for k, v in d.items()}, sys.argv[2])" "$dir/big-$gib.pth" "$dir/out.pth" && sync "$dir/out.pth"
}
load_time() { "$python" -c "
import time, torch, sys
t = time.perf_counter(); torch.load(sys.argv[1]); print(time.perf_counter() - t)" "$1"; }

echo '| what | weightroom | the other | ratio | goal |'
echo '|---|---|---|---|---|'
for _ in 1 2 3; do
  for side in strip copy copy_unsynced torch_strip cast; do
    clean
    timed "$side" >>"$dir/times.$side"
  done
done
strip=$(best <"$dir/times.strip")
row "edit --strip-prefix of $gib GiB, against cp and sync" "$strip" "$(best <"$dir/times.copy")" '1.15'
row 'the same, against cp without sync' "$strip" "$(best <"$dir/times.copy_unsynced")" ''
row 'the same, against torch.load and torch.save' "$strip" "$(best <"$dir/times.torch_strip")" ''
row "edit --cast float16 of $gib GiB, against cp and sync" "$(best <"$dir/times.cast")" "$(best <"$dir/times.copy")" '1.3'
clean
echo "| its memory at the peak | $(peak "$wr" edit "$dir/big-$gib.pth" -o "$dir/out.pth" --cast float16) MiB | | | 256 |"
clean

list() { "$wr" ls --json "$1"; }
whole_python() { "$python" -c 'import sys, torch; torch.load(sys.argv[1])' "$1"; }
for file in keys keys-legacy "big-$gib"; do
  for _ in 1 2 3; do
    timed list "$dir/$file.pth" >>"$dir/times.list"
    load_time "$dir/$file.pth" >>"$dir/times.load"
    timed whole_python "$dir/$file.pth" >>"$dir/times.python"
  done
  row "ls --json of $file.pth, against torch.load alone" "$(best <"$dir/times.list")" "$(best <"$dir/times.load")" '0.2'
  row 'the same, against a python that loads it' "$(best <"$dir/times.list")" "$(best <"$dir/times.python")" ''
  rm "$dir"/times.*
done

# The library by itself: no other program does these.
echo
echo '| 100,000 keys, in the library | time | goal |'
echo '|---|---|---|'
go test ./statedict -run '^$' -bench '^Benchmark(Apply100000KeysTenOps|Compare100000|Suggest100000)$' -benchtime 5x | awk '
  /^BenchmarkApply/ { what = "a recipe of ten steps"; goal = "100 ms" }
  /^BenchmarkCompare/ { what = "check against 100,000 keys"; goal = "1000 ms" }
  /^BenchmarkSuggest/ { what = "suggest a recipe for 100,000 keys"; goal = "1000 ms" }
  /^Benchmark/ { printf "| %s | %.0f ms | %s |\n", what, $3 / 1e6, goal }'

echo
page=$(go test ./internal/pagetest -count=1 -run '^TestFirstRows$' -v 2>&1 | sed -n 's/.*firstrows_test.go:[0-9]*: //p') || true
echo "the page: ${page:-not measured, it needs Chromium}${page:+; goal 2 s}"

# Listing against netron's reader as well.
echo
scripts/bench-open.sh

echo
if command -v chromium >/dev/null || [ -n "${WEIGHTROOM_CHROMIUM:-}" ]; then
  scripts/bench-page.sh
else
  echo 'bench.sh: no Chromium, so the page is not measured' >&2
fi
