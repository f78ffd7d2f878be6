package envelope

// writer appends an event's own fields to its envelope. Of in it reads what is
// not in the data.
type writer func(out []byte, in Input, data object) ([]byte, error)

// events are the events with their fields, in the order in which these are sent.
// A field's name is its key in the data. How a new one is added is in
// CONTRIBUTING.md.
var events = []struct {
	name  string
	write writer
}{
	{"document.exported", appendDocument},
	{"contact.created", asWritten(
		"contact_id", "name", "contact_type", "email", "phone", "first_name",
		"last_name", "description", "created_by", "created_at",
	)},
	{"folder.created", asWritten(
		"folder_id", "contact_id", "name", "description", "is_root",
		"created_by", "created_at",
	)},
	{"case.created", asWritten(
		"case_id", "title", "status", "priority", "assigned_to", "contact_id",
		"contact_name", "document_id", "due_date", "description", "created_by",
		"created_at", "updated_at",
	)},
	{"notification.created", asWritten(
		"notification_id", "type", "title", "message", "is_read",
		"document_id", "contact_id", "created_at",
	)},
	{"rule.executed", asWritten(
		"rule_id", "rule_name", "trigger_type", "action_type", "action_taken",
		"condition_matched", "success", "error_message", "document_id",
		"document_filename",
	)},
	{"audit.log", asWritten(
		"audit_id", "action", "entity_type", "entity_id", "user", "details",
		"ip_address", "logged_at",
	)},
}

// asWritten is the writer of an event whose fields are sent as they are.
func asWritten(fields ...string) writer {
	return func(out []byte, _ Input, data object) ([]byte, error) {
		return appendFields(out, fields, data), nil
	}
}

// Events returns the names of the events that can be rendered. The slice is the
// caller's own.
func Events() []string {
	names := make([]string, len(events))
	for i, event := range events {
		names[i] = event.name
	}
	return names
}

// writerOf returns the writer of the named event. Names are compared exactly.
func writerOf(name string) (writer, error) {
	for _, event := range events {
		if event.name == name {
			return event.write, nil
		}
	}
	return nil, &Error{"event", `unknown event "` + excerpt(name) + `"`}
}
