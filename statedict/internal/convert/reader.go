package convert

import (
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// Options of NewReader and NewStats. The zero value gives the view as it is stored, on all cores.
type Options struct {
	To            dtype.DType // Invalid: as stored
	BigEndian     bool        // the source's bytes are reversed, per element (per half of a complex one)
	Conj, Neg     bool        // torch's lazy bits: the stored bytes are those before conjugation or negation
	NormalizeBool bool        // any nonzero byte of a bool becomes 1 (a cast always does that)
	Counts        *Counts     // what the cast loses is added here; complete at io.EOF

	// Buffer is how many bytes one worker makes at once, in the wider of the two types; up to three such buffers are held per
	// worker, four when written by WriteTo. 0: 1 MiB for contiguous views, 4 MiB for strided ones.
	Buffer int
	// Gap is how many unwanted bytes between two wanted elements are read over rather than skipped. 0: 4 KiB.
	Gap int64
	// Workers is how many chunks are worked on at the same time. 0: GOMAXPROCS, at most 8: more only fill the memory, since the
	// bytes are written by one.
	Workers int
}

// A chunk is a box of a view, contiguous in the output.
type chunk struct {
	first int64 // source element
	dims  []dim
	numel int64
}

// chunks cuts a view into boxes of at most a number of elements, in the order of the output.
type chunks struct {
	dims  []dim
	first int64
	level int   // dims[level] is cut, those before it are counted through
	step  int64 // elements of dims[level] in one chunk
	per   int64 // chunks for one pass through dims[level]
	count int64
}

func newChunks(v View, most int64) chunks {
	c := chunks{dims: v.dims(), first: v.Offset, step: 1, per: 1, count: 1}
	if len(c.dims) == 0 {
		return c
	}
	inner := int64(1)
	for c.level = len(c.dims) - 1; c.level > 0 && inner*c.dims[c.level].n <= most; c.level-- {
		inner *= c.dims[c.level].n
	}
	d := c.dims[c.level]
	c.step = max(1, min(d.n, most/inner))
	c.per = (d.n + c.step - 1) / c.step
	c.count = c.per
	for _, d := range c.dims[:c.level] {
		c.count *= d.n
	}
	return c
}

func (c *chunks) at(k int64) chunk {
	if len(c.dims) == 0 {
		return chunk{c.first, nil, 1}
	}
	i := k % c.per * c.step
	k /= c.per
	first := c.first + i*c.dims[c.level].src
	for l := c.level - 1; l >= 0; l-- {
		first += k % c.dims[l].n * c.dims[l].src
		k /= c.dims[l].n
	}
	dims := append([]dim(nil), c.dims[c.level:]...)
	dims[0].n = min(c.step, dims[0].n-i)
	numel := int64(1)
	for _, d := range dims {
		numel *= d.n
	}
	return chunk{first, dims, numel}
}

// A worker makes one chunk at a time.
type worker struct {
	gatherer
	view   View
	opts   Options
	raw    []byte
	out    [2][]byte // filled in turn, so that one can be written while the other is made
	turn   int       // out that was filled last
	got    []byte    // the part of out that is ready
	counts Counts
	err    error
}

// load gathers a chunk and returns its source bytes, fixed.
func (w *worker) load(buf []byte, c chunk) ([]byte, error) {
	raw := buf[:c.numel*w.elem]
	if err := w.gather(raw, c.first, c.dims); err != nil {
		return nil, err
	}
	fix(raw, w.view.DType, w.opts)
	return raw, nil
}

func (w *worker) make(c chunk) {
	w.got, w.err = nil, nil
	if w.opts.To == w.view.DType {
		w.got, w.err = w.load(w.out[w.turn], c)
		w.counts.Elements += c.numel
		return
	}
	raw, err := w.load(w.raw, c)
	if err != nil {
		w.err = err
		return
	}
	w.got = w.out[w.turn][:c.numel*w.opts.To.Size()]
	counts := &w.counts
	if w.opts.Counts == nil {
		counts = nil
	}
	w.err = Cast(w.got, raw, w.opts.To, w.view.DType, counts)
}

// A Reader gives a view's elements in row-major order, little-endian, gathered and cast. Its memory is bounded by
// Options.Buffer, whatever the view's size. A Reader serves one goroutine; it leaves none behind.
type Reader struct {
	workers []*worker
	chunks  chunks
	next    int64 // chunk
	length  int64 // bytes
	ready   [][]byte
	opts    Options
	err     error
}

// NewReader reads the view of a storage whose bytes lie at src from base on, size bytes. Several may run at once on one src.
// Errors: a view that leaves its storage, lengths beyond int64, a cast that Supported refuses, bits that the dtype
// cannot have. Later, Read and WriteTo return *ReadError.
//
// The sub-byte types quint4x2 and quint2x4 are read as packed bytes; only contiguous views of whole bytes are supported.
func NewReader(src io.ReaderAt, base, size int64, v View, o Options) (*Reader, error) {
	if o.To == dtype.Invalid {
		o.To = v.DType
	}
	v, length, err := check(base, size, v, o)
	if err != nil {
		return nil, err
	}
	r := &Reader{length: length, opts: o}
	r.chunks, r.workers = plan(src, base, v, &o)
	for _, w := range r.workers {
		w.opts = o
	}
	if length == 0 {
		r.chunks.count = 0
	}
	return r, nil
}

// check refuses views that cannot be read, replaces sub-byte types by their bytes, and gives the output's length.
func check(base, size int64, v View, o Options) (View, int64, error) {
	if !Supported(v.DType, o.To) {
		return v, 0, fmt.Errorf("no cast from %s to %s", v.DType, o.To)
	}
	if err := checkFixes(v.DType, o); err != nil {
		return v, 0, err
	}
	numel, err := v.Numel()
	if err != nil {
		return v, 0, err
	}
	first, span, err := v.Span()
	if err != nil {
		return v, 0, err
	}
	if per := v.DType.PerByte(); per > 1 && numel > 0 {
		if !v.Contiguous() || first%per != 0 {
			return v, 0, fmt.Errorf("strided view of %s", v.DType)
		}
		numel = (numel + per - 1) / per
		first, span = first/per, numel
		v = View{v.DType, first, []int64{numel}, []int64{1}}
	}
	elem := v.DType.Size()
	if base < 0 || size < 0 || span > 0 && (first > size/elem || span > size/elem-first) {
		return v, 0, fmt.Errorf("elements %d to %d of %s in a storage of %d bytes", first, first+span, v.DType, size)
	}
	if numel > (1<<63-1)/max(o.To.Size(), elem) {
		return v, 0, fmt.Errorf("%d elements of %s are more bytes than can be counted", numel, o.To)
	}
	return v, numel * o.To.Size(), nil
}

func plan(src io.ReaderAt, base int64, v View, o *Options) (chunks, []*worker) {
	elem := v.DType.Size()
	contiguous := v.Contiguous()
	if o.Buffer == 0 {
		o.Buffer = 4 << 20
		if contiguous {
			o.Buffer = 1 << 20
		}
	}
	if o.Gap == 0 {
		o.Gap = 4 << 10
	}
	if o.Workers == 0 {
		o.Workers = min(8, runtime.GOMAXPROCS(0))
	}
	most := max(1, int64(o.Buffer)/max(elem, o.To.Size()))
	c := newChunks(v, most)
	workers := make([]*worker, max(1, min(int64(o.Workers), c.count)))
	for i := range workers {
		w := &worker{gatherer: gatherer{src: src, base: base, elem: elem, gap: o.Gap}, view: v, opts: *o}
		if !contiguous {
			w.scratch = make([]byte, min(most, max(1, c.span()))*elem)
		}
		workers[i] = w
	}
	return c, workers
}

// span is how many elements the largest read of a chunk may cover.
func (c *chunks) span() int64 {
	s := int64(1)
	for _, d := range c.dims {
		s += (d.n - 1) * d.src
	}
	return s
}

// largest is the number of elements of the largest chunk.
func (c *chunks) largest() int64 {
	if c.count == 0 {
		return 0
	}
	return c.at(0).numel
}

// Len is the number of bytes that Read gives in all.
func (r *Reader) Len() int64 { return r.length }

// turn has a worker make chunk k, in the buffer that its chunk before is not in.
func (r *Reader) turn(w *worker, k int64) {
	w.turn ^= 1
	if w.out[w.turn] == nil {
		w.out[w.turn] = make([]byte, r.chunks.largest()*r.opts.To.Size())
	}
	if w.raw == nil && r.opts.To != w.view.DType {
		w.raw = make([]byte, r.chunks.largest()*w.elem)
	}
	w.counts = Counts{}
	w.make(r.chunks.at(k))
}

// fill makes the next chunks, one per worker, side by side.
func (r *Reader) fill() error {
	n := int(min(int64(len(r.workers)), r.chunks.count-r.next))
	var wg sync.WaitGroup
	for i, w := range r.workers[:n] {
		k := r.next + int64(i)
		work := func() {
			w.turn = 1 // what was made before has been read: one buffer does
			r.turn(w, k)
		}
		if i == n-1 {
			work()
		} else {
			wg.Go(work)
		}
	}
	wg.Wait()
	r.ready = r.ready[:0]
	for _, w := range r.workers[:n] {
		if w.err != nil {
			return w.err
		}
		r.ready = append(r.ready, w.got)
		if r.opts.Counts != nil {
			r.opts.Counts.Add(w.counts)
		}
	}
	r.next += int64(n)
	return nil
}

// Read fills p. A failed read of the source is a *ReadError; what was made before it is given first.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.ready) == 0 {
		if r.err == nil && r.next >= r.chunks.count {
			r.err = io.EOF
		}
		if r.err == nil {
			r.err = r.fill()
		}
		if r.err != nil && len(r.ready) == 0 {
			return 0, r.err
		}
	}
	n := copy(p, r.ready[0])
	if r.ready[0] = r.ready[0][n:]; len(r.ready[0]) == 0 {
		r.ready = r.ready[1:]
	}
	return n, nil
}

