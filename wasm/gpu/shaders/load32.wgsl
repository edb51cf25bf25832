fn load(i: u32) -> vec4<u32> {
  let at = 4u * i;
  return vec4<u32>(src[at], src[at + 1u], src[at + 2u], src[at + 3u]);
}
