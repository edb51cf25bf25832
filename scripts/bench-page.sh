#!/usr/bin/env bash
# Measures the page in Chromium with a file of 200,000 tensors, as safetensors and as a torch file: the time until rows are
# there, frames while scrolling, tasks over 50 ms, and memory. Needs Chromium; prints one table.
set -euo pipefail
cd "$(dirname "$0")/.."
WEIGHTROOM_BENCH_PAGE=1 go test -count=1 -v -timeout 20m -run '^TestBenchPage$' ./internal/pagetest | grep -v '^=== \|^--- PASS\|^ok\|^PASS'
