package pickle

// Stream is a pickle whose length is not known before it has been walked: its file is read on until it ends. Each opcode is
// walked once, however often more bytes come in.
type Stream struct {
	opt  *Options
	scan *scanner
	err  *Error
}

// NewStream starts a stream. opt may be nil.
func NewStream(opt *Options) *Stream {
	if opt == nil {
		opt = &Options{}
	}
	return &Stream{opt: opt, scan: newScanner(opt.Limits)}
}

// Extend walks on in p, which begins with the bytes of all calls before it, and answers the length of the pickle. An *Error with
// More set asks for a longer p; any other is final. p is used until Load has returned.
func (s *Stream) Extend(p []byte) (length int64, err error) {
	if s.err = s.scan.extend(p); s.err != nil {
		return 0, s.err
	}
	return int64(s.scan.report.Len), nil
}

// Load is the function Load for what the last Extend has walked.
func (s *Stream) Load() (*Pickle, error) { return load(s.scan, s.err, s.opt) }

// Report is what Scan returns, for what the last Extend has walked.
func (s *Stream) Report() *Report { return &s.scan.report }
