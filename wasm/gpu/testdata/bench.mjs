// node bench.mjs FOLDER WEBGPU: times the kernels that kernels/main.go wrote to FOLDER with the native WebGPU package at WEBGPU.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, library] = process.argv.slice(2);
const { create, globals } = await import(pathToFileURL(resolve(library, "index.js")));
Object.assign(globalThis, globals);
const gpu = create([]); // kept: its end would be the end of the adapter
const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
if (!adapter) {
	console.log("no Vulkan, Metal or D3D12 device here: the kernels were not timed");
	process.exit(0);
}
const { vendor, architecture, device: model, description } = adapter.info;
console.log(`adapter: ${[vendor, architecture, model, description].filter(Boolean).join(" ")}${adapter.info.isFallbackAdapter ? " (software)" : ""}`);
const device = await adapter.requestDevice();
let wrong = 0;
for (const job of JSON.parse(readFileSync(join(folder, "kernels.json")))) {
	const input = readFileSync(join(folder, job.In)), want = readFileSync(join(folder, job.Out));
	const module = device.createShaderModule({ code: job.Code });
	const pipeline = device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main", constants: job.Constants } });
	const src = device.createBuffer({ size: input.length, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
	const dst = device.createBuffer({ size: want.length, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
	const back = device.createBuffer({ size: want.length, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
	const losses = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
	device.queue.writeBuffer(losses, 0, new Uint32Array([want.length / job.Constants.WORDS, 0, 0, 0]));
	const bind = device.createBindGroup({
		layout: pipeline.getBindGroupLayout(0),
		entries: [{ binding: 0, resource: { buffer: src } }, { binding: 1, resource: { buffer: dst } }, { binding: 2, resource: { buffer: losses } }],
	});
	const groups = Math.min(65535, Math.ceil(want.length / job.Constants.WORDS / 4 / 64));
	const compute = (times, copy) => {
		const encoder = device.createCommandEncoder();
		for (let i = 0; i < times; i++) {
			const pass = encoder.beginComputePass();
			pass.setPipeline(pipeline);
			pass.setBindGroup(0, bind);
			pass.dispatchWorkgroups(groups);
			pass.end();
		}
		if (copy) encoder.copyBufferToBuffer(dst, 0, back, 0, want.length);
		device.queue.submit([encoder.finish()]);
	};
	const whole = async () => {
		device.queue.writeBuffer(src, 0, input);
		compute(1, true);
		await back.mapAsync(GPUMapMode.READ);
		const got = Buffer.from(back.getMappedRange().slice(0));
		back.unmap();
		return got;
	};
	if (!(await whole()).equals(want)) {
		console.log(`${job.Name}: other bits than Go`);
		wrong++;
	}
	const best = async (bytes, f) => {
		let time = Infinity;
		for (let i = 0; i < 5; i++) {
			const start = performance.now();
			await f();
			time = Math.min(time, performance.now() - start);
		}
		return (bytes / time / 1e6).toFixed(2);
	};
	const all = await best(input.length, whole);
	const alone = await best(4 * input.length, async () => {
		compute(4, false);
		await device.queue.onSubmittedWorkDone();
	});
	console.log(`${job.Name.padEnd(24)} up, cast and back ${all} GB/s; the kernel alone ${alone} GB/s (of input)`);
	for (const b of [src, dst, back, losses]) b.destroy();
}
process.exit(wrong ? 1 : 0);
