// Module -> CodeImage. The only door to LLVM: implemented by compile.cc (with LLVM).
#pragma once

#include <functional>
#include <span>
#include <string>

#include "jit/code.h"
#include "rotor/config.h"
#include "rotor/module.h"
#include "wasm/module.h"

namespace rotor::jit {

struct CompileOptions {
  Features features;
  OptLevel opt = OptLevel::o1;
  unsigned workers = 0;           ///< 0: one a core
  uint32_t batch_functions = 64;  ///< functions an LLVM module
  std::string cpu = "native";     ///< or "baseline"
  bool interruptible = false;     ///< loop heads look for a stop
  uint64_t code_limit_bytes = UINT64_C(1) << 30;
  std::function<void(uint32_t, uint32_t)> progress;
};

struct Compiled {
  CodeImage image;
  std::vector<std::string> cpu_features;
  CompileStats stats;
};

/// Decodes, validates and compiles every body. Errors as of wasm::decode_module (of the first bad function); limit;
/// internal: an object that LLVM made is not what the contract allows (an undefined symbol, an absolute relocation).
Result<Compiled> compile_module(const wasm::Module& module, std::span<const uint8_t> bytes,
                                const CompileOptions& options);

}  // namespace rotor::jit
