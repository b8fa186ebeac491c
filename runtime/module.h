// A compiled module: decoded module, linked code in memory, and what its instances share.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "jit/abi.h"
#include "jit/code.h"
#include "rotor/module.h"
#include "rotor/trap.h"
#include "runtime/code_region.h"
#include "runtime/engine.h"
#include "wasm/module.h"
#include "wasm/names.h"

namespace rotor::runtime {

class ModuleImpl {
 public:
  static Result<std::shared_ptr<ModuleImpl>> compile(std::shared_ptr<EngineImpl> engine,
                                                     std::span<const uint8_t> bytes);
  static Result<std::shared_ptr<ModuleImpl>> load(std::shared_ptr<EngineImpl> engine, const std::string& path);
  Result<void> save(const std::string& path) const;
  ModuleImpl(const ModuleImpl&) = delete;

  EngineImpl& engine() const { return *engine_; }
  const std::shared_ptr<EngineImpl>& shared_engine() const { return engine_; }
  /// As given to compile; without the code section if the module was loaded from a code file.
  std::span<const uint8_t> bytes() const { return bytes_; }
  const wasm::Module& wasm() const { return wasm_; }
  const jit::ContextLayout& layout() const { return layout_; }
  const Signature& signature(wasm::TypeIndex index) const { return *types_[raw(index)]; }
  const Signature& signature(wasm::FuncIndex index) const { return signature(wasm_.funcs[raw(index)]); }
  /// Words of the results buffer that an instance's context needs.
  uint32_t result_words() const { return result_words_; }
  /// The entry of a defined function.
  const void* entry(uint32_t defined_func) const { return region_->text() + image_.entries[defined_func]; }

  const std::vector<ImportInfo>& imports() const { return imports_; }
  const std::vector<ExportInfo>& exports() const { return exports_; }
  /// Index among the exports.
  std::optional<uint32_t> find_export(std::string_view name) const;
  const CompileStats& stats() const { return stats_; }
  /// Config::interruptible as the code was compiled with; false if it came from a file, which does not say.
  bool interruptible() const { return interruptible_; }
  std::vector<std::string> required_features() const;

  /// What is known of an address in the module's text; nullopt: it lies in no function.
  std::optional<Frame> frame_at(uintptr_t pc) const;

 private:
  explicit ModuleImpl(std::shared_ptr<EngineImpl> engine) : engine_(std::move(engine)) {}
  /// Fills everything that follows from `wasm_`.
  void describe();
  /// Fills the run page.
  void fill_run_page();
  const wasm::Names& names() const;
  std::string func_name(uint32_t func) const;

  std::shared_ptr<EngineImpl> engine_;
  std::vector<uint8_t> bytes_;
  wasm::Module wasm_;
  jit::ContextLayout layout_;
  jit::CodeImage image_;  ///< without `bytes`
  std::vector<std::string> cpu_features_;
  std::unique_ptr<CodeRegion> region_;
  std::vector<const Signature*> types_;
  uint32_t result_words_ = 0;
  std::vector<ImportInfo> imports_;
  std::vector<ExportInfo> exports_;
  std::unordered_map<std::string_view, uint32_t> export_index_;  ///< views of the names in exports_
  CompileStats stats_;
  bool interruptible_ = false;

  // For backtraces, made when the first one is asked for.
  mutable std::once_flag names_once_;
  mutable wasm::Names names_;
  mutable std::once_flag by_entry_once_;
  mutable std::vector<uint32_t> by_entry_;  ///< defined functions by ascending entry
};

}  // namespace rotor::runtime
