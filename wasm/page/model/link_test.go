package model

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestLink(t *testing.T) {
	doc := `{"recipe":1,"at":"state_dict","steps":[{"strip_prefix":"module."},{"cast":{"to":"float16","match":"**.weight"}},{"drop":["a.*","b"]},{"rename":{"from":"x","to":"ü"}}]}`
	r, err := FromDocument([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	link := r.Fragment()
	if strings.ContainsAny(link[1:], "+/ \"#") || !strings.HasPrefix(link, "#recipe=") {
		t.Errorf("link %s", link)
	}
	back, ok, err := FromFragment(link)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	var want, got any
	if json.Unmarshal([]byte(doc), &want) != nil || json.Unmarshal(back.Document(), &got) != nil || !reflect.DeepEqual(want, got) {
		t.Errorf("came back as %s", back.Document())
	}
	if got := back.Steps[2].Args(); got != "a.*, b" {
		t.Errorf("arguments %q", got)
	}
	// A step of a form and one of a link make one document.
	back.Push(Op{Spec: SpecOf("keep"), Values: map[string]string{"match": "y"}})
	if !strings.HasSuffix(string(back.Document()), `{"keep":{"match":"y"}}]}`) {
		t.Errorf("with a form's step: %s", back.Document())
	}
	for _, bad := range []string{"#recipe=!", "#recipe=W10", "#recipe=", "#recipe=" + strings.Repeat("A", maxLink+1)} {
		if _, ok, err := FromFragment(bad); !ok || err == nil {
			t.Errorf("%.20s: %v, %v", bad, ok, err)
		}
	}
	if _, ok, _ := FromFragment("#other"); ok {
		t.Error("no recipe was found as one")
	}
}
