package envelope_test

import (
	"bytes"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// total returns the sum of line items with these amounts.
func total(t *testing.T, amounts []string) string {
	t.Helper()
	items := `{"amount":` + strings.Join(amounts, `},{"amount":`) + `}`
	got, err := renderDocument(document("line_items", "["+items+"]"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(got), `"line_items_total":`)
	return strings.TrimSuffix(after, "}")
}

func TestTotal_AThousandDigits(t *testing.T) {
	nines := strings.Repeat("9", 1_000)
	for _, tt := range []struct{ name, amounts, want string }{
		{"a carry beyond the limit", nines + " 1", "1" + strings.Repeat("0", 1_000)},
		{"the widest of both ends", "1e999 1e-1000", "1" + strings.Repeat("0", 999) + "." + strings.Repeat("0", 999) + "1"},
		{"a digit brought back by an exponent", "0." + strings.Repeat("0", 1_000) + "1e1001", "1"},
		{"leading zeros do not count", "0.001e1002", "1" + strings.Repeat("0", 999)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := total(t, strings.Fields(tt.amounts)); got != tt.want {
				t.Errorf("%.100s…, expected %.100s…", got, tt.want)
			}
		})
	}
}

func TestTotal_AroundTheLargestInt64(t *testing.T) {
	for amounts, want := range map[string]string{
		"9223372036854775806 1":                      "9223372036854775807",
		"9223372036854775807 1":                      "9223372036854775808",
		"9223372036854775807 1 -2":                   "9223372036854775806",
		"-9223372036854775807 -1":                    "-9223372036854775808",
		"-9223372036854775808 -1":                    "-9223372036854775809",
		"-9223372036854775808 9223372036854775808":   "0",
		"92233720368547758.07 0.01 -0.005":           "92233720368547758.075",
		"9223372036854775808 1 -9223372036854775808": "1",
		"1e18 9e18 -1":                               "9999999999999999999",
	} {
		if got := total(t, strings.Fields(amounts)); got != want {
			t.Errorf("%s: %s, expected %s", amounts, got, want)
		}
	}
}

// number is a JSON number together with what it is worth.
type number struct {
	text  string
	scale int // digits after the point once the exponent is gone
	value *big.Rat
}

var numbers = rapid.Custom(func(t *rapid.T) number {
	text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,12})`).Draw(t, "whole")
	scale := 0
	if rapid.Bool().Draw(t, "has a fraction") {
		fraction := rapid.StringMatching(`[0-9]{1,12}`).Draw(t, "fraction")
		text += "." + fraction
		scale = len(fraction)
	}
	if rapid.Bool().Draw(t, "has an exponent") {
		exponent := rapid.IntRange(-30, 30).Draw(t, "exponent")
		text += rapid.SampledFrom([]string{"e", "E"}).Draw(t, "letter") + strconv.Itoa(exponent)
		scale = max(0, scale-exponent)
	}
	value, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%s is no number", text)
	}
	return number{text, scale, value}
})

func TestTotal_IsTheExactSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sum, scale := new(big.Rat), 0
		var items []string
		for _, n := range rapid.SliceOf(numbers).Draw(t, "amounts") {
			sum.Add(sum, n.value)
			scale = max(scale, n.scale)
			items = append(items, `{"amount":`+n.text+`}`)
		}
		got, err := renderDocument(`{"id":1,"status":"Export","line_items":[` + strings.Join(items, ",") + `]}`)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`"line_items_count":%d,"line_items_total":%s}`, len(items), sum.FloatString(scale))
		if !bytes.HasSuffix(got, []byte(want)) {
			t.Errorf("%s\ndoes not end in %s", got, want)
		}
	})
}

func TestTotal_DoesNotDependOnTheOrder(t *testing.T) {
	total := func(t *rapid.T, amounts []number) string {
		var items []string
		for _, n := range amounts {
			items = append(items, `{"amount":`+n.text+`}`)
		}
		got, err := renderDocument(`{"id":1,"status":"Export","line_items":[` + strings.Join(items, ",") + `]}`)
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(got), `"line_items_total":`)
		return after
	}
	rapid.Check(t, func(t *rapid.T) {
		amounts := rapid.SliceOf(numbers).Draw(t, "amounts")
		shuffled := rapid.Permutation(amounts).Draw(t, "shuffled")
		if a, b := total(t, amounts), total(t, shuffled); a != b {
			t.Errorf("%s, shuffled %s", a, b)
		}
	})
}
