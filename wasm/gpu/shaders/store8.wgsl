fn store(i: u32, v: vec4<u32>) {
  dst[i] = encode(v.x) | (encode(v.y) << 8u) | (encode(v.z) << 16u) | (encode(v.w) << 24u);
}
