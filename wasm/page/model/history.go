package model

import "bytes"

// Recipe is the steps and how many of them are done; the others can be done again. Every change can be undone.
type Recipe struct {
	At    string // the mapping to work on
	HasAt bool   // false: it is found
	Steps []Op
	Done  int

	past, future []version
}

// version is a recipe as it was.
type version struct {
	at    string
	hasAt bool
	steps []Op
}

func (r *Recipe) version() version { return version{r.At, r.HasAt, r.Steps[:r.Done:r.Done]} }

// change makes steps the recipe and forgets what was undone.
func (r *Recipe) change(steps []Op) {
	r.past = append(r.past[:len(r.past):len(r.past)], r.version())
	r.Steps, r.Done, r.future = steps, len(steps), nil
}

// Push adds a step behind those done.
func (r *Recipe) Push(o ...Op) { r.change(append(r.Steps[:r.Done:r.Done], o...)) }

// Remove takes step i out, Replace puts another in its place, and Move puts it where step to is. They answer whether they
// changed anything; undone steps cannot be changed.
func (r *Recipe) Remove(i int) bool {
	if i < 0 || i >= r.Done {
		return false
	}
	r.change(append(append([]Op(nil), r.Steps[:i]...), r.Steps[i+1:r.Done]...))
	return true
}

func (r *Recipe) Replace(i int, o Op) bool {
	if i < 0 || i >= r.Done {
		return false
	}
	steps := append([]Op(nil), r.Steps[:r.Done]...)
	steps[i] = o
	r.change(steps)
	return true
}

func (r *Recipe) Move(i, to int) bool {
	if i < 0 || to < 0 || i >= r.Done || to >= r.Done || i == to {
		return false
	}
	steps := append([]Op(nil), r.Steps[:r.Done]...)
	o := steps[i]
	steps = append(steps[:i], steps[i+1:]...)
	steps = append(steps[:to], append([]Op{o}, steps[to:]...)...)
	r.change(steps)
	return true
}

// Take makes another recipe's steps this one's.
func (r *Recipe) Take(o Recipe) {
	r.change(o.Steps[:o.Done:o.Done])
	r.At, r.HasAt = o.At, o.HasAt
}

// Append puts another recipe's steps behind those done. Where it says which mapping it works on, it takes their place.
func (r *Recipe) Append(o Recipe) {
	if o.HasAt {
		r.Take(o)
		return
	}
	r.Push(o.Steps[:o.Done]...)
}

// SetAt chooses the mapping to work on.
func (r *Recipe) SetAt(path string) {
	r.change(r.Steps[:r.Done:r.Done])
	r.At, r.HasAt = path, true
}

// CanUndo and CanRedo tell whether Undo and Redo would do something.
func (r *Recipe) CanUndo() bool { return r.Done > 0 || len(r.past) > 0 }
func (r *Recipe) CanRedo() bool { return len(r.future) > 0 }

// Undo and Redo tell whether there was a step. Steps that came with a document are undone one by one.
func (r *Recipe) Undo() bool {
	n := len(r.past)
	switch {
	case n > 0:
		r.future = append(r.future[:len(r.future):len(r.future)], r.version())
		r.restore(r.past[n-1])
		r.past = r.past[:n-1]
	case r.Done > 0:
		r.future = append(r.future[:len(r.future):len(r.future)], r.version())
		r.Done--
	default:
		return false
	}
	return true
}

func (r *Recipe) Redo() bool {
	n := len(r.future)
	if n == 0 {
		return false
	}
	r.past = append(r.past[:len(r.past):len(r.past)], r.version())
	r.restore(r.future[n-1])
	r.future = r.future[:n-1]
	return true
}

// restore goes to a version. Steps stay on show as undone where the version is the beginning of them.
func (r *Recipe) restore(v version) {
	r.At, r.HasAt = v.at, v.hasAt
	if !begins(r.Steps, v.steps) {
		r.Steps = v.steps
	}
	r.Done = len(v.steps)
}

func begins(steps, with []Op) bool {
	if len(with) > len(steps) {
		return false
	}
	for i := range with {
		if !bytes.Equal(steps[i].Step(), with[i].Step()) {
			return false
		}
	}
	return true
}
