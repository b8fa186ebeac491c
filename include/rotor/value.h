// Value types and values (spec sections 2.3 and 4.2.1), modelled for WebAssembly 3.0.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
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
  constexpr HeapType(Abstract kind) : bits_(static_cast<uint64_t>(kind)) {}
  static constexpr HeapType concrete(uint32_t type_index) { return HeapType(kConcrete | type_index, 0); }
  static constexpr HeapType named(uint64_t type_name) { return HeapType(kConcrete | type_name, 0); }
  static constexpr uint32_t kMaxTypeIndex = (1u << 23) - 1;
  /// Names begin here, so that no name is an index. There are enough for a million a second, for a thousand years.
  static constexpr uint64_t kFirstTypeName = kMaxTypeIndex + 1;

  constexpr bool is_concrete() const { return bits_ & kConcrete; }
  constexpr uint32_t type_index() const { return static_cast<uint32_t>(bits_ & ~kConcrete); }
  constexpr uint64_t type_name() const { return bits_ & ~kConcrete; }
  constexpr Abstract abstract() const { return static_cast<Abstract>(bits_); }
  constexpr bool operator==(const HeapType&) const = default;

 private:
  friend class ValType;
  static constexpr uint64_t kConcrete = UINT64_C(1) << 55;
  constexpr HeapType(uint64_t bits, int) : bits_(bits) {}
  uint64_t bits_;
};

/// A value type in 64 bits: kind, nullability and heap type.
class ValType {
 public:
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
  constexpr ValType(Kind kind) : bits_(static_cast<uint64_t>(kind)) {}
  static constexpr ValType ref(HeapType heap, bool nullable) {
    return ValType(static_cast<uint64_t>(Kind::ref) | (nullable ? kNullable : 0) | heap.bits_ << 8, 0);
  }
  static const ValType i32, i64, f32, f64, v128, funcref, externref;

  constexpr Kind kind() const { return static_cast<Kind>(bits_ & 7); }
  constexpr bool is_ref() const { return kind() == Kind::ref; }
  constexpr bool is_bottom() const { return kind() == Kind::bottom; }
  constexpr bool is_numeric() const { return kind() >= Kind::i32 && kind() <= Kind::f64; }
  constexpr bool nullable() const { return bits_ & kNullable; }
  constexpr HeapType heap() const { return HeapType(bits_ >> 8, 0); }
  /// Returns whether it is a reference to something of a defined type.
  constexpr bool is_concrete_ref() const { return is_ref() && heap().is_concrete(); }
  /// Returns whether a local or table element of this type has a default value.
  constexpr bool is_defaultable() const { return !is_ref() || nullable(); }
  /// Return the same reference type with and without null.
  constexpr ValType nullable_form() const { return ValType(bits_ | kNullable, 0); }
  constexpr ValType non_null() const { return ValType(bits_ & ~kNullable, 0); }
  /// Returns whether it is a reference that fits in a table of functions (of any nullability).
  constexpr bool is_func_ref() const {
    return is_ref() && (heap().is_concrete() || heap() == HeapType(HeapType::Abstract::func) ||
                        heap() == HeapType(HeapType::Abstract::nofunc));
  }
  constexpr bool is_extern_ref() const {
    return is_ref() &&
           (heap() == HeapType(HeapType::Abstract::extern_) || heap() == HeapType(HeapType::Abstract::noextern));
  }
  constexpr bool operator==(const ValType&) const = default;
  constexpr uint64_t bits() const { return bits_; }

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

/// Returns the text format's word for a type ("i32", "funcref", "(ref null 3)").
std::string to_string(ValType type);

/// A function type.
struct FuncType {
  std::vector<ValType> params;
  std::vector<ValType> results;
  bool operator==(const FuncType&) const = default;
};
std::string to_string(const FuncType& type);

/// Limits of a memory (in its pages) or of a table (in elements).
struct SizeLimits {
  uint64_t min = 0;
  uint64_t max = UINT64_MAX;  ///< UINT64_MAX: none declared
  bool has_max() const { return max != UINT64_MAX; }
  bool operator==(const SizeLimits&) const = default;
};
struct MemoryType {
  SizeLimits limits;
  bool shared = false;
  bool is64 = false;            ///< addresses are i64
  uint8_t page_size_log2 = 16;  ///< 16, or 0 (custom page sizes)
  uint64_t page_bytes() const { return UINT64_C(1) << page_size_log2; }
  bool operator==(const MemoryType&) const = default;
};
struct TableType {
  ValType element = ValType::funcref;
  SizeLimits limits;
  bool is64 = false;  ///< indices are i64
  bool operator==(const TableType&) const = default;
};
struct GlobalType {
  ValType value = ValType::i32;
  bool is_mutable = false;
  bool operator==(const GlobalType&) const = default;
};

/// An external reference: 64 bits that the host gives a meaning; 0 is `ref.null extern`. The guest
/// can only pass it around. The host owns whatever it stands for.
struct ExternRef {
  uint64_t bits = 0;
  bool is_null() const { return bits == 0; }
  bool operator==(const ExternRef&) const = default;
};

/// A vector of 128 bits: 16 bytes, which instructions see as lanes, lane 0 first. T: an integer or float of 1 to 8
/// bytes.
struct alignas(16) V128 {
  std::array<uint8_t, 16> bytes{};

