// The types of an engine's modules and host functions: equal ones are one.
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
#include "runtime/enter/signature.h"
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

/// Types are named here, in every ValType outside wasm/ and jit/. A type lives while somebody uses it, or a type that
/// names it; its name is never given again. Thread-safe.
class TypeRegistry {
 public:
  explicit TypeRegistry(const EngineImpl& engine);
  ~TypeRegistry();
  TypeRegistry(const TypeRegistry&) = delete;

  /// A module's types, in its order, for as long as `uses`.
  std::vector<const Signature*> add(const wasm::Module& module, TypeUses& uses);
  /// The one Signature of a type, for as long as `uses`. Errors: stale_handle: it names a type that is gone.
  Result<const Signature*> add(const FuncType& type, TypeUses& uses);
  /// The same for as long as the registry.
  Result<const Signature*> add_for_ever(const FuncType& type);
  /// Keeps what a value type names. Errors: stale_handle: it is gone.
  Result<void> use(ValType type, TypeUses& uses);
  /// What a name is of; nullopt: of nothing, or of what is gone.
  std::optional<FuncType> find(uint64_t name) const;
  /// Types there are.
  size_t size() const;

 private:
  friend class TypeUses;
  /// A recursion group as it is compared: references into it by place, others by name.
  using Candidate = std::vector<FuncType>;

  // Pre for these: the mutex is held.

  /// The group that is equal, made if there is none. Pre: what the candidate names is there.
  TypeGroup& intern(Candidate candidate);
  TypeGroup& make_group(uint64_t hash, Candidate candidate);
  Result<TypeGroup*> intern(const FuncType& type);
  void add_use(TypeGroup& group, TypeUses& uses);
  /// nullptr: there is none.
  TypeGroup* find_group(uint64_t name) const;

  void drop(std::span<TypeGroup* const> groups);

  const EngineImpl& engine_;
  mutable std::mutex mutex_;
  uint64_t next_name_ = HeapType::kFirstTypeName;
  std::map<uint64_t, std::unique_ptr<TypeGroup>> by_name_;  ///< by that of a group's first type
  std::unordered_multimap<uint64_t, TypeGroup*> by_hash_;   ///< keyed: a module can't choose types that collide
  size_t types_ = 0;
};

}  // namespace rotor::runtime
