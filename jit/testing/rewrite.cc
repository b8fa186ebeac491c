#include "jit/testing/rewrite.h"

#include <random>

#include "jit/passes/wide_products.h"
#include "jit/testing/evaluator.h"
#include "llvm/Analysis/AssumptionCache.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/PassInstrumentation.h"
#include "llvm/IR/PassManager.h"
#include "llvm/IR/PatternMatch.h"
#include "llvm/IR/StructuralHash.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/Scalar/DCE.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Cloning.h"

namespace rotor::jit {

namespace {

using Word = Evaluator::Word;

/// Runs what comes before, and the pass; whether it says that it changed anything. The error is empty if all is well.
std::string rewrite(llvm::Function& function, Before before, RewriteReport& report) {
  llvm::FunctionAnalysisManager analyses;
  register_analyses(analyses);
  if (before == Before::pipeline) {
    llvm::FunctionPassManager passes;
    passes.addPass(llvm::EarlyCSEPass());
    passes.addPass(llvm::SimplifyCFGPass());
    passes.run(function, analyses);
    analyses.clear();
  }
  report.multiplications_before = count_multiplications(function);
  const llvm::stable_hash hash = llvm::StructuralHash(function, /*DetailedHash=*/true);
  const bool changed = !WideProductsPass().run(function, analyses).areAllPreserved();
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (llvm::verifyFunction(function, &stream)) return "the rewritten function is invalid: " + message;
  if (!changed && hash != llvm::StructuralHash(function, /*DetailedHash=*/true))
    return "the pass changed a function and says that it did not";
  report.rewritten = llvm::any_of(llvm::instructions(function),
                                  [](const llvm::Instruction& op) { return op.getType()->isIntegerTy(128); });
  // Dead code of before is not the pass's to delete; code generation makes nothing of it.
  llvm::DCEPass().run(function, analyses);
  report.multiplications = count_multiplications(function);
  return {};
}

/// Arguments, the corners first.
class Inputs {
 public:
  Inputs(const llvm::Function& function, uint64_t seed) : random_(seed), words_(function.arg_size()) {}

  static constexpr uint64_t kCorners[] = {0, 1, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
  static constexpr size_t kFirst = std::size(kCorners) * std::size(kCorners);

  /// The first ones: each pair of corners in the first two arguments and in turn in the others.
  std::span<const Word> at(size_t i) {
    for (size_t word = 0; word < words_.size(); ++word)
      words_[word] = i < kFirst ? kCorners[(word % 2 ? i / std::size(kCorners) : i) % std::size(kCorners)] : next();
    return words_;
  }

 private:
  uint64_t next() {
    switch (random_() % 4) {
      case 0: return kCorners[random_() % std::size(kCorners)];
      case 1: return half() << 32 | half();
      case 2: return random_() >> random_() % 64;
      default: return random_();
    }
  }
  uint64_t half() {
    constexpr uint64_t kHalves[] = {0, 1, 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    size_t i = random_() % (std::size(kHalves) + 1);
    return i < std::size(kHalves) ? kHalves[i] : random_() & UINT32_MAX;
  }

  std::mt19937_64 random_;
  std::vector<Word> words_;
};

std::string text_of(std::span<const Word> words) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (Word word : words) {
    stream << " 0x";
    if (word >> 64) stream.write_hex(static_cast<uint64_t>(word >> 64)) << "'";
    stream.write_hex(static_cast<uint64_t>(word));
  }
  return text;
}

std::string compare(const llvm::Function& original, const llvm::Function& rewritten, unsigned inputs, uint64_t seed) {
  auto before = Evaluator::create(original), after = Evaluator::create(rewritten);
  if (!before) return "the original: " + before.error().message;
  if (!after) return "the rewritten one: " + after.error().message;
  Inputs arguments(original, seed);
  for (size_t i = 0; i < Inputs::kFirst + inputs; ++i) {
    std::span<const Word> words = arguments.at(i);
    auto expected = before->run(words), got = after->run(words);
    std::string of = " of" + text_of(words);
    if (!expected) return "the original" + of + ": " + expected.error().message;
    if (!got) return "the rewritten one" + of + ": " + got.error().message;
    if (!std::ranges::equal(*expected, *got)) return "f" + of + " is" + text_of(*expected) + ", not" + text_of(*got);
  }
  return {};
}

}  // namespace

void register_analyses(llvm::FunctionAnalysisManager& analyses) {
  analyses.registerPass([] { return llvm::TargetLibraryAnalysis(); });
  analyses.registerPass([] { return llvm::TargetIRAnalysis(); });
  analyses.registerPass([] { return llvm::PassInstrumentationAnalysis(); });
  analyses.registerPass([] { return llvm::AssumptionAnalysis(); });
  analyses.registerPass([] { return llvm::DominatorTreeAnalysis(); });
}

unsigned count_multiplications(const llvm::Function& function) {
  using namespace llvm::PatternMatch;
  unsigned count = 0;
  for (const llvm::Instruction& op : llvm::instructions(function))
    count += op.getOpcode() == llvm::Instruction::Mul && op.getType()->isIntegerTy() &&
             !match(&op, m_c_Mul(m_Value(), m_Power2()));
  return count;
}

RewriteReport check_rewrite(llvm::Function& function, Before before, unsigned inputs, uint64_t seed) {
  RewriteReport report;
  llvm::ValueToValueMapTy map;
  llvm::Function* copy = llvm::CloneFunction(&function, map);
  report.error = rewrite(*copy, before, report);
  if (report.error.empty()) report.error = compare(function, *copy, inputs, seed);
  if (!report.error.empty())
    llvm::raw_string_ostream(report.error) << "\n\noriginal:\n" << function << "\nrewritten:\n" << *copy;
  copy->eraseFromParent();
  return report;
}

}  // namespace rotor::jit
