#!/usr/bin/env bash
# Builds web/dist/: the page with its program. Files that others name keep their names (the three pages, manifest.webmanifest,
# sw.js, embed.js, build.json); all others carry their hash in theirs.
# Needs Go, and of the system only the usual small tools. Two builds of the same source give the same bytes.
# Usage: scripts/build-wasm.sh [FOLDER]; without one, web/dist.
set -euo pipefail
dist=${1:-}
[ -z "$dist" ] || { mkdir -p "$dist"; dist=$(cd "$dist" && pwd); }
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C
unset GOOS GOARCH

dist=${dist:-web/dist}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/out"

GOOS=js GOARCH=wasm go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o "$work/weightroom.wasm" ./wasm
cp "$(go env GOROOT)/lib/wasm/wasm_exec.js" "$work/wasm_exec.js"
cp wasm/simd/simd.js wasm/simd/simd.wasm "$work/"
cp web/policy.js web/boot.js web/worker.js web/icon*.* "$work/"
cp web/manifest.webmanifest web/embed.js "$work/out/"
# The page waits for its styles before it shows anything: they are one file, in the order in which the markup names them.
sheet='<link rel="stylesheet" href="'
for f in $(sed -n "s|^$sheet\(styles/[a-z]*\.css\)\">\$|\1|p" web/index.html); do cat "web/$f"; done >"$work/page.css"
if [ "$(cat web/styles/*.css | wc -c)" != "$(wc -c <"$work/page.css")" ]; then
  echo 'build-wasm.sh: index.html does not name each of web/styles once' >&2
  exit 1
fi
awk -v sheet="$sheet" 'index($0, sheet) == 1 { if (!n++) print sheet "page.css\">"; next } { print }' web/index.html >"$work/out/index.html"

hash() { sha256sum "$1" | cut -c1-64; }

# place SOURCE NAME: copies a file under its hashed name, and names it so in the page and its manifest.
place() {
  local sum base ext new page found=''
  sum=$(hash "$1")
  base=$(basename "$2")
  ext=${base##*.}
  new="assets/${base%.*}-${sum:0:12}.$ext"
  mkdir -p "$work/out/assets"
  cp "$1" "$work/out/$new"
  for page in index.html manifest.webmanifest; do
    grep -q "\"$2\"" "$work/out/$page" || continue
    found=yes
    sed -i.bak "s|\"$2\"|\"$new\"|g" "$work/out/$page"
    rm -f "$work/out/$page.bak"
  done
  if [ -z "$found" ]; then
    echo "build-wasm.sh: index.html does not name $2" >&2
    exit 1
  fi
}
place "$work/weightroom.wasm" weightroom.wasm
for f in simd.wasm simd.js wasm_exec.js policy.js boot.js worker.js; do place "$work/$f" "$f"; done
for f in "$work"/icon*.*; do place "$f" "$(basename "$f")"; done
place "$work/page.css" page.css

# The pages for files of a server and for frames have the same markup, and a policy that lets them fetch from elsewhere.
for page in remote embed; do
  sed -e "s|data-page=\"app\"|data-page=\"$page\"|" -e "s|connect-src 'self'|connect-src 'self' https: http:|" "$work/out/index.html" >"$work/out/$page.html"
  if ! grep -q "data-page=\"$page\"" "$work/out/$page.html" || ! grep -q "connect-src 'self' https: http:;" "$work/out/$page.html"; then
    echo "build-wasm.sh: index.html has no data-page or no connect-src 'self' to change" >&2
    exit 1
  fi
done
wasm=$(echo "$work"/out/assets/weightroom-*.wasm)
gzip -9 -n -c "$wasm" >"$wasm.gz"

# The manifest: a version that changes with any file, and what each file must hash to.
(
  cd "$work/out"
  files=$(find . -type f | sed 's|^\./||' | sort)
  version=$(for f in $files; do echo "$(hash "$f") $f"; done | sha256sum | cut -c1-16)
  echo '{'
  echo "  \"version\": \"$version\","
  echo '  "files": ['
  sep=''
  for f in $files; do
    printf '%s    {"path": "%s", "size": %d, "sha256": "%s"}' "$sep" "$f" "$(wc -c <"$f")" "$(hash "$f")"
    sep=$',\n'
  done
  printf '\n  ]\n}\n'
) >"$work/build.json"
mv "$work/build.json" "$work/out/build.json"
awk -v manifest="$work/out/build.json" '
  /^const build = / { printf "const build = "; while ((getline line < manifest) > 0) print line; next }
  { print }' web/sw.js >"$work/out/sw.js"

mkdir -p "$dist"
find "$dist" -mindepth 1 ! -name .gitkeep -delete
cp -R "$work/out/." "$dist/"
echo "built $dist: program $(wc -c <"$wasm") bytes, $(wc -c <"$wasm.gz") compressed" >&2
