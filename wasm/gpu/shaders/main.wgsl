// Casts elements in groups of four. What stands before and behind fills in:
//   load(i)   the group's elements as float32 bits        (load*.wgsl, by element size, on decode*.wgsl, by dtype)
//   store(i)  puts them in the target's dtype             (store*.wgsl on encode*.wgsl)
// Everything is u32 arithmetic, for WGSL leaves the rounding, the subnormals and the NaNs of floats to the device.

@group(0) @binding(0) var<storage, read> src: array<u32>;
@group(0) @binding(1) var<storage, read_write> dst: array<u32>;

override WORDS: u32; // of dst for one group

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let count = arrayLength(&dst) / WORDS;
  for (var i = id.x; i < count; i += groups.x * 64u) {
    store(i, load(i));
  }
}
