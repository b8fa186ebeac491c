#include "jit/emit/module.h"

#include <fmt/format.h>

#include "code/abi.h"
#include "llvm/IR/Attributes.h"
#include "llvm/IR/CallingConv.h"
#include "llvm/IR/Constants.h"

namespace rotor::jit {

ModuleEmitter::ModuleEmitter(const ModulePlan& p, llvm::TargetMachine& target, llvm::LLVMContext& c)
    : plan(p),
      context(c),
      llvm_module(std::make_unique<llvm::Module>("batch", c)),
      builder(c),
      has_fma(target.getTargetFeatureString().contains("+fma")),
      void_type(llvm::Type::getVoidTy(c)),
      i1(llvm::Type::getInt1Ty(c)),
      i8(llvm::Type::getInt8Ty(c)),
      i16(llvm::Type::getInt16Ty(c)),
      i32(llvm::Type::getInt32Ty(c)),
      i64(llvm::Type::getInt64Ty(c)),
      f32(llvm::Type::getFloatTy(c)),
      f64(llvm::Type::getDoubleTy(c)),
      xmm(llvm::FixedVectorType::get(f32, 4)),
      v128(llvm::FixedVectorType::get(i64, 2)),
      ptr(llvm::PointerType::getUnqual(c)) {
  llvm_module->setTargetTriple(target.getTargetTriple());
  llvm_module->setDataLayout(target.createDataLayout());
  llvm_module->setPICLevel(llvm::PICLevel::BigPIC);
  // Locations need a scope; the functions themselves get none, and no debug information is written (jit/site_table.h).
  llvm::DIBuilder debug(*llvm_module);
  llvm::DIFile* file = debug.createFile("m", "");
  auto* unit = debug.createCompileUnit(llvm::DISourceLanguageName(llvm::dwarf::DW_LANG_C), file, "", true, "", 0, "",
                                       llvm::DICompileUnit::NoDebug);
  scope = llvm::DISubprogram::getDistinct(context, file, "", "", file, 0, nullptr, 0, nullptr, 0, 0,
                                          llvm::DINode::FlagZero, llvm::DISubprogram::SPFlagDefinition, unit);
  debug.finalize();
  run_page_ =
      new llvm::GlobalVariable(*llvm_module, i8, false, llvm::GlobalValue::ExternalLinkage, nullptr, kRunPageSymbol);
  run_page_->setVisibility(llvm::GlobalValue::HiddenVisibility);
  run_page_->setDSOLocal(true);
}

llvm::Type* ModuleEmitter::value_type(ValType type) const {
  switch (type.kind()) {
    case ValType::Kind::i32: return i32;
    case ValType::Kind::i64: return i64;
    case ValType::Kind::f32: return f32;
    case ValType::Kind::f64: return f64;
    case ValType::Kind::v128: return v128;
    default: return i64;  // a reference
  }
}

llvm::FunctionType* ModuleEmitter::function_type(const FuncType& type) {
  auto [it, fresh] = function_types_.try_emplace(&type, nullptr);
  if (!fresh) return it->second;
  llvm::SmallVector<llvm::Type*, 16> params{ptr};
  for (ValType p : type.params) params.push_back(value_type(p));
  llvm::Type* result = void_type;
  if (type.results.size() == 1) {
    result = value_type(type.results[0]);
  } else if (type.results.size() > 1 && results_in_registers(type)) {
    llvm::SmallVector<llvm::Type*, code::kMaxRegisterResults> members;
    for (ValType r : type.results) members.push_back(value_type(r));
    result = llvm::StructType::get(context, members);
  }
  return it->second = llvm::FunctionType::get(result, params, false);
}

llvm::Function* ModuleEmitter::function(wasm::FuncIndex func) {
  std::string name = fmt::format("f{}", raw(func));
  if (llvm::Function* known = llvm_module->getFunction(name)) return known;
  return declare(name, function_type(plan.module.func_type(func)));
}

llvm::FunctionType* ModuleEmitter::uniform_type(llvm::Type* result, uint32_t stack_words) {
  llvm::SmallVector<llvm::Type*, 24> params{ptr};
  params.append(code::ArgumentPlaces::kGprs, i64);
  params.append(code::ArgumentPlaces::kXmms, xmm);
  params.append(stack_words, i64);
  return llvm::FunctionType::get(result, params, false);
}

llvm::Function* ModuleEmitter::uniform_function(wasm::FuncIndex func, uint32_t stack_words) {
  std::string name = fmt::format("u{}.{}", raw(func), stack_words);
  if (llvm::Function* known = llvm_module->getFunction(name)) return known;
  llvm::Type* result = function_type(plan.module.func_type(func))->getReturnType();
  return declare(name, uniform_type(result, stack_words));
}

llvm::FunctionType* ModuleEmitter::packed_type(llvm::Type* result, bool has_words) {
  llvm::SmallVector<llvm::Type*, 24> params{ptr};
  params.append(code::ArgumentPlaces::kGprs, i64);
  params.append(code::ArgumentPlaces::kXmms, xmm);
  if (has_words) params.push_back(ptr);
  return llvm::FunctionType::get(result, params, false);
}

llvm::Function* ModuleEmitter::packed_function(wasm::FuncIndex func) {
  std::string name = fmt::format("u{}.p", raw(func));
  if (llvm::Function* known = llvm_module->getFunction(name)) return known;
  const FuncType& type = plan.module.func_type(func);
  return declare(name, packed_type(function_type(type)->getReturnType(), code::ArgumentPlaces::stack_words(type) != 0));
}

void ModuleEmitter::pass_words(llvm::CallBase& call, uint32_t stack_words) {
  unsigned last = call.arg_size() - 1;
  call.addParamAttr(last, llvm::Attribute::getWithByValType(context, llvm::ArrayType::get(i64, stack_words)));
  call.addParamAttr(last, llvm::Attribute::getWithAlignment(context, llvm::Align(16)));
}

llvm::Constant* ModuleEmitter::personality() {
  return llvm::cast<llvm::Constant>(
      llvm_module->getOrInsertFunction("rotor_personality", llvm::FunctionType::get(i32, false)).getCallee());
}

llvm::Function* ModuleEmitter::declare(const std::string& name, llvm::FunctionType* type) {
  auto* f = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, *llvm_module);
  f->setCallingConv(llvm::CallingConv::Swift);
  // Hidden and local, so that a call is relative and never goes through a PLT or GOT.
  f->setVisibility(llvm::GlobalValue::HiddenVisibility);
  f->setDSOLocal(true);
  f->addParamAttr(0, llvm::Attribute::SwiftSelf);
  f->addFnAttr(llvm::Attribute::NoUnwind);
  return f;
}

