fn store(i: u32, c: vec4<u32>) {
  dst[i] = c.x | (c.y << 8u) | (c.z << 16u) | (c.w << 24u);
}
