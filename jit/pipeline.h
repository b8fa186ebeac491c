// LLVM's side of the compiler: one TargetMachine a worker, and a batch of functions from IR to an ELF object.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "llvm/ADT/SmallVector.h"
#include "llvm/CodeGen/AsmPrinterHandler.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PassManager.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "rotor/config.h"
#include "rotor/result.h"

namespace rotor::jit {

/// The CPU that code is made for: x86-64-v2 and the listed features on top, which are the ones a code file names.
struct CpuTarget {
  std::vector<std::string> features;  ///< as kFeatures in code/cpu.cc spells them
  std::string tune;                   ///< LLVM's name of the CPU to schedule for
};
/// Errors: invalid_argument for a name that Config::cpu does not have.
Result<CpuTarget> cpu_target(const std::string& name);

/// One per compile thread; not thread-safe. What LLVM needs for a module is made once and used again: for a small
/// function that is most of the time (0.25 ms).
class Pipeline {
 public:
  static Result<std::unique_ptr<Pipeline>> create(OptLevel opt, const CpuTarget& cpu, bool wide_products);
  ~Pipeline();
  llvm::TargetMachine& target() { return *target_; }
  /// Returns whether it looks for products of 128 bits: at o1, if it was asked to.
  bool wide_products() const { return wide_products_; }
  /// Returns the context for the next module, which has `functions` functions. Pre: the last module is gone.
  llvm::LLVMContext& context(size_t functions);
  /// Optimises a module of that context and writes its object, which is valid until the next call.
  std::span<const char> run(llvm::Module& module);

  // The two halves of `run`, so that people can read what comes out of each.
  void optimise(llvm::Module& module);
  /// Writes the assembly of an optimised module; what `make_handler` makes may add comments.
  using MakeHandler = std::function<std::unique_ptr<llvm::AsmPrinterHandler>(llvm::AsmPrinter&)>;
  void write_assembly(llvm::Module& module, llvm::SmallVectorImpl<char>& text, const MakeHandler& make_handler);

 private:
  Pipeline(OptLevel opt, std::unique_ptr<llvm::TargetMachine> target, bool wide_products);
  void add_code_generator(llvm::legacy::PassManager& passes, llvm::raw_pwrite_stream& out, llvm::CodeGenFileType type,
                          const std::function<void(llvm::AsmPrinter&)>& add_handlers);

  const OptLevel opt_;
  const bool wide_products_;
  const std::unique_ptr<llvm::TargetMachine> target_;
  std::unique_ptr<llvm::LLVMContext> context_;
  size_t context_functions_ = 0;  ///< that were made in it
  llvm::SmallVector<char, 0> object_;
  llvm::raw_svector_ostream out_;
  llvm::FunctionAnalysisManager analyses_;
  llvm::FunctionPassManager optimisations_;
  std::unique_ptr<llvm::legacy::PassManager> code_generator_;
};

}  // namespace rotor::jit
