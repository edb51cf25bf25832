package model

// Breathe is called now and then in long work: it may let others act. nil never does.
type Breathe func()

// breath is how many steps of a loop lie between two calls.
const breath = 2048

// at is called with the steps of a loop.
func (b Breathe) at(step int) {
	if b != nil && step%breath == 0 {
		b()
	}
}
