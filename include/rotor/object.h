// Object: a structure or array of a garbage-collected heap, as the host reads, writes and makes it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "rotor/instance.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {

/// A handle to a structure or array, which keeps it: copies name the same object. Its fields, or elements, are values
/// by their index. A packed one (i8, i16) is an i32: read zero-extended, written by its low bits. One thread at a time,
/// as with everything of an instance. Errors of all: stale_handle (the object's instance is gone); invalid_argument
/// (another thread is inside the instance).
class Object {
 public:
  /// Returns the object that a reference is to. Errors: invalid_argument (it is to no structure or array, or null).
  static Result<Object> of(const Value& value);
  /// Makes a structure of a type that the instance's module has, such as a result of its functions names, of a value
  /// for each field. Errors: type_mismatch (a value does not fit, or the type is none of the module's structures);
  /// limit, io (no memory for it, even after a collection).
  static Result<Object> create_structure(const Instance& instance, HeapType type, std::span<const Value> fields);
  /// Makes an array of so many elements, which all are `init`. Errors: as above.
  static Result<Object> create_array(const Instance& instance, HeapType type, uint32_t length, const Value& init);

  /// Returns the reference, of the object's own type.
  const Value& value() const { return value_; }
  /// Returns whether it is an array, not a structure.
  bool is_array() const { return value_.type().heap().kind() == HeapType::Kind::array; }
  /// Returns the number of fields or elements.
  Result<uint32_t> size() const;
  /// Returns a field or element. Errors: invalid_argument (there are fewer).
  Result<Value> get(uint32_t index) const;
  /// Changes a field or element. Errors: invalid_argument (there are fewer, or it is immutable); type_mismatch.
  Result<void> set(uint32_t index, const Value& value) const;

 private:
  explicit Object(Value value) : value_(std::move(value)) {}
  Value value_;
};

}  // namespace rotor
