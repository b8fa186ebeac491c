// Value types and values (spec sections 2.3 and 4.2.1), modelled for WebAssembly 3.0.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rotor/result.h"

namespace rotor {

/// A heap type: an abstract one, or a defined type: in this API by the name that its engine gave it
/// (Engine::func_type), inside wasm/ by its index in the module. An engine gives no name twice: the name of a type that
/// is gone names no other.
class HeapType {
 public:
  /// The abstract heap types, in the words of the specification.
  enum class Abstract : uint8_t {
    func,
    nofunc,
    extern_,
    noextern,
    any,
    eq,
    i31,
    struct_,
    array,
    none,
    exn,
    noexn,
    bottom  ///< only in the validator: the heap type of a reference that unreachable code produces
  };
  /// Makes an abstract heap type.
  constexpr HeapType(Abstract kind) : bits_(static_cast<uint64_t>(kind)) {}
  /// Makes a defined type of an index in a module: for wasm/ only.
  static constexpr HeapType concrete(uint32_t type_index) { return HeapType(kConcrete | type_index, 0); }
  /// What a defined type is one of. Inside wasm/, where a type may be named before it is known, it is `func` of all.
  enum class Kind : uint8_t { func, struct_, array };
  /// Makes a defined type of the name that an engine gave it; Engine::heap_type gives such names.
  static constexpr HeapType named(uint64_t type_name, Kind kind = Kind::func) {
    return HeapType(kConcrete | static_cast<uint64_t>(kind) << kKindShift | type_name, 0);
  }
  /// The largest index of a type in a module.
  static constexpr uint32_t kMaxTypeIndex = (1u << 23) - 1;
  /// Names begin here, so that no name is an index. There are enough for a million a second, for a thousand years.
  static constexpr uint64_t kFirstTypeName = kMaxTypeIndex + 1;

  constexpr bool is_concrete() const { return bits_ & kConcrete; }  ///< it is a defined type, not an abstract one
  /// Returns the index of what `concrete` made.
  constexpr uint32_t type_index() const { return static_cast<uint32_t>(bits_ & ~kConcrete); }
  constexpr uint64_t type_name() const { return bits_ & kNameMask; }            ///< of what `named` made
  constexpr Kind kind() const { return Kind(bits_ >> kKindShift & 3); }         ///< of what `named` made
  constexpr Abstract abstract() const { return static_cast<Abstract>(bits_); }  ///< of an abstract type
  constexpr bool operator==(const HeapType&) const = default;

 private:
  friend class ValType;
  static constexpr uint64_t kConcrete = UINT64_C(1) << 55;
  static constexpr uint32_t kKindShift = 53;
  static constexpr uint64_t kNameMask = (UINT64_C(1) << kKindShift) - 1;
  constexpr HeapType(uint64_t bits, int) : bits_(bits) {}
  uint64_t bits_;
};

/// A value type in 64 bits: kind, nullability and heap type.
class ValType {
 public:
  /// What a value of the type is.
  enum class Kind : uint8_t {
    bottom,  ///< only in the validator: the type of a value that unreachable code produces
    i32,
    i64,
    f32,
    f64,
    v128,
    ref
  };
  constexpr ValType() : bits_(0) {}
  /// Makes a type that is no reference.
  constexpr ValType(Kind kind) : bits_(static_cast<uint64_t>(kind)) {}
  /// Makes a reference type; `nullable`: null is one of its values.
  static constexpr ValType ref(HeapType heap, bool nullable) {
    return ValType(static_cast<uint64_t>(Kind::ref) | (nullable ? kNullable : 0) | heap.bits_ << 8, 0);
  }
  static const ValType i32,  ///< an integer of 32 bits, of no sign of its own
      i64,                   ///< an integer of 64 bits
      f32,                   ///< a float of 32 bits
      f64,                   ///< a float of 64 bits
      v128,                  ///< a vector of 128 bits
      funcref,               ///< a reference to any function, or null
      externref,             ///< a reference to something of the host's, or null
      exnref;                ///< a reference to an exception, or null

