fn stored_high(i: u32, k: u32) -> u32 { return src[8u * i + 2u * k + 1u]; }
fn stored_low(i: u32, k: u32) -> u32 { return src[8u * i + 2u * k]; }

fn nonzero(i: u32, k: u32, v: u32) -> bool { return ((stored_high(i, k) & 0x7fffffffu) | stored_low(i, k)) != 0u; }
fn infinite(i: u32, k: u32, v: u32) -> bool { return (stored_high(i, k) & 0x7fffffffu) == 0x7ff00000u && stored_low(i, k) == 0u; }
fn payload(i: u32, k: u32, v: u32) -> vec2<u32> { return vec2<u32>(stored_high(i, k) & 0x7ffffu, stored_low(i, k)); }
