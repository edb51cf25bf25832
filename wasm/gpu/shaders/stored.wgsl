// Elements that float32 holds exactly.
fn nonzero(i: u32, k: u32, v: u32) -> bool { return (v & 0x7fffffffu) != 0u; }
fn infinite(i: u32, k: u32, v: u32) -> bool { return (v & 0x7fffffffu) == 0x7f800000u; }
fn payload(i: u32, k: u32, v: u32) -> vec2<u32> { return vec2<u32>((v & 0x3fffffu) >> 3u, v << 29u); }
