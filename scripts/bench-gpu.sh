#!/bin/sh
# Times the WebGPU kernels natively, through the device that Vulkan (or Metal, or D3D12) offers, and compares their bits with
# Go's. Uses one exact version of the webgpu package (Dawn) from the npm registry; WEBGPU names a folder that already has it
# in node_modules. Where there is no device or no package it says so and succeeds.
set -eu
version=0.6.2
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tool=${WEBGPU:-$work}
if [ ! -d "$tool/node_modules/webgpu" ]; then
	tool=$work
	(cd "$work" && npm install --no-save --no-audit --no-fund --ignore-scripts "webgpu@$version" >/dev/null 2>&1) || {
		echo "the webgpu package could not be had: the kernels were not timed"
		exit 0
	}
fi
go run ./wasm/gpu/testdata/kernels "$work"
node wasm/gpu/testdata/bench.mjs "$work" "$tool/node_modules/webgpu"
