// Gives a Go program its SIMD helper. Go's imports must exist before the program is instantiated and the helper needs
// the program's memory, so the functions are there first and do nothing (they answer 0) until attach:
//
//	const simd = weightroomSIMD(go);                       // go = new Go(), before instantiation
//	const instance = await WebAssembly.instantiate(program, go.importObject);
//	simd.attach(instance, helper);                         // helper: the WebAssembly.Module of simd.wasm; optional
//	go.run(instance);
//
// Without attach, or where vectors are not supported (compiling simd.wasm fails), Go's own loops do the work.
globalThis.weightroomSIMD = (go) => {
	let helper = null;
	const call = (name) => (...args) => {
		if (helper === null) return 0;
		helper[name](...args);
		return 1;
	};
	go.importObject.weightroom_simd = Object.fromEntries(
		["narrow", "bfloat16", "from_bfloat16", "from_float16", "count"].map((name) => [name, call(name)]));
	return {
		attach(instance, module) {
			helper = new WebAssembly.Instance(module, { go: { mem: instance.exports.mem } }).exports;
		},
	};
};
