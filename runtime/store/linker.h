// Definitions by name, and a module with its imports resolved to them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "rotor/linker.h"
#include "runtime/engine.h"
#include "runtime/enter/host_function.h"
#include "runtime/store/spare_instances.h"

namespace rotor::runtime {

/// A definition that is made anew for each instance.
struct PerInstance {
  ExternType type;
  std::function<Result<Extern>(const InstanceOptions&)> make;
};

using Definition = std::variant<Extern, std::shared_ptr<const HostDefinition>, std::shared_ptr<const PerInstance>>;

struct LinkerImpl {
  std::shared_ptr<EngineImpl> engine;
  std::map<std::pair<std::string, std::string>, Definition, std::less<>> definitions;

  const Definition* find(std::string_view module, std::string_view name) const;
};

/// A module with its imports resolved. It never holds an instance that anybody uses, so that instances may be made from
/// it for ever.
struct InstancePreImpl {
  std::shared_ptr<SpareInstances> spares;
  std::vector<Definition> imports;  ///< in the module's order; their types fit
};

/// Checks that an item may be what a module imports, by index among its imports. Errors: link (in the suite's words,
/// with both types), stale_handle.
Result<void> check_import(const Extern& item, const ModuleImpl& module, uint32_t import);

}  // namespace rotor::runtime
