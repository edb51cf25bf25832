package message

import (
	"reflect"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

func TestMapRoundTrip(t *testing.T) {
	want := []Region{{Use: statedict.UseHeader, Len: 1 << 50, Storage: -1}, {Use: statedict.UseTensor, Len: 1, Storage: 0, Type: "float32"}, {Use: statedict.UseUnreached, Len: 300, Storage: 70000, Type: "int8"}}
	flat, types := EncodeRegions(want)
	if got, err := DecodeRegions(flat, types); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	places := []Place{{0, 0}, {1 << 50, 7}}
	pf := EncodePlaces(places)
	if got, err := DecodePlaces(pf); err != nil || !reflect.DeepEqual(got, places) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := DecodeRegions(flat[:len(flat)-1], types); err == nil {
		t.Error("half a region decodes")
	}
	if _, err := DecodeRegions(flat, types[:1]); err == nil {
		t.Error("a type that is not there decodes")
	}
	if _, err := DecodePlaces(pf[:len(pf)-1]); err == nil {
		t.Error("half a place decodes")
	}
}
