#include "jit/stored_words.h"

#include <optional>

#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/PatternMatch.h"

namespace rotor::jit {

namespace {

using namespace llvm::PatternMatch;
using llvm::Instruction;
using llvm::Value;

constexpr const char* kInlined = "rotor-inlined";
constexpr uint32_t kWordBytes = 8;
/// As many are remembered, so that time is linear. A result has two, and is read soon.
constexpr size_t kMaxWords = 64;

/// base + ((index + offset) mod 2^32), for addresses below 2^32.
struct Place {
  const Value* base;   ///< of a memory
  const Value* index;  ///< an i32
  uint32_t offset;

  bool same_index(const Place& other) const { return base == other.base && index == other.index; }
  /// Pre: same_index. Both are words.
  bool overlaps(const Place& other) const {
    return offset - other.offset < kWordBytes || other.offset - offset < kWordBytes;
  }
};

/// The pointer that constants were added to, and their sum.
const Value* without_constants(const Value* pointer, uint64_t& offset) {
  while (auto* gep = llvm::dyn_cast<llvm::GetElementPtrInst>(pointer)) {
    auto* constant = llvm::dyn_cast<llvm::ConstantInt>(gep->getOperand(1));
    if (!constant || gep->getNumIndices() != 1 || !gep->getSourceElementType()->isIntegerTy(8)) break;
    offset += static_cast<uint64_t>(constant->getSExtValue());
    pointer = gep->getPointerOperand();
  }
  return pointer;
}

std::optional<Place> place_of(const Value* pointer) {
  uint64_t offset = 0;
  auto* gep = llvm::dyn_cast<llvm::GetElementPtrInst>(without_constants(pointer, offset));
  if (!gep || gep->getNumIndices() != 1 || !gep->getSourceElementType()->isIntegerTy(8)) return std::nullopt;
  const Value* index;
  if (!match(gep->getOperand(1), m_ZExt(m_Value(index))) || !index->getType()->isIntegerTy(32)) return std::nullopt;
  const Value* root;
  uint64_t constant;
  while (match(index, m_Add(m_Value(root), m_ConstantInt(constant)))) {
    offset += constant;
    index = root;
  }
  return Place{gep->getPointerOperand(), index, static_cast<uint32_t>(offset)};
}

struct StoredWord {
  Place place;
  Value* value;
};

/// What of the words known to be in memory is left after an instruction other than a load.
void forget(const Instruction& op, llvm::SmallVectorImpl<StoredWord>& words) {
  if (!op.mayWriteToMemory()) return;
  auto* store = llvm::dyn_cast<llvm::StoreInst>(&op);
  auto place = store ? place_of(store->getPointerOperand()) : std::nullopt;
  auto bytes = store ? store->getValueOperand()->getType()->getPrimitiveSizeInBits() / 8 : 0;
  if (!place || bytes > kWordBytes) return words.clear();
  llvm::erase_if(words,
                 [&](const StoredWord& word) { return !word.place.same_index(*place) || word.place.overlaps(*place); });
}

/// Globals are in the context: no memory reaches there.
bool is_of_context(const Instruction& op, const llvm::Argument* context) {
  auto* store = llvm::dyn_cast<llvm::StoreInst>(&op);
  uint64_t offset;
  return store && without_constants(store->getPointerOperand(), offset) == context;
}

}  // namespace

void mark_inlined(llvm::Function& function) { function.addFnAttr(kInlined); }

llvm::PreservedAnalyses StoredWordsPass::run(llvm::Function& function, llvm::FunctionAnalysisManager&) {
  if (!function.hasFnAttribute(kInlined)) return llvm::PreservedAnalyses::all();
  llvm::Type* word_type = llvm::Type::getInt64Ty(function.getContext());
  bool changed = false;
  llvm::SmallVector<StoredWord, 16> words;
  for (llvm::BasicBlock& block : function) {
    words.clear();
    for (Instruction& op : block) {
      if (auto* load = llvm::dyn_cast<llvm::LoadInst>(&op)) {
        // Behind an atomic access memory is what another thread made of it.
        if (load->isAtomic()) words.clear();
        auto place = place_of(load->getPointerOperand());
        if (!place || load->getType() != word_type) continue;
        for (const StoredWord& word : words)
          if (word.place.same_index(*place) && word.place.offset == place->offset) {
            load->replaceAllUsesWith(word.value);
            changed = true;
            break;
          }
        continue;
      }
      if (is_of_context(op, function.getArg(0))) continue;
      forget(op, words);
      auto* store = llvm::dyn_cast<llvm::StoreInst>(&op);
      if (!store || store->isAtomic() || store->getValueOperand()->getType() != word_type) continue;
      if (auto place = place_of(store->getPointerOperand())) {
        if (words.size() == kMaxWords) words.erase(words.begin());
        words.push_back({*place, store->getValueOperand()});
      }
    }
  }
  return changed ? llvm::PreservedAnalyses::none() : llvm::PreservedAnalyses::all();
}

}  // namespace rotor::jit
