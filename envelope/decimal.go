package envelope

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// maxDigits bounds a number that is added, before the point and after it, so
// that 1e999999999 costs an error and not a gigabyte.
const maxDigits = 1_000

// decimalSum is an exact sum of JSON numbers; the zero value is 0. Its scale,
// the digits after the point, is that of the widest number added (the
// contract, The payload). No number passes through a float.
type decimalSum struct {
	widest int
	// byScale holds the sum of the numbers of each scale, in units of
	// 10^-scale; 15e2 has the scale -2. So an addition never multiplies, and
	// 100,000 of them take linear time.
	byScale map[int]*big.Int
}

// add adds a number; null counts as zero without a scale. The error names the
// field.
func (s *decimalSum) add(field string, number token) error {
	if number == null {
		return nil
	}
	if !number.isNumber() {
		return unexpected(field, number, "a number")
	}
	digits, scale := splitNumber(string(number))
	if scale > maxDigits || digits != "" && len(digits)-scale > maxDigits {
		return &Error{field, fmt.Sprintf("%s is too long, expected at most %d digits before and after the point", excerpt(string(number)), maxDigits)}
	}
	s.widest = max(s.widest, scale)
	if digits != "" {
		s.addUnits(scale, digits, number[0] == '-')
	}
	return nil
}

func (s *decimalSum) addUnits(scale int, digits string, negative bool) {
	units, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		panic("digits are a number: " + digits)
	}
	if negative {
		units.Neg(units)
	}
	if s.byScale == nil {
		s.byScale = make(map[int]*big.Int)
	}
	if sum, ok := s.byScale[scale]; ok {
		units.Add(units, sum)
	}
	s.byScale[scale] = units
}

// token writes the sum with exactly widest digits after the point. Zero has no
// sign.
func (s *decimalSum) token() token {
	sum := new(big.Int)
	for scale, units := range s.byScale {
		power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(s.widest-scale)), nil)
		sum.Add(sum, power.Mul(power, units))
	}
	sign := ""
	if sum.Sign() < 0 {
		sign = "-"
	}
	digits := sum.Abs(sum).String()
	if s.widest == 0 {
		return token(sign + digits)
	}
	if missing := s.widest + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - s.widest
	return token(sign + digits[:point] + "." + digits[point:])
}

// splitNumber returns the size of a JSON number as its significant digits,
// without leading zeros (so none for zero), times 10^-scale.
func splitNumber(number string) (digits string, scale int) {
	mantissa, exponent := strings.TrimPrefix(number, "-"), 0
	if e := strings.IndexAny(mantissa, "eE"); e >= 0 {
		mantissa, exponent = mantissa[:e], parseExponent(mantissa[e+1:])
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	return strings.TrimLeft(whole+fraction, "0"), len(fraction) - exponent
}

// parseExponent reads an exponent; one beyond any that the data could make up for
// with zeros is cut to such a size, so that no sum of lengths overflows.
func parseExponent(text string) int {
	const beyond = 1 << 40
	exponent, _ := strconv.ParseInt(text, 10, 64) // out of range: the nearest int64
	return int(min(max(exponent, -beyond), beyond))
}
