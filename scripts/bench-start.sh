#!/usr/bin/env bash
# How long a visitor waits for the page, and how much it fetches: from `weightroom serve` on loopback into a Chromium with empty
# caches, the median of several starts. Needs Go and Chromium.
#   scripts/bench-start.sh [STARTS]     5 when absent
set -euo pipefail
cd "$(dirname "$0")/.."
echo '| the page | |'
echo '|---|---|'
WEIGHTROOM_STARTS=${1:-5} go test -count=1 -run '^TestStart$' -v ./internal/pagetest | sed -n 's/^ *start_test.go:[0-9]*: //p'
echo
echo "Goals: first paint 100 ms after the HTML, usable within 1 s. Netron's page is not measured beside it: its npm package could not be"
echo 'installed where this was written, so there is no figure of its transfer to compare with.'
