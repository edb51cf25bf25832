fn decode(c: u32) -> u32 {
  if (c == 0u) {
    return 0x00400000u;
  }
  if (c == 0xffu) {
    return 0x7f800001u;
  }
  return c << 23u;
}
