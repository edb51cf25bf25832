fn decode(c: u32) -> u32 {
  return c << 16u;
}
