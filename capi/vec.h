// The vectors of wasm.h. Their arrays come from malloc, since a program may fill one of its own.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "wasm.h"

namespace rotor::capi {

/// Makes a vector of `size` zero elements; an empty one if there is no memory for it.
template <class Vec>
void make_vec(Vec* out, size_t size) {
  if (!out) return;
  using Element = std::remove_pointer_t<decltype(out->data)>;
  *out = {0, nullptr};
  if (size == 0 || size > PTRDIFF_MAX / sizeof(Element)) return;
  out->data = static_cast<Element*>(std::calloc(size, sizeof(Element)));
  if (out->data) out->size = size;
}

/// Frees the array and forgets it; not what its elements own.
template <class Vec>
void free_array(Vec* vec) {
  std::free(vec->data);
  *vec = {0, nullptr};
}

/// Makes a name of a text.
inline void make_bytes(wasm_byte_vec_t* out, std::string_view text) {
  make_vec(out, text.size());
  if (out && out->size) std::memcpy(out->data, text.data(), out->size);
}
inline std::string_view view(const wasm_byte_vec_t& bytes) { return {bytes.data, bytes.data ? bytes.size : 0}; }

/// Makes a vector of copies of the elements of another one.
template <class Vec, class Copy>
void copy_vec(Vec* out, const Vec* from, Copy copy) {
  make_vec(out, from && from->data ? from->size : 0);
  if (!out) return;
  for (size_t i = 0; i < out->size; ++i) copy(out->data[i], from->data[i]);
}

}  // namespace rotor::capi

/// Defines the functions of a vector whose elements are plain: `REMOVE(element)` deletes what one owns, `COPY(to,
/// from)` copies one.
#define ROTOR_DEFINE_VEC(name, pointer, REMOVE, COPY)                                                      \
  extern "C" void wasm_##name##_vec_new_empty(wasm_##name##_vec_t* out) { rotor::capi::make_vec(out, 0); } \
  extern "C" void wasm_##name##_vec_new_uninitialized(wasm_##name##_vec_t* out, size_t size) {             \
    rotor::capi::make_vec(out, size);                                                                      \
  }                                                                                                        \
  extern "C" void wasm_##name##_vec_new(wasm_##name##_vec_t* out, size_t size,                             \
                                        wasm_##name##_t pointer const elements[]) {                        \
    rotor::capi::make_vec(out, elements ? size : 0);                                                       \
    if (out && out->size) std::memcpy(out->data, elements, size * sizeof *elements);                       \
  }                                                                                                        \
  extern "C" void wasm_##name##_vec_copy(wasm_##name##_vec_t* out, const wasm_##name##_vec_t* from) {      \
    rotor::capi::copy_vec(out, from, [](auto& to, const auto& element) { COPY(to, element); });            \
  }                                                                                                        \
  extern "C" void wasm_##name##_vec_delete(wasm_##name##_vec_t* vec) {                                     \
    if (!vec) return;                                                                                      \
    if (vec->data)                                                                                         \
      for (size_t i = 0; i < vec->size; ++i) REMOVE(vec->data[i]);                                         \
    rotor::capi::free_array(vec);                                                                          \
  }
/// Does the same for one of pointers.
#define ROTOR_DEFINE_POINTER_VEC(name)                                                                       \
  namespace {                                                                                                \
  void copy_one_##name(wasm_##name##_t*& to, const wasm_##name##_t* from) { to = wasm_##name##_copy(from); } \
  }                                                                                                          \
  ROTOR_DEFINE_VEC(name, *, wasm_##name##_delete, copy_one_##name)
