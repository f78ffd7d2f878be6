package main

import "strings"

// family is a licence by the sentences that it has, in lower case and without line ends.
// What is longer than it ever is has terms beside it, and is not known.
type family struct {
	name     string
	has, not []string
	longest  int
}

const (
	redistribution = "redistribution and use in source and binary forms, with or without modification, are permitted provided that the following conditions are met"
	endorsement    = "used to endorse or promote products derived from"
	advertising    = "all advertising materials"
	publicDomain   = "LicenseRef-Public-Domain" // SPDX has no identifier for it
)

var families = []family{
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy of this software",
		"the above copyright notice and this permission notice shall be included"}, nil, 1500},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"}, nil, 1200},
	{"BSD-3-Clause", []string{redistribution, endorsement}, []string{advertising}, 2000},
	{"BSD-2-Clause", []string{redistribution}, []string{endorsement, advertising}, 1800},
	{"Apache-2.0", []string{"apache license version 2.0, january 2004", "grant of patent license"}, nil, 12500},
	{"MPL-2.0", []string{"mozilla public license", "2.0", "incompatible with secondary licenses"}, nil, 18000},
	{publicDomain, []string{"all these files have been put into the public domain. you can do whatever you want with these files"}, nil, 700},
}

// classify returns the SPDX identifier of a licence's text, or "" for one that is not known.
func classify(text string) string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	for _, f := range families {
		if len(text) <= f.longest && f.describes(text) {
			return f.name
		}
	}
	return ""
}

func (f family) describes(text string) bool {
	for _, s := range f.has {
		if !strings.Contains(text, s) {
			return false
		}
	}
	for _, s := range f.not {
		if strings.Contains(text, s) {
			return false
		}
	}
	return true
}
