fn encode(u: u32) -> u32 {
  let exp = (u >> 23u) & 0xffu;
  let frac = u & 0x7fffffu;
  if (exp != 0xffu && (frac > 0x400000u || (frac == 0x400000u && exp > 0u))) {
    return exp + 1u;
  }
  return exp;
}
