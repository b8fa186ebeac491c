// The compiler's work for people to read: IR and assembly, with the names and offsets of the module in comments.
#include <fmt/format.h>

#include <numeric>

#include "code/compiler.h"
#include "jit/batches.h"
#include "jit/compile_thread.h"
#include "jit/emit/batch.h"
#include "jit/link.h"
#include "jit/pipeline.h"
#include "llvm/CodeGen/AsmPrinter.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/IR/AssemblyAnnotationWriter.h"
#include "llvm/MC/MCStreamer.h"
#include "llvm/Support/FormattedStream.h"
#include "rotor/printable.h"
#include "wasm/names.h"

namespace rotor::jit {

namespace {

/// The comments for functions, by their names in IR.
class Comments {
 public:
  explicit Comments(const wasm::Names& names) {
    for (const auto& [index, name] : names.functions) functions_.emplace(index, quoted(name));
  }
  /// Returns the comment for a function; empty if there is none.
  const std::string& of_function(llvm::StringRef symbol) const {
    static const std::string kNone;
    auto index = function_of_symbol(symbol);
    auto found = index ? functions_.find(*index) : functions_.end();
    return found != functions_.end() ? found->second : kNone;
  }
  static std::string of_offset(uint32_t offset) { return fmt::format("module offset {:#x}", offset); }

 private:
  /// Returns a name for a comment: it may hold any character, and must not end the comment.
  static std::string quoted(std::string_view name) {
    std::string text;
    for (char c : name) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    return '"' + printable_name(text) + '"';
  }

  wasm::KeyedMap<uint32_t, std::string> functions_;
};

class IrComments : public llvm::AssemblyAnnotationWriter {
 public:
  explicit IrComments(const Comments& comments) : comments_(comments) {}
  void emitFunctionAnnot(const llvm::Function* function, llvm::formatted_raw_ostream& out) override {
    if (const std::string& name = comments_.of_function(function->getName()); !name.empty())
      out << "; " << name << '\n';
  }
  void printInfoComment(const llvm::Value& value, llvm::formatted_raw_ostream& out) override {
    if (auto* instruction = llvm::dyn_cast<llvm::Instruction>(&value); instruction && instruction->getDebugLoc())
      out << "  ; " << Comments::of_offset(instruction->getDebugLoc().getLine());
  }

 private:
  const Comments& comments_;
};

class AssemblyComments : public llvm::AsmPrinterHandler {
 public:
  AssemblyComments(llvm::AsmPrinter& printer, const Comments& comments) : printer_(printer), comments_(comments) {}
  void beginFunction(const llvm::MachineFunction* function) override {
    last_line_ = 0;
    if (const std::string& name = comments_.of_function(function->getName()); !name.empty())
      printer_.OutStreamer->emitRawComment(" " + name);
  }
  void endFunction(const llvm::MachineFunction*) override {}
  void beginInstruction(const llvm::MachineInstr* instruction) override {
    const llvm::DebugLoc& location = instruction->getDebugLoc();
    uint32_t line = location && !instruction->isMetaInstruction() ? location.getLine() : 0;
    if (line == 0 || line == last_line_) return;
    last_line_ = line;
    printer_.OutStreamer->emitRawComment(" " + Comments::of_offset(line));
  }
  void endModule() override {}

 private:
  llvm::AsmPrinter& printer_;
  const Comments& comments_;
  uint32_t last_line_ = 0;
};

/// Adds the text of batches to `out`. Errors: that of the first bad function.
class TextWriter {
 public:
  TextWriter(const wasm::Module& module, std::span<const uint8_t> bytes, const code::CompileOptions& options,
             CodeText text)
      : module_(module),
        text_(text),
        comments_(wasm::decode_display_names(module, bytes)),
        emitter_(module, bytes, options.settings.features) {}

  Result<void> write(const ModulePlan& plan, Pipeline& pipeline, std::span<const BatchFunction> functions,
                     std::string& out) {
    llvm::LLVMContext context;
    context.setDiscardValueNames(true);
    uint32_t bad = 0;
    ROTOR_TRY(auto llvm_module,
              emitter_.emit(plan, pipeline.target(), context, functions, pipeline.wide_products(), bad));
    if (text_ != CodeText::llvm_ir_raw) pipeline.optimise(*llvm_module);
    if (text_ == CodeText::assembly || text_ == CodeText::located_assembly) {
      llvm::SmallVector<char, 0> assembly;
      pipeline.write_assembly(*llvm_module, assembly, [&](llvm::AsmPrinter& printer) {
        return std::make_unique<AssemblyComments>(printer, comments_);
      });
      out.append(assembly.begin(), assembly.end());
    } else {
      llvm::raw_string_ostream stream(out);
      IrComments comments(comments_);
      llvm_module->print(stream, &comments);
    }
    return {};
  }

 private:
  const wasm::Module& module_;
  const CodeText text_;
  const Comments comments_;
  BatchEmitter emitter_;
};

Result<std::string> write_text(const wasm::Module& module, std::span<const uint8_t> bytes,
                               const code::CompileOptions& options, CodeText text,
                               std::optional<uint32_t> defined_func) {
  std::vector<Batch> batches;
  if (defined_func)
    batches.push_back({*defined_func, 1});
  else
    batches = make_batches(module, std::max(options.batch_functions, 1u));
  ROTOR_TRY(CpuTarget cpu, cpu_target(options.settings.cpu));
  ROTOR_TRY(auto fast, Pipeline::create(OptLevel::o0, cpu, false));
  ROTOR_TRY(auto optimising, Pipeline::create(OptLevel::o1, cpu, options.settings.wide_products));
  const code::CodeSettings& settings = options.settings;
  // Tier-0 code is shown as it is where there is a tier 1: it counts.
  ModulePlan tier0(module, settings, Calls::slots, settings.tiered);
  ModulePlan tier1(module, settings, settings.tiered ? Calls::self : Calls::direct, false);
  tier0.locates_all = tier1.locates_all = text == CodeText::located_assembly;
  TextWriter writer(module, bytes, options, text);
  CostCounter counter(module, bytes, options.settings);
  std::string out;
  std::vector<uint32_t> functions;
  for (const Batch& batch : batches) {
    functions.resize(batch.count);
    std::iota(functions.begin(), functions.end(), batch.first);
    uint32_t bad;
    ROTOR_TRY(SortedBatch sorted, sort_batch(counter, functions, settings.opt, options, module.imported_funcs, bad));
    if (!sorted.at_o1.empty()) ROTOR_CHECK(writer.write(tier1, *optimising, sorted.at_o1, out));
    bool is_tier0 = settings.opt == OptLevel::o0 || settings.tiered;
    if (!sorted.at_o0.empty()) ROTOR_CHECK(writer.write(is_tier0 ? tier0 : tier1, *fast, sorted.at_o0, out));
  }
  return out;
}

}  // namespace

}  // namespace rotor::jit

namespace rotor::code {

Result<std::string> emit_text(const wasm::Module& module, std::span<const uint8_t> bytes, const CompileOptions& options,
                              CodeText text, std::optional<uint32_t> defined_func) {
  Result<std::string> written;
  ROTOR_CHECK(
      jit::run_on_compile_threads(1, [&] { written = jit::write_text(module, bytes, options, text, defined_func); }));
  return written;
}

}  // namespace rotor::code
