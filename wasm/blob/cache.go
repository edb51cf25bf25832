// Package blob lets Go read what a browser calls a Blob, and turns the plan of an export into one.
//
// A read costs a browser some 0.6 ms whatever its length up to 64 KiB, so small reads are served from pages. Bytes that
// an export copies are never read at all: they become slices of the source.
package blob

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

const (
	pageSize = 64 << 10
	// readAhead is how many pages a run of reads in sequence fetches at once.
	readAhead = 16
	// maxPages bounds the cache: 8 MiB for each source.
	maxPages = 128
)

// Cache is an io.ReaderAt with pages in front of a source whose reads are slow. Reads of a megabyte and more pass by it.
// It may be used by several goroutines.
type Cache struct {
	size  int64
	fetch func(p []byte, off int64) error // fills p

	mu    sync.Mutex
	pages map[int64]*page
	clock int64
	after int64 // the page behind the last one fetched
	ahead int64 // how many pages the next fetch in sequence takes

	read atomic.Int64 // not under mu: a fetch may ask for it
}

type page struct {
	data []byte
	used int64
}

// NewCache reads a source of size bytes with fetch, which must fill its slice.
func NewCache(size int64, fetch func(p []byte, off int64) error) *Cache {
	return &Cache{size: size, fetch: fetch, pages: map[int64]*page{}, ahead: 1, after: -1}
}

// prime keeps the first bytes of the source, which came by another way. They are all of it, or whole pages.
func (c *Cache) prime(head []byte) {
	c.read.Add(int64(len(head)))
	for i := int64(0); len(head) > 0; i++ {
		n := min(len(head), pageSize)
		c.pages[i] = &page{data: head[:n]}
		head = head[n:]
	}
}

// BytesRead is how many bytes were fetched so far.
func (c *Cache) BytesRead() int64 {
	return c.read.Load()
}

func (c *Cache) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at negative offset %d", off)
	}
	if off >= c.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > c.size-off
	if short {
		p = p[:c.size-off]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.readAt(p, off)
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

func (c *Cache) readAt(p []byte, off int64) (int, error) {
	if len(p) >= pageSize*readAhead {
		if err := c.fetch(p, off); err != nil {
			return 0, err
		}
		c.read.Add(int64(len(p)))
		return len(p), nil
	}
	done := 0
	for done < len(p) {
		i := (off + int64(done)) / pageSize
		last := (off + int64(len(p)) - 1) / pageSize
		pg, err := c.page(i, last)
		if err != nil {
			return done, err
		}
		done += copy(p[done:], pg.data[off+int64(done)-i*pageSize:])
	}
	return done, nil
}

// page is page i. When it must be fetched, so are the pages up to last, and more if the reads are in sequence.
func (c *Cache) page(i, last int64) (*page, error) {
	c.clock++
	if pg := c.pages[i]; pg != nil {
		pg.used = c.clock
		return pg, nil
	}
	if i == c.after {
		c.ahead = min(2*c.ahead, readAhead)
	} else {
		c.ahead = 1
	}
	end := i + 1
	for end < max(last+1, i+c.ahead) && end*pageSize < c.size && c.pages[end] == nil {
		end++
	}
	c.after = end
	buf := make([]byte, min(end*pageSize, c.size)-i*pageSize)
	if err := c.fetch(buf, i*pageSize); err != nil {
		return nil, err
	}
	c.read.Add(int64(len(buf)))
	for k := i; k < end; k++ {
		c.makeRoom()
		b := buf[(k-i)*pageSize:]
		c.pages[k] = &page{b[:min(len(b), pageSize)], c.clock}
	}
	return c.pages[i], nil
}

func (c *Cache) makeRoom() {
	if len(c.pages) < maxPages {
		return
	}
	oldest, at := int64(-1), c.clock+1
	for i, pg := range c.pages {
		if pg.used < at {
			oldest, at = i, pg.used
		}
	}
	delete(c.pages, oldest)
}
