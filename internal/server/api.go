package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/internal/file"
	"github.com/weightroom/weightroom/internal/listing"
	"github.com/weightroom/weightroom/statedict"
)

// api runs a handler in one of the slots, and turns its error into an answer. A hostile file costs its own request only.
func (s *Server) api(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.Method == http.MethodPost {
			// A form of another site cannot send this type, so such a site cannot start work here.
			if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
				writeError(w, http.StatusUnsupportedMediaType, "E_USAGE", "the body must be application/json", "")
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		default:
			w.Header().Set("Retry-After", "1")
			writeError(w, http.StatusServiceUnavailable, "E_BUSY", "too many files are open", "try again in a second")
			return
		}
		if err := handle(w, r); err != nil {
			answerError(w, err)
		}
	})
}

// badRequest is a request that makes no sense, whatever the files hold.
type badRequest struct{ msg string }

func (e *badRequest) Error() string { return e.msg }

// answerError says what went wrong without saying where on this machine.
func answerError(w http.ResponseWriter, err error) {
	status, msg := http.StatusUnprocessableEntity, err.Error()
	code := statedict.Code(err)
	var br *badRequest
	var tooBig *http.MaxBytesError
	var pe *fs.PathError
	switch {
	case errors.As(err, &br):
		status, code = http.StatusBadRequest, "E_USAGE"
	case errors.As(err, &tooBig):
		status, code, msg = http.StatusRequestEntityTooLarge, "E_LIMIT", fmt.Sprintf("the body is over %d bytes", maxBody)
	case errors.Is(err, fs.ErrNotExist):
		status, code, msg = http.StatusNotFound, "E_NOT_FOUND", "no such file"
	case errors.As(err, &pe): // also a path that leads out of the root
		status, code, msg = http.StatusForbidden, "E_FORBIDDEN", "this path cannot be opened"
	}
	writeError(w, status, code, msg, statedict.Hint(err))
}

func writeError(w http.ResponseWriter, status int, code, msg, hint string) {
	b := append([]byte(nil), `{"error": {"code": `...)
	b = listing.AppendString(b, code)
	b = append(b, `, "message": `...)
	b = listing.AppendString(b, msg)
	b = append(b, `, "hint": `...)
	b = listing.AppendString(b, hint)
	b = append(b, "}}\n"...)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b)
}

func (s *Server) open(ctx context.Context, name string) (*statedict.Checkpoint, *file.Set, error) {
	if !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00") {
		return nil, nil, &badRequest{"path: a relative path with slashes expected"}
	}
	set, err := file.OpenIn(s.root, name)
	if err != nil {
		return nil, nil, err
	}
	cp, err := statedict.Open(ctx, set.Sources...)
	if err != nil {
		set.Close()
		return nil, nil, err
	}
	return cp, set, nil
}

// files lists a folder: {"path": "a", "files": [{"name", "size", "folder"}]}. Links are left out.
func (s *Server) files(w http.ResponseWriter, r *http.Request) error {
	dir := path.Clean("./" + r.URL.Query().Get("path"))
	if !fs.ValidPath(dir) {
		return &badRequest{"path: a relative path with slashes expected"}
	}
	list, err := fs.ReadDir(s.root.FS(), dir)
	if err != nil {
		return err
	}
	type item struct {
		Name   string `json:"name"`
		Size   int64  `json:"size"`
		Folder bool   `json:"folder"`
	}
	items := []item{}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), ".") || !e.IsDir() && !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil {
			it := item{Name: e.Name(), Folder: e.IsDir()}
			if !it.Folder {
				it.Size = info.Size()
			}
			items = append(items, it)
		}
	}
	return writeJSON(w, map[string]any{"path": dir, "files": items})
}

// ls answers the document of `weightroom ls --json` for ?path=; at, match and sort narrow it as the flags do.
func (s *Server) ls(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	cp, set, err := s.open(r.Context(), q.Get("path"))
	if err != nil {
		return err
	}
	defer set.Close()
	l := listing.New(cp)
	if q.Has("at") {
		if err := l.At(q.Get("at")); err != nil {
			return err
		}
	}
	if m := q.Get("match"); m != "" {
		if err := l.Match(m); err != nil {
			return &badRequest{"match: " + err.Error()}
		}
	}
	if err := l.Sort(q.Get("sort")); err != nil {
		return &badRequest{"sort: " + err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	return l.WriteJSON(w)
}

// request is the body of plan and export.
type request struct {
	Path         string          `json:"path"`
	Recipe       json.RawMessage `json:"recipe"`         // the document, or a text that is one (YAML or JSON) or names a ready-made one
	Format       string          `json:"format"`         // as --format; absent, torch
	Name         string          `json:"name"`           // of the output; absent, made from path
	MaxShardSize size            `json:"max_shard_size"` // bytes, or a text like "5GB"
	File         string          `json:"file"`           // export: which file of a sharded plan; absent, the only one
}

// size is a count of bytes, as a number or as recipes and flags write it.
type size int64

func (n *size) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = string(b)
	}
	if text == "" || text == "0" { // null is a text without characters
		return nil
	}
	v, err := statedict.ParseSize(text)
	*n = size(v)
	return err
}

