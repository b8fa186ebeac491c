// The engine, which all environments of the process share, and modules.
#pragma once

#include <node_api.h>

#include <initializer_list>
#include <optional>
#include <utility>

#include "packages/node/addon/environment.h"
#include "rotor/rotor.h"

namespace rotor::node {

class ModuleObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::module;
  Kind kind() const override { return kKind; }
  explicit ModuleObject(Module module) : module_(std::move(module)) {}
  const Module& module() const { return module_; }

 private:
  Module module_;
};

/// Returns the engine of this process, made by the first call with the settings that `configure` got by then. nullopt,
/// with a JavaScript exception pending, if there can be none.
std::optional<Engine> engine_of_process(Environment& environment);

/// Defines native functions on an object.
void define(napi_env env, napi_value object, std::initializer_list<std::pair<const char*, napi_callback>> functions);

/// Defines the functions of the engine and of modules on the addon's exports.
void define_modules(napi_env env, napi_value exports);

}  // namespace rotor::node
