package outbox

// flatFields are the fields of the six events that are sent as they are, in the
// order of the spec's examples. A field's name is its key in the facts.
var flatFields = map[string][]string{
	"contact.created": {
		"contact_id", "name", "contact_type", "email", "phone", "first_name",
		"last_name", "description", "created_by", "created_at",
	},
	"folder.created": {
		"folder_id", "contact_id", "name", "description", "is_root",
		"created_by", "created_at",
	},
	"case.created": {
		"case_id", "title", "status", "priority", "assigned_to", "contact_id",
		"contact_name", "document_id", "due_date", "description", "created_by",
		"created_at", "updated_at",
	},
	"notification.created": {
		"notification_id", "type", "title", "message", "is_read",
		"document_id", "contact_id", "created_at",
	},
	"rule.executed": {
		"rule_id", "rule_name", "trigger_type", "action_type", "action_taken",
		"condition_matched", "success", "error_message", "document_id",
		"document_filename",
	},
	"audit.log": {
		"audit_id", "action", "entity_type", "entity_id", "user", "details",
		"ip_address", "logged_at",
	},
}

// Render returns the envelope of an event, schema version 2.0: the exact bytes
// that are sent. It reads the event's name, facts and time and, for a document,
// the endpoint's DocumentBaseURL, and nothing else: the same four give the same
// bytes on every attempt.
//
// Only the spec's fields are sent, in the spec's order, each as it was written.
// An error is a *RenderError.
func Render(ev Event) ([]byte, error) {
	if _, known := ChannelOf(ev.Name); !known {
		return nil, &RenderError{"event", `"` + excerpt(ev.Name) + `" was found, one of the spec's seven was expected`}
	}
	at, err := timestamp(ev.OccurredAt)
	if err != nil {
		return nil, err
	}
	facts, err := readFacts(ev.Data, ev.Parsed)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(ev.Data)+1024)
	out = append(out, `{"schema_version":"2.0"`...)
	out = appendMember(out, "event", quoted(ev.Name))
	out = appendMember(out, "timestamp", quoted(at))
	if out, err = appendEvent(out, ev, facts); err != nil {
		return nil, err
	}
	return append(out, '}'), nil
}

// appendEvent writes the event's own fields.
func appendEvent(out []byte, ev Event, facts object) ([]byte, error) {
	if ev.Name == EventDocumentExported {
		return appendDocument(out, facts, ev.Endpoint.DocumentBaseURL)
	}
	return appendFields(out, flatFields[ev.Name], facts), nil
}

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
