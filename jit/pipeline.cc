#include "jit/pipeline.h"

#include <mutex>

#include "code/cpu.h"
#include "jit/passes/carries.h"
#include "jit/passes/guest_accesses.h"
#include "jit/passes/opaque_floats.h"
#include "jit/passes/split_blocks.h"
#include "jit/passes/stack_check.h"
#include "jit/passes/stored_words.h"
#include "jit/passes/trap_kinds.h"
#include "jit/passes/wide_products.h"
#include "jit/site_table.h"
#include "jit/unwind_table.h"
#include "llvm/Analysis/AssumptionCache.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/CodeGen/MachineModuleInfo.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/PassInstrumentation.h"
#include "llvm/IR/PassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/MCStreamer.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Mem2Reg.h"

namespace rotor::jit {

namespace {

/// Sets an option that LLVM takes from its command line only. It holds in the whole process, for all users of this
/// LLVM.
void set_llvm_option(const char* name, const char* value) {
  auto& options = llvm::cl::getRegisteredOptions();
  auto found = options.find(name);
  if (found == options.end() || found->second->addOccurrence(0, name, value))
    llvm::report_fatal_error(llvm::Twine("LLVM has no option ") + name);
}

void initialize_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    // Joining others with a long interval looks at all its uses each time: with LLVM's own bound of 256 such joins a
    // function of 112 KB took 16 s.
    set_llvm_option("large-interval-freq-threshold", "64");
  });
}

/// Returns library information that knows no function: otherwise LLVM makes a call of memset out of a loop of stores.
llvm::TargetLibraryInfoImpl no_libraries(const llvm::Triple& triple) {
  llvm::TargetLibraryInfoImpl info(triple);
  info.disableAllFunctions();
  return info;
}

/// Verifies a module in builds that check assertions.
void verify([[maybe_unused]] const llvm::Module& module, [[maybe_unused]] const char* maker) {
#ifndef NDEBUG
  std::string what;
  llvm::raw_string_ostream message(what);
  if (llvm::verifyModule(module, &message)) llvm::report_fatal_error(llvm::Twine(maker) + " made invalid IR: " + what);
#endif
}

/// Gives users of loads the loads' locations: the instruction selector folds a load into its user, and keeps the user's
/// location.
void locate_folded_loads(llvm::Function& function) {
  for (llvm::BasicBlock& block : function)
    for (llvm::Instruction& instruction : block) {
      if (instruction.getDebugLoc()) continue;
      for (const llvm::Value* operand : instruction.operands()) {
        auto* used = llvm::dyn_cast<llvm::Instruction>(operand);
        bool may_fold = used && (llvm::isa<llvm::LoadInst>(used) || llvm::isa<llvm::CastInst>(used) ||
                                 llvm::isa<llvm::InsertElementInst>(used) || llvm::isa<llvm::ShuffleVectorInst>(used));
        // Loads come before their users, and an extension or splat in between already has the load's location.
        if (may_fold && used->getParent() == &block && used->getDebugLoc()) {
          instruction.setDebugLoc(used->getDebugLoc());
          break;
        }
      }
    }
}

}  // namespace

Result<CpuTarget> cpu_target(const std::string& name) {
  CpuTarget target;
  ROTOR_TRY(target.features, code::cpu_features_named(name));
  target.tune = name == "native" ? llvm::sys::getHostCPUName().str() : name == "baseline" ? "x86-64-v2" : name;
  return target;
}

Result<std::unique_ptr<Pipeline>> Pipeline::create(OptLevel opt, const CpuTarget& cpu, bool wide_products) {
  initialize_llvm();
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target) return fail(ErrorKind::internal, "LLVM has no x86-64 target: " + error);
  std::string features;
  for (const std::string& feature : cpu.features) features += (features.empty() ? "+" : ",+") + feature;
  llvm::TargetOptions options;
  options.MCOptions.X86RelaxRelocations = false;
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, "x86-64-v2", features, options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
      opt == OptLevel::o0 ? llvm::CodeGenOptLevel::None : llvm::CodeGenOptLevel::Default, /*JIT=*/false));
  if (!machine) return fail(ErrorKind::internal, "LLVM made no x86-64 target machine");
  return std::unique_ptr<Pipeline>(new Pipeline(opt, std::move(machine), wide_products));
}

