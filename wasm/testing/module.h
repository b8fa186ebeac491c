// Builds modules byte by byte, for the tests of this folder.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace rotor::wasm::test {

using Bytes = std::vector<uint8_t>;

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline Bytes leb(uint64_t value) {
  Bytes out;
  do {
    out.push_back(static_cast<uint8_t>((value & 0x7f) | (value > 0x7f ? 0x80 : 0)));
    value >>= 7;
  } while (value != 0);
  return out;
}
inline Bytes str(std::string_view text) { return leb(text.size()) + Bytes(text.begin(), text.end()); }
inline Bytes sized(const Bytes& contents) { return leb(contents.size()) + contents; }
/// A vector: count and items.
inline Bytes vec(std::initializer_list<Bytes> items) {
  Bytes out = leb(items.size());
  for (const Bytes& item : items) out = out + item;
  return out;
}
inline Bytes section(uint8_t id, const Bytes& contents) { return Bytes{id} + sized(contents); }
inline Bytes custom(std::string_view name, const Bytes& contents) { return section(0, str(name) + contents); }

inline constexpr uint8_t kI32 = 0x7f, kI64 = 0x7e, kF32 = 0x7d, kF64 = 0x7c, kV128 = 0x7b, kFuncRef = 0x70,
                         kExternRef = 0x6f;

inline Bytes func_type(const Bytes& params, const Bytes& results) {
  return Bytes{0x60} + leb(params.size()) + params + leb(results.size()) + results;
}
inline const Bytes kHeader = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00};

inline Bytes module(std::initializer_list<Bytes> sections) {
  Bytes out = kHeader;
  for (const Bytes& part : sections) out = out + part;
  return out;
}
/// A body without locals of its own; `code` with its final end.
inline Bytes body(const Bytes& code) { return sized(Bytes{0} + code); }

}  // namespace rotor::wasm::test
