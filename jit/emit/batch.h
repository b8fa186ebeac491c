// Function bodies to one LLVM module. Nearly every call stays a call; short routines that multiply are inlined.
//
// LLVM makes of a product of 128 bits, on wasm32, a call of __multi3, which returns through memory: 16 bytes on the
// caller's stack in linear memory. Where such a routine's body stands in the caller's place, jit/passes/wide_products.h
// finds the product in it, and jit/passes/stored_words.h takes the result past memory. Whether to inline a function is
// decided by its body alone, never by a name: anything short and without branches that contains multiplications.
//
// Seen from outside: an access that traps in an inlined body is reported where the call stands, one frame less.
#pragma once

#include <memory>
#include <span>
#include <unordered_map>

#include "jit/batches.h"
#include "jit/emit/function.h"
#include "jit/emit/in_frame.h"
#include "rotor/result.h"
#include "wasm/decode_body.h"

namespace rotor::jit {

/// Emits batches of a module's functions. Not thread-safe; each worker has its own.
class BatchEmitter final : private CallInliner {
 public:
  /// `module` and `bytes` must outlive it.
  BatchEmitter(const wasm::Module& module, std::span<const uint8_t> bytes, const Features& features)
      : module_(module),
        bytes_(bytes),
        decoder_(module, bytes, features),
        frame_decoder_(module, bytes, features),
        inlined_decoder_(module, bytes, features) {}

  /// Emits `functions` into a new LLVM module. Errors: that of the first bad function, whose index is left in `bad`.
  Result<std::unique_ptr<llvm::Module>> emit(const ModulePlan& plan, llvm::TargetMachine& target,
                                             llvm::LLVMContext& context, std::span<const BatchFunction> functions,
                                             bool inline_products, uint32_t& bad);

 private:
  bool inline_call(FunctionEmitter& caller, wasm::FuncIndex func, std::span<llvm::Value* const> args,
                   std::span<llvm::Value*> results) override;
  bool is_product_routine(uint32_t defined_func);

  const wasm::Module& module_;
  std::span<const uint8_t> bytes_;
  wasm::BodyDecoder<FunctionEmitter> decoder_;
  wasm::BodyDecoder<FrameEmitter> frame_decoder_;
  wasm::BodyDecoder<FunctionEmitter> inlined_decoder_;
  std::unordered_map<uint32_t, bool> is_product_routine_;
  bool inlining_failed_ = false;
  uint32_t inlined_into_ = UINT32_MAX;  ///< the last defined function that anything was inlined into
  uint64_t inlined_bytes_ = 0;          ///< of bodies, into that function
};

}  // namespace rotor::jit