// planned applies a request; count has it read what is cast, for the report. The sets are to be closed even on an error.
func (s *Server) planned(r *http.Request, count bool) (*statedict.Plan, *statedict.Report, []*file.Set, error) {
	var q request
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		var tooBig *http.MaxBytesError
		if errors.As(err, &tooBig) {
			return nil, nil, nil, err
		}
		return nil, nil, nil, &badRequest{"the body is not the JSON expected: " + err.Error()}
	}
	recipe := &statedict.Recipe{}
	if len(q.Recipe) > 0 {
		doc, text := []byte(q.Recipe), ""
		if json.Unmarshal(doc, &text) == nil {
			doc = []byte(text)
			if ready, ok := statedict.PresetRecipe(text); ok {
				doc = ready.YAML()
			}
		}
		var err error
		if recipe, err = statedict.ParseRecipe(doc); err != nil {
			return nil, nil, nil, err
		}
	}
	if q.Format == "" {
		q.Format = recipe.Output.Format
	}
	if q.Format == "" {
		q.Format = "torch"
	}
	format, ending, ok := listing.OutputFormat(q.Format)
	if !ok {
		return nil, nil, nil, &badRequest{fmt.Sprintf("unknown format %q", q.Format)}
	}
	if q.Name == "" {
		q.Name = strings.TrimSuffix(path.Base(q.Path), path.Ext(q.Path)) + ending
	}
	cp, set, err := s.open(r.Context(), q.Path)
	if err != nil {
		return nil, nil, nil, err
	}
	sets := []*file.Set{set}
	others := make(map[string]*statedict.Checkpoint)
	for _, name := range recipe.Files() {
		if others[name] == nil {
			cp, set, err := s.open(r.Context(), name)
			if err != nil {
				return nil, nil, sets, err
			}
			sets = append(sets, set)
			others[name] = cp
		}
	}
	edited, report, err := recipe.Apply(cp, others)
	if err != nil {
		return nil, nil, sets, err
	}
	shard := int64(q.MaxShardSize)
	if shard == 0 {
		shard = recipe.Output.MaxShardSize
	}
	plan, err := statedict.NewPlan(edited, format, &statedict.PlanOptions{Name: q.Name, MaxShardSize: shard})
	if err != nil {
		return nil, nil, sets, err
	}
	if count {
		if err := plan.CountCasts(r.Context(), nil); err != nil {
			return nil, nil, sets, err
		}
	}
	listing.SumUp(report, cp, plan)
	if q.File != "" {
		plan.Files = slices.DeleteFunc(plan.Files, func(f statedict.File) bool { return f.Name != q.File })
	}
	return plan, report, sets, nil
}

func closeAll(sets []*file.Set) {
	for _, set := range sets {
		set.Close()
	}
}

// plan answers what `weightroom edit --dry-run --json` prints.
func (s *Server) plan(w http.ResponseWriter, r *http.Request) error {
	_, report, sets, err := s.planned(r, true)
	defer closeAll(sets)
	if err != nil {
		return err
	}
	return writeJSON(w, report)
}

// export answers a file of the plan as a download. Its length is known before its first byte, so a client can tell a
// download that broke off.
func (s *Server) export(w http.ResponseWriter, r *http.Request) error {
	plan, _, sets, err := s.planned(r, false)
	defer closeAll(sets)
	if err != nil {
		return err
	}
	if len(plan.Files) != 1 {
		return &badRequest{fmt.Sprintf("the plan has %d files of that name: choose one with \"file\"", len(plan.Files))}
	}
	if err := plan.Confirm(r.Context()); err != nil {
		return err
	}
	f := &plan.Files[0]
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	h.Set("Content-Length", strconv.FormatInt(f.Size, 10))
	if err := f.Write(r.Context(), w, nil); err != nil {
		// The header is gone: breaking the connection is the only way left to say so.
		panic(http.ErrAbortHandler)
	}
	return nil
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
