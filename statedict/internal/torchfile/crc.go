package torchfile

// CombineCRC returns the CRC-32 (IEEE) of two byte strings written one after the other, from a, the CRC of the first,
// and b, the CRC of the second, which is lenB bytes long. It takes time in the order of log lenB, so pieces of a record
// can be summed in any order, on any device.
//
// A CRC is a polynomial over GF(2) reduced by the CRC polynomial; appending lenB bytes multiplies the first one by
// x^(8*lenB), and addition is XOR.
func CombineCRC(a, b uint32, lenB int64) uint32 {
	power := uint32(1) << 31        // x^0; bit 31 is the coefficient of x^0 in this reflected form
	square := uint32(1) << (31 - 8) // x^8, one byte; squared once per bit of lenB
	for n := lenB; n > 0; n >>= 1 {
		if n&1 != 0 {
			power = multiply(power, square)
		}
		square = multiply(square, square)
	}
	return multiply(power, a) ^ b
}

// multiply is the product of two polynomials modulo the reflected IEEE polynomial.
func multiply(a, b uint32) uint32 {
	const poly = 0xEDB88320
	var product uint32
	for bit := uint32(1) << 31; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= poly
		}
	}
	return product
}
