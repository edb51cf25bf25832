fn store(i: u32, v: vec4<u32>) {
  dst[2u * i] = encode(v.x) | (encode(v.y) << 16u);
  dst[2u * i + 1u] = encode(v.z) | (encode(v.w) << 16u);
}
