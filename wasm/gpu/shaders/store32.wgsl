fn store(i: u32, v: vec4<u32>) {
  let at = 4u * i;
  dst[at] = v.x;
  dst[at + 1u] = v.y;
  dst[at + 2u] = v.z;
  dst[at + 3u] = v.w;
}