  constexpr Kind kind() const { return static_cast<Kind>(bits_ & 7); }  ///< what a value of it is
  constexpr bool is_ref() const { return kind() == Kind::ref; }         ///< it is a reference type
  constexpr bool is_bottom() const { return kind() == Kind::bottom; }   ///< it is Kind::bottom
  /// Returns whether it is i32, i64, f32 or f64.
  constexpr bool is_numeric() const { return kind() >= Kind::i32 && kind() <= Kind::f64; }
  constexpr bool nullable() const { return bits_ & kNullable; }  ///< it is a reference type, with null among its values
  constexpr HeapType heap() const { return HeapType(bits_ >> 8, 0); }  ///< of a reference type
  /// Returns whether it is a reference to something of a defined type.
  constexpr bool is_concrete_ref() const { return is_ref() && heap().is_concrete(); }
  /// Returns whether a local or table element of this type has a default value.
  constexpr bool is_defaultable() const { return !is_ref() || nullable(); }
  /// Return the same reference type with and without null.
  constexpr ValType nullable_form() const { return ValType(bits_ | kNullable, 0); }
  /// Returns the same reference type without null.
  constexpr ValType non_null() const { return ValType(bits_ & ~kNullable, 0); }
  /// Returns whether it is a reference that fits in a table of functions (of any nullability).
  constexpr bool is_func_ref() const {
    if (is_concrete_ref()) return heap().kind() == HeapType::Kind::func;
    return is_ref() && (heap() == HeapType(HeapType::Abstract::func) || heap() == HeapType(HeapType::Abstract::nofunc));
  }
  /// Returns whether it is a reference to something of the garbage-collected heap, or an i31 (of any nullability): one
  /// below `any`.
  constexpr bool is_any_ref() const {
    if (is_concrete_ref()) return heap().kind() != HeapType::Kind::func;
    return is_ref() && heap().abstract() >= HeapType::Abstract::any && heap().abstract() <= HeapType::Abstract::none;
  }
  /// Returns whether it is a reference that fits in a table of external references (of any nullability).
  constexpr bool is_extern_ref() const {
    return is_ref() &&
           (heap() == HeapType(HeapType::Abstract::extern_) || heap() == HeapType(HeapType::Abstract::noextern));
  }
  /// Returns whether it is a reference to an exception (of any nullability).
  constexpr bool is_exn_ref() const {
    return is_ref() && (heap() == HeapType(HeapType::Abstract::exn) || heap() == HeapType(HeapType::Abstract::noexn));
  }
  constexpr bool operator==(const ValType&) const = default;
  constexpr uint64_t bits() const { return bits_; }  ///< the whole type, as it is compared and hashed

