package pickle

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// storms are streams whose memory grows fastest for their length: prefix, repeated part, suffix.
var storms = map[string][3]string{
	"marks":          {"\x80\x02", "(", "N."},
	"none":           {"\x80\x02(", "N", "t."},
	"dup":            {"\x80\x02N", "2", "."},
	"dup-list":       {"\x80\x02(]", "2", "t."},
	"lists":          {"\x80\x02(", "]", "t."},
	"dicts":          {"\x80\x02(", "}", "t."},
	"sets":           {"\x80\x02(", "\x8f", "t."},
	"tuples":         {"\x80\x02(", ")", "t."},
	"tuple1":         {"\x80\x02(", "N\x85", "t."},
	"tuple1-deep":    {"\x80\x02N", "\x85", "."},
	"list-of-lists":  {"\x80\x02](", "](NNe", "e."},
	"mark-tuples":    {"\x80\x02](", "(t", "e."},
	"mark-lists":     {"\x80\x02](", "(l", "e."},
	"mark-dicts":     {"\x80\x02](", "(d", "e."},
	"frozensets":     {"\x80\x02](", "(\x91", "e."},
	"strings":        {"\x80\x04](", "\x8c\x00", "e."},
	"chars":          {"\x80\x04](", "\x8c\x01a", "e."},
	"short-strings":  {"\x80\x04](", "\x8c\x02ab", "e."},
	"bytes":          {"\x80\x04](", "C\x00", "e."},
	"bytes1":         {"\x80\x04](", "C\x01a", "e."},
	"longs":          {"\x80\x02](", "\x8a\x05aaaaa", "e."},
	"bigs":           {"\x80\x02](", "\x8a\x09aaaaaaaaa", "e."},
	"floats":         {"\x80\x02](", "F1\n", "e."},
	"ints":           {"\x80\x02](", "M\x00\x10", "e."},
	"memoize":        {"\x80\x04N", "\x94", "."},
	"memo-get":       {"\x80\x04](", "N\x94h\x00", "e."},
	"persid":         {"\x80\x02](", "NQ", "e."},
	"persid-text":    {"\x80\x02](", "Pa\n", "e."},
	"reduce":         {"\x80\x02ca\nb\nq\x000](", "h\x00)R", "e."},
	"newobj":         {"\x80\x02ca\nb\nq\x000](", "h\x00)\x81", "e."},
	"newobj-ex":      {"\x80\x02ca\nb\nq\x000](", "h\x00)}\x92", "e."},
	"obj":            {"\x80\x02ca\nb\nq\x000](", "(h\x00o", "e."},
	"inst":           {"\x80\x02](", "(ia\nb\n", "e."},
	"build":          {"\x80\x02ca\nb\n)R", "}b", "."},
	"odicts":         {"\x80\x02ccollections\nOrderedDict\nq\x000](", "h\x00)R", "e."},
	"sets-called":    {"\x80\x02c__builtin__\nset\nq\x000](", "h\x00)R", "e."},
	"complexes":      {"\x80\x02c__builtin__\ncomplex\nq\x000](", "h\x00K\x00K\x00\x86R", "e."},
	"sizes":          {"\x80\x02ctorch\nSize\nq\x000](", "h\x00)R", "e."},
	"bad-tensors":    {"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x000](", "h\x00)R", "e."},
	"popped-tensors": {"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00](", "h\x00)R0", "e."},
	"parameters":     {"\x80\x02ctorch.nn.parameter\nParameter\nq\x000](", "h\x00)R", "e."},
	"legacy-tensors": {"\x80\x02ctorch\nFloatTensor\nq\x000](", "h\x00)\x81", "e."},
	"globals":        {"\x80\x02](", "ca\nb\n", "e."},
	"stack-globals":  {"\x80\x04\x8c\x01a\x94]\x94(", "h\x00h\x00\x93", "e."},
	"dict-keys":      {"\x80\x04}(", "\x8c\x02abN", "u."},
	"push-pop":       {"\x80\x02", "N0", "N."},
	"list-pop":       {"\x80\x02", "]0", "N."},
	"mark-pop":       {"\x80\x02", "(1", "N."},
	"append-self":    {"\x80\x02]q\x00", "h\x00a", "."},
	"frames":         {"\x80\x04", "\x95\x00\x00\x00\x00\x00\x00\x00\x00", "N."},
	"inline":         {"\x80\x04ctorch.storage\n_load_from_bytes\nq\x000](", "h\x00C\x00\x85R", "e."},
	"type-tags":      {"\x80\x02ctorch.jit._pickle\nrestore_type_tag\nq\x000](", "h\x00N\x85R", "e."},
	"protos":         {"", "\x80\x02", "N."},
	"long-encoded":   {"\x80\x02c_codecs\nencode\nq\x00" + long('X') + "q\x01X\x06\x00\x00\x00latin1q\x02](", "h\x00h\x01h\x02\x86R", "e."},
	"long-key":       {"\x80\x02" + long('X') + "q\x01}(", "h\x01N", "u."},
	"long-tuple-key": {"\x80\x02" + long('X') + "\x85q\x01}(", "h\x01N", "u."},
	"wide-tuple-key": {"\x80\x02(" + strings.Repeat("N", 9000) + "tq\x01}(", "h\x01N", "u."},
	"deep-tuple-key": {"\x80\x02)" + strings.Repeat("2\x86", 900) + "q\x01}(", "h\x01N", "u."},
	"long-global":    {"\x80\x02" + long('X') + "q\x01](", "h\x01h\x01\x93", "e."},
	"long-inline":    {"\x80\x02ctorch.storage\n_load_from_bytes\nq\x00" + long('B') + "q\x01](", "h\x00h\x01\x85R", "e."},
	"none-inline":    {"\x80\x02ctorch.storage\n_load_from_bytes\nq\x00B\x00\x00\x40\x00" + strings.Repeat("N0", 2<<20) + "q\x01](", "h\x00h\x01\x85R", "e."},
	"wide-args":      {"\x80\x02ca\nb\nq\x00(" + strings.Repeat("N", 100_000) + "tq\x01](", "h\x00h\x01R", "e."},
	"wide-size":      {"\x80\x02ctorch\nSize\nq\x00(" + strings.Repeat("K\x01", 100_000) + "tq\x01](", "h\x00h\x01\x85R", "e."},
	"wide-odict":     {"\x80\x02ccollections\nOrderedDict\nq\x00](" + strings.Repeat("NN\x86", 100_000) + "eq\x01](", "h\x00h\x01\x85R", "e."},
	"wide-set":       {"\x80\x02c__builtin__\nset\nq\x00](" + strings.Repeat("N", 100_000) + "eq\x01](", "h\x00h\x01\x85R", "e."},
	"wide-tensors": {"\x80\x02ctorch._utils\n_rebuild_tensor\nq\x00((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQK\x00(" +
		strings.Repeat("K\x01", 64) + "tq\x022tq\x01](", "h\x00h\x01R", "e."},
	"wide-metadata": {"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQK\x00))NN}(" +
		strings.Repeat("NN", 100_000) + "utq\x01](", "h\x00h\x01R", "e."},
	"wide-objects":     {"\x80\x02ca\nb\n)R(" + strings.Repeat("N", 1000) + "t\x85q\x00](", "h\x00h\x00\x86", "e."},
	"dup-dict-setitem": {"\x80\x02}", "NNs", "."},
}

// long is an opcode with four bytes of length and 4 MiB of text.
func long(op byte) string {
	return string([]byte{op, 0, 0, 0x40, 0}) + strings.Repeat("a", 4<<20)
}

func storm(name string, size int) []byte {
	s := storms[name]
	n := max(0, size-len(s[0])-len(s[2])) / len(s[1])
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
		// the largest one that is let through, found from below: what is tried before it counts as well
		var p []byte
		for size := 1 << 20; size <= 64<<20; size *= 2 {
			p = storm(name, size)
			if r, err := Scan(p, nil); err != nil {
				p = storm(name, r.Len-r.Len/50)
				break
			}
		}
		_, err := Load(p, nil)
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
	if _, err := os.Stat("/proc/self/status"); err != nil || runtime.GOOS == "js" {
		t.Skip("no processes to measure")
	}
	only := os.Getenv("WEIGHTROOM_STORMS")
	for name := range storms {
		if !strings.Contains(name, only) {
			continue
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestStormsStayInMemory$", "-test.v")
		cmd.Env = append(os.Environ(), "WEIGHTROOM_STORM="+name, "GOMEMLIMIT=208MiB") // the limit that the command sets itself
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
