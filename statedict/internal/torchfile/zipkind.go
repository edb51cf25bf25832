package torchfile

import "strings"

// ArchiveKind is what a zip holds.
type ArchiveKind uint8

const (
	ZipOther        ArchiveKind = iota // a zip, nothing known in it
	TorchSave                          // torch.save, 1.6 and later
	TorchScript                        // torch.jit.save
	TorchScriptLite                    // the same with bytecode, for mobile
	TorchScriptJSON                    // TorchScript of 1.0 to 1.2, model.json
	PT2                                // torch.export package of 2.8 and later
	ExportedProgram                    // torch.export.save of 2.1 to 2.7
	TorchPackage                       // torch.package
	NPZ                                // numpy arrays
	ZipWrapper                         // a zip around files that could be opened: .mar, a zipped folder
)

var archiveKinds = [...]string{
	ZipOther: "zip archive without data.pkl", TorchSave: "torch.save archive", TorchScript: "TorchScript archive",
	TorchScriptLite: "TorchScript lite-interpreter archive", TorchScriptJSON: "TorchScript archive of torch 1.0 to 1.2 (model.json)",
	PT2: "torch.export package (pt2)", ExportedProgram: "torch.export archive of torch 2.1 to 2.7",
	TorchPackage: "torch.package archive", NPZ: "NumPy npz archive", ZipWrapper: "zip around other files",
}

// String names the kind as one would in a sentence.
func (k ArchiveKind) String() string {
	if int(k) >= len(archiveKinds) {
		return archiveKinds[ZipOther]
	}
	return archiveKinds[k]
}

// torch tells the kinds whose tensors can be read here: data.pkl beside data/.
func (k ArchiveKind) torch() bool {
	return k == TorchSave || k == TorchScript || k == TorchScriptLite
}

const pickleName = "data.pkl"

// marks are records that tell one kind from another, tried in this order.
var marks = []struct {
	name string
	kind ArchiveKind
}{
	{"archive_format", PT2},
	{"serialized_exported_program.json", ExportedProgram},
	{"model.json", TorchScriptJSON},
	{".data/extern_modules", TorchPackage},
}

// chooseRoot finds the archive's folder and kind, and takes the folder off the names.
//
// torch takes the first record's top folder. Archives that were unpacked and zipped again gain an outer folder or lose
// theirs; there the one data.pkl decides, and a finding says that torch refuses them.
func (o *opener) chooseRoot() error {
	first, seen := "", false
	present := map[string]bool{} // of the names in marks, under the first record's folder
	var pickles []int
	for i := range o.Records {
		name := o.Records[i].Name
		if strings.HasPrefix(name, "__MACOSX/") {
			continue
		}
		if !seen {
			seen = true
			if folder, _, found := strings.Cut(name, "/"); found {
				first = folder
			}
		}
		if base := name[strings.LastIndexByte(name, '/')+1:]; sameFold(base, pickleName) {
			pickles = append(pickles, i)
		}
		if rest, ok := under(first, name); ok {
			for _, m := range marks {
				if rest == m.name {
					present[rest] = true
				}
			}
		}
	}
	for _, m := range marks {
		if present[m.name] {
			o.Kind = m.kind
			o.trim(first)
			o.Pickle, _ = o.findFold(pickleName)
			return nil
		}
	}
	if len(pickles) == 0 {
		o.Kind = o.kindWithoutPickle()
		return nil
	}
	root, err := o.rootOf(pickles)
	if err != nil {
		return err
	}
	o.Kind = TorchSave
	o.trim(root)
	o.Pickle, _ = o.findFold(pickleName)
	if _, ok := o.findFold("constants.pkl"); ok {
		o.Kind = TorchScript
		if _, ok := o.findFold("bytecode.pkl"); ok {
			o.Kind = TorchScriptLite
		}
	}
	o.noteRoot(first)
	return nil
}

