override D_MANTISSA: u32;
override D_BIAS: u32;
override D_SIGN: u32;     // the sign's bit
override D_INFINITY: u32; // its code, and NaN above; 0 in types without
override D_NAN: u32;      // the only code of NaN (sign aside, but in fnuz types); 0 in types with infinity
override D_NAN_BITS: u32; // what that becomes

fn decode(c: u32) -> u32 {
  var sign = 0u;
  if ((c & D_SIGN) != 0u) {
    sign = 0x80000000u;
  }
  let low = c & ~D_SIGN;
  let frac = low & ((1u << D_MANTISSA) - 1u);
  if (D_NAN == D_SIGN && c == D_NAN) {
    return D_NAN_BITS;
  }
  if (D_NAN != 0u && low == D_NAN) {
    return sign | D_NAN_BITS;
  }
  if (D_INFINITY != 0u && low >= D_INFINITY) {
    if (frac == 0u) {
      return sign | 0x7f800000u;
    }
    return sign | 0x7fc00000u | (frac << (23u - D_MANTISSA));
  }
  let exp = low >> D_MANTISSA;
  if (exp != 0u) {
    return sign | ((exp + 127u - D_BIAS) << 23u) | (frac << (23u - D_MANTISSA));
  }
  if (frac == 0u) {
    return sign;
  }
  let top = firstLeadingBit(frac);
  return sign | ((128u - D_BIAS - D_MANTISSA + top) << 23u) | ((frac << (23u - top)) & 0x7fffffu);
}
