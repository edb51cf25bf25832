package torchfile

import "slices"

// Profile is a set of records that some torch writes, named after the first that did.
type Profile string

const (
	Torch16 Profile = "torch-1.6" // data.pkl, storages, version
	Torch21 Profile = "torch-2.1" // and byteorder, serialization id
	Torch27 Profile = "torch-2.7" // and format version, alignment; storages in order of appearance
)

// RecordNames returns the records of a torch.save archive in the order in which that torch writes them, without
// prefix. storageKeys come in order of first appearance in the pickle.
//
// Source: torch/serialization.py, _save; the version record is added by the C++ writer at the end.
func RecordNames(profile Profile, storageKeys []string) []string {
	names := make([]string, 0, len(storageKeys)+7)
	names = append(names, pickleName)
	keys := storageKeys
	switch profile {
	case Torch27:
		names = append(names, ".format_version", ".storage_alignment", "byteorder")
	case Torch21:
		names = append(names, "byteorder")
	}
	if profile != Torch27 {
		keys = slices.Sorted(slices.Values(storageKeys))
	}
	for _, key := range keys {
		names = append(names, "data/"+key)
	}
	names = append(names, "version")
	if profile != Torch16 {
		names = append(names, ".data/serialization_id")
	}
	return names
}

// RecordText is the content of the records that describe the container, empty for those that hold data and for the
// serialization id, which depends on the other records.
func RecordText(name string, alignment int64) string {
	switch name {
	case "version":
		return "3\n"
	case "byteorder":
		return "little"
	case ".format_version":
		return "1"
	case ".storage_alignment":
		return itoa(alignment)
	}
	return ""
}
