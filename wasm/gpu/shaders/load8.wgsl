fn load(i: u32) -> vec4<u32> {
  let w = src[i];
  return vec4<u32>(decode(w & 0xffu), decode((w >> 8u) & 0xffu), decode((w >> 16u) & 0xffu), decode(w >> 24u));
}
