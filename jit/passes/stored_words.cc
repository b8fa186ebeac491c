#include "jit/passes/stored_words.h"

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
/// The most words, and the most indices, that are remembered, so that time is linear. A result has two words, and is
/// read soon.
constexpr size_t kMaxWords = 64;

/// The address base + ((index + offset) mod 2^32), for addresses below 2^32.
struct Place {
  const Value* base;   ///< of a memory
  const Value* index;  ///< an i32
  uint32_t offset;

  bool same_index(const Place& other) const { return base == other.base && index == other.index; }
  /// Returns whether two words overlap. Pre: same_index.
  bool overlaps(const Place& other) const {
    return offset - other.offset < kWordBytes || other.offset - offset < kWordBytes;
  }
};

/// Returns the pointer that constants were added to; `offset` gets their sum.
const Value* without_constants(const Value* pointer, uint64_t& offset) {
  while (auto* gep = llvm::dyn_cast<llvm::GetElementPtrInst>(pointer)) {
    auto* constant = llvm::dyn_cast<llvm::ConstantInt>(gep->getOperand(1));
    if (!constant || gep->getNumIndices() != 1 || !gep->getSourceElementType()->isIntegerTy(8)) break;
    offset += static_cast<uint64_t>(constant->getSExtValue());
    pointer = gep->getPointerOperand();
  }
  return pointer;
}

/// The address base + index + offset, as an access is written.
struct Address {
  const Value* base;   ///< of a memory
  const Value* index;  ///< an i32
  uint64_t offset;
};
std::optional<Address> address_of(const Value* pointer) {
  uint64_t offset = 0;
  auto* gep = llvm::dyn_cast<llvm::GetElementPtrInst>(without_constants(pointer, offset));
  if (!gep || gep->getNumIndices() != 1 || !gep->getSourceElementType()->isIntegerTy(8)) return std::nullopt;
  const Value* index;
  if (!match(gep->getOperand(1), m_ZExt(m_Value(index))) || !index->getType()->isIntegerTy(32)) return std::nullopt;
  return Address{gep->getPointerOperand(), index, offset};
}

std::optional<Place> place_of(const Value* pointer) {
  auto address = address_of(pointer);
  if (!address) return std::nullopt;
  auto [base, index, offset] = *address;
  const Value* root;
  uint64_t constant;
  while (match(index, m_Add(m_Value(root), m_ConstantInt(constant)))) {
    offset += constant;
    index = root;
  }
  return Place{base, index, static_cast<uint32_t>(offset)};
}

/// How far behind base + index memory has been accessed. So far it can't trap any more: memories do not shrink.
struct Reached {
  const Value* base;
  const Value* index;
  uint64_t end;
};

uint64_t bytes_of(const llvm::Type& type) { return type.getPrimitiveSizeInBits() / 8; }

/// Notes an access. Returns false if it may be the first that goes so far, and may trap.
bool reach(const Value* pointer, uint64_t bytes, llvm::SmallVectorImpl<Reached>& reached) {
  auto address = address_of(pointer);
  if (!address || address->offset > UINT32_MAX) return false;
  const uint64_t end = address->offset + bytes;
  for (Reached& known : reached)
    if (known.base == address->base && known.index == address->index) {
      if (end <= known.end) return true;
      known.end = end;
      return false;
    }
  if (reached.size() < kMaxWords) reached.push_back({address->base, address->index, end});
  return false;
}

struct StoredWord {
  Place place;
  Value* value;
};

/// Forgets the words in memory that an instruction other than a load may have changed.
void forget(const Instruction& op, llvm::SmallVectorImpl<StoredWord>& words) {
  if (!op.mayWriteToMemory()) return;
  auto* store = llvm::dyn_cast<llvm::StoreInst>(&op);
  auto place = store ? place_of(store->getPointerOperand()) : std::nullopt;
  const uint64_t bytes = store ? bytes_of(*store->getValueOperand()->getType()) : 0;
  if (!place || bytes > kWordBytes) return words.clear();
  llvm::erase_if(words,
                 [&](const StoredWord& word) { return !word.place.same_index(*place) || word.place.overlaps(*place); });
}

/// Returns whether an instruction stores to the context, where globals are: no access to a memory reaches there.
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
  llvm::SmallVector<Reached, 8> reached;
  for (llvm::BasicBlock& block : function) {
    words.clear();
    reached.clear();
    for (Instruction& op : llvm::make_early_inc_range(block)) {
      if (auto* load = llvm::dyn_cast<llvm::LoadInst>(&op)) {
        // After an atomic access, memory may hold what another thread wrote.
        if (load->isAtomic()) words.clear();
        const bool traps = !reach(load->getPointerOperand(), bytes_of(*load->getType()), reached);
        auto place = place_of(load->getPointerOperand());
        if (!place || load->getType() != word_type) continue;
        auto word = llvm::find_if(words, [&](const StoredWord& stored) {
          return stored.place.same_index(*place) && stored.place.offset == place->offset;
        });
        if (word == words.end()) continue;
        load->replaceAllUsesWith(word->value);
        if (!traps) load->eraseFromParent();  // it is not atomic: such a load leaves no words
        changed = true;
        continue;
      }
      if (is_of_context(op, function.getArg(0))) continue;
      forget(op, words);
      auto* store = llvm::dyn_cast<llvm::StoreInst>(&op);
      if (!store) continue;
      reach(store->getPointerOperand(), bytes_of(*store->getValueOperand()->getType()), reached);
      if (store->isAtomic() || store->getValueOperand()->getType() != word_type) continue;
      if (auto place = place_of(store->getPointerOperand())) {
        if (words.size() == kMaxWords) words.erase(words.begin());
        words.push_back({*place, store->getValueOperand()});
      }
    }
  }
  return changed ? llvm::PreservedAnalyses::none() : llvm::PreservedAnalyses::all();
}

}  // namespace rotor::jit
