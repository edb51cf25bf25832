fn store(i: u32, c: vec4<u32>) {
  dst[2u * i] = c.x | (c.y << 16u);
  dst[2u * i + 1u] = c.z | (c.w << 16u);
}
