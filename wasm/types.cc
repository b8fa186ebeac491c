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

bool matches(HeapType::Abstract actual, HeapType::Abstract wanted) {
  using enum HeapType::Abstract;
  if (actual == wanted) return true;
  switch (actual) {
    case i31:
    case struct_:
    case array: return wanted == eq || wanted == any;
    case eq: return wanted == any;
    case none: return wanted == i31 || wanted == struct_ || wanted == array || wanted == eq || wanted == any;
    case nofunc: return wanted == func;
    case noextern: return wanted == extern_;
    case noexn: return wanted == exn;
    case bottom: return true;
    default: return false;
  }
}

}  // namespace rotor::wasm
