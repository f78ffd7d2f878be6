package envelope

// appendFields writes the named members in this order, null where one is
// missing, and none of the object's others.
func appendFields(out []byte, names []string, from object) []byte {
	for _, name := range names {
		out = appendMember(out, name, from.get(name))
	}
	return out
}

// appendMember writes one member of an object that has been opened, after a
// comma unless it is the first. The key is what stands between the quotes.
func appendMember(out []byte, key string, value token) []byte {
	if out[len(out)-1] != '{' {
		out = append(out, ',')
	}
	out = append(out, '"')
	out = append(out, key...)
	out = append(out, `":`...)
	return value.appendTo(out)
}

// appendObject writes an object of the named members.
func appendObject(out []byte, names []string, from object) []byte {
	return append(appendFields(append(out, '{'), names, from), '}')
}
