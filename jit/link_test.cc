#include "jit/link.h"

#include <gtest/gtest.h>

#include "code/code_image.h"
#include "jit/pipeline.h"
#include "llvm/IR/IRBuilder.h"

namespace rotor::jit {
namespace {

/// A module of one defined function, `f0`, whose body is what `fill` makes it.
class LinkTest : public testing::Test {
 protected:
  LinkTest() {
    wasm::SubType type;
    type.composite = FuncType{};
    wasm_module_.types.push_back(type);
    wasm_module_.funcs.push_back(wasm::TypeIndex{0});
    wasm_module_.declared_funcs.push_back(false);
  }

  template <class Fill>
  Result<code::CodeImage> link(Fill fill) {
    auto pipeline = Pipeline::create(OptLevel::o1, *cpu_target("baseline"), /*wide_products=*/true);
    EXPECT_TRUE(pipeline);
    llvm::LLVMContext& context = (*pipeline)->context(1);
    llvm::Module module("test", context);
    module.setTargetTriple((*pipeline)->target().getTargetTriple());
    module.setDataLayout((*pipeline)->target().createDataLayout());
    module.setPICLevel(llvm::PICLevel::BigPIC);
    llvm::IRBuilder<> b(context);
    auto* f = llvm::Function::Create(llvm::FunctionType::get(b.getVoidTy(), false), llvm::Function::ExternalLinkage,
                                     "f0", module);
    b.SetInsertPoint(llvm::BasicBlock::Create(context, "", f));
    fill(module, b);
    b.CreateRetVoid();
    std::span<const char> object = (*pipeline)->run(module);
    ROTOR_TRY(auto code, parse_objects({{object.begin(), object.end()}}, wasm_module_));
    code::RegionLayout region{code->text_bytes(), code->rodata_bytes(), code::kCodePageBytes};
    return code->link(region, 0, 0, 1);
  }

  static std::string message(const Result<code::CodeImage>& result) {
    return result ? "linked" : result.error().message;
  }

  wasm::Module wasm_module_;
};

TEST_F(LinkTest, PlainCodeLinks) {
  auto image = link([](llvm::Module&, llvm::IRBuilder<>&) {});
  ASSERT_TRUE(image) << message(image);
  ASSERT_EQ(image->functions.size(), 1u);
  EXPECT_EQ(image->functions[0].func, 0u);
  EXPECT_EQ(image->text[0], 0xc3);
}

TEST_F(LinkTest, AnUndefinedSymbolIsAnErrorThatNamesIt) {
  // What LLVM would make of a loop of stores if it knew memset.
  auto image =
      link([](llvm::Module& m, llvm::IRBuilder<>& b) { b.CreateCall(m.getOrInsertFunction("memset", b.getVoidTy())); });
  EXPECT_NE(message(image).find("memset"), std::string::npos) << message(image);
}

TEST_F(LinkTest, NoLibraryFunctionIsMadeOfCode) {
  // A call that LLVM folds if it knows of a C library.
  auto image = link([](llvm::Module& m, llvm::IRBuilder<>& b) {
    auto* f = llvm::Function::Create(llvm::FunctionType::get(b.getDoubleTy(), {b.getDoubleTy()}, false),
                                     llvm::Function::ExternalLinkage, "sqrt", m);
    b.CreateCall(f, {llvm::ConstantFP::get(b.getDoubleTy(), 4)});
  });
  // Known, it would be folded away; unknown, it stays and is refused.
  EXPECT_NE(message(image).find("sqrt"), std::string::npos) << message(image);
}

TEST_F(LinkTest, SharedWritableDataIsAnError) {
  auto image = link([](llvm::Module& m, llvm::IRBuilder<>& b) {
    auto* global =
        new llvm::GlobalVariable(m, b.getInt32Ty(), false, llvm::GlobalValue::InternalLinkage, b.getInt32(7));
    b.CreateStore(b.CreateAdd(b.CreateLoad(b.getInt32Ty(), global, true), b.getInt32(1)), global, true);
  });
  EXPECT_NE(message(image).find("shared by instances"), std::string::npos) << message(image);
}

TEST_F(LinkTest, AnAbsoluteAddressIsAnError) {
  auto image = link([](llvm::Module& m, llvm::IRBuilder<>& b) {
    auto* pointers = llvm::ArrayType::get(b.getPtrTy(), 1);
    auto* table = new llvm::GlobalVariable(m, pointers, true, llvm::GlobalValue::InternalLinkage,
                                           llvm::ConstantArray::get(pointers, {m.getFunction("f0")}));
    b.CreateLoad(b.getPtrTy(), table, true);
  });
  EXPECT_FALSE(image);
}

TEST_F(LinkTest, AFunctionThatIsNotThereIsAnError) {
  wasm_module_.funcs.push_back(wasm::TypeIndex{0});
  wasm_module_.declared_funcs.push_back(false);
  auto image = link([](llvm::Module& m, llvm::IRBuilder<>& b) {
    auto* f =
        llvm::Function::Create(llvm::FunctionType::get(b.getVoidTy(), false), llvm::Function::ExternalLinkage, "f1", m);
    f->setVisibility(llvm::GlobalValue::HiddenVisibility);
    f->setDSOLocal(true);
    b.CreateCall(f);
  });
  EXPECT_NE(message(image).find("undefined symbol \"f1\""), std::string::npos) << message(image);
}

TEST_F(LinkTest, GarbageIsNoObject) { EXPECT_FALSE(parse_objects({{'n', 'o'}}, wasm_module_)); }

TEST(FunctionOfSymbol, HasTwoForms) {
  EXPECT_EQ(function_of_symbol("f0"), 0u);
  EXPECT_EQ(function_of_symbol("f12"), 12u);
  EXPECT_EQ(function_of_symbol("u12.0"), 12u);
  EXPECT_EQ(function_of_symbol("u7.31"), 7u);
  for (const char* other : {"", "f", "u", "u1", "f1.0", "f-1", "u.1", "f99999999999", "g1", "rotor_run_page"})
    EXPECT_EQ(function_of_symbol(other), std::nullopt) << other;
}

}  // namespace
}  // namespace rotor::jit
