package admin

import (
	"os"
	"strings"
	"testing"
)

// The page serves the description of the requests, below its base path too, to those who are let in.
func TestOpenAPI_IsServedByThePage(t *testing.T) {
	want, err := os.ReadFile("../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	based := onLoopback()
	based.BasePath = "/hooks"
	for path, options := range map[string]Options{"/openapi.yaml": onLoopback(), "/hooks/openapi.yaml": based} {
		s, _ := newTestSite(options)
		res := answer(s.around(s.routes()), request("GET", path, nil, nil))
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/yaml" || res.text != string(want) {
			t.Errorf("%s: status %d, %s, %d bytes", path, res.StatusCode, res.Header.Get("Content-Type"), len(res.text))
		}
	}
	if !strings.Contains(readText(t, "templates/settings.html"), `<a href="{{$.Base}}/openapi.yaml">`) {
		t.Error("the settings do not link it")
	}
	s, _ := newTestSite(withPassword())
	if res := answer(s.around(s.routes()), request("GET", "/openapi.yaml", nil, nil)); res.StatusCode != 303 {
		t.Errorf("without a login: status %d", res.StatusCode)
	}
}
