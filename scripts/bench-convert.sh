#!/bin/sh
# Casts 1 GiB in memory with weightroom and with torch, on one and on all threads, in one run (GB/s of input).
# torch is measured twice: .to(), which also makes the new tensor, and copy_() into one that exists, which is what weightroom does
# here. Ratios above 1.00 mean that weightroom is faster. PYTHON names a Python that has torch; without torch our side is
# shown alone.
#
# Then exports a file of $GIB GiB (2 when absent) in Chromium, as it is and cast to float16, and times the SIMD helper against
# Go's loops there; that part is left out where there is no Chromium.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" - >"$work/torch" <<'PY' || echo "torch is not there: no comparison" >&2
import os, time, torch

def best(f):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return (1 << 30) / min(times) / 1e9

for src, dst in (("float32", "float16"), ("float32", "bfloat16"), ("float16", "float32"), ("bfloat16", "float32")):
    a, b = getattr(torch, src), getattr(torch, dst)
    x = (torch.randn(1 << 20) * 0.02).to(a).repeat((1 << 10) // torch.empty(0, dtype=a).element_size())
    out = torch.empty(x.numel(), dtype=b)
    for threads in (1, os.cpu_count()):
        torch.set_num_threads(threads)
        print("%s-%s/%d %.2f %.2f" % (src, dst, threads, best(lambda: x.to(b)), best(lambda: out.copy_(x))), flush=True)
PY
WEIGHTROOM_BENCH_GIB=1 go test -run '^$' -bench '^BenchmarkGiB$' -benchtime 1x -count 5 -timeout 30m ./statedict/internal/convert >"$work/go"
awk '
	NR == FNR { to[$1] = $2; copy[$1] = $3; next }
	/^BenchmarkGiB/ {
		split($1, name, "/"); sub(/-[0-9]+$/, "", name[3])
		key = name[2] "/" name[3]
		if (!(key in best)) order[++n] = key
		for (i = 2; i < NF; i++) if ($(i + 1) == "MB/s" && $i / 1000 > best[key]) best[key] = $i / 1000
	}
	END {
		for (i = 1; i <= n; i++) {
			key = order[i]
			printf "%-18s threads %-3s weightroom %6.2f", substr(key, 1, index(key, "/") - 1), substr(key, index(key, "/") + 1), best[key]
			if (key in to) printf "   torch .to %6.2f (ratio %.2f)   copy_ %6.2f (ratio %.2f)", to[key], best[key] / to[key], copy[key], best[key] / copy[key]
			print ""
		}
	}' "$work/torch" "$work/go"

echo
echo "whole exports of ${GIB:-2} GiB in Chromium, from the click to the last byte of the download:"
WEIGHTROOM_BENCH_EXPORT=${GIB:-2} go test -count 1 -timeout 30m -run '^TestExportSpeed$' -v ./internal/pagetest |
	sed -n 's/^ *bench_test.go:[0-9]*: /  /p; s/^ *browser_test.go:[0-9]*: /  not run: /p'
echo "casts in memory in Chromium:"
go test -short -count 1 -timeout 10m -run '^TestChromium$' -v ./wasm/gpu | sed -n 's/^ *\(processor float32 .*\)/  \1/p; s/^ *\(forced: .*\)/  \1/p'
