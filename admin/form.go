package admin

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
)

// maxForm is the size of a form, in bytes. The largest field is a URL.
const maxForm = 1 << 20

// withForm reads the form, so that a handler finds it whole.
func (s *site) withForm(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		err := r.ParseForm()
		var tooLarge *http.MaxBytesError
		switch {
		case r.ContentLength != 0 && !reads(r) && !isForm(r):
			s.fail(w, r, failure{Status: http.StatusUnsupportedMediaType, Title: "This is no form",
				Means: "A form of this site is sent as application/x-www-form-urlencoded. Nothing was changed.", Do: "Use the buttons of the pages."})
		case errors.As(err, &tooLarge):
			s.fail(w, r, failure{Status: http.StatusRequestEntityTooLarge, Title: "The form is too large",
				Means: fmt.Sprintf("A form of this site has at most %d kB. Nothing was changed.", maxForm/1024), Do: "Go back and shorten what you entered."})
		case err != nil:
			s.fail(w, r, failure{Status: http.StatusBadRequest, Title: "The form cannot be read",
				Means: "The request is malformed. Nothing was changed.", Do: "Go back, reload the page and try again."})
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// isForm reports whether a body is one that ParseForm reads. Of another one every field would be missing.
func isForm(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// errMalformed is a form that this page has not made, or no longer makes.
func errMalformed(what string) error {
	return failure{Status: http.StatusUnprocessableEntity, Title: "This form is not complete",
		Means: what + " Nothing was saved.", Do: "Open the page again and enter your changes there. It may have been open since before an upgrade."}
}

// fields reads a form that has each of its fields once, and no others.
type fields struct {
	form  url.Values
	known map[string]bool
	err   error
}

func fieldsOf(form url.Values) *fields { return &fields{form: form, known: map[string]bool{}} }

func (f *fields) wrong(what string) {
	if f.err == nil {
		f.err = errMalformed(what)
	}
}

// text is a field that is always sent.
func (f *fields) text(name string) string {
	f.known[name] = true
	switch values := f.form[name]; {
	case len(values) == 0:
		f.wrong("The field " + name + " is missing.")
	case len(values) > 1:
		f.wrong("The field " + name + " is there more than once.")
	default:
		return values[0]
	}
	return ""
}

// tick is a checkbox, which is sent only if it is ticked.
func (f *fields) tick(name string) bool {
	f.known[name] = true
	switch values := f.form[name]; {
	case len(values) == 0:
		return false
	case len(values) > 1 || values[0] != "on":
		f.wrong("The box " + name + " is neither ticked nor empty.")
	}
	return true
}

// choice is a radio button.
func (f *fields) choice(name string, choices ...string) string {
	value := f.text(name)
	for _, each := range choices {
		if value == each {
			return value
		}
	}
	f.wrong("The choice of " + name + " is none of those that are offered.")
	return ""
}

// done returns what is wrong with the form itself.
func (f *fields) done() error {
	for name := range f.form {
		if !f.known[name] {
			f.wrong("It has a field that this page does not know.")
		}
	}
	return f.err
}
