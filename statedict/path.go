package statedict

// joinPath puts a key behind the path of what holds it, with a dot between.
func joinPath(dict, key string) string {
	if dict == "" {
		return key
	}
	return dict + "." + key
}
