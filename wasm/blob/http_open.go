package blob

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

const (
	// maxIndex is the largest index JSON that is read, in bytes.
	maxIndex = 100_000_000
	// abreast is how many shards are opened at a time; browsers make six requests to a server.
	abreast = 6
)

// OpenRemotes opens the file at an address; if that is an index JSON, the shards that it names as well, which lie beside it.
func OpenRemotes(ctx context.Context, address string, f Fetcher, job func() context.Context) ([]*Remote, error) {
	base, err := remoteURL(address)
	if err != nil {
		return nil, err
	}
	first, err := OpenRemote(ctx, remoteName(base), base.String(), f, job)
	if err != nil {
		return nil, err
	}
	names, err := first.shards()
	if err != nil || len(names) == 0 {
		return []*Remote{first}, err
	}
	out := make([]*Remote, 1+len(names))
	out[0] = first
	errs := make([]error, len(names))
	turn := make(chan struct{}, abreast)
	ctx, stop := context.WithCancel(ctx) // at the first shard that fails
	defer stop()
	var all sync.WaitGroup
	for i, name := range names {
		all.Add(1)
		turn <- struct{}{}
		go func() {
			defer func() { <-turn; all.Done() }()
			shard := *base
			shard.Path, shard.RawPath, shard.RawQuery = path.Join(path.Dir(base.Path), name), "", ""
			if out[1+i], errs[i] = OpenRemote(ctx, name, shard.String(), f, job); errs[i] != nil {
				stop()
			}
		}()
	}
	all.Wait()
	if ctx.Err() != nil && !slices.ContainsFunc(errs, func(err error) bool { return err != nil && !errors.Is(err, context.Canceled) }) {
		return nil, ctx.Err() // the user's doing
	}
	for i, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			e := *message.FromError(err)
			e.Message = "shard " + names[i] + ": " + e.Message
			return nil, &e
		}
	}
	return out, nil
}

// remoteURL checks an address. One of the Hub's pages about a file means the file.
func remoteURL(address string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, &message.Error{Code: "E_REMOTE_ADDRESS", Message: "this is no address of a file: an https:// address is expected"}
	}
	if u.Host == "huggingface.co" || u.Host == "hf.co" {
		parts := strings.Split(u.EscapedPath(), "/")
		if i := slices.Index(parts, "blob"); i > 0 && i <= 4 {
			parts[i] = "resolve"
			if raw := strings.Join(parts, "/"); raw != "" {
				if plain, err := url.PathUnescape(raw); err == nil {
					u.Path, u.RawPath = plain, raw
				}
			}
		}
	}
	u.Fragment = ""
	return u, nil
}

func remoteName(u *url.URL) string {
	name := path.Base(u.Path)
	if name == "." || name == "/" {
		return u.Host
	}
	return name
}

// shards are the files that r names if it is an index JSON, in order of their names; none if it is something else.
func (r *Remote) shards() ([]string, error) {
	if !strings.HasSuffix(r.Name, ".json") || r.Size > maxIndex {
		return nil, nil
	}
	doc := make([]byte, r.Size)
	if _, err := r.ReadAt(doc, 0); err != nil && err != io.EOF {
		return nil, err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if json.NewDecoder(bytes.NewReader(doc)).Decode(&index) != nil {
		return nil, nil
	}
	var names []string
	for _, name := range index.WeightMap {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
			return nil, &statedict.FormatError{Code: "E_FORMAT", Format: "shard index", Offset: -1, Msg: "names a file that is no plain name beside it"}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Source is r as the codec takes it.
func (r *Remote) Source() statedict.Source {
	return statedict.Source{Name: r.Name, R: r, Size: r.Size}
}

// Slow tells that every byte that an export copies has to come through this program.
func (r *Remote) Slow() bool { return true }
