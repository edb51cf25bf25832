package file

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriteback has the kernel begin to write a range to disk while the next one is copied, so that the sync at the end
// has little left to wait for. It promises nothing; the sync does.
func startWriteback(f *os.File, off, n int64) {
	unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}

// nextData finds the next run of bytes from off on that is no hole of a sparse file, up to end. A file system that does not
// know says that all is data. The file's position moves.
func nextData(f *os.File, off, end int64) (from, to int64) {
	from, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if err == unix.ENXIO || err == nil && from >= end {
		return end, end
	}
	if err != nil {
		return off, end
	}
	to, err = unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
	if err != nil || to > end {
		to = end
	}
	return from, to
}
