package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weightroom/weightroom/wasm/message"
)

// Request asks for the bytes From to To of an address, both counted; for everything when From is -1.
type Request struct {
	URL      string
	From, To int64
	IfRange  string // entity tag that the file must still have; "" asks without
	Limit    int64  // bytes of the answer that are read; more is ErrTooLong
	Headers  bool   // read no body at all
}

// Answer is what came back. Fields that the server keeps from other origins are empty, or -1.
type Answer struct {
	Status       int
	URL          string // after redirects
	ContentRange string
	ETag         string
	Modified     string
	Length       int64
	Body         []byte
}

// Fetcher makes requests. An error of its own is one of those below, or the context's.
type Fetcher interface {
	Get(ctx context.Context, r Request) (*Answer, error)
	// Reachable tells whether the server answers at all, even if its answer may not be read.
	Reachable(ctx context.Context, url string) bool
	// SameOrigin tells whether an address is of the page's own origin, where a request may carry any header.
	SameOrigin(url string) bool
}

var (
	ErrNoAnswer = errors.New("no answer")                  // nothing that may be read; browsers do not say why
	ErrDropped  = errors.New("the connection was dropped") // in the middle of the body
	ErrTooLong  = errors.New("the answer is too long")
	ErrPolicy   = errors.New("the policy of this page does not allow it")
)

const (
	headSize = 64 << 10
	// maxWhole is the largest file that is read as a whole from a server that gives no parts, in bytes.
	maxWhole = 64 << 20
)

// pauses are what goes by before a request is made again.
var pauses = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second}

// Remote reads a file of a server by closed byte ranges, which browsers send to other origins without asking first. It
// notices when the file changes: by its entity tag, its date or its size, whichever the server shows.
type Remote struct {
	*Cache
	Name string
	Size int64
	URL  string

	// Report is called after each answer; may be nil.
	Report func()

	fetcher   Fetcher
	job       func() context.Context
	at        string // where the last answer came from
	etag      string
	modified  string
	worked    bool // the server has answered
	requests  atomic.Int64
	wholeFile []byte
}

// OpenRemote makes the first request, for the first 64 KiB. A server that answers with the whole file is good enough up to
// 64 MiB. job is the context of reads.
func OpenRemote(ctx context.Context, name, url string, f Fetcher, job func() context.Context) (*Remote, error) {
	r := &Remote{Name: name, URL: url, at: url, fetcher: f, job: job}
	a, err := r.get(ctx, Request{From: 0, To: headSize - 1, Limit: maxWhole})
	if errors.Is(err, ErrTooLong) {
		return nil, r.noRanges("and is larger than 64 MiB")
	}
	if err != nil {
		return nil, err
	}
	r.etag, r.modified = a.ETag, a.Modified
	if a.Status != 206 {
		r.wholeFile, r.Size = a.Body, int64(len(a.Body))
		r.Cache = NewCache(r.Size, func(p []byte, off int64) error { copy(p, r.wholeFile[off:]); return nil })
		r.Cache.read.Store(r.Size)
		return r, nil
	}
	first, total, shown := contentRange(a.ContentRange)
	if !shown {
		if total, err = r.length(ctx); err != nil {
			return nil, err
		}
	}
	if first != 0 || total < 0 || int64(len(a.Body)) != min(headSize, total) {
		return nil, r.wrong(fmt.Sprintf("asked for the first %d of %d bytes, got %d from byte %d on", min(headSize, total), total, len(a.Body), first))
	}
	r.Size = total
	r.Cache = NewCache(total, r.fetch)
	r.Cache.prime(a.Body)
	return r, nil
}

// length finds the size where Content-Range is hidden: Content-Length never is. The body is not read.
func (r *Remote) length(ctx context.Context) (int64, error) {
	a, err := r.get(ctx, Request{From: -1, Headers: true})
	if err != nil {
		return 0, err
	}
	if a.Length <= 0 {
		return 0, &message.Error{Code: "E_REMOTE_SIZE", Message: "the server does not say how long the file is",
			Hint: "it has to send Access-Control-Expose-Headers: Content-Range; or download the file and open it from your disk"}
	}
	return a.Length, nil
}

// Requests is how many requests were made so far.
func (r *Remote) Requests() int64 { return r.requests.Load() }

func (r *Remote) fetch(p []byte, off int64) error {
	want := int64(len(p))
	q := Request{From: off, To: off + want - 1, Limit: want}
	if r.fetcher.SameOrigin(r.URL) && strings.HasPrefix(r.etag, `"`) {
		q.IfRange = r.etag
	}
	a, err := r.get(r.job(), q)
	if errors.Is(err, ErrTooLong) {
		return r.wrong(fmt.Sprintf("asked for %d bytes at %d, got more", want, off))
	}
	if err != nil {
		return err
	}
	first, total, shown := contentRange(a.ContentRange)
	switch {
	case a.Status == 416, shown && total != r.Size, r.etag != "" && a.ETag != "" && a.ETag != r.etag, r.modified != "" && a.Modified != "" && a.Modified != r.modified:
		return r.changed()
	case a.Status != 206:
		if q.IfRange != "" {
			return r.changed()
		}
		return r.noRanges("any more")
	case shown && first != off, int64(len(a.Body)) != want:
		return r.wrong(fmt.Sprintf("asked for %d bytes at %d, got %d at %d", want, off, len(a.Body), first))
	}
	copy(p, a.Body)
	if r.Report != nil {
		r.Report()
	}
	return nil
}

