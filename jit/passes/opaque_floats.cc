#include "jit/passes/opaque_floats.h"

#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/Analysis/InstructionSimplify.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"

namespace rotor::jit {

namespace {

constexpr const char* kAttribute = "rotor-floats";

/// Returns whether LLVM knows identities of an instruction: x * 1, x / 1, x + -0, x - 0, -0 - x.
bool has_identities(const llvm::Instruction& instruction) {
  switch (instruction.getOpcode()) {
    case llvm::Instruction::FAdd:
    case llvm::Instruction::FSub:
    case llvm::Instruction::FMul:
    case llvm::Instruction::FDiv: return true;
    default: break;
  }
  auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
  return call && call->getIntrinsicID() == llvm::Intrinsic::fma;
}

/// Returns whether a constant is +-0 or +-1, or not known to be another number.
bool is_telling_number(const llvm::Constant* constant) {
  auto* number = llvm::dyn_cast_or_null<llvm::ConstantFP>(constant);
  return !number || number->isZero() || number->isExactlyValue(1.0) || number->isExactlyValue(-1.0);
}

/// Returns whether a constant may be part of an identity. In a vector one such lane is enough, since LLVM looks at
/// single lanes where only those are used.
bool is_telling(const llvm::Constant& constant) {
  if (!constant.getType()->isFPOrFPVectorTy()) return false;  // an intrinsic's callee
  auto* type = llvm::dyn_cast<llvm::FixedVectorType>(constant.getType());
  if (!type) return is_telling_number(&constant);
  for (unsigned i = 0; i < type->getNumElements(); ++i)
    if (is_telling_number(constant.getAggregateElement(i))) return true;
  return false;
}

llvm::Value* opaque(llvm::Constant& constant, llvm::Instruction& before) {
  auto* global = new llvm::GlobalVariable(*before.getModule(), constant.getType(), /*isConstant=*/true,
                                          llvm::GlobalValue::InternalLinkage, &constant, "v");
  global->setExternallyInitialized(true);
  global->setDSOLocal(true);
  llvm::IRBuilder<> builder(&before);
  auto* load = builder.CreateLoad(constant.getType(), global);
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(before.getContext(), {}));
  return load;
}

}  // namespace

void mark_floats(llvm::Function& function) {
  if (!function.hasFnAttribute(kAttribute)) function.addFnAttr(kAttribute);
}

llvm::PreservedAnalyses OpaqueFloatsPass::run(llvm::Function& function, llvm::FunctionAnalysisManager&) {
  if (!function.hasFnAttribute(kAttribute)) return llvm::PreservedAnalyses::all();
  const llvm::SimplifyQuery query(function.getDataLayout());
  bool changed = false;
  for (llvm::BasicBlock* block : llvm::ReversePostOrderTraversal<llvm::Function*>(&function))
    for (llvm::Instruction& instruction : *block) {
      if (has_identities(instruction)) {
        for (llvm::Use& operand : instruction.operands())
          if (auto* constant = llvm::dyn_cast<llvm::Constant>(operand); constant && is_telling(*constant)) {
            operand.set(opaque(*constant, instruction));
            changed = true;
          }
      } else if (!instruction.mayReadOrWriteMemory()) {
        // An instruction that the next pass would make a constant becomes one here, before it gets to a float
        // instruction.
        if (llvm::Value* simple = llvm::simplifyInstruction(&instruction, query);
            llvm::isa_and_nonnull<llvm::Constant>(simple)) {
          instruction.replaceAllUsesWith(simple);
          changed = true;
        }
      }
    }
  if (!changed) return llvm::PreservedAnalyses::all();
  llvm::PreservedAnalyses preserved;
  preserved.preserveSet<llvm::CFGAnalyses>();
  return preserved;
}

}  // namespace rotor::jit