// WriteTo writes all that Read would give. Each worker makes a chunk while the one before it is written, so reading, casting
// and writing overlap; the memory is the same.
func (r *Reader) WriteTo(w io.Writer) (written int64, err error) {
	for _, b := range r.ready { // from an earlier Read
		n, err := w.Write(b)
		if written += int64(n); err != nil {
			r.err = err
			return written, err
		}
	}
	r.ready = nil
	if r.err == nil && r.next < r.chunks.count {
		n, err := r.pipe(w)
		if written += n; err != nil {
			r.err = err
			return written, err
		}
		r.next, r.err = r.chunks.count, io.EOF
	}
	if r.err == io.EOF {
		return written, nil
	}
	return written, r.err
}

// A made is a finished chunk. Its bytes hold until the worker's next one is taken.
type made struct {
	b      []byte
	counts Counts
	err    error
}

// pipe deals the chunks out to the workers, each the next of its turn, and writes them in order.
func (r *Reader) pipe(to io.Writer) (written int64, err error) {
	workers := r.workers[:min(int64(len(r.workers)), r.chunks.count-r.next)]
	lines := make([]chan made, len(workers))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	for i, w := range workers {
		lines[i] = make(chan made)
		wg.Go(func() {
			for k := r.next + int64(i); k < r.chunks.count; k += int64(len(workers)) {
				r.turn(w, k)
				select {
				case lines[i] <- made{w.got, w.counts, w.err}:
				case <-stop:
					return
				}
				if w.err != nil {
					return
				}
			}
		})
	}
	for k := range r.chunks.count - r.next {
		m := <-lines[k%int64(len(workers))]
		if m.err != nil {
			return written, m.err
		}
		if r.opts.Counts != nil {
			r.opts.Counts.Add(m.counts)
		}
		n, err := to.Write(m.b)
		if written += int64(n); err != nil {
			return written, err
		}
	}
	return written, nil
}
