//go:build unix

package file

import (
	"os"
	"syscall"
)

// lock takes f for this process and tells whether it got it. The system lets go of it when the process ends, however it ends.
func lock(f *os.File) bool {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return err != syscall.EWOULDBLOCK
}

// syncDir makes the names in a folder survive a power cut. Systems that cannot sync folders are no failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	if err := d.Sync(); err != nil && err.(*os.PathError).Err == syscall.EIO {
		return err
	}
	return nil
}
