package statedict

// Place is where the bytes of a view lie in one of the files.
type Place struct {
	Source   *Source
	Off, Len int64 // bytes; of a strided view from its first element to its last
	Deflated bool  // Off and Len are those of the whole compressed record
}

// Where finds the bytes behind v. ok is false for a view whose elements lie in no file as they are: one without storage,
// damaged, or made by an operation. At most the local header of one record is read; errors are *SourceError.
func (cp *Checkpoint) Where(v View) (p Place, ok bool, err error) {
	if v.Storage < 0 || int(v.Storage) >= len(cp.Storages) {
		return p, false, nil
	}
	st := cp.Storages[v.Storage]
	n, inside := v.span()
	if st.Of != nil || st.Cast != 0 || st.Missing != "" || st.Data.Source == nil || !inside || cp.impossible(&v) != "" {
		return p, false, nil
	}
	x, err := st.Data.resolve()
	if err != nil {
		return p, false, err
	}
	if x.Method == Deflated {
		return Place{Source: x.Source, Off: x.Off, Len: x.Len, Deflated: true}, true, nil
	}
	size := v.DType.Size()
	if size == 0 {
		return Place{Source: x.Source, Off: x.Off, Len: x.Len}, true, nil
	}
	if n == 0 {
		return Place{Source: x.Source, Off: x.Off}, true, nil
	}
	return Place{Source: x.Source, Off: x.Off + v.Offset*size, Len: (n - v.Offset) * size}, true, nil
}
