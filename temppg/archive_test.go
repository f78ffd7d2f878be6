package temppg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// archiveOfBinaries is an archive as the repository has them, of the machine's own PostgreSQL: a zip file with a tar
// file, compressed by xz, of bin and what the programs need.
func archiveOfBinaries(t *testing.T) (version string, archive []byte) {
	t.Helper()
	needBinaries(t)
	found := append(installations(t.Context(), candidates()), installations(t.Context(), downloaded())...)
	postgres, err := filepath.EvalSymlinks(filepath.Join(found[0].dir, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	var files, compressed bytes.Buffer
	w := tar.NewWriter(&files)
	bin := filepath.Dir(postgres)
	for _, program := range []string{"postgres", "initdb", "pg_ctl"} {
		addFile(t, w, filepath.Join(bin, program))
		link := &tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + program, Linkname: ".." + filepath.Join(bin, program), Mode: 0o777}
		if err := w.WriteHeader(link); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{pgConfig(t, bin, "--sharedir"), pgConfig(t, bin, "--pkglibdir")} {
		addTree(t, w, dir)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	storeXZ(&compressed, files.Bytes())
	return strconv.Itoa(found[0].major), inZip(t, compressed.Bytes())
}

// inZip is the zip file around the tar file.
func inZip(t *testing.T, compressed []byte) []byte {
	t.Helper()
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	inner, err := z.CreateHeader(&zip.FileHeader{Name: "postgres.txz", Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inner.Write(compressed); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return zipped.Bytes()
}

// archiveThatEnds has programs that know their version, and breaks off in the file behind them.
func archiveThatEnds(t *testing.T, version string) []byte {
	t.Helper()
	var files, compressed bytes.Buffer
	w := tar.NewWriter(&files)
	bin := fakeInstallation(t, version)
	for _, name := range []string{"initdb", "postgres"} {
		addFile(t, w, filepath.Join(bin, name))
		link := &tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: ".." + filepath.Join(bin, name), Mode: 0o777}
		if err := w.WriteHeader(link); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteHeader(&tar.Header{Name: "share/postgres.bki", Mode: 0o644, Size: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	storeXZ(&compressed, files.Bytes())
	return inZip(t, compressed.Bytes()[:compressed.Len()/2])
}

// pgConfig is where the machine's PostgreSQL keeps something. Its programs find it by the way from their own directory.
func pgConfig(t *testing.T, bin, what string) string {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), filepath.Join(bin, "pg_config"), what).Output()
	if err != nil {
		t.Skipf("this PostgreSQL has no pg_config, which says what belongs to it: %v", err)
	}
	return strings.TrimSpace(string(said))
}

// addTree adds what a directory has, except the bulk that no test needs: the just-in-time compiler.
func addTree(t *testing.T, w *tar.Writer, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == "bitcode" || entry.Name() == "man" {
				return fs.SkipDir
			}
			return nil
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && !strings.HasPrefix(entry.Name(), "llvmjit") {
			addFile(t, w, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func addFile(t *testing.T, w *tar.Writer, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(path, "/"), Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
}

// storeXZ writes data in the xz format without compressing them (https://tukaani.org/xz/xz-file-format.txt).
func storeXZ(out *bytes.Buffer, data []byte) {
	sum := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	pad := func(b []byte) []byte { return append(b, make([]byte, (4-len(b)%4)%4)...) }
	flags := []byte{0, 1} // the check is CRC32

	out.WriteString("\xFD7zXZ\x00")
	out.Write(flags)
	out.Write(sum(flags))

	block := []byte{2, 0, 0x21, 1, 8, 0, 0, 0} // a header of 12 bytes; one filter, LZMA2, 64 KiB
	block = append(block, sum(block)...)
	for control, rest := byte(1), data; len(rest) > 0; control = 2 { // stored; the first resets the dictionary
		n := min(len(rest), 1<<16)
		block = append(block, control, byte((n-1)>>8), byte(n-1))
		block = append(block, rest[:n]...)
		rest = rest[n:]
	}
	block = append(block, 0)
	unpadded := uint64(len(block)) + 4
	out.Write(pad(block))
	out.Write(sum(data))

	index := binary.AppendUvarint(binary.AppendUvarint([]byte{0, 1}, unpadded), uint64(len(data)))
	index = pad(index)
	index = append(index, sum(index)...)
	out.Write(index)

	footer := append(binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1)), flags...)
	out.Write(sum(footer))
	out.Write(footer)
	out.WriteString("YZ")
}
