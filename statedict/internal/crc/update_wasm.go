package crc

// Update adds p to a sum that begins with 0.
func Update(crc uint32, p []byte) uint32 { return slicing16(crc, p) }
