package statedict

import "github.com/weightroom/weightroom/statedict/internal/pickle"

// replaceNodes stands for pickle.Replace until that lands.
func replaceNodes(root pickle.Value, nodes map[pickle.Value]pickle.Value) pickle.Value {
	seen := map[pickle.Value]pickle.Value{}
	var rec func(v pickle.Value) pickle.Value
	list := func(vs []pickle.Value) []pickle.Value {
		var out []pickle.Value
		for _, v := range vs {
			out = append(out, rec(v))
		}
		return out
	}
	items := func(vs []pickle.Item) []pickle.Item {
		var out []pickle.Item
		for _, v := range vs {
			out = append(out, pickle.Item{Key: rec(v.Key), Value: rec(v.Value)})
		}
		return out
	}
	rec = func(v pickle.Value) pickle.Value {
		switch v.(type) {
		case nil, string, int64, bool, float64:
			return v
		}
		if n, ok := nodes[v]; ok {
			return n
		}
		if n, ok := seen[v]; ok {
			return n
		}
		switch x := v.(type) {
		case *pickle.Dict:
			n := *x
			seen[v] = &n
			n.Items = items(x.Items)
			n.Attrs = rec(x.Attrs)
		case *pickle.List:
			seen[v] = &pickle.List{Items: list(x.Items)}
		case *pickle.Tuple:
			seen[v] = &pickle.Tuple{Items: list(x.Items), Size: x.Size}
		case *pickle.Object:
			n := *x
			seen[v] = &n
			n.State = rec(x.State)
		case *pickle.Parameter:
			n := *x
			n.Data = rec(x.Data).(*pickle.Tensor)
			seen[v] = &n
		case *pickle.Tensor:
			if x.Storage != nil {
				n := *x
				n.Storage = rec(x.Storage).(*pickle.Storage)
				seen[v] = &n
				return &n
			}
			seen[v] = v
		default:
			seen[v] = v
		}
		return seen[v]
	}
	return rec(root)
}
