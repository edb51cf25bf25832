package statedict

import "io"

// Source is one input file.
//
// R must allow concurrent ReadAt calls; Size is in bytes. Name is shown and is used to find the shards that an index
// names; it decides nothing about the format.
type Source struct {
	Name string
	R    io.ReaderAt
	Size int64
}

// Method is how an extent's bytes are stored.
type Method uint8

const (
	Stored   Method = iota
	Deflated        // an inflated length is in Storage.NBytes; Extent.Len counts the deflated bytes
)

// Extent is a byte range of a source. Off and Len are in bytes.
type Extent struct {
	Source   *Source
	Off, Len int64
	// CRC is the CRC-32 of the (inflated) bytes where the container gives it, valid when HasCRC.
	CRC    uint32
	HasCRC bool
	Method Method
	more   *extentMore
}

// extentMore is what few extents have.
type extentMore struct {
	// skip is how many inflated bytes of a deflated extent come before the storage: an npy header.
	skip int64
	// at finds Off where it is not known before the record's local header is read; nil where Off is valid.
	at locator
}

// locator answers the byte offset of a record's payload. It reads the record's local header the first time.
type locator interface{ DataOffset() (int64, error) }

// resolve returns x with a valid Off.
func (x Extent) resolve() (Extent, error) {
	if x.more == nil || x.more.at == nil {
		return x, nil
	}
	off, err := x.more.at.DataOffset()
	if err != nil {
		return x, err
	}
	x.Off, x.more = off, &extentMore{skip: x.more.skip}
	return x, nil
}
