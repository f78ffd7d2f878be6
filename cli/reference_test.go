package cli

import (
	"bytes"
	"os"
	"testing"
)

func TestReference_IsThePageOfTheDocuments(t *testing.T) {
	page, err := os.ReadFile("../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	if err := WriteReference(&written); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written.Bytes(), page) {
		t.Error("docs/commands.md is not what the commands say of themselves: run make commands")
	}
}
