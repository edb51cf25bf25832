//go:build js

package blob

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"syscall/js"
	"time"
)

// Browser makes requests with fetch: no cookies, no referrer, and no header that would need the server's leave first.
type Browser struct{ origin string }

// NewBrowser is for one worker. It hears what the policy blocks, which fetch itself does not tell.
func NewBrowser() *Browser {
	return &Browser{origin: js.Global().Get("location").Get("origin").String()}
}

func (b *Browser) SameOrigin(url string) bool { return strings.HasPrefix(url, b.origin+"/") }

func (b *Browser) Reachable(ctx context.Context, url string) bool {
	stop := js.Global().Get("AbortController").New()
	defer stop.Call("abort") // the answer's body is of no use
	_, err := await(ctx, stop, js.Global().Call("fetch", url, options(stop, map[string]any{"mode": "no-cors"})))
	return err == nil
}

func options(stop js.Value, more map[string]any) map[string]any {
	o := map[string]any{"credentials": "omit", "referrerPolicy": "no-referrer", "cache": "no-store", "signal": stop.Get("signal")}
	for k, v := range more {
		o[k] = v
	}
	return o
}

func (b *Browser) Get(ctx context.Context, r Request) (*Answer, error) {
	stop := js.Global().Get("AbortController").New()
	blocked := false
	watch := js.FuncOf(func(js.Value, []js.Value) any { blocked = true; return nil })
	defer watch.Release()
	js.Global().Call("addEventListener", "securitypolicyviolation", watch)
	defer js.Global().Call("removeEventListener", "securitypolicyviolation", watch)

	headers := map[string]any{}
	if r.From >= 0 {
		headers["Range"] = "bytes=" + itoa(r.From) + "-" + itoa(r.To)
	}
	if r.IfRange != "" {
		headers["If-Range"] = r.IfRange
	}
	res, err := await(ctx, stop, js.Global().Call("fetch", r.URL, options(stop, map[string]any{"headers": headers})))
	if err != nil {
		time.Sleep(20 * time.Millisecond) // what the policy blocks is told a little later
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && blocked:
		return nil, ErrPolicy
	case err != nil:
		return nil, ErrNoAnswer
	}
	h := func(name string) string {
		if v := res.Get("headers").Call("get", name); v.Type() == js.TypeString {
			return v.String()
		}
		return ""
	}
	a := &Answer{Status: res.Get("status").Int(), URL: res.Get("url").String(), ContentRange: h("Content-Range"), ETag: h("ETag"), Modified: h("Last-Modified"), Length: number(h("Content-Length"))}
	if r.Headers || a.Status != 200 && a.Status != 206 {
		stop.Call("abort")
		return a, nil
	}
	if a.Length > r.Limit && h("Content-Encoding") == "" {
		stop.Call("abort")
		return a, ErrTooLong
	}
	a.Body, err = body(ctx, stop, res.Get("body").Call("getReader"), r.Limit)
	return a, err
}

// body reads a stream up to limit. What is kept grows with what comes, not with what was announced.
func body(ctx context.Context, stop, reader js.Value, limit int64) ([]byte, error) {
	var out []byte
	for {
		part, err := await(ctx, stop, reader.Call("read"))
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, ErrDropped
		case part.Get("done").Bool():
			return out, nil
		}
		chunk := part.Get("value")
		n := chunk.Get("byteLength").Int()
		if int64(len(out)+n) > limit {
			stop.Call("abort")
			return nil, ErrTooLong
		}
		at := len(out)
		out = append(out, make([]byte, n)...)
		js.CopyBytesToGo(out[at:], chunk)
	}
}

// await waits for a promise; ending ctx aborts what it stands for.
func await(ctx context.Context, stop, promise js.Value) (js.Value, error) {
	type result struct {
		v   js.Value
		err error
	}
	done := make(chan result, 1)
	good := js.FuncOf(func(_ js.Value, args []js.Value) any { done <- result{v: args[0]}; return nil })
	bad := js.FuncOf(func(js.Value, []js.Value) any { done <- result{err: errFailed}; return nil })
	defer good.Release()
	defer bad.Release()
	promise.Call("then", good, bad)
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		stop.Call("abort")
		r := <-done // the promise is settled by that
		return r.v, ctx.Err()
	}
}

var errFailed = errors.New("failed")

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// number is a decimal count, -1 for anything else.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return -1
	}
	return n
}
