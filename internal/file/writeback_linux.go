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