Pipeline::Pipeline(OptLevel opt, std::unique_ptr<llvm::TargetMachine> target, bool wide_products)
    : opt_(opt), wide_products_(wide_products && opt == OptLevel::o1), target_(std::move(target)), out_(object_) {
  // Registers the analyses of the few passes below; registering all that a PassBuilder does would cost more than it
  // gives.
  analyses_.registerPass([&] { return llvm::TargetLibraryAnalysis(no_libraries(target_->getTargetTriple())); });
  analyses_.registerPass([&] { return target_->getTargetIRAnalysis(); });
  analyses_.registerPass([] { return llvm::PassInstrumentationAnalysis(); });
  analyses_.registerPass([] { return llvm::AssumptionAnalysis(); });
  analyses_.registerPass([] { return llvm::DominatorTreeAnalysis(); });
  optimisations_.addPass(llvm::PromotePass());
  optimisations_.addPass(OpaqueFloatsPass());
  if (opt_ == OptLevel::o1) {
    optimisations_.addPass(llvm::EarlyCSEPass());
    optimisations_.addPass(llvm::SimplifyCFGPass());
    if (wide_products_) {
      optimisations_.addPass(StoredWordsPass());
      optimisations_.addPass(WideProductsPass());
      optimisations_.addPass(CarriesPass());
    }
  }
}

Pipeline::~Pipeline() = default;

llvm::LLVMContext& Pipeline::context(size_t functions) {
  /// A context keeps every type, constant and location that was ever made in it. Kimchi whole, in batches of 64: 4.5 s
  /// with this bound, 4.7 s with a context a batch, 4.8 s with 64 batches a context.
  constexpr size_t kContextFunctions = 256;
  if (!context_ || context_functions_ >= kContextFunctions) {
    code_generator_.reset();  // it may hold types of the context
    context_ = std::make_unique<llvm::LLVMContext>();
    context_->setDiscardValueNames(true);
    context_functions_ = 0;
  }
  context_functions_ += functions;
  return *context_;
}

void Pipeline::optimise(llvm::Module& module) {
  verify(module, "the emitter");
  for (llvm::Function& function : module)
    if (!function.isDeclaration()) {
      optimisations_.run(function, analyses_);
      analyses_.clear(function, function.getName());
      locate_folded_loads(function);
    }
  verify(module, "a pass");
}

std::span<const char> Pipeline::run(llvm::Module& module) {
  optimise(module);
  if (!code_generator_) {
    code_generator_ = std::make_unique<llvm::legacy::PassManager>();
    add_code_generator(*code_generator_, out_, llvm::CodeGenFileType::ObjectFile, [](llvm::AsmPrinter& printer) {
      printer.addAsmPrinterHandler(std::make_unique<SiteTableHandler>(printer));
      printer.addAsmPrinterHandler(std::make_unique<UnwindTableHandler>(printer));
    });
  }
  object_.clear();
  code_generator_->run(module);
  return object_;
}

void Pipeline::write_assembly(llvm::Module& module, llvm::SmallVectorImpl<char>& text,
                              const MakeHandler& make_handler) {
  target_->Options.MCOptions.AsmVerbose = true;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  add_code_generator(passes, stream, llvm::CodeGenFileType::AssemblyFile,
                     [&](llvm::AsmPrinter& printer) { printer.addAsmPrinterHandler(make_handler(printer)); });
  passes.run(module);
}

/// Does what TargetMachine::addPassesToEmitFile does, with Rotor's handler on the printer.
void Pipeline::add_code_generator(llvm::legacy::PassManager& passes, llvm::raw_pwrite_stream& out,
                                  llvm::CodeGenFileType type,
                                  const std::function<void(llvm::AsmPrinter&)>& add_handlers) {
  passes.add(new llvm::TargetLibraryInfoWrapperPass(no_libraries(target_->getTargetTriple())));
  auto* machine_module = new llvm::MachineModuleInfoWrapperPass(target_.get());
  llvm::TargetPassConfig* config = target_->createPassConfig(passes);
  config->setDisableVerify(true);
  passes.add(config);
  passes.add(machine_module);
  add_guest_access_passes(*config);
  // The pass runs behind CodeGenPrepare, which would merge again what was cut; with --opt 0 there is no CodeGenPrepare.
  if (opt_ == OptLevel::o0) {
    passes.add(create_split_blocks_pass());
  } else {
    std::unique_ptr<llvm::Pass> last_to_merge(llvm::createCodeGenPrepareLegacyPass());
    config->insertPass(last_to_merge->getPassID(), create_split_blocks_pass());
  }
  // A trap on a path without a prologue would have its caller's frame pointer, and the caller be missing in backtraces.
  config->disablePass(&llvm::ShrinkWrapID);
  if (config->addISelPasses()) llvm::report_fatal_error("LLVM's x86-64 target has no instruction selector");
  config->addMachinePasses();
  config->setInitialized();
  auto streamer = target_->createMCStreamer(out, nullptr, type, machine_module->getMMI().getContext());
  if (!streamer) llvm::report_fatal_error(streamer.takeError());
  passes.add(create_stack_check_pass());
  passes.add(create_trap_kinds_pass());
  llvm::AsmPrinter* printer = target_->getTarget().createAsmPrinter(*target_, std::move(*streamer));
  add_handlers(*printer);
  passes.add(printer);
  passes.add(llvm::createFreeMachineFunctionPass());
}

}  // namespace rotor::jit
