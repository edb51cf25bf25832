package torchfile

import (
	"strconv"
	"strings"
)

// readFacts reads the records that describe the container.
func (o *opener) readFacts() error {
	if !o.Kind.torch() {
		return nil
	}
	if err := o.readVersion(); err != nil {
		return err
	}
	order, ok, err := o.fact("byteorder")
	if err != nil {
		return err
	}
	if ok && order != "little" && order != "big" {
		return recordError(CodeFormat, o.inRoot("byteorder"), -1, "holds %s, not little or big", quote(order))
	}
	o.ByteOrder = order
	if o.FormatVersion, _, err = o.fact(".format_version"); err != nil {
		return err
	}
	if o.SerializationID, _, err = o.fact(".data/serialization_id"); err != nil {
		return err
	}
	text, stated, err := o.fact(".storage_alignment")
	if err != nil {
		return err
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		o.Alignment = n
	} else {
		if stated {
			o.found.add(FoundContainer, o.inRoot(".storage_alignment"), "holds %s, not a number", quote(text))
		}
		o.Alignment = o.keptAlignment()
	}
	o.Profile = o.profile()
	return nil
}

// readVersion reads .data/version or version. torch refuses what is not a number from 1 to 10; a missing one is noted.
func (o *opener) readVersion() error {
	for _, name := range []string{".data/version", "version"} {
		text, ok, err := o.fact(name)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(text))
		switch {
		case err != nil || n <= 0:
			return recordError(CodeFormat, o.inRoot(name), -1, "holds %s, not a container version", quote(text))
		case n > 10:
			return recordError(CodeUnsupported, o.inRoot(name), -1, "container version %d, at most 10 is known", n)
		}
		o.Version = n
		return nil
	}
	if _, present := o.LookupFold("version"); !present {
		o.found.add(FoundContainer, "", "no version record; torch refuses such a file")
	}
	return nil
}

// fact reads a small record of the archive. One that is too large, damaged or unreadable becomes a finding, except
// byteorder: without it numbers could be shown wrong.
func (o *opener) fact(name string) (text string, ok bool, err error) {
	i, ok := o.LookupFold(name)
	if !ok {
		return "", false, nil
	}
	data, err := o.ReadSmall(i, o.limits.SmallRecord)
	if err == nil {
		return string(data), true, nil
	}
	e, isError := err.(*Error)
	if !isError || name == "byteorder" && e.Code != CodeChecksum {
		return "", false, err
	}
	if e.Code == CodeChecksum {
		o.found.add(FoundChecksum, e.Record, "%s", e.Msg)
		return string(data), true, nil
	}
	if e.Code == CodeAmbiguous && !o.opt.Lenient {
		return "", false, err
	}
	o.found.add(e.Code, e.Record, "%s", e.Msg)
	return "", false, nil
}

func (o *opener) inRoot(name string) string {
	if o.Prefix == "" {
		return name
	}
	return o.Prefix + "/" + name
}

// keptAlignment is the largest power of two up to 64 that the known payloads of storages lie on.
func (o *opener) keptAlignment() int64 {
	var bits int64
	for i := range o.Records {
		rec := &o.Records[i]
		if rec.Foreign || rec.IsDir() || !strings.HasPrefix(rec.Name, "data/") {
			continue
		}
		if rec.dataOff < 0 {
			return 0
		}
		bits |= rec.dataOff
	}
	bits |= 64
	return bits & -bits
}

func (o *opener) profile() Profile {
	if o.Kind != TorchSave {
		return ""
	}
	_, ordered := o.Lookup("byteorder")
	_, format := o.Lookup(".format_version")
	_, aligned := o.Lookup(".storage_alignment")
	switch {
	case ordered && format && aligned:
		return Torch27
	case ordered:
		return Torch21
	}
	return Torch16
}
