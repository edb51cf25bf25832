#!/usr/bin/env bash
# How long a visitor waits for the page, and how much it fetches: from `weightroom serve` on loopback into a Chromium with empty
# caches, the median of several starts. Needs Go and Chromium. WEIGHTROOM_NETRON, the folder source/ of a checkout of netron, has
# its page measured beside it.
#   scripts/bench-start.sh [STARTS]     5 when absent
set -euo pipefail
cd "$(dirname "$0")/.."
echo '| the page | |'
echo '|---|---|'
WEIGHTROOM_STARTS=${1:-5} go test -count=1 -run '^TestStart(Netron)?$' -v ./internal/pagetest | sed -n 's/^ *start[a-z_]*_test.go:[0-9]*: |/|/p'
echo
echo 'Goals: first paint 100 ms after the HTML, usable within 1 s.'
[ -n "${WEIGHTROOM_NETRON:-}" ] || echo "Netron's page was not measured: WEIGHTROOM_NETRON names no folder of its source."
