package torchfile

import (
	"bytes"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// write puts a layout and its payloads together.
func write(l *Layout, payload func(i int) []byte) []byte {
	var out []byte
	crc := func(i int) uint32 { return crc32.ChecksumIEEE(payload(i)) }
	for i := range l.Records {
		out = append(out, l.Header(i)...)
		out = append(out, payload(i)...)
		out = append(out, l.Descriptor(i, crc(i))...)
	}
	return append(out, l.Tail(crc)...)
}

// Every archive of the corpus that torch wrote comes out of its prefix, names and payloads identical.
func TestCorpusLayout(t *testing.T) {
	same, others := 0, map[string][]string{}
	corpusFiles(t, corpus(t), func(name string, data []byte) {
		if !isZip(data) {
			return
		}
		a, err := openBytes(data, Options{})
		if err != nil || !a.Kind.torch() {
			return
		}
		if le.Uint16(data[4:]) != 0 {
			others["not written by torch"] = append(others["not written by torch"], name)
			return
		}
		records := make([]LayoutRecord, a.Len())
		for k := range records {
			rec := a.Records[a.Order(k)]
			if rec.Method != Stored {
				others["deflated records"] = append(others["deflated records"], name)
				return
			}
			records[k] = LayoutRecord{Name: rec.Name, Size: rec.Size}
		}
		l, err := NewLayout(a.Prefix, a.Alignment, records)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if l.Size() != int64(len(data)) {
			t.Errorf("%s: layout of %d bytes, the file has %d", name, l.Size(), len(data))
		}
		got := write(l, func(k int) []byte {
			off, _ := a.DataOff(a.Order(k))
			return data[off : off+records[k].Size]
		})
		if !bytes.Equal(got, data) {
			if damaged(name) {
				others["damaged on purpose"] = append(others["damaged on purpose"], name)
				return
			}
			t.Errorf("%s differs", name)
			return
		}
		same++
	})
	t.Logf("%d files identical", same)
	for why, names := range others {
		t.Logf("%d files left out, %s: %s", len(names), why, strings.Join(names, " "))
	}
}

// The order and the texts of the records are those of the three profiles; ids are what Linux builds wrote.
func TestCorpusProfiles(t *testing.T) {
	named, ids, otherBuilds := map[Profile]int{}, 0, 0
	corpusFiles(t, corpus(t), func(name string, data []byte) {
		if !isZip(data) || damaged(name) || le.Uint16(data[4:]) != 0 {
			return
		}
		a, err := openBytes(data, Options{})
		if err != nil {
			return
		}
		names, keys := make([]string, a.Len()), []string{}
		var crcs []uint32
		for k := range names {
			rec := a.Records[a.Order(k)]
			names[k] = rec.Name
			if key, ok := strings.CutPrefix(rec.Name, "data/"); ok {
				keys = append(keys, key)
			}
		}
		if a.Profile != "" {
			named[a.Profile]++
			if want := RecordNames(a.Profile, keys); !slices.Equal(names, want) {
				t.Errorf("%s: records %v, %s writes %v", name, names, a.Profile, want)
			}
			for k, n := range names {
				text := RecordText(n, a.Alignment)
				if got, _ := a.ReadSmall(a.Order(k), 4096); text != "" && string(got) != text {
					t.Errorf("%s: %s holds %q, want %q", name, n, got, text)
				}
			}
		}
		if at := slices.Index(names, ".data/serialization_id"); at >= 0 {
			for k := range names[:at] {
				if rec := a.Records[a.Order(k)]; rec.Size > 0 {
					crcs = append(crcs, rec.CRC)
				}
			}
			got := SerializationID(names[:at], crcs)
			switch {
			case got == a.SerializationID:
				ids++
			case got[20:] == a.SerializationID[20:]:
				otherBuilds++
			default:
				t.Errorf("%s: serialization id %s, want %s", name, got, a.SerializationID)
			}
		}
	})
	t.Logf("profiles %v; serialization ids: %d equal, %d with the name half of another C++ library", named, ids, otherBuilds)
}

// Name halves taken from files that torch wrote on Linux.
func TestSerializationID(t *testing.T) {
	if h := hashName("data.pkl"); h != 0x44943D565847B09E {
		t.Errorf("hash of data.pkl is %x", h)
	}
	if h := hashName("version"); h != 0x15BA742BB08E0596 {
		t.Errorf("hash of version is %x", h)
	}
	want := map[Profile][]string{
		Torch21: {"06364577379464010513", "05768588573859962782", "13263068698938530805", "07472855031612102694"},
		Torch27: {"02908468677762923104", "15728199511854643026", "05611085236196705294", "17968425882460354932"},
	}
	for profile, halves := range want {
		for i, count := range []int{0, 1, 2, 11} {
			keys := make([]string, count)
			for k := range keys {
				keys[k] = strconv.Itoa(k)
			}
			names := RecordNames(profile, keys)
			if got := SerializationID(names[:len(names)-1], nil); got[:20] != halves[i] || got[20:] != strings.Repeat("0", 20) {
				t.Errorf("%s with %d storages: %s, want %s…", profile, count, got, halves[i])
			}
		}
	}
}

// What an unordered_set<string> of libstdc++ (g++ 12) gives for data/0, data/1, …, around the sizes where it grows.
func TestUnorderedSet(t *testing.T) {
	for count, want := range map[int]string{
		0: "00000000000000000000", 1: "00476597645471078980", 12: "04512601525743301131", 13: "02788965233237058108", 14: "06998867835279999451",
		29: "12333383427541483284", 30: "03857216326597741604", 100: "13370302122747093064", 1000: "05459194408603913877",
		5087: "16882018420219878155", 5088: "02223991278568263398", 100_000: "14004630471341217031", 800_000: "08637518470267170696",
	} {
		names := make([]string, count)
		for i := range names {
			names[i] = "data/" + strconv.Itoa(i)
		}
		if got := SerializationID(names, nil)[:20]; got != want {
			t.Errorf("%d names: %s, want %s", count, got, want)
		}
	}
}

func TestLayoutRefuses(t *testing.T) {
	for _, c := range []struct {
		prefix  string
		align   int64
		records []LayoutRecord
	}{
		{"", 0, nil},
		{"a", -1, nil},
		{"a", 1 << 20, nil},
		{"a", 0, []LayoutRecord{{"x", 1}, {"X", 1}}},
		{"a", 0, []LayoutRecord{{"", 1}}},
		{"a", 0, []LayoutRecord{{"x", -1}}},
		{"a", 0, []LayoutRecord{{"x", noLimit}}},
		{"a", 0, []LayoutRecord{{strings.Repeat("x", 65535), 1}}},
	} {
		if _, err := NewLayout(c.prefix, c.align, c.records); err == nil {
			t.Errorf("%q, %d, %.40v: no error", c.prefix, c.align, c.records)
		}
	}
}
