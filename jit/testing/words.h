// Writing IR functions of 64-bit words as one would write them in C, for tests.
#pragma once

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

namespace rotor::jit {

/// An integer value that knows the builder it came from.
struct Word {
  llvm::IRBuilder<>* b = nullptr;
  llvm::Value* value = nullptr;

  Word of(uint64_t constant) const { return {b, b->getInt64(constant)}; }
  Word of(llvm::Value* other) const { return {b, other}; }
  /// A bit or a number of 32 bits, as one of 64.
  Word wide() const { return {b, b->CreateZExt(value, b->getInt64Ty())}; }
  Word narrow(unsigned bits = 32) const { return {b, b->CreateTrunc(value, b->getIntNTy(bits))}; }
  Word low() const { return {b, b->CreateAnd(value, UINT32_MAX)}; }
  Word high() const { return {b, b->CreateLShr(value, 32)}; }
};

inline Word operator+(Word x, Word y) { return {x.b, x.b->CreateAdd(x.value, y.value)}; }
inline Word operator-(Word x, Word y) { return {x.b, x.b->CreateSub(x.value, y.value)}; }
inline Word operator*(Word x, Word y) { return {x.b, x.b->CreateMul(x.value, y.value)}; }
inline Word operator&(Word x, Word y) { return {x.b, x.b->CreateAnd(x.value, y.value)}; }
inline Word operator&(Word x, uint64_t mask) { return {x.b, x.b->CreateAnd(x.value, mask)}; }
inline Word operator|(Word x, Word y) { return {x.b, x.b->CreateOr(x.value, y.value)}; }
inline Word operator^(Word x, Word y) { return {x.b, x.b->CreateXor(x.value, y.value)}; }
inline Word operator<<(Word x, unsigned bits) { return {x.b, x.b->CreateShl(x.value, bits)}; }
inline Word operator>>(Word x, unsigned bits) { return {x.b, x.b->CreateLShr(x.value, bits)}; }
/// One bit; see wide().
inline Word operator<(Word x, Word y) { return {x.b, x.b->CreateICmpULT(x.value, y.value)}; }
inline Word operator>(Word x, Word y) { return {x.b, x.b->CreateICmpUGT(x.value, y.value)}; }

/// Two words of a wide one.
struct Wide {
  Word low, high;
};

/// An empty function that takes words and returns several, as a struct.
inline llvm::Function* words_function(llvm::Module& module, unsigned arguments, unsigned results) {
  llvm::Type* word = llvm::Type::getInt64Ty(module.getContext());
  auto* returned = llvm::StructType::get(module.getContext(), llvm::SmallVector<llvm::Type*>(results, word));
  auto* type = llvm::FunctionType::get(returned, llvm::SmallVector<llvm::Type*>(arguments, word), false);
  return llvm::Function::Create(type, llvm::Function::ExternalLinkage, "f", module);
}

/// Where `b` stands.
inline void return_words(llvm::IRBuilder<>& b, llvm::ArrayRef<Word> words) {
  llvm::Value* all = llvm::PoisonValue::get(b.getCurrentFunctionReturnType());
  for (unsigned i = 0; i < words.size(); ++i) all = b.CreateInsertValue(all, words[i].value, i);
  b.CreateRet(all);
}

}  // namespace rotor::jit
