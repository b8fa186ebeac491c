// What objects of a garbage-collected heap look like to compiled code (memory/heap_layout.h has the heap's own part):
// where fields and elements lie, what a reference is in a slot and in an object, and what a cast compares.
//
// References. In a slot (a local, an argument, a table's element) a reference below `any` is the 32 bits of a
// memory::HeapRef, zero-extended; so null is 0 and an i31 is `number << 1 | 1`. One of the host's that was converted by
// any.convert_extern is a box (kBoxType), or, if the host's bits are small, those bits: `bits << 2 | 2`. In objects
// such references take 4 bytes, which the collector follows, and functions, too, as a number in a table of the group
// (Activation::functions): so an object means the same in another instance. Exceptions and references of the host's
// take 8, as in a slot.
//
// The other way, by extern.convert_any, what is the guest's own becomes kInternalExtern with the 32 bits below it.
//
// Types. An object's header has the number of its type, which the engine gives (TypeDisplays in runtime/store): odd for
// structures and arrays, of which the next bit says which. Row n of the displays has, of the type with number n, the
// numbers of the types at depths 0 to kDisplayDepth - 1 above it and itself; a cast to a type at depth d is one
// comparison with entry d.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "memory/heap_layout.h"
#include "wasm/module.h"

namespace rotor::code {

// Numbers of types.
inline constexpr uint32_t kBoxType = 2;        ///< a box of a reference of the host's: 8 bytes behind the header
inline constexpr uint32_t kFirstGcType = 5;    ///< of structures; those of arrays begin two higher
inline constexpr uint32_t kStructureKind = 1;  ///< a type's number modulo 4
inline constexpr uint32_t kArrayKind = 3;
inline constexpr uint32_t kKindMask = 3;
/// Depths that displays have entries for. Casts to types deeper down ask the runtime.
inline constexpr uint32_t kDisplayDepth = 8;
inline constexpr uint32_t kDisplayRowBytes = kDisplayDepth * 4;

/// The bits that an external reference has above the 32 of a heap reference. The host's own never have them
/// (rotor::ExternRef).
inline constexpr uint64_t kInternalExtern = UINT64_C(0xfff4'6763) << 32;
inline constexpr uint64_t kInternalExternMask = ~UINT64_C(0xffff'ffff);
constexpr bool is_internal_extern(uint64_t bits) { return (bits & kInternalExternMask) == kInternalExtern; }
/// References of the host's below this need no box.
inline constexpr uint64_t kUnboxedExterns = UINT64_C(1) << 30;

inline constexpr uint32_t kBoxBytes = 16;
inline constexpr uint32_t kArrayElementsAt = memory::kHeapHeaderBytes;

/// How a field or element is kept.
enum class Storage : uint8_t {
  i8,
  i16,
  i32,  ///< i32 or f32
  i64,  ///< i64 or f64
  v128,
  reference,  ///< to an object of the heap, or an i31: 4 bytes
  function,   ///< a number: 4 bytes
  foreign,    ///< of the host's or an exception: 8 bytes, of which the collector asks the runtime
};
/// `top`: of a reference, the type that all of its kind match.
Storage storage_of(const wasm::FieldType& field, HeapType::Abstract top);
/// Returns the same for a field of a module's type.
Storage storage_of(const wasm::Module& module, const wasm::FieldType& field);
constexpr uint32_t storage_log2(Storage storage) {
  switch (storage) {
    case Storage::i8: return 0;
    case Storage::i16: return 1;
    case Storage::i32:
    case Storage::reference:
    case Storage::function: return 2;
    case Storage::v128: return 4;
    default: return 3;
  }
}

/// Where a structure's fields lie. They follow one another in the order of the type, so that those of a subtype begin
/// as those of its supertype. Each is at a multiple of its size, but no more than 8: that is what objects are at.
struct StructureLayout {
  StructureLayout() = default;
  explicit StructureLayout(std::span<const Storage> fields);
  std::vector<uint32_t> offsets;              ///< of each field, from the object's header on
  uint32_t bytes = memory::kHeapHeaderBytes;  ///< with the header, a multiple of 8
};
/// Returns the layouts of a module's structures by the index of the type; of other types what is there is empty. Empty
/// if it has no structures.
std::vector<StructureLayout> structure_layouts(const wasm::Module& module);

}  // namespace rotor::code
