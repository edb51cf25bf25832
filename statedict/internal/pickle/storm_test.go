package pickle

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// storms are streams whose memory grows fastest for their length: prefix, repeated part, suffix.
var storms = map[string][3]string{
	"marks":            {"\x80\x02", "(", "N."},
	"none":             {"\x80\x02(", "N", "t."},
	"dup":              {"\x80\x02N", "2", "."},
	"dup-list":         {"\x80\x02(]", "2", "t."},
	"lists":            {"\x80\x02(", "]", "t."},
	"dicts":            {"\x80\x02(", "}", "t."},
	"sets":             {"\x80\x02(", "\x8f", "t."},
	"tuples":           {"\x80\x02(", ")", "t."},
	"tuple1":           {"\x80\x02(", "N\x85", "t."},
	"tuple1-deep":      {"\x80\x02N", "\x85", "."},
	"list-of-lists":    {"\x80\x02](", "](NNe", "e."},
	"mark-tuples":      {"\x80\x02](", "(t", "e."},
	"mark-lists":       {"\x80\x02](", "(l", "e."},
	"mark-dicts":       {"\x80\x02](", "(d", "e."},
	"frozensets":       {"\x80\x02](", "(\x91", "e."},
	"strings":          {"\x80\x04](", "\x8c\x00", "e."},
	"chars":            {"\x80\x04](", "\x8c\x01a", "e."},
	"short-strings":    {"\x80\x04](", "\x8c\x02ab", "e."},
	"bytes":            {"\x80\x04](", "C\x00", "e."},
	"bytes1":           {"\x80\x04](", "C\x01a", "e."},
	"longs":            {"\x80\x02](", "\x8a\x05aaaaa", "e."},
	"bigs":             {"\x80\x02](", "\x8a\x09aaaaaaaaa", "e."},
	"floats":           {"\x80\x02](", "F1\n", "e."},
	"ints":             {"\x80\x02](", "M\x00\x10", "e."},
	"memoize":          {"\x80\x04N", "\x94", "."},
	"memo-get":         {"\x80\x04](", "N\x94h\x00", "e."},
	"persid":           {"\x80\x02](", "NQ", "e."},
	"persid-text":      {"\x80\x02](", "Pa\n", "e."},
	"reduce":           {"\x80\x02ca\nb\nq\x000](", "h\x00)R", "e."},
	"newobj":           {"\x80\x02ca\nb\nq\x000](", "h\x00)\x81", "e."},
	"newobj-ex":        {"\x80\x02ca\nb\nq\x000](", "h\x00)}\x92", "e."},
	"obj":              {"\x80\x02ca\nb\nq\x000](", "(h\x00o", "e."},
	"inst":             {"\x80\x02](", "(ia\nb\n", "e."},
	"build":            {"\x80\x02ca\nb\n)R", "}b", "."},
	"odicts":           {"\x80\x02ccollections\nOrderedDict\nq\x000](", "h\x00)R", "e."},
	"sets-called":      {"\x80\x02c__builtin__\nset\nq\x000](", "h\x00)R", "e."},
	"complexes":        {"\x80\x02c__builtin__\ncomplex\nq\x000](", "h\x00K\x00K\x00\x86R", "e."},
	"sizes":            {"\x80\x02ctorch\nSize\nq\x000](", "h\x00)R", "e."},
	"bad-tensors":      {"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x000](", "h\x00)R", "e."},
	"popped-tensors":   {"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00](", "h\x00)R0", "e."},
	"parameters":       {"\x80\x02ctorch.nn.parameter\nParameter\nq\x000](", "h\x00)R", "e."},
	"legacy-tensors":   {"\x80\x02ctorch\nFloatTensor\nq\x000](", "h\x00)\x81", "e."},
	"globals":          {"\x80\x02](", "ca\nb\n", "e."},
	"stack-globals":    {"\x80\x04\x8c\x01a\x94]\x94(", "h\x00h\x00\x93", "e."},
	"dict-keys":        {"\x80\x04}(", "\x8c\x02abN", "u."},
	"push-pop":         {"\x80\x02", "N0", "N."},
	"list-pop":         {"\x80\x02", "]0", "N."},
	"mark-pop":         {"\x80\x02", "(1", "N."},
	"append-self":      {"\x80\x02]q\x00", "h\x00a", "."},
	"frames":           {"\x80\x04", "\x95\x00\x00\x00\x00\x00\x00\x00\x00", "N."},
	"inline":           {"\x80\x04ctorch.storage\n_load_from_bytes\nq\x000](", "h\x00C\x00\x85R", "e."},
	"type-tags":        {"\x80\x02ctorch.jit._pickle\nrestore_type_tag\nq\x000](", "h\x00N\x85R", "e."},
	"protos":           {"", "\x80\x02", "N."},
	"dup-dict-setitem": {"\x80\x02}", "NNs", "."},
}

func storm(name string, size int) []byte {
	s := storms[name]
	n := (size - len(s[0]) - len(s[2])) / len(s[1])
	var b bytes.Buffer
	b.Grow(size)
	b.WriteString(s[0])
	for range n {
		b.WriteString(s[1])
	}
	b.WriteString(s[2])
	return b.Bytes()
}

// Whatever a stream repeats, the largest that passes the scan stays within the memory of threats.md when it is loaded. Each
// runs in a process of its own, whose peak the kernel reports.
func TestStormsStayInMemory(t *testing.T) {
	if name := os.Getenv("WEIGHTROOM_STORM"); name != "" {
		start := time.Now()
		p := storm(name, 64<<20)
		r, err := Scan(p, nil)
		if err != nil { // the largest one that is let through
			p = storm(name, r.Len-r.Len/50)
		}
		_, err = Load(p, nil)
		status, _ := os.ReadFile("/proc/self/status")
		for _, line := range strings.Split(string(status), "\n") {
			if strings.HasPrefix(line, "VmHWM:") {
				t.Logf("peak %s kB, %v, %v", strings.Fields(line)[1], time.Since(start), err)
			}
		}
		return
	}
	if testing.Short() {
		t.Skip("takes a process per storm")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("no /proc")
	}
	only := os.Getenv("WEIGHTROOM_STORMS")
	for name := range storms {
		if only != "" && !strings.Contains(only, name) {
			continue
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestStormsStayInMemory$", "-test.v")
		cmd.Env = append(os.Environ(), "WEIGHTROOM_STORM="+name)
		out, err := cmd.CombinedOutput()
		_, after, ok := strings.Cut(string(out), "peak ")
		if err != nil || !ok {
			t.Errorf("%s: %v\n%s", name, err, out)
			continue
		}
		line, _, _ := strings.Cut(after, "\n")
		kb, _ := strconv.Atoi(strings.Fields(line)[0])
		t.Logf("%s: %s", name, line)
		if kb > 256<<10 {
			t.Errorf("%s: peak %d MiB", name, kb>>10)
		}
	}
}
