// float32 to float64, exactly; NaN becomes quiet.
fn store_one(at: u32, u: u32) {
  let sign = u & 0x80000000u;
  let exp = (u >> 23u) & 0xffu;
  var frac = u & 0x7fffffu;
  var hi = sign;
  if (exp == 0xffu) {
    hi |= 0x7ff00000u;
    if (frac != 0u) {
      frac |= 0x400000u;
    }
  } else if (exp != 0u) {
    hi |= (exp + 896u) << 20u;
  } else if (frac != 0u) {
    let top = firstLeadingBit(frac);
    frac = (frac << (23u - top)) & 0x7fffffu;
    hi |= (874u + top) << 20u;
  }
  dst[at] = frac << 29u;
  dst[at + 1u] = hi | (frac >> 3u);
}

fn store(i: u32, v: vec4<u32>) {
  let at = 8u * i;
  store_one(at, v.x);
  store_one(at + 2u, v.y);
  store_one(at + 4u, v.z);
  store_one(at + 6u, v.w);
}