llvm::Value* ModuleEmitter::run_page(uint32_t offset) { return builder.CreateConstGEP1_64(i8, run_page_, offset); }

llvm::Value* ModuleEmitter::canonical_nan(llvm::Value* result) {
  if (!plan.deterministic) return result;
  return builder.CreateSelect(builder.CreateFCmpUNO(result, result), llvm::ConstantFP::getQNaN(result->getType()),
                              result);
}

llvm::Value* ModuleEmitter::opaque_float(llvm::Type* type, uint64_t bits) {
  bool is_double = type->isDoubleTy();
  auto [it, fresh] = floats_[is_double].try_emplace(bits, nullptr);
  if (fresh) {
    llvm::APFloat value(is_double ? llvm::APFloat::IEEEdouble() : llvm::APFloat::IEEEsingle(),
                        llvm::APInt(is_double ? 64 : 32, bits));
    auto* global = new llvm::GlobalVariable(*llvm_module, type, true, llvm::GlobalValue::InternalLinkage,
                                            llvm::ConstantFP::get(context, value),
                                            fmt::format("{}.{:x}", is_double ? "d" : "s", bits));
    global->setExternallyInitialized(true);
    global->setDSOLocal(true);
    it->second = global;
  }
  auto* load = builder.CreateLoad(type, it->second);
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context, {}));
  return load;
}

}  // namespace rotor::jit
