#include "jit/passes/unroll.h"

#include "llvm/Analysis/AssumptionCache.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/OptimizationRemarkEmitter.h"
#include "llvm/Analysis/ScalarEvolution.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/Dominators.h"
#include "llvm/Transforms/Utils/LoopSimplify.h"
#include "llvm/Transforms/Utils/LoopUtils.h"
#include "llvm/Transforms/Utils/UnrollLoop.h"

namespace rotor::jit {

namespace {

constexpr unsigned kMaxTurns = 8;
/// The most IR instructions of all turns together. A field product of four limbs takes 200.
constexpr size_t kMaxInstructions = 2000;

size_t instructions(const llvm::Loop& loop) {
  size_t count = 0;
  for (const llvm::BasicBlock* block : loop.blocks()) count += block->size();
  return count;
}

/// Returns the innermost loops. Unrolling one may make its parent an innermost loop, which is left as it is.
llvm::SmallVector<llvm::Loop*, 4> innermost_loops(const llvm::LoopInfo& loops) {
  llvm::SmallVector<llvm::Loop*, 4> result;
  for (llvm::Loop* loop : loops.getLoopsInPreorder())
    if (loop->isInnermost()) result.push_back(loop);
  return result;
}

}  // namespace

bool unroll_short_loops(llvm::Function& function, llvm::FunctionAnalysisManager& analyses) {
  auto& dominators = analyses.getResult<llvm::DominatorTreeAnalysis>(function);
  llvm::LoopInfo loops(dominators);
  if (loops.empty()) return false;
  auto& assumptions = analyses.getResult<llvm::AssumptionAnalysis>(function);
  auto& libraries = analyses.getResult<llvm::TargetLibraryAnalysis>(function);
  auto& target = analyses.getResult<llvm::TargetIRAnalysis>(function);
  llvm::ScalarEvolution evolution(function, libraries, assumptions, dominators, loops);
  llvm::OptimizationRemarkEmitter remarks(&function);
  bool changed = false;
  for (llvm::Loop* loop : innermost_loops(loops)) {
    unsigned turns = evolution.getSmallConstantTripCount(loop);
    if (turns < 2 || turns > kMaxTurns || instructions(*loop) * turns > kMaxInstructions) continue;
    changed |= llvm::simplifyLoop(loop, &dominators, &loops, &evolution, &assumptions, nullptr, false);
    changed |= llvm::formLCSSARecursively(*loop, dominators, &loops, &evolution);
    llvm::UnrollLoopOptions options{};
    options.Count = turns;
    options.ForgetAllSCEV = false;
    auto result = llvm::UnrollLoop(loop, options, &loops, &evolution, &dominators, &assumptions, &target, &remarks,
                                   /*PreserveLCSSA=*/true);
    changed |= result != llvm::LoopUnrollResult::Unmodified;
  }
  return changed;
}

}  // namespace rotor::jit