 private:
  static constexpr uint64_t kNullable = 1u << 3;
  constexpr ValType(uint64_t bits, int) : bits_(bits) {}
  uint64_t bits_;
};

inline constexpr ValType ValType::i32{ValType::Kind::i32};
inline constexpr ValType ValType::i64{ValType::Kind::i64};
inline constexpr ValType ValType::f32{ValType::Kind::f32};
inline constexpr ValType ValType::f64{ValType::Kind::f64};
inline constexpr ValType ValType::v128{ValType::Kind::v128};
inline constexpr ValType ValType::funcref = ValType::ref(HeapType::Abstract::func, true);
inline constexpr ValType ValType::externref = ValType::ref(HeapType::Abstract::extern_, true);
inline constexpr ValType ValType::exnref = ValType::ref(HeapType::Abstract::exn, true);

/// Returns the text format's word for a type ("i32", "funcref", "(ref null 3)").
std::string to_string(ValType type);

/// A function type.
struct FuncType {
  std::vector<ValType> params;   ///< in order
  std::vector<ValType> results;  ///< in order; any number of them
  bool operator==(const FuncType&) const = default;
};
/// Returns the type as people read it: "[i32 i64] -> [f64]".
std::string to_string(const FuncType& type);

/// Limits of a memory (in its pages) or of a table (in elements).
struct SizeLimits {
  uint64_t min = 0;                                   ///< the size that it begins with
  uint64_t max = UINT64_MAX;                          ///< UINT64_MAX: none declared
  bool has_max() const { return max != UINT64_MAX; }  ///< a maximum is declared
  bool operator==(const SizeLimits&) const = default;
};
/// The type of a linear memory.
struct MemoryType {
  SizeLimits limits;            ///< in pages
  bool shared = false;          ///< several threads may use it; it needs a maximum
  bool is64 = false;            ///< addresses are i64
  uint8_t page_size_log2 = 16;  ///< 16, or 0 (custom page sizes)
  uint64_t page_bytes() const { return UINT64_C(1) << page_size_log2; }  ///< bytes of a page
  bool operator==(const MemoryType&) const = default;
};
/// The type of a table.
struct TableType {
  ValType element = ValType::funcref;  ///< a reference type
  SizeLimits limits;                   ///< in elements
  bool is64 = false;                   ///< indices are i64
  bool operator==(const TableType&) const = default;
};
/// The type of a global.
struct GlobalType {
  ValType value = ValType::i32;  ///< what it holds
  bool is_mutable = false;       ///< it can be set
  bool operator==(const GlobalType&) const = default;
};

/// The type of a tag.
struct TagType {
  std::vector<ValType> params;  ///< what its exceptions carry
  bool operator==(const TagType&) const = default;
};

/// An external reference: 64 bits that the host gives a meaning; 0 is `ref.null extern`. The guest
/// can only pass it around. The host owns whatever it stands for.
struct ExternRef {
  uint64_t bits = 0;                          ///< 0: null
  bool is_null() const { return bits == 0; }  ///< it is `ref.null extern`
  bool operator==(const ExternRef&) const = default;
};

/// A vector of 128 bits: 16 bytes, which instructions see as lanes, lane 0 first. T: an integer or float of 1 to 8
/// bytes.
struct alignas(16) V128 {
  std::array<uint8_t, 16> bytes{};  ///< in the order of memory

  /// The number of lanes of type T.
  template <class T>
  static constexpr size_t lane_count = 16 / sizeof(T);
  /// Makes a vector of its lanes: `V128::of<float>({1, 2, 3, 4})`.
  template <class T>
  static constexpr V128 of(const std::array<T, lane_count<T>>& lanes) {
    return {std::bit_cast<std::array<uint8_t, 16>>(lanes)};
  }
  /// Makes a vector all of whose lanes are `lane`.
  template <class T>
  static constexpr V128 splat(T lane) {
    std::array<T, lane_count<T>> lanes;
    lanes.fill(lane);
    return of<T>(lanes);
  }
  /// Returns all lanes, lane 0 first.
  template <class T>
  constexpr std::array<T, lane_count<T>> lanes() const {
    static_assert(std::endian::native == std::endian::little, "lanes are little-endian");
    return std::bit_cast<std::array<T, lane_count<T>>>(bytes);
  }
  /// Pre: `index` is below lane_count<T>.
  template <class T>
  constexpr T lane(size_t index) const {
    return lanes<T>()[index];
  }
  /// Returns the vector with one lane replaced.
  template <class T>
  constexpr V128 with_lane(size_t index, T value) const {
    std::array<T, lane_count<T>> all = lanes<T>();
    all[index] = value;
    return of<T>(all);
  }
  constexpr bool operator==(const V128&) const = default;
};
/// Returns the vector as the text format writes it, in lanes of 32 bits: "i32x4 0x00000001 0x00000000 0x00000000
/// 0x80000000".
std::string to_string(const V128& vector);

namespace detail {
struct Access;
/// The common part of all weak handles: `object` may be used only while `token` says it lives.
struct Handle {
  std::shared_ptr<void> token;
  void* object = nullptr;
};
}  // namespace detail

class Func;

/// A typed value. A function reference is weak, as every handle is; a reference to an exception (exnref) or an object
/// (below anyref), which only a guest makes, keeps that.
class Value {
 public:
  Value() : type_(ValType::i32) {}
  /// Makes an i32.
  Value(int32_t v) : type_(ValType::i32) { std::memcpy(bits_, &v, sizeof v); }
  /// Makes an i32 of the same bits.
  Value(uint32_t v) : Value(static_cast<int32_t>(v)) {}
  /// Makes an i64.
  Value(int64_t v) : type_(ValType::i64) { std::memcpy(bits_, &v, sizeof v); }
  /// Makes an i64 of the same bits.
  Value(uint64_t v) : Value(static_cast<int64_t>(v)) {}
  /// Makes an f32.
  Value(float v) : type_(ValType::f32) { std::memcpy(bits_, &v, sizeof v); }
  /// Makes an f64.
  Value(double v) : type_(ValType::f64) { std::memcpy(bits_, &v, sizeof v); }
  /// Makes a v128.
  Value(const V128& v) : type_(ValType::v128) { std::memcpy(bits_, &v, sizeof v); }
  /// Makes an externref.
  Value(ExternRef v) : type_(ValType::externref) { std::memcpy(bits_, &v, sizeof v); }
  /// Makes a reference to a function, of the function's own type. It does not keep the function alive.
  Value(const Func& func);
  /// Makes the null of a reference type.
  static Value null(ValType type) {
    Value v;
    v.type_ = type;
    return v;
  }
  /// Makes a number of up to 64 bits from its bits, which keeps the payload of a NaN.
  static Value from_bits(ValType type, uint64_t bits) {
    Value v;
    v.type_ = type;
    std::memcpy(v.bits_, &bits, sizeof bits);
    return v;
  }