// get makes a request, again after a pause when the connection fails or the server is busy.
func (r *Remote) get(ctx context.Context, q Request) (*Answer, error) {
	for try := 0; ; try++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		q.URL = r.at
		r.requests.Add(1)
		a, err := r.fetcher.Get(ctx, q)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, ErrTooLong) && a != nil && a.Status != 206 && r.worked && q.IfRange == "" {
			return nil, r.noRanges("any more")
		}
		if errors.Is(err, ErrTooLong) && a != nil && a.Status == 200 && q.IfRange != "" {
			return nil, r.changed()
		}
		if err == nil && r.at != r.URL && a.Status >= 400 && a.Status < 500 && a.Status != 416 && a.Status != 429 {
			r.at = r.URL // the address that the server sent us to was good for a while only
			continue
		}
		switch {
		case err == nil && (a.Status == 200 || a.Status == 206 || a.Status == 416 && r.worked):
			r.worked = true
			if a.URL != "" {
				r.at = a.URL
			}
			return a, nil
		case err == nil && a.Status != 429 && a.Status < 500:
			return nil, r.status(a.Status)
		case errors.Is(err, ErrTooLong):
			return nil, err
		case errors.Is(err, ErrPolicy):
			return nil, &message.Error{Code: "E_REMOTE_POLICY", Message: "the server sends the browser on to another origin, which this page may not read from",
				Hint: "put the final address of the file into the link"}
		case errors.Is(err, ErrNoAnswer) && !r.worked && r.fetcher.Reachable(ctx, q.URL):
			return nil, &message.Error{Code: "E_REMOTE_CORS", Message: "the server is there, but does not let pages of other sites read this file",
				Hint: "it has to send Access-Control-Allow-Origin; or download the file and open it from your disk"}
		}
		if try >= len(pauses) {
			switch {
			case err == nil:
				return nil, r.status(a.Status)
			case errors.Is(err, ErrNoAnswer) && !r.worked:
				return nil, &message.Error{Code: "E_REMOTE_UNREACHABLE", Message: "the server does not answer", Hint: "check the address and the connection"}
			}
			return nil, &message.Error{Code: "E_REMOTE_DROPPED", Message: fmt.Sprintf("the connection broke off %d times in a row", try+1), Hint: "check the connection and open it again"}
		}
		select {
		case <-time.After(pauses[try]):
		case <-ctx.Done():
		}
	}
}

func (r *Remote) noRanges(more string) error {
	return &message.Error{Code: "E_REMOTE_RANGES", Message: "the server does not give parts of this file " + more, Hint: "download it and open it from your disk"}
}

func (r *Remote) wrong(what string) error {
	return &message.Error{Code: "E_REMOTE_WRONG", Message: "the server gave other bytes than it was asked for: " + what, Hint: "download the file and open it from your disk"}
}

func (r *Remote) changed() error {
	return &message.Error{Code: "E_REMOTE_CHANGED", Message: "the file on the server is not the one that was opened any more", Hint: "load this page again to read it as it is now"}
}

func (r *Remote) status(code int) error {
	e := &message.Error{Code: "E_REMOTE_STATUS", Message: fmt.Sprintf("the server answers with status %d", code)}
	switch code {
	case 401, 403:
		e.Message += ": it does not give this file to everybody"
	case 404, 410:
		e.Message += ": there is no such file"
	case 429:
		e.Message += ": it was asked too often"
	}
	return e
}

// contentRange reads "bytes 0-65535/1234"; total is -1 where the server doesn't know it. shown is false when there is none.
func contentRange(s string) (first, total int64, shown bool) {
	rest, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return 0, -1, false
	}
	span, size, _ := strings.Cut(rest, "/")
	from, _, _ := strings.Cut(span, "-")
	first, err1 := strconv.ParseInt(from, 10, 64)
	total, err2 := strconv.ParseInt(size, 10, 64)
	if err1 != nil || err2 != nil || total < 0 {
		return first, -1, err1 == nil && size != "*"
	}
	return first, total, true
}

// slowPart is how many bytes of a copy are asked for at a time.
const slowPart = 8 << 20

// copyTo writes n bytes at off to w, in parts of 8 MiB.
func (r *Remote) copyTo(w io.Writer, off, n int64) error {
	buf := make([]byte, min(n, slowPart))
	for n > 0 {
		part := buf[:min(n, int64(len(buf)))]
		if _, err := r.ReadAt(part, off); err != nil && err != io.EOF {
			return err
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
		off, n = off+int64(len(part)), n-int64(len(part))
	}
	return nil
}
