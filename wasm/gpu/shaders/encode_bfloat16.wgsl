override E_NAN: u32;

fn encode(u: u32) -> u32 {
  if ((u & 0x7fffffffu) > 0x7f800000u) {
    return E_NAN;
  }
  return (u + 0x7fffu + ((u >> 16u) & 1u)) >> 16u;
}