  ValType type() const { return type_; }                    ///< which of the accessors below has the value
  int32_t i32() const { return get<int32_t>(); }            ///< of an i32
  int64_t i64() const { return get<int64_t>(); }            ///< of an i64
  float f32() const { return get<float>(); }                ///< of an f32
  double f64() const { return get<double>(); }              ///< of an f64
  V128 v128() const { return get<V128>(); }                 ///< of a v128
  ExternRef externref() const { return get<ExternRef>(); }  ///< of an externref
  /// Returns the low 64 bits, whatever the type.
  uint64_t bits() const { return get<uint64_t>(); }
  bool is_null() const { return type_.is_ref() && bits() == 0; }  ///< it is a reference, and null
  /// Returns the function of a non-null function reference.
  Func func() const;

  // References below `any`: to structures, arrays, i31 numbers, and what of the host's a guest converted.
  /// Makes a reference to an i31, of the low 31 bits of a number.
  static Value of_i31(int32_t number);
  /// Returns whether it is a reference to an i31.
  bool is_i31() const { return type_.is_any_ref() && bits() & 1; }
  /// Returns the number, sign-extended, of a reference to an i31.
  int32_t i31() const { return get<int32_t>() >> 1; }
  /// Makes what `any.convert_extern` makes of a reference of the host's. Pre: its bits are below 2^30; others only a
  /// guest converts.
  static Value of_host(ExternRef ref);
  /// Returns what `extern.convert_any` makes of a reference below `any`, if that is the host's; else nullopt.
  std::optional<ExternRef> host_ref() const;
  /// Returns the type of what a reference, which is not null, is to: a defined type of the engine's; i31; `any` for the
  /// host's; exn; extern. Errors: stale_handle; invalid_argument (no reference, or null).
  Result<HeapType> dynamic_type() const;

 private:
  friend class Func;
  friend struct detail::Access;
  template <class T>
  T get() const {
    T v;
    std::memcpy(&v, bits_, sizeof v);
    return v;
  }

  ValType type_;
  alignas(8) unsigned char bits_[16] = {};
  std::shared_ptr<void> token_;  ///< of a function reference, an exception or an object
};

/// Bits of one argument or result: i32, i64, f32, f64 zero-extended, references as the engine keeps them. A v128 takes
/// two slots, its low half first: what follows it is one further.
using Slot = uint64_t;
/// Slots that values of these types take.
inline size_t slot_count(std::span<const ValType> types) {
  size_t count = types.size();
  for (ValType type : types) count += type == ValType::v128;
  return count;
}

}  // namespace rotor
