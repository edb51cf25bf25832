fn load(i: u32) -> vec4<u32> {
  let a = src[2u * i];
  let b = src[2u * i + 1u];
  return vec4<u32>(decode(a & 0xffffu), decode(a >> 16u), decode(b & 0xffffu), decode(b >> 16u));
}
