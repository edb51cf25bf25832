package statedict

import (
	"github.com/weightroom/weightroom/statedict/internal/convert"
	"github.com/weightroom/weightroom/statedict/internal/crc"
)

// CastBytes casts contiguous little-endian elements, for callers that hold bytes rather than a view: dst has room for
// exactly as many elements as src and does not overlap it. The bits are those of torch's .to(dtype) on the CPU.
// Losses are added to c, which may be nil. Errors: a pair of dtypes between which nothing is cast, lengths that do not fit.
func CastBytes(dst, src []byte, to, from DType, c *CastReport) error {
	if c == nil {
		return convert.Cast(dst, src, to, from, nil)
	}
	var counts convert.Counts
	err := convert.Cast(dst, src, to, from, &counts)
	c.Overflowed += counts.Overflowed
	c.Flushed += counts.Flushed
	c.NaNs += counts.LostNaN
	return err
}

// AddCRC adds p to the CRC-32 of the bytes before it, the sum of zip records; the sum of nothing is 0.
func AddCRC(sum uint32, p []byte) uint32 { return crc.Update(sum, p) }
