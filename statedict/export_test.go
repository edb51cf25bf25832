package statedict

// Touch is cp marked as edited, with nothing changed.
func Touch(cp *Checkpoint) (*Checkpoint, error) { return cp.rebuild(cp.root, cp.Storages) }
