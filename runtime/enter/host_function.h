// Host functions: a definition, and what each importing instance makes of it.
#pragma once

#include <memory>
#include <vector>

#include "code/abi.h"
#include "rotor/func.h"
#include "runtime/store/type_registry.h"

namespace rotor::runtime {

class InstanceImpl;

struct HostDefinition {
  HostDefinition(std::shared_ptr<EngineImpl> owner, const FuncType& func_type, HostFunction host_function,
                 const detail::DirectHost& direct_host);

  const std::shared_ptr<EngineImpl> engine;
  TypeUses uses;
  const CanonicalType* type = nullptr;  ///< null: it names a type that is gone
  HostFunction function;
  detail::DirectHost direct;  ///< the same function the shorter way, if it has one
};

/// One imported host function of one instance, with a context of its own as the callee, so that the host function knows
/// who calls it.
struct HostImport {
  code::Context context{};  ///< `host` points back here
  InstanceImpl* instance = nullptr;
  std::shared_ptr<const HostDefinition> definition;
  detail::DirectHost direct;  ///< the definition's
  const CanonicalType* type = nullptr;
  std::unique_ptr<uint64_t[]> results;  ///< null if results are in registers
  uint32_t import_index = 0;            ///< among the imports of all kinds

  /// Binds it to an importer. `wanted` is the type that the module imports it by, which reads the same as the host's.
  /// (The host has one type for what may be several of the modules': a type that names itself, and one that names the
  /// first.)
  void bind(InstanceImpl* importer, std::shared_ptr<const HostDefinition> host, const CanonicalType& wanted,
            uint32_t index);
  code::FuncRef ref();
};

}  // namespace rotor::runtime
