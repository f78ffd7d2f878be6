package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// vulnerability is one that the program reaches: it calls what is vulnerable.
type vulnerability struct{ id, summary, module, version, fixed, from string }

// ofGo: the remedy is another Go, not another module.
func (v vulnerability) ofGo() bool { return v.module == "stdlib" || v.module == "toolchain" }

func (v vulnerability) String() string {
	return fmt.Sprintf("%s %s %s, fixed in %s: %s; reached from %s",
		v.id, v.module, v.version, cmp.Or(v.fixed, "no version"), v.summary, v.from)
}

// message is one of those that govulncheck prints (golang.org/x/vuln/internal/govulncheck).
type message struct {
	Config *struct {
		GoVersion string `json:"go_version"`
	} `json:"config"`
	OSV *struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
	} `json:"osv"`
	Finding *struct {
		OSV          string  `json:"osv"`
		FixedVersion string  `json:"fixed_version"`
		Trace        []frame `json:"trace"`
	} `json:"finding"`
}

// frame is a step of a trace, from what is vulnerable to the program.
type frame struct{ Module, Version, Package, Function string }

// reached reads govulncheck's messages: each vulnerability of each module once. A
// finding without a function means that the module is required or imported only.
func reached(said io.Reader) ([]vulnerability, error) {
	summaries, seen := map[string]string{}, map[[2]string]vulnerability{}
	scanned := false
	for d := json.NewDecoder(said); ; {
		var m message
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read what govulncheck says: %w", err)
		}
		scanned = scanned || m.Config != nil && m.Config.GoVersion != ""
		if m.OSV != nil {
			summaries[m.OSV.ID] = m.OSV.Summary
		}
		if f := m.Finding; f != nil && len(f.Trace) > 0 && f.Trace[0].Function != "" {
			at, ours := f.Trace[0], f.Trace[len(f.Trace)-1]
			for _, step := range slices.Backward(f.Trace) {
				if step.Module != ours.Module {
					break
				}
				ours = step
			}
			seen[[2]string{f.OSV, at.Module}] = vulnerability{
				id: f.OSV, module: at.Module, version: at.Version, fixed: f.FixedVersion, from: ours.Package + "." + ours.Function}
		}
	}
	if !scanned {
		return nil, errors.New("govulncheck says nothing of a scan")
	}
	var all []vulnerability
	for _, v := range seen {
		v.summary = summaries[v.id]
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b vulnerability) int { return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.module, b.module)) })
	return all, nil
}
