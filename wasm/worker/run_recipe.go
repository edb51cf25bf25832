//go:build js

package worker

import "github.com/weightroom/weightroom/wasm/message"

// answerRecipe answers what the recipe's part of the page asks; ok is false for other methods.
func (w *worker) answerRecipe(j *job) (reply any, ok bool, err error) {
	switch j.method {
	case message.Python:
		var req message.PythonRequest
		if err = decode(j, &req); err == nil {
			reply, err = w.session.Python(&req)
		}
	case message.Presets:
		var req message.ApplyRequest
		if err = decode(j, &req); err == nil {
			reply, err = w.session.Presets(&req)
		}
	default:
		return nil, false, nil
	}
	return reply, true, err
}
