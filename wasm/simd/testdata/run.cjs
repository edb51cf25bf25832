// node run.cjs WASM_EXEC_JS PROGRAM [HELPER]: runs a Go program with the SIMD helper, or without when none is named.
const fs = require("fs");
const path = require("path");
globalThis.require = require;
globalThis.fs = fs;
globalThis.path = path;
globalThis.performance ??= require("perf_hooks").performance;
globalThis.crypto ??= require("crypto").webcrypto; // Node before 19
require(path.resolve(process.argv[2]));
require("../simd.js");
const go = new Go();
go.exit = process.exit;
const simd = weightroomSIMD(go);
WebAssembly.instantiate(fs.readFileSync(process.argv[3]), go.importObject).then((program) => {
	if (process.argv[4]) simd.attach(program.instance, new WebAssembly.Module(fs.readFileSync(process.argv[4])));
	return go.run(program.instance);
}).catch((e) => {
	console.error(e);
	process.exit(1);
});
