// The types of an engine's modules and host functions: equal ones are one.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "rotor/result.h"
#include "runtime/signature.h"
#include "wasm/module.h"
#include "wasm/rec_groups.h"

namespace rotor::runtime {

/// Types are named by their index here, in every ValType outside wasm/ and jit/. They live as long as the engine.
/// Thread-safe.
class TypeRegistry {
 public:
  explicit TypeRegistry(const EngineImpl& engine) : engine_(engine) {}
  TypeRegistry(const TypeRegistry&) = delete;

  /// A module's types, in its order. Errors: limit.
  Result<std::vector<const Signature*>> add(const wasm::Module& module);
  /// The one Signature of a type, which names types of this registry.
  const Signature& add(const FuncType& type);
  /// nullptr: there is none of that index.
  const Signature* find(uint32_t index) const;

 private:
  /// Pre: the mutex is held. `group` is the types from `first` on; they go again if there is an equal one. Its first.
  uint32_t settle(uint32_t first);

  const EngineImpl& engine_;
  mutable std::mutex mutex_;
  std::vector<wasm::SubType> types_;
  std::vector<std::unique_ptr<Signature>> signatures_;  ///< as many
  wasm::RecGroups groups_;
};

}  // namespace rotor::runtime
