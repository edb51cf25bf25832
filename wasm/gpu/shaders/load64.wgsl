// float64 to float32: nearest, ties to even; NaN keeps its sign and top payload bits and becomes quiet.
fn decode(lo: u32, hi: u32) -> u32 {
  let sign = hi & 0x80000000u;
  let biased = (hi >> 20u) & 0x7ffu;
  let frac = ((hi & 0xfffffu) << 3u) | (lo >> 29u);
  let rest = lo & 0x1fffffffu; // below float32's last place
  if (biased == 0x7ffu) {
    if (((hi & 0xfffffu) | lo) == 0u) {
      return sign | 0x7f800000u;
    }
    return sign | 0x7fc00000u | frac;
  }
  let exp = i32(biased) - 896; // float32's biased exponent
  if (exp >= 255) {
    return sign | 0x7f800000u;
  }
  if (exp >= 1) {
    let up = select(0u, 1u, rest > 0x10000000u || (rest == 0x10000000u && (frac & 1u) == 1u));
    return sign | ((u32(exp) << 23u) + frac + up);
  }
  if (exp < -24) {
    return sign;
  }
  let shift = u32(1 - exp);
  let m = frac | 0x800000u;
  let q = m >> shift;
  let r = m & ((1u << shift) - 1u);
  let half = 1u << (shift - 1u);
  let up = select(0u, 1u, r > half || (r == half && (rest != 0u || (q & 1u) == 1u)));
  return sign | (q + up);
}

fn load(i: u32) -> vec4<u32> {
  let at = 8u * i;
  return vec4<u32>(
    decode(src[at], src[at + 1u]), decode(src[at + 2u], src[at + 3u]),
    decode(src[at + 4u], src[at + 5u]), decode(src[at + 6u], src[at + 7u]));
}
