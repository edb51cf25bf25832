override E_MANTISSA: u32;
override E_BIAS: u32;
override E_LIMIT: u32; // the first magnitude that is out of range before rounding
override E_OVER: u32;  // code of those from the limit on
override E_NAN: u32;
override E_SIGN: u32;  // the sign's bit
override E_ONE_ZERO: bool; // fnuz: no minus zero, and its code is NaN

fn round_off(m: u32, bits: u32) -> u32 {
  return (m + (1u << (bits - 1u)) - 1u + ((m >> bits) & 1u)) >> bits;
}

fn encode(u: u32) -> u32 {
  let mag = u & 0x7fffffffu;
  let shift = 23u - E_MANTISSA;
  let normal = 128u - E_BIAS; // float32's biased exponent of the smallest normal number
  let exp = mag >> 23u;
  var code = 0u;
  if (mag > 0x7f800000u) {
    code = E_NAN;
  } else if (mag >= E_LIMIT) {
    code = E_OVER;
  } else if (exp >= normal) {
    code = round_off(mag - ((normal - 1u) << 23u), shift);
  } else if (exp != 0u && shift + normal - exp <= 25u) {
    code = round_off((mag & 0x7fffffu) | 0x800000u, shift + normal - exp);
  }
  if (E_ONE_ZERO && (code == 0u || code == E_NAN)) {
    return code;
  }
  if ((u & 0x80000000u) != 0u) {
    code |= E_SIGN;
  }
  return code;
}
