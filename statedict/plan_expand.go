package statedict

// maxExpanded is how many bytes expanded views may take in an output that nobody asked to hold them.
const maxExpanded = 64 << 20

const expandedLimit = "bytes of expanded views written out"

// checkExpanded refuses an output in which views that show far more than their storages hold are written out: a file of a
// kilobyte can describe terabytes. In torch files a view stays a view, unless an operation gave it a storage of its own.
func (cp *Checkpoint) checkExpanded(f Format, o *PlanOptions) error {
	if o.AllowExpanded {
		return nil
	}
	flat := f != TorchZip && f != TorchLegacy
	var total int64
	counted := map[StorageID]bool{}
	for i := range cp.Entries {
		v := &cp.Entries[i].View
		if v.Storage == NoStorage || cp.Entries[i].Info != nil && cp.Entries[i].Info.Bad != "" {
			continue // that is refused by name
		}
		st := &cp.Storages[v.Storage]
		if st.Of != nil && !counted[v.Storage] {
			counted[v.Storage] = true
			if st.Of.Storage != NoStorage && expanded(st.Of.NBytes(), cp.Storages[st.Of.Storage].byteLen()) {
				total = min(total, maxSize) + min(st.Of.NBytes(), maxSize)
			}
		}
		if flat && expanded(v.NBytes(), st.byteLen()) {
			total = min(total, maxSize) + min(v.NBytes(), maxSize)
		}
	}
	if total > maxExpanded {
		return &LimitError{Limit: expandedLimit, Got: total, Max: maxExpanded, Offset: -1}
	}
	return nil
}

// expanded tells a view of n bytes that shows far more than the has bytes of its storage.
func expanded(n, has int64) bool { return n >= expandedBytes && n/expandedTimes > has }
