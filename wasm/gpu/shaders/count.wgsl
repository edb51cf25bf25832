// What a cast loses, as statedict.CastReport counts it. v is an element as float32 bits and c its code in the target. Each load*
// file tells of the stored element k of group i what float32 may not hold: nonzero, infinite and payload (of a NaN, as float64
// has it: 19 bits and 32, without the quiet bit).

override C_SIGN: u32;      // the sign's bit in a code; 0 where there is none
override C_NAN: u32;       // a code that is NaN although it has the sign's bit (fnuz), else what is no code
override C_BEYOND: u32;    // the lowest code of infinity or NaN, sign aside
override C_INFINITY: bool; // the target has infinities
override C_ZERO: bool;     // the code 0 is zero
override C_KEEPS: bool;    // the code is float32 bits, whose NaN keeps a payload
override C_PAYLOAD: u32;   // else: the payload of the target's NaN, as float32 has it

fn lost(i: u32, k: u32, v: u32, c: u32) -> vec3<u32> {
  if ((v & 0x7fffffffu) > 0x7f800000u) {
    let has = payload(i, k, v);
    let left = select(C_PAYLOAD, c & 0x3fffffu, C_KEEPS);
    return vec3<u32>(0u, 0u, u32((has.x | has.y) != 0u && any(has != vec2<u32>(left >> 3u, left << 29u))));
  }
  let low = select(c & ~C_SIGN, c, c == C_NAN);
  return vec3<u32>(
    u32(low >= C_BEYOND && !(C_INFINITY && infinite(i, k, v))),
    u32(C_ZERO && low == 0u && nonzero(i, k, v)),
    0u);
}
