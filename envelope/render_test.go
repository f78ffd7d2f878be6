package envelope_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/recordengine/webhooks/envelope"
	"github.com/recordengine/webhooks/envelope/fixtures"
)

const exampleTime = "2026-03-22T08:30:00Z"

// inputOf returns what Render reads.
func inputOf(event, baseURL, occurredAt string, data []byte) envelope.Input {
	return envelope.Input{Event: event, OccurredAt: occurredAt, Data: data, DocumentBaseURL: baseURL}
}

func renderDocument(data string) ([]byte, error) {
	return envelope.Render(inputOf("document.exported", "https://re.example", exampleTime, []byte(data)))
}

// document returns data with one more field.
func document(field, value string) string {
	return `{"id": 1, "status": "Export", "` + field + `" : ` + value + ` }`
}

func loadCases(t testing.TB) []fixtures.Case {
	t.Helper()
	cases, err := fixtures.Load("testdata/cases")
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

func loadExamples(t testing.TB) []fixtures.Case {
	t.Helper()
	examples, err := fixtures.Examples("testdata/examples")
	if err != nil {
		t.Fatal(err)
	}
	return examples
}

func TestRender_Cases(t *testing.T) {
	for _, c := range loadCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			got, err := envelope.Render(c.Input)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != c.WantError {
				t.Errorf("error\n got %s\nwant %s", text, c.WantError)
			}
			if !bytes.Equal(got, c.Want) {
				t.Errorf("bytes\n got %s\nwant %s", got, c.Want)
			}
		})
	}
}

// An expected envelope that is no JSON would require a mistake of Render.
func TestCases_ExpectValidJSON(t *testing.T) {
	for _, c := range loadCases(t) {
		if c.WantError == "" && !json.Valid(c.Want) {
			t.Errorf("%s: the expected bytes are no JSON", c.Name)
		}
	}
}

func TestRender_ExampleDataGivesExampleBytes(t *testing.T) {
	for _, example := range loadExamples(t) {
		t.Run(example.Event, func(t *testing.T) {
			for attempt := 1; attempt <= 2; attempt++ {
				got, err := envelope.Render(example.Input)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, example.Want) {
					t.Errorf("attempt %d\n got %s\nwant %s", attempt, got, example.Want)
				}
			}
		})
	}
}

func TestEvents_EachHasAnExample(t *testing.T) {
	var examples []string
	for _, example := range loadExamples(t) {
		examples = append(examples, example.Event)
	}
	events := envelope.Events()
	slices.Sort(events)
	if !slices.Equal(events, examples) {
		t.Errorf("events %q, examples in testdata/examples of %q", events, examples)
	}
}

func TestEvents_TheListIsTheCallersOwn(t *testing.T) {
	first := envelope.Events()[0]
	envelope.Events()[0] = "changed"
	if got := envelope.Events()[0]; got != first {
		t.Errorf("the first event is %q, expected %q", got, first)
	}
}

func TestRender_LeavesTheDataAlone(t *testing.T) {
	for _, example := range loadExamples(t) {
		before := bytes.Clone(example.Data)
		if _, err := envelope.Render(example.Input); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(example.Data, before) {
			t.Errorf("%s: the data has changed", example.Event)
		}
	}
}
