// One LLVM module for a batch of functions: types, declarations and constants that its function emitters share.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "code/abi.h"
#include "code/gc_layout.h"
#include "code/run_page.h"
#include "code/settings.h"
#include "llvm/IR/DIBuilder.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include "rotor/config.h"
#include "wasm/keyed_hash.h"
#include "wasm/module.h"

namespace rotor::jit {

/// How functions of a module call each other.
enum class Calls : uint8_t {
  slots,   ///< always through slots: tier 0
  self,    ///< a function itself directly, others through slots: tier 1
  direct,  ///< ahead of time
};

/// What every batch of one compilation reads.
struct ModulePlan {
  const wasm::Module& module;
  code::ContextLayout context;
  code::RunPageLayout run_page;
  Calls calls;
  bool instrumented;                      ///< code counts entries and turns of loops
  bool fast_selection;                    ///< for the pipeline at o0: traps are emitted for jit/passes/trap_kinds.h
  bool interruptible;                     ///< loop heads check whether the group has to stop
  bool deterministic;                     ///< Config::deterministic
  bool metered;                           ///< code pays for what it executes: Config::fuel
  bool locates_all = false;               ///< all code has the offset of its instruction, for people to read
  std::vector<code::MemoryCheck> checks;  ///< by index of the memory
  /// By index of the type; of others than structures there is nothing to be known. Empty if the module has none.
  std::vector<code::StructureLayout> structures;

  ModulePlan(const wasm::Module& m, const code::CodeSettings& settings, Calls how, bool instrument)
      : module(m),
        context(m),
        run_page(m),
        calls(how),
        instrumented(instrument),
        fast_selection(how == Calls::slots),
        interruptible(settings.interruptible),
        deterministic(settings.deterministic),
        metered(settings.fuel),
        checks(code::memory_checks(m, settings.slab_memories)),
        structures(code::structure_layouts(m)) {}
};

/// The name of the run page's symbol. Those of functions are described at function_of_symbol in jit/link.h.
inline constexpr const char* kRunPageSymbol = "rotor_run_page";

class ModuleEmitter {
 public:
  ModuleEmitter(const ModulePlan& plan, llvm::TargetMachine& target, llvm::LLVMContext& context);

  const ModulePlan& plan;
  llvm::LLVMContext& context;
  std::unique_ptr<llvm::Module> llvm_module;
  llvm::IRBuilder<> builder;
  llvm::DISubprogram* scope;  ///< the scope of every debug location
  const bool has_fma;         ///< the target has fused multiply-add

  llvm::Type* const void_type;
  llvm::IntegerType* const i1;
  llvm::IntegerType* const i8;
  llvm::IntegerType* const i16;
  llvm::IntegerType* const i32;
  llvm::IntegerType* const i64;
  llvm::Type* const f32;
  llvm::Type* const f64;
  llvm::Type* const xmm;              ///< a whole vector register
  llvm::FixedVectorType* const v128;  ///< two i64; an instruction with other lanes casts it
  llvm::PointerType* const ptr;

  /// Returns the LLVM type of a value: references are i64.
  llvm::Type* value_type(ValType type) const;
  /// Returns the LLVM type of a function: (ptr swiftself context, params...) -> results in a struct, or void where they
  /// go through memory.
  llvm::FunctionType* function_type(const FuncType& type);
  static bool results_in_registers(const FuncType& type) { return type.results.size() <= code::kMaxRegisterResults; }
  /// Returns the declaration of a defined function of this batch or another.
  llvm::Function* function(wasm::FuncIndex func);

  // The uniform prototype: all argument registers, whole, and some stack words. At its machine level a function can be
  // declared so as well as by its own type, and LLVM makes a tail call (musttail) between any two of one prototype. A
  // declaration under a name of its own keeps LLVM from seeing one function with two types.
  llvm::FunctionType* uniform_type(llvm::Type* result, uint32_t stack_words);
  llvm::Function* uniform_function(wasm::FuncIndex func, uint32_t stack_words);

  // The packed prototype, of calls with many arguments: those in registers as the uniform one has them, and the stack
  // words in a block of memory, which LLVM copies to where they have to be.
  llvm::FunctionType* packed_type(llvm::Type* result, bool has_words);
  llvm::Function* packed_function(wasm::FuncIndex func);
  void pass_words(llvm::CallBase& call, uint32_t stack_words);

  /// Returns what LLVM wants a function with landing pads to name; it is never called.
  llvm::Constant* personality();

  /// Returns an address in the run page.
  llvm::Value* run_page(uint32_t offset);
  /// Returns a float result, scalar or vector, as the engine has to give it: in a deterministic engine every NaN is
  /// replaced by the positive canonical one.
  llvm::Value* canonical_nan(llvm::Value* result);
  /// Returns a float constant that LLVM can't fold, for it is read from memory whose contents LLVM must take as
  /// unknown.
  llvm::Value* opaque_float(llvm::Type* type, uint64_t bits);

 private:
  llvm::Function* declare(const std::string& name, llvm::FunctionType* type);

  llvm::GlobalVariable* run_page_;
  std::unordered_map<const FuncType*, llvm::FunctionType*> function_types_;
  wasm::KeyedMap<uint64_t, llvm::GlobalVariable*> floats_[2];  ///< by bits: f32, f64
};

}  // namespace rotor::jit
