package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// The events of a package with a test of each outcome, as go test -json prints them.
const stream = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"integration tests: PostgreSQL 15.18\n"}
{"Action":"run","Package":"p","Test":"TestQuick"}
{"Action":"output","Package":"p","Test":"TestQuick","Output":"=== RUN   TestQuick\n"}
{"Action":"output","Package":"p","Test":"TestQuick","Output":"    a_test.go:1: chatter\n"}
{"Action":"pass","Package":"p","Test":"TestQuick","Elapsed":0.01}
{"Action":"pass","Package":"p","Test":"TestSlow","Elapsed":3.14}
{"Action":"output","Package":"p","Test":"TestNode","Output":"    a_test.go:2: publish.mjs: no node; apt install nodejs\n"}
{"Action":"output","Package":"p","Test":"TestNode","Output":"--- SKIP: TestNode (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestNode","Elapsed":0}
{"Action":"skip","Package":"p","Test":"FuzzData/00257c83","Elapsed":0}
`

const failing = `{"Action":"output","Package":"p","Test":"TestBad/one","Output":"    a_test.go:3: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestBad/one","Elapsed":0}
{"Action":"fail","Package":"p","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"p","Test":"TestPanics","Output":"panic: oops\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p","Elapsed":0.1}
`

func TestReport_PrintsEndsAndReasons(t *testing.T) {
	for name, c := range map[string]struct {
		in, want string
		passed   bool
	}{
		"all passed": {
			in: stream + `{"Action":"output","Package":"p","Output":"PASS\n"}` + "\n" +
				`{"Action":"output","Package":"p","Output":"ok  \tp\t3.2s\n"}` + "\n" + `{"Action":"pass","Package":"p","Elapsed":3.2}` + "\n",
			want: "integration tests: PostgreSQL 15.18\n    3.1 s  TestSlow\nok  \tp\t3.2s\n" +
				"skipped: publish.mjs: no node; apt install nodejs (TestNode)\nnoted\n2 passed, 0 failed, 1 skipped\n",
			passed: true,
		},
		"one failed, one did not end": {
			in: failing,
			want: "    a_test.go:3: wrong\nFAIL\tp\t0.1s\n--- did not end: TestPanics\npanic: oops\n" +
				"failed: p\nnoted\n0 passed, 1 failed, 0 skipped\n",
		},
		"a build failed": {
			in: `{"Action":"build-output","ImportPath":"p","Output":"p/a.go:1: no\n"}` + "\n" +
				`{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n",
			want: "p/a.go:1: no\nFAIL\tp [build failed]\nfailed: p\nnoted\n0 passed, 0 failed, 0 skipped\n",
		},
		"nothing ran": {in: "go: no such tool\n", want: "go: no such tool\nnoted\n0 passed, 0 failed, 0 skipped\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			passed := run(strings.NewReader(c.in), &out, 2*time.Second, "noted")
			if out.String() != c.want || passed != c.passed {
				t.Errorf("passed: %t\n got %q\nwant %q", passed, out.String(), c.want)
			}
		})
	}
}
