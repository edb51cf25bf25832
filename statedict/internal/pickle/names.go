package pickle

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// TypeName names the type of a value as listings show it: Python's name for builtins ("int", "NoneType", "OrderedDict"),
// "torch.Size", "torch.dtype", "torch.device", "ndarray", "numpy.float64", "global" for a class or function itself, and
// module and class of foreign objects ("argparse.Namespace").
func TypeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case complex128:
		return "complex"
	case string:
		return "str"
	case *Bytes:
		if v.Mutable {
			return "bytearray"
		}
		return "bytes"
	case *Tuple:
		if v.Size {
			return "torch.Size"
		}
		return "tuple"
	case *List:
		return "list"
	case *Set:
		if v.Frozen {
			return "frozenset"
		}
		return "set"
	case *Dict:
		if v.Class == nil {
			return "dict"
		}
		return v.Class.Name
	case *Tensor:
		return "torch.Tensor"
	case *Parameter:
		return "torch.nn.Parameter"
	case *Storage:
		return "storage"
	case *Global:
		return globalType(v)
	case *Object:
		return objectType(v)
	}
	return "object"
}

// integerDTypes are dtypes that exist only as names: torch.uint1 to uint7, int1 to int7.
func isDTypeName(name string) bool {
	if _, ok := dtype.Parse(name); ok {
		return true
	}
	digits := strings.TrimPrefix(strings.TrimPrefix(name, "u"), "int")
	return len(digits) == 1 && digits >= "1" && digits <= "7" && strings.Contains(name, "int")
}

var qschemes = []string{"per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric", "per_channel_affine_float_qparams"}

func isQScheme(name string) bool {
	for _, q := range qschemes {
		if q == name {
			return true
		}
	}
	return false
}

func globalType(g *Global) string {
	if g.Module == "torch" {
		switch {
		case isDTypeName(g.Name):
			return "torch.dtype"
		case isQScheme(g.Name):
			return "torch.qscheme"
		}
	}
	if _, _, ok := StorageType(g.Name); ok && (g.Module == "torch" || strings.HasPrefix(g.Module, "torch.")) {
		return "storage type"
	}
	return "global"
}

func objectType(o *Object) string {
	switch class := o.Class.(type) {
	case *Global:
		switch s := canonicalSymbol(class.Module, class.Name); s {
		case symbol{"torch", "device"}:
			return "torch.device"
		case symbol{"torch.serialization", "_get_layout"}:
			return "torch.layout"
		case symbol{"numpy", "dtype"}:
			return "numpy.dtype"
		case symbol{"collections", "deque"}:
			return "deque"
		case symbol{"builtins", "slice"}, symbol{"builtins", "range"}:
			return s.name
		case symbol{"copyreg", "_reconstructor"}:
			if len(o.Args.Items) == 3 {
				if c, ok := o.Args.Items[0].(*Global); ok {
					return c.String()
				}
			}
		}
		if _, ok := arrayParts(o); ok {
			return "ndarray"
		}
		if n, ok := NumpyScalar(o); ok {
			return "numpy." + n.DType
		}
		return class.String()
	case *Object:
		name := "()"
		for range maxNesting {
			inner, ok := class.Class.(*Object)
			if !ok {
				break
			}
			class, name = inner, name+"()"
		}
		if g, ok := class.Class.(*Global); ok {
			return g.String() + name
		}
		return TypeName(class.Class) + name
	}
	return "object"
}

// Scalar is what a listing shows of a value in JSON: null, booleans, numbers, strings; [re, im] of a complex number; the
// hexadecimal digits of up to 64 bytes; names of dtypes, devices, layouts and classes; the numbers of a torch.Size, slice or
// range; the value of a numpy scalar. NaN and the infinities are "nan", "inf" and "-inf". False for everything else.
func Scalar(v Value) (jsonable any, ok bool) {
	switch v := v.(type) {
	case nil, bool, int64, string:
		return v, true
	case *big.Int:
		return json.Number(v.String()), true
	case float64:
		return jsonFloat(v), true
	case complex128:
		return []any{jsonFloat(real(v)), jsonFloat(imag(v))}, true
	case *Bytes:
		if len(v.B) <= 64 {
			return hex.EncodeToString(v.B), true
		}
	case *Tuple:
		if v.Size {
			return v.Items, true
		}
	case *Global:
		if t := globalType(v); t == "global" {
			return v.String(), true
		}
		return v.Name, true
	case *Storage:
		if v.Untyped {
			return fmt.Sprintf("%d bytes", v.Numel), true
		}
		return fmt.Sprintf("%s [%d]", v.DType, v.Numel), true
	case *Object:
		return objectScalar(v)
	}
	return nil, false
}

func jsonFloat(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return reprFloat(f)
	}
	return f
}

func objectScalar(o *Object) (any, bool) {
	switch objectType(o) {
	case "ndarray":
		a, ok := NumpyArray(o)
		return a.String(), ok
	case "torch.device":
		name, ok := firstText(o)
		if ok && len(o.Args.Items) > 1 {
			if i, isInt := o.Args.Items[1].(int64); isInt {
				name += ":" + PyStr(i)
			}
		}
		return name, ok
	case "torch.layout":
		return firstText(o)
	case "numpy.dtype":
		s, ok := NumpyDType(o)
		return s, ok
	case "slice", "range":
		out := []any{}
		for _, it := range o.Args.Items {
			s, ok := Scalar(it)
			if !ok || len(out) == 3 {
				return nil, false
			}
			out = append(out, s)
		}
		return out, true
	}
	if n, ok := NumpyScalar(o); ok {
		return Scalar(n.Value)
	}
	return nil, false
}

func firstText(o *Object) (string, bool) {
	if len(o.Args.Items) == 0 {
		return "", false
	}
	s, ok := o.Args.Items[0].(string)
	return s, ok
}
