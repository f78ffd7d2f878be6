package temppg

import (
	"os"
	"path/filepath"
	"testing"
)

func TestServer_DataAreInMemoryWhereAskedForAndThereIsRoom(t *testing.T) {
	want := os.TempDir()
	if inMemory(sharedMemory, memoryRoom) {
		want = sharedMemory
	}
	if got := parentDir(true); got != want {
		t.Errorf("asked for: in %s, expected %s", got, want)
	}
	if got := parentDir(false); got != os.TempDir() {
		t.Errorf("not asked for: in %s", got)
	}
	if inMemory(sharedMemory, 1<<62) {
		t.Error("there is no room for so much")
	}
	for _, dir := range []string{"/proc", "/no/such/directory"} {
		if inMemory(dir, 0) {
			t.Errorf("%s is no directory for files in memory", dir)
		}
	}

	needBinaries(t)
	s, err := Start(t.Context(), Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := s.engine.(*binaries).dir
	if filepath.Dir(dir) != want {
		t.Errorf("the server is in %s, expected %s", dir, want)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}
