package admin

// FilterPart is a filter in words: the name of its control, and what is chosen there.
type FilterPart struct{ Label, Value string }

// filterLabels are what the form of the list calls its filters.
var filterLabels = map[string]string{filterChannel: "Channel", filterStatus: "Status", filterFailure: "Failure", filterDocument: "Document",
	filterError: "Error contains", filterSince: "Since", filterUntil: "Until"}

// filterParts are the filters that are set, in the order of the form.
func filterParts(values map[string]string) (parts []FilterPart) {
	for _, name := range filterNames {
		if value := values[name]; value != "" {
			parts = append(parts, FilterPart{filterLabels[name], filterWord(name, value)})
		}
	}
	return parts
}

// filterWord is a value of a filter as the form says it. What was typed stays.
func filterWord(name, value string) string {
	switch name {
	case filterChannel:
		return channelTitle(value)
	case filterStatus:
		return statusOf(value).Word
	case filterFailure:
		return failureWord(value)
	}
	return value
}

// Parts are the filters that are set, in words.
func (t typedFilter) Parts() []FilterPart { return filterParts(t.Typed) }

// Filters are which events a resend sends, in words.
func (o Operation) Filters() []FilterPart {
	f := o.Resend.Filter
	values := map[string]string{filterChannel: o.Resend.Channel, filterStatus: f.Status, filterFailure: f.Failure, filterDocument: f.Document, filterError: f.Error}
	if !f.Since.IsZero() {
		values[filterSince] = exact(f.Since)
	}
	if !f.Until.IsZero() {
		values[filterUntil] = exact(f.Until)
	}
	return filterParts(values)
}

// ChannelTitles are the channels of which a release discards what waits.
func (o Operation) ChannelTitles() (titles []string) {
	for _, name := range o.Channels {
		titles = append(titles, channelTitle(name))
	}
	return titles
}
