package integration_test

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/page"
)

// docPictures are what docs/administer.md shows.
var docPictures = []string{
	"settings-1280-light.png", "settings-390-dark.png", "deliveries-1280-light.png", "delivery-failed-1280-light.png", "overview-1280-light.png",
}

// maxPicture is the size of a picture in the repository, in bytes.
const maxPicture = 150 << 10

// TestPages_Photographed: the pictures of docs/administer.md can be taken and are small.
//
//	PICTURES=DIR   keeps them there, and a picture of each page at 390 and 1280 px, light and dark, in a
//	               temporary directory that it names: make pictures
func TestPages_Photographed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := newTab(t, servePage(t, w.database, nil))
	keep := os.Getenv("PICTURES")
	var all string
	if keep != "" {
		var err error
		if all, err = os.MkdirTemp("", "webhooks-pictures-"); err != nil {
			t.Fatal(err)
		}
		t.Logf("all pictures are in %s", all)
	}
	for _, page := range worldPages {
		for _, v := range screens[:4] {
			name := page.name + "-" + v.name + ".png"
			shown := slices.Contains(docPictures, name)
			if !shown && keep == "" {
				continue
			}
			w.workerStillRuns()
			p.look(v)
			p.open(page.path(w))
			if all != "" {
				p.write(filepath.Join(all, name), p.photograph(v, 0))
			}
			if !shown {
				continue
			}
			picture := p.photograph(v, 1000)
			if len(picture) > maxPicture {
				p.errorf("%s has %d bytes", name, len(picture))
			}
			if keep != "" {
				p.write(filepath.Join(keep, name), picture)
			}
		}
	}
}

func (p *tab) write(file string, content []byte) {
	p.t.Helper()
	if err := os.WriteFile(file, content, 0o644); err != nil { // a picture, for everybody
		p.t.Fatal(err)
	}
}

// photograph is a picture of the page from its top, at most so many CSS pixels high; 0 is all of it. The window is made
// as high: what stays at its lower edge is at that of the picture.
func (p *tab) photograph(v view, height int64) []byte {
	p.t.Helper()
	whole := evaluate[int64](p, `document.documentElement.scrollHeight`)
	if height == 0 || height > whole {
		height = whole
	}
	p.window(v.width, height, v.zoom)
	defer p.look(v)
	shot := call(p, page.CaptureScreenshot, page.CaptureScreenshotParams{
		Clip: &page.Viewport{Width: float64(v.width), Height: float64(height), Scale: 1}})
	picture, err := png.Decode(bytes.NewReader(shot.Data))
	if err != nil {
		p.fatalf("the picture: %v", err)
	}
	return small(p.t, picture)
}

// small encodes a picture in the 256 colours that are most frequent in it, a quarter of its size: a page has few,
// and the edges of its letters.
func small(t testing.TB, picture image.Image) []byte {
	t.Helper()
	bounds := picture.Bounds()
	plain := image.NewRGBA(bounds)
	draw.Draw(plain, bounds, picture, bounds.Min, draw.Src)
	pixels := make([]uint32, 0, len(plain.Pix)/4)
	frequent := map[uint32]int{}
	for i := 0; i < len(plain.Pix); i += 4 {
		pixel := uint32(plain.Pix[i])<<24 | uint32(plain.Pix[i+1])<<16 | uint32(plain.Pix[i+2])<<8 | uint32(plain.Pix[i+3])
		pixels = append(pixels, pixel)
		frequent[pixel]++
	}
	colours := slices.SortedFunc(maps.Keys(frequent), func(a, b uint32) int { return cmp.Or(frequent[b]-frequent[a], cmp.Compare(a, b)) })
	palette := make(color.Palette, 0, 256)
	for _, c := range colours[:min(len(colours), 256)] {
		palette = append(palette, rgba(c))
	}
	index := map[uint32]uint8{}
	for _, c := range colours {
		index[c] = uint8(palette.Index(rgba(c))) // below 256
	}
	indexed := image.NewPaletted(bounds, palette)
	for i, pixel := range pixels {
		indexed.Pix[i] = index[pixel]
	}
	var encoded bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&encoded, indexed); err != nil {
		t.Fatal(err)
	}
	return encoded.Bytes()
}

func rgba(c uint32) color.RGBA {
	return color.RGBA{R: uint8(c >> 24), G: uint8(c >> 16), B: uint8(c >> 8), A: uint8(c)} // its four bytes
}
