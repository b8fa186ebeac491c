// The usual ways to write products of 128 bits where there is no instruction for them, for tests.
#pragma once

#include "jit/testing/words.h"

namespace rotor::jit {

/// The run-time library's.
inline Wide library_product(Word a, Word b) {
  Word low = a.low() * b.low(), t = low.high();
  low = low.low();
  t = t + a.high() * b.low();
  low = low + (t.low() << 32);
  Word high = t.high();
  t = low.high();
  low = low.low();
  t = t + b.high() * a.low();
  low = low + (t.low() << 32);
  high = high + t.high();
  return {low, high + a.high() * b.high()};
}
/// wyhash's, as of other hash mixers.
inline Wide mixer_product(Word a, Word b) {
  Word hh = a.high() * b.high(), m0 = a.high() * b.low(), m1 = b.high() * a.low(), ll = a.low() * b.low();
  Word t = ll + (m0 << 32), low = t + (m1 << 32), carries = (t < ll).wide() + (low < t).wide();
  return {low, hh + m0.high() + m1.high() + carries};
}
/// mbedTLS's.
inline Wide schoolbook_product(Word a, Word b) {
  Word low = a.low() * b.low(), x = a.high() * b.low(), middle = a.low() * b.high() + x, high = a.high() * b.high();
  high = high + ((middle < x).wide() << 32) + middle.high();
  Word shifted = middle << 32;
  low = low + shifted;
  return {low, high + (low < shifted).wide()};
}
/// xxhash's.
inline Wide cross_product(Word a, Word b) {
  Word ll = a.low() * b.low(), hl = a.high() * b.low(), lh = a.low() * b.high(), hh = a.high() * b.high();
  Word cross = ll.high() + hl.low() + lh;
  return {(cross << 32) | ll.low(), hl.high() + cross.high() + hh};
}
/// Hacker's Delight's, and Go's math/bits: the low word is a plain product, half of the wide one.
inline Wide delight_product(Word a, Word b) {
  Word t = a.high() * b.low() + (a.low() * b.low()).high(), w1 = t.low() + a.low() * b.high();
  return {a * b, a.high() * b.high() + t.high() + w1.high()};
}
using MakeProduct = Wide (*)(Word, Word);
inline constexpr MakeProduct kProducts[] = {library_product, mixer_product, schoolbook_product, cross_product,
                                            delight_product};

/// Adds a word to a wide one.
inline Wide accumulate(Wide product, Word addend) {
  Word low = product.low + addend;
  return {low, product.high + (low < addend).wide()};
}

}  // namespace rotor::jit
