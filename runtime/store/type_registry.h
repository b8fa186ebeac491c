// The types of an engine's modules and host functions: types that are equal become one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rotor/result.h"
#include "runtime/enter/canonical_type.h"
#include "runtime/store/type_displays.h"
#include "wasm/module.h"

namespace rotor::runtime {

class TypeRegistry;
struct TypeGroup;

/// Keeps types of a registry, which outlives it. Not thread-safe.
class TypeUses {
 public:
  TypeUses() = default;
  TypeUses(TypeUses&& other) noexcept
      : registry_(std::exchange(other.registry_, nullptr)), groups_(std::move(other.groups_)) {}
  TypeUses& operator=(TypeUses&&) = delete;
  ~TypeUses();

 private:
  friend class TypeRegistry;
  TypeRegistry* registry_ = nullptr;
  std::vector<TypeGroup*> groups_;
};

/// Gives types the names that every ValType outside wasm/ and jit/ has. A type lives while something uses it, or a type
/// that names it; its name is never given again. Thread-safe.
class TypeRegistry {
 public:
  explicit TypeRegistry(const EngineImpl& engine);
  ~TypeRegistry();
  TypeRegistry(const TypeRegistry&) = delete;

  /// Adds a module's types, in its order, and keeps them as long as `uses` lives. Errors: limit, io (structures and
  /// arrays: TypeDisplays).
  Result<std::vector<const CanonicalType*>> add(const wasm::Module& module, TypeUses& uses);
  /// Returns the only CanonicalType of a type, and keeps it as long as `uses` lives. Errors: stale_handle (it names a
  /// type that is gone).
  Result<const CanonicalType*> add(const FuncType& type, TypeUses& uses);
  /// Returns the only CanonicalType of a type, and keeps it as long as the registry lives.
  Result<const CanonicalType*> add_for_ever(const FuncType& type);
  /// Keeps the type that a value type names, as long as `uses` lives. Errors: stale_handle (it is gone).
  Result<void> use(ValType type, TypeUses& uses);
  /// Returns the function type that has a name; nullopt if no type has it, or one that is gone had it, or it is of
  /// something else.
  std::optional<FuncType> find(uint64_t name) const;
  /// Returns whether something of type `actual` may stand where one of type `wanted` is required (spec section 3.3).
  bool matches(ValType actual, ValType wanted) const;
  bool matches(HeapType actual, HeapType wanted) const;
  /// Returns where the rows are that casts look at; null if there never was a structure or array type.
  const uint8_t* displays() const { return displays_.rows(); }
  /// Does the same where one of them is abstract.
  static bool matches_abstract(HeapType actual, HeapType wanted);
  /// Returns the number of types.
  size_t size() const;

 private:
  friend class TypeUses;
  /// A recursion group as it is compared: references into it by place, others by name.
  using Candidate = std::vector<TypeDefinition>;

  // Pre for these: the mutex is held.

  /// Returns the group that is equal to the candidate, which is made if there is none. Pre: the types that the
  /// candidate names exist.
  Result<TypeGroup*> intern(Candidate candidate);
  Result<TypeGroup*> make_group(uint64_t hash, Candidate candidate);
  Result<TypeGroup*> intern(const FuncType& type);
  void add_use(TypeGroup& group, TypeUses& uses);
  /// Returns the group that has the type of that name, or nullptr.
  TypeGroup* find_group(uint64_t name) const;
  const CanonicalType* find_type(uint64_t name) const;

  void drop(std::span<TypeGroup* const> groups);

  const EngineImpl& engine_;
  mutable std::mutex mutex_;
  uint64_t next_name_ = HeapType::kFirstTypeName;
  std::map<uint64_t, std::unique_ptr<TypeGroup>> by_name_;  ///< by the name of the group's first type
  std::unordered_multimap<uint64_t, TypeGroup*> by_hash_;   ///< keyed: a module can't choose types that collide
  size_t types_ = 0;
  TypeDisplays displays_;
};

}  // namespace rotor::runtime
