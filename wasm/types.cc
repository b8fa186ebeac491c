#include "wasm/types.h"

namespace rotor {

namespace {

const char* abstract_text(HeapType::Abstract heap) {
  using enum HeapType::Abstract;
  switch (heap) {
    case func: return "func";
    case nofunc: return "nofunc";
    case extern_: return "extern";
    case noextern: return "noextern";
    case any: return "any";
    case eq: return "eq";
    case i31: return "i31";
    case struct_: return "struct";
    case array: return "array";
    case none: return "none";
    case exn: return "exn";
    case noexn: return "noexn";
    case bottom: return "bot";
  }
  return "?";
}

/// Returns the short form of a nullable reference to an abstract heap type ("funcref"), or nullptr if it has none.
const char* short_text(HeapType::Abstract heap) {
  using enum HeapType::Abstract;
  switch (heap) {
    case func: return "funcref";
    case nofunc: return "nullfuncref";
    case extern_: return "externref";
    case noextern: return "nullexternref";
    case any: return "anyref";
    case eq: return "eqref";
    case i31: return "i31ref";
    case struct_: return "structref";
    case array: return "arrayref";
    case none: return "nullref";
    case exn: return "exnref";
    case noexn: return "nullexnref";
    case bottom: break;
  }
  return nullptr;
}

}  // namespace

std::string to_string(ValType type) {
  switch (type.kind()) {
    case ValType::Kind::bottom: return "bot";
    case ValType::Kind::i32: return "i32";
    case ValType::Kind::i64: return "i64";
    case ValType::Kind::f32: return "f32";
    case ValType::Kind::f64: return "f64";
    case ValType::Kind::v128: return "v128";
    case ValType::Kind::ref: break;
  }
  HeapType heap = type.heap();
  if (!heap.is_concrete() && type.nullable())
    if (const char* text = short_text(heap.abstract())) return text;
  std::string text = type.nullable() ? "(ref null " : "(ref ";
  if (!heap.is_concrete()) return text + abstract_text(heap.abstract()) + ")";
  uint64_t name = heap.type_name();
  return text + std::to_string(name < HeapType::kFirstTypeName ? name : name - HeapType::kFirstTypeName) + ")";
}

std::string to_string(const V128& vector) {
  std::string text = "i32x4";
  for (uint32_t lane : vector.lanes<uint32_t>()) {
    text += " 0x";
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[lane >> shift & 15];
  }
  return text;
}

std::string to_string(const FuncType& type) {
  auto list = [](const std::vector<ValType>& types) {
    std::string text = "[";
    for (size_t i = 0; i < types.size(); ++i) text += (i == 0 ? "" : " ") + to_string(types[i]);
    return text + "]";
  };
  return list(type.params) + " -> " + list(type.results);
}

}  // namespace rotor

namespace rotor::wasm {

namespace {

bool heap_matches(HeapType actual, HeapType wanted) {
  using enum HeapType::Abstract;
  if (actual == wanted || actual == HeapType(bottom)) return true;
  if (actual == HeapType(noexn)) return wanted == HeapType(exn);
  return actual.is_concrete() && wanted == HeapType(func);  // every defined type is a function type
}

}  // namespace

bool matches(ValType actual, ValType wanted) {
  if (actual == wanted || actual.is_bottom()) return true;
  if (!actual.is_ref() || !wanted.is_ref()) return false;
  return (wanted.nullable() || !actual.nullable()) && heap_matches(actual.heap(), wanted.heap());
}

}  // namespace rotor::wasm
