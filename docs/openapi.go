// Package docs has the documents that are part of the binary.
package docs

import _ "embed"

// OpenAPI is openapi.yaml: what a receiver gets.
//
//go:embed openapi.yaml
var OpenAPI []byte
