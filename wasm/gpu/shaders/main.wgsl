// Casts elements in groups of four. What stands before and behind fills in:
//   load(i)     the group's elements as float32 bits      (load*.wgsl, by element size, on decode*.wgsl, by dtype)
//   encode(u)   the target's code of one                  (encode*.wgsl)
//   store(i)    puts four codes in their place            (store*.wgsl)
//   lost(i, k)  what the cast of one of them loses        (count.wgsl, on stored*.wgsl)
// Everything is u32 arithmetic, for WGSL leaves the rounding, the subnormals and the NaNs of floats to the device.

struct Losses {
  n: u32, // elements; what stands behind them in the last group is not counted
  overflowed: atomic<u32>,
  flushed: atomic<u32>,
  nans: atomic<u32>,
}

@group(0) @binding(0) var<storage, read> src: array<u32>;
@group(0) @binding(1) var<storage, read_write> dst: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: Losses;

override WORDS: u32; // of dst for one group

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let count = arrayLength(&dst) / WORDS;
  var sum = vec3<u32>();
  for (var i = id.x; i < count; i += groups.x * 64u) {
    let v = load(i);
    let c = vec4<u32>(encode(v.x), encode(v.y), encode(v.z), encode(v.w));
    store(i, c);
    let n = losses.n - min(losses.n, 4u * i);
    for (var k = 0u; k < min(4u, n); k++) {
      sum += lost(i, k, v[k], c[k]);
    }
  }
  // Weights lose next to nothing, so most invocations have nothing to add.
  if (sum.x > 0u) { atomicAdd(&losses.overflowed, sum.x); }
  if (sum.y > 0u) { atomicAdd(&losses.flushed, sum.y); }
  if (sum.z > 0u) { atomicAdd(&losses.nans, sum.z); }
}