// rootOf is the folder of the data.pkl that counts. Several make two readings, unless one folder holds all the others:
// then torch, which looks no deeper, and we mean the same one.
func (o *opener) rootOf(pickles []int) (string, error) {
	folder := func(i int) string {
		name := o.Records[i].Name
		return name[:max(0, strings.LastIndexByte(name, '/'))]
	}
	root := folder(pickles[0])
	for _, i := range pickles[1:] {
		if f := folder(i); len(f) < len(root) {
			root = f
		}
	}
	for _, i := range pickles {
		f := folder(i)
		if f == root {
			continue
		}
		if _, inside := under(root, f); root == "" || !inside {
			e := recordError(CodeAmbiguous, o.Records[i].Name, o.Records[i].HeaderOff, "a second root: another data.pkl lies in %s", quote(root+"/"))
			return root, o.ambiguous(e)
		}
	}
	return root, nil
}

// under cuts folder and slash off name; an empty folder holds every name.
func under(folder, name string) (rest string, ok bool) {
	if folder == "" {
		return name, true
	}
	if len(name) > len(folder) && name[len(folder)] == '/' && name[:len(folder)] == folder {
		return name[len(folder)+1:], true
	}
	return "", false
}

// trim makes root the prefix. The names move into one new string without it, so that the full ones can be let go.
func (o *opener) trim(root string) {
	o.Prefix = strings.Clone(root)
	size := 0
	for i := range o.Records {
		rec := &o.Records[i]
		rest, ok := under(root, rec.Name)
		if rec.Foreign = !ok; ok {
			rec.Name = rest
		}
		size += len(rec.Name)
	}
	var names strings.Builder
	names.Grow(size)
	for i := range o.Records {
		names.WriteString(o.Records[i].Name)
	}
	all, from := names.String(), 0
	for i := range o.Records {
		n := len(o.Records[i].Name)
		o.Records[i].Name = all[from : from+n]
		from += n
	}
}

// findFold finds a record of the archive ignoring ASCII case, as torch does; it serves before checkNames, LookupFold after it.
func (o *opener) findFold(name string) (int, bool) {
	for i := range o.Records {
		if rec := &o.Records[i]; !rec.Foreign && sameFold(rec.Name, name) {
			return i, true
		}
	}
	return -1, false
}

// noteRoot says what torch would not accept about the folders.
func (o *opener) noteRoot(first string) {
	foreign := 0
	for i := range o.Records {
		if o.Records[i].Foreign {
			foreign++
		}
	}
	switch {
	case o.Prefix == "":
		o.found.add(FoundContainer, "", "data.pkl lies in no folder; torch refuses such a file")
	case o.Prefix != first || strings.Contains(o.Prefix, "/"):
		o.found.add(FoundContainer, "", "the records lie in folder %s; torch refuses such a file", quote(o.Prefix))
	}
	if foreign > 0 {
		o.found.add(FoundContainer, "", "%d records outside folder %s; torch may refuse such a file", foreign, quote(o.Prefix))
	}
}

// NPZIndex is the member of an npz written here that gives the keys of arrays whose members are named otherwise.
const NPZIndex = "weightroom.json"

// kindWithoutPickle looks at the endings of the names.
func (o *opener) kindWithoutPickle() ArchiveKind {
	arrays, others, files := 0, 0, 0
	for i := range o.Records {
		name := o.Records[i].Name
		switch {
		case o.Records[i].IsDir(), name == NPZIndex:
		case strings.HasSuffix(name, ".npy"):
			arrays++
		case Openable(name):
			files++
		default:
			others++
		}
	}
	switch {
	case arrays > 0 && others+files == 0:
		return NPZ
	case files+arrays > 0:
		return ZipWrapper
	}
	return ZipOther
}

// Openable tells names of files in a wrapper that look like checkpoints.
func Openable(name string) bool {
	for _, ending := range []string{".pt", ".pth", ".bin", ".ckpt", ".pkl", ".th", ".safetensors", ".npz", ".npy", ".gguf", "MAR-INF/MANIFEST.json"} {
		if strings.HasSuffix(name, ending) {
			return true
		}
	}
	return false
}
