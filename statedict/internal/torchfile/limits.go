package torchfile

// Limits bound what a file may ask for. A zero field means the default; a negative one means no limit.
type Limits struct {
	Entries        int64 // records in a zip or tar; 1,048,576
	DirectoryBytes int64 // zip directory; 256 MiB
	EntryName      int64 // bytes of one record name; 4 KiB
	NameBytes      int64 // bytes of all record names, which stay in memory; 32 MiB
	SmallRecord    int64 // bytes of version, byteorder and the like, inflated; 4 KiB
	Pickle         int64 // bytes of one pickle, inflated; 64 MiB
	Rank           int64 // dimensions of a tensor; 64
}

const noLimit = 1<<63 - 1

// withDefaults fills in the zero fields.
func (l Limits) withDefaults() Limits {
	set := func(field *int64, value int64) {
		switch {
		case *field == 0:
			*field = value
		case *field < 0:
			*field = noLimit
		}
	}
	set(&l.Entries, 1<<20)
	set(&l.DirectoryBytes, 256<<20)
	set(&l.EntryName, 4<<10)
	set(&l.NameBytes, 32<<20)
	set(&l.SmallRecord, 4<<10)
	set(&l.Pickle, 64<<20)
	set(&l.Rank, 64)
	return l
}