  template <class T>
  static constexpr size_t lane_count = 16 / sizeof(T);
  /// Makes a vector of its lanes: `V128::of<float>({1, 2, 3, 4})`.
  template <class T>
  static constexpr V128 of(const std::array<T, lane_count<T>>& lanes) {
    return {std::bit_cast<std::array<uint8_t, 16>>(lanes)};
  }
  template <class T>
  static constexpr V128 splat(T lane) {
    std::array<T, lane_count<T>> lanes;
    lanes.fill(lane);
    return of<T>(lanes);
  }
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
/// The common part of all weak handles: `object` may be used only while `token` says it lives.
struct Handle {
  std::shared_ptr<void> token;
  void* object = nullptr;
};
}  // namespace detail

class Func;

/// A typed value. A function reference is weak, as every handle is.
class Value {
 public:
  Value() : type_(ValType::i32) {}
  Value(int32_t v) : type_(ValType::i32) { std::memcpy(bits_, &v, sizeof v); }
  Value(uint32_t v) : Value(static_cast<int32_t>(v)) {}
  Value(int64_t v) : type_(ValType::i64) { std::memcpy(bits_, &v, sizeof v); }
  Value(uint64_t v) : Value(static_cast<int64_t>(v)) {}
  Value(float v) : type_(ValType::f32) { std::memcpy(bits_, &v, sizeof v); }
  Value(double v) : type_(ValType::f64) { std::memcpy(bits_, &v, sizeof v); }
  Value(const V128& v) : type_(ValType::v128) { std::memcpy(bits_, &v, sizeof v); }
  Value(ExternRef v) : type_(ValType::externref) { std::memcpy(bits_, &v, sizeof v); }
  Value(const Func& func);
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

  ValType type() const { return type_; }
  int32_t i32() const { return get<int32_t>(); }
  int64_t i64() const { return get<int64_t>(); }
  float f32() const { return get<float>(); }
  double f64() const { return get<double>(); }
  V128 v128() const { return get<V128>(); }
  ExternRef externref() const { return get<ExternRef>(); }
  /// Returns the low 64 bits, whatever the type.
  uint64_t bits() const { return get<uint64_t>(); }
  bool is_null() const { return type_.is_ref() && bits() == 0; }
  /// Returns the function of a non-null function reference.
  Func func() const;

 private:
  friend class Func;
  template <class T>
  T get() const {
    T v;
    std::memcpy(&v, bits_, sizeof v);
    return v;
  }

  ValType type_;
  alignas(8) unsigned char bits_[16] = {};
  std::shared_ptr<void> token_;  ///< of a function reference
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
