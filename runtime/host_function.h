// Host functions: a definition, and what each importing instance makes of it.
#pragma once

#include <memory>
#include <vector>

#include "jit/abi.h"
#include "rotor/func.h"
#include "runtime/signature.h"

namespace rotor::runtime {

class InstanceImpl;

struct HostDefinition {
  const Signature* type;
  HostFunction function;
};

/// The callee's context of one imported host function of one instance: so the host function knows who calls it.
struct HostImport {
  jit::Context context{};  ///< `host` points back here
  InstanceImpl* instance = nullptr;
  std::shared_ptr<const HostDefinition> definition;
  std::unique_ptr<uint64_t[]> results;  ///< if they go through memory
  uint32_t import_index = 0;            ///< among the imports of all kinds

  void bind(InstanceImpl* importer, std::shared_ptr<const HostDefinition> host, uint32_t index);
  jit::FuncRef ref();
};

}  // namespace rotor::runtime
