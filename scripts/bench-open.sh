#!/bin/sh
# Opens a file of 100,000 tensors in each container with weightroom, with real PyTorch and with netron's reader, and prints one
# table. Times are the best of three whole processes, in seconds; the ratio is to weightroom. PyTorch reads the tensors as well:
# it cannot list without. Needs /usr/bin/python3 with torch; netron needs node, and npm or WEIGHTROOM_NETRON, the folder source/ of
# a checkout.
set -eu
cd "$(dirname "$0")/.."
python=${WEIGHTROOM_PYTHON:-/usr/bin/python3}
keys=${KEYS:-100000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$python" -c 'import torch' 2>/dev/null || { echo "bench-open: no PyTorch under $python, so there are no files to open"; exit 0; }
"$python" - "$dir" "$keys" <<'PY'
import sys, torch, collections
folder, keys = sys.argv[1], int(sys.argv[2])
sd = collections.OrderedDict(('model.layers.%d.block.weight' % i, torch.zeros(2, 2)) for i in range(keys))
torch.save(sd, folder + '/zip.pth')
torch.save(sd, folder + '/legacy.pth', _use_new_zipfile_serialization=False)
PY
go build -o "$dir/weightroom" ./cmd/weightroom

netron=${WEIGHTROOM_NETRON:+$WEIGHTROOM_NETRON/view.js}
if [ -z "$netron" ] && command -v npm >/dev/null && command -v node >/dev/null && (cd "$dir" && npm install --silent --no-audit --no-fund netron >/dev/null 2>&1); then
	netron=$(find "$dir/node_modules/netron" -name view.js | head -n 1)
fi
cat >"$dir/netron.mjs" <<'JS'
import * as fs from 'fs';
import * as path from 'path';
import { pathToFileURL } from 'url';
const [, , source, file] = process.argv;
const load = name => import(pathToFileURL(path.join(source, name)));
const [view, base] = await Promise.all([load('view.js'), load('base.js')]);
const data = fs.readFileSync(file);
class Host {
    constructor() { this._document = { body: {} }; }
    environment() { return null; }
    async require(id) { return load(id.replace(/^\.\//, '').replace(/(\.js)?$/, '.js')); }
    async request() { return null; }
    event() { }
    exception(error) { throw error; }
    get document() { return this._document; }
}
class Context {
    constructor() { this.identifier = path.basename(file); this.stream = new base.BinaryStream(data); this.entries = new Map(); }
    async request() { return null; }
    async require(id) { return new Host().require(id); }
    error(error) { throw error; }
}
const factory = new view.ModelFactoryService(new Host());
const model = await factory.open(new Context());
const parts = model.modules || model.graphs;
console.error('netron: ' + parts.length + ' graphs, format ' + model.format);
JS

# best prints the least wall time of three runs, or the word that stands for a failure.
best() {
	least=
	for _ in 1 2 3; do
		start=$(date +%s.%N)
		"$@" >/dev/null 2>"$dir/err" || { echo failed; return; }
		end=$(date +%s.%N)
		least=$(awk -v a="$start" -v b="$end" -v l="$least" 'BEGIN { t = b - a; print (l == "" || t < l) ? t : l }')
	done
	echo "$least"
}

printf '%-8s %-12s %10s %8s\n' file reader seconds ratio
for kind in zip legacy; do
	file="$dir/$kind.pth"
	ours=$(best "$dir/weightroom" ls "$file" --json)
	torch=$(best "$python" -c 'import sys, torch; torch.load(sys.argv[1])' "$file")
	theirs="not run"
	if [ -n "$netron" ]; then
		theirs=$(best node "$dir/netron.mjs" "$(dirname "$netron")" "$file")
		[ "$theirs" != failed ] || sed 's/^/bench-open: netron: /' "$dir/err" | tail -n 3 >&2
	fi
	for row in "weightroom=$ours" "torch.load=$torch" "netron=$theirs"; do
		seconds=${row#*=}
		ratio=$(awk -v a="$seconds" -v b="$ours" 'BEGIN { if (a + 0 > 0 && b + 0 > 0) printf "%.1f", a / b; else print "-" }')
		printf '%-8s %-12s %10.10s %8s\n' "$kind" "${row%%=*}" "$seconds" "$ratio"
	done
done
[ -n "$netron" ] || echo "bench-open: netron was not run: npm or node is missing, or the package could not be installed; WEIGHTROOM_NETRON can name its source"
