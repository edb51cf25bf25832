fn encode(u: u32) -> u32 {
  return u;
}
