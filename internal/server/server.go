// Package server is `weightroom serve`: the page, and an API over the checkpoints below one folder.
//
// It is built on net/http alone: five routes do not earn a framework, and every limit below has to be set by hand anyway.
package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/weightroom/weightroom/web"
)

// Options are the choices of serve.
type Options struct {
	Addr  string   // host:port; port 0 takes a free one
	Root  string   // folder of the API; "" serves the page alone
	Token string   // what requests must carry; made where Addr is no loopback address
	Web   string   // folder of the page; "" is the built-in one
	Hosts []string // further names that requests may call this server by
	Embed []string // origins whose pages may frame embed.html
}

// Server serves one page and one folder.
type Server struct {
	opts  Options
	host  string
	page  *assets
	root  *os.Root
	slots chan struct{}
	notes []string
}

// Limits of a request. Together with the slots they bound what strangers can hold.
const (
	headerTimeout = 5 * time.Second
	maxHeader     = 64 << 10
	maxBody       = 1 << 20 // a recipe
	maxRanges     = 16
	minRate       = 16 << 10 // bytes per second that a reader must take
	slots         = 4        // checkpoints open at a time
)

// New checks the options and opens what they name. Nothing listens before Run.
func New(o Options) (*Server, error) {
	host, _, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("--addr %q: HOST:PORT expected", o.Addr)
	}
	s := &Server{opts: o, host: host, slots: make(chan struct{}, slots)}
	if !isLoopback(host) {
		if s.opts.Token == "" {
			var b [18]byte
			rand.Read(b[:])
			s.opts.Token = base64.RawURLEncoding.EncodeToString(b[:])
		}
		s.notes = append(s.notes, fmt.Sprintf("%s is no loopback address: every request needs the token in the address above", o.Addr))
	}
	var page fs.FS = web.Dist()
	if o.Web != "" {
		page = os.DirFS(o.Web)
	}
	if s.page, err = newAssets(page); err != nil {
		return nil, fmt.Errorf("the page: %w", err)
	}
	if s.page.empty() {
		s.notes = append(s.notes, "the page is not built: run scripts/build-wasm.sh, then build the command again, or name its folder with --web")
	}
	if o.Root != "" {
		if s.root, err = os.OpenRoot(o.Root); err != nil {
			return nil, fmt.Errorf("--root: %w", err)
		}
	}
	return s, nil
}

// Notes are what the operator should know, one line each.
func (s *Server) Notes() []string { return s.notes }

// Run serves until ctx ends, then lets running requests finish for a few seconds. started is called with the address.
func (s *Server) Run(ctx context.Context, started func(url string)) error {
	l, err := net.Listen("tcp", s.opts.Addr)
	if err != nil {
		return err
	}
	started(s.url(l.Addr()))
	h := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := h.Shutdown(grace); err != nil {
		h.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) url(addr net.Addr) string {
	u := url.URL{Scheme: "http", Host: addr.String(), Path: "/"}
	if host, port, err := net.SplitHostPort(addr.String()); err == nil {
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			u.Host = net.JoinHostPort("localhost", port)
		}
	}
	if s.opts.Token != "" {
		u.RawQuery = "token=" + url.QueryEscape(s.opts.Token)
	}
	return u.String()
}

// Handler is everything that is served.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	if s.root != nil {
		mux.Handle("GET /api/files", s.api(s.files))
		mux.Handle("GET /api/ls", s.api(s.ls))
		mux.Handle("POST /api/plan", s.api(s.plan))
		mux.Handle("POST /api/export", s.api(s.export))
	}
	mux.Handle("/api/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, "E_NOT_FOUND", "no such route", "")
	}))
	mux.Handle("/", s.page)
	return s.guard(mux)
}

// guard refuses what no handler should see, and sets the headers that every answer has.
func (s *Server) guard(next http.Handler) http.Handler {
	frames := "frame-ancestors " + strings.Join(append([]string{"'self'"}, s.opts.Embed...), " ")
	const none = "frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", none)
		if r.URL.Path == "/embed.html" {
			h.Set("Content-Security-Policy", frames)
		}
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		switch {
		case !s.knownHost(r.Host):
			writeError(w, http.StatusForbidden, "E_HOST", "this server is not called that", "start it with --host NAME")
		case strings.Count(r.Header.Get("Range"), ",") >= maxRanges:
			writeError(w, http.StatusRequestedRangeNotSatisfiable, "E_LIMIT", fmt.Sprintf("more than %d ranges", maxRanges), "")
		case !s.admitted(w, r):
		default:
			next.ServeHTTP(&pacedWriter{ResponseWriter: w, ctl: http.NewResponseController(w)}, r)
		}
	})
}

// knownHost guards against names that somebody else's DNS points at this machine: an IP address cannot be such a name.
func (s *Server) knownHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	return net.ParseIP(host) != nil || host == "localhost" || host == s.host || slices.Contains(s.opts.Hosts, host)
}

const cookie = "weightroom"

// admitted checks the token. A browser hands it over once, in the address, and keeps it in a cookie.
func (s *Server) admitted(w http.ResponseWriter, r *http.Request) bool {
	if s.opts.Token == "" {
		return true
	}
	same := func(t string) bool { return subtle.ConstantTimeCompare([]byte(t), []byte(s.opts.Token)) == 1 }
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && same(t) {
		return true
	}
	if c, err := r.Cookie(cookie); err == nil && same(c.Value) {
		return true
	}
	if q := r.URL.Query(); same(q.Get("token")) && r.Method == http.MethodGet {
		http.SetCookie(w, &http.Cookie{Name: cookie, Value: s.opts.Token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		q.Del("token")
		u := url.URL{Path: r.URL.Path, RawQuery: q.Encode()}
		http.Redirect(w, r, u.String(), http.StatusSeeOther)
		return false
	}
	writeError(w, http.StatusUnauthorized, "E_TOKEN", "the token is missing or wrong", "open the address that serve has printed")
	return false
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// pacedWriter gives every write as long as a slow but living reader needs.
type pacedWriter struct {
	http.ResponseWriter
	ctl *http.ResponseController
}

func (w *pacedWriter) Write(b []byte) (int, error) {
	total := 0
	for {
		step := b[:min(len(b), 1<<20)]
		w.ctl.SetWriteDeadline(time.Now().Add(10*time.Second + time.Duration(len(step))*time.Second/minRate))
		n, err := w.ResponseWriter.Write(step)
		total += n
		if b = b[n:]; err != nil || len(b) == 0 {
			return total, err
		}
	}
}

// Unwrap lets http.ResponseController through.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
