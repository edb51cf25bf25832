package statedict

// Files are the names of the other files that the recipe's steps read, in order: what Apply wants to find in others.
func (r *Recipe) Files() []string {
	var names []string
	for _, op := range r.Steps {
		switch op := op.(type) {
		case *KeepKnown:
			names = append(names, op.In)
		case *Merge:
			names = append(names, op.From)
		}
	}
	return names
}
