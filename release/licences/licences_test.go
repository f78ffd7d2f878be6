package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLicences_PageIsCurrent(t *testing.T) {
	t.Chdir("../..")
	var made strings.Builder
	if err := run(&made); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/licences.md")
	if err != nil {
		t.Fatal(err)
	}
	if made.String() != string(page) {
		t.Error("the modules have changed: make licences")
	}
}

const (
	mit = "Permission is hereby granted, free of charge, to any person obtaining a copy\nof this software …\n" +
		"The above copyright notice and this permission notice shall be included in all copies"
	bsd2 = "Redistribution and use in source and binary forms, with or without\nmodification, are permitted provided that the following conditions\nare met:"
	bsd3 = bsd2 + " the name may not be used to endorse or promote products derived from this software"
)

func TestLicences_AreToldApart(t *testing.T) {
	for text, want := range map[string]string{
		mit:                  "MIT",
		strings.ToUpper(mit): "MIT",
		bsd2:                 "BSD-2-Clause",
		bsd3:                 "BSD-3-Clause",
		bsd3 + " All advertising materials mentioning features must display":                                                     "", // BSD-4-Clause
		"Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted": "ISC",
		"All these files have been put\ninto the public domain. You can do whatever you want with these\nfiles.":                 publicDomain,
		"GNU AFFERO GENERAL PUBLIC LICENSE":                        "",
		"all rights reserved":                                      "",
		mit + strings.Repeat(" The Software may not be sold.", 60): "", // terms beside it
		"": "",
	} {
		if got := classify(text); got != want {
			t.Errorf("got %q, want %q for %.60s", got, want, text)
		}
	}
}

func TestLicences_UnknownMissingAndUnacceptedOnesAreErrors(t *testing.T) {
	mpl := "Mozilla Public License Version 2.0 … Incompatible With Secondary Licenses"
	for name, c := range map[string]struct {
		files    map[string]string
		accepted []string
		says     string
	}{
		"known":                 {map[string]string{"LICENSE": mit}, accepted, ""},
		"two":                   {map[string]string{"LICENSE": mit, "LICENSE.libyaml": bsd3}, accepted, ""},
		"unknown":               {map[string]string{"LICENSE": "for friends only"}, accepted, "m: the licence in LICENSE is not known"},
		"unknown beside known":  {map[string]string{"LICENSE": mit, "LICENSE-data": "for friends only"}, accepted, "m: the licence in LICENSE-data is not known"},
		"none":                  {map[string]string{"README": mit}, accepted, "m has no file with a licence"},
		"not in the program":    {map[string]string{"COPYING": mpl}, accepted, "m has the licence MPL-2.0"},
		"in the tests":          {map[string]string{"COPYING": mpl}, acceptedInTests, ""},
		"of the documents only": {map[string]string{"LICENSE": mit, "LICENSE.docs": "CC-BY"}, accepted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := license([]*module{{path: "m", dir: dir}}, c.accepted)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The licence's text and the notice that goes with it are shown once, with all their modules.
func TestLicences_TextsComeWithTheirModules(t *testing.T) {
	var out strings.Builder
	a := &module{path: "a", texts: []string{"one", "notice"}}
	b := &module{path: "b", texts: []string{"one"}}
	if err := write(io.Writer(&out), []*module{a, b}, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"### a, b\n\n```\none\n```\n", "### a\n\n```\nnotice\n```\n"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("no %q in %s", want, out.String())
		}
	}
}
