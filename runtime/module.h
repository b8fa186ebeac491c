// A compiled module: decoded module, linked code in memory, and what its instances share.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "code/abi.h"
#include "code/cache.h"
#include "code/code_file.h"
#include "code/mapped_file.h"
#include "code/region.h"
#include "code/run_page.h"
#include "rotor/module.h"
#include "rotor/trap.h"
#include "runtime/compile/tiering.h"
#include "runtime/engine.h"
#include "wasm/keyed_hash.h"
#include "wasm/module.h"
#include "wasm/names.h"

namespace rotor::runtime {

class ModuleImpl final : public code::CodeOwner {
 public:
  static Result<std::shared_ptr<ModuleImpl>> compile(std::shared_ptr<EngineImpl> engine,
                                                     std::span<const uint8_t> bytes);
  static Result<std::shared_ptr<ModuleImpl>> load_file(std::shared_ptr<EngineImpl> engine, const std::string& path,
                                                       code::Check check);
  static Result<std::shared_ptr<ModuleImpl>> load(std::shared_ptr<EngineImpl> engine, std::span<const uint8_t> bytes);
  /// Puts new code into the cache.
  ~ModuleImpl();
  /// Gives the bytes of a code file to `write`. Errors: those of completing the code, and of `write`.
  Result<void> serialize(const std::function<Result<void>(const void*, size_t)>& write) const;
  Result<void> save(const std::string& path) const;
  const Module::CacheOutcome& cache_outcome() const { return cache_outcome_; }
  Result<void> update_cache() const;
  ModuleImpl(const ModuleImpl&) = delete;

  EngineImpl& engine() const { return *engine_; }
  const std::shared_ptr<EngineImpl>& shared_engine() const { return engine_; }
  /// Returns the bytes that were given to compile; without the code section if the module was loaded from a code file.
  std::span<const uint8_t> bytes() const { return bytes_; }
  const wasm::Module& wasm() const override { return wasm_; }
  const code::ContextLayout& layout() const { return layout_; }
  const Signature& signature(wasm::TypeIndex index) const { return *types_[raw(index)]; }
  const Signature& signature(wasm::FuncIndex index) const { return signature(wasm_.funcs[raw(index)]); }
  /// Returns the module's types as types of the engine.
  std::span<const Signature* const> types() const { return types_; }
  /// Returns the words of the results buffer that an instance's context needs: for results, and arguments of tail
  /// calls.
  uint32_t result_words() const { return result_words_; }
  /// Returns the address that stands for a defined function as long as the module lives: its stub, if its code may
  /// change.
  const void* entry(uint32_t defined_func) const;
  const code::CodeRegion& region() const { return *region_; }
  /// Returns the module's tiering; null if all code was made ahead of time.
  Tiering* tiering() const { return tiering_.get(); }
  /// Handles a counter of tier-0 code that fell below 0.
  void tier_up(uint32_t defined_func) const;

  const std::vector<ImportInfo>& imports() const { return imports_; }
  const std::vector<ExportInfo>& exports() const { return exports_; }
  const wasm::KeyedMap<std::string_view, uint32_t>& export_index() const { return export_index_; }
  /// Returns the index of an export among the exports.
  std::optional<uint32_t> find_export(std::string_view name) const;
  const CompileStats& stats() const { return stats_; }
  TierStats tier_stats() const;
  /// Returns the Config::interruptible that the code was compiled with.
  bool interruptible() const { return interruptible_; }
  std::vector<std::string> required_features() const;
  /// Checks that this machine can run the code. Errors: unsupported (it is for more than this machine's CPU has).
  Result<void> check_cpu() const {
    if (cpu_error_) [[unlikely]]
      return std::unexpected(*cpu_error_);
    return {};
  }

  /// Returns what messages call the module and its functions; decoded when first asked for.
  const wasm::Names& names() const override;
  /// Returns what is known of an address in the module's text; nullopt if it lies in no function.
  std::optional<Frame> frame_at(uintptr_t pc) const override;

 private:
  explicit ModuleImpl(std::shared_ptr<EngineImpl> engine) : engine_(std::move(engine)) {}
  /// Fills everything that follows from `wasm_`.
  Result<void> describe();
  /// Compiles or prepares, as Config::mode says, and keeps the bytes. Pre: wasm_ is there.
  Result<void> make_code(std::span<const uint8_t> bytes);
  Result<void> compile_now();
  /// Sets the CPU features that the code may use, and checks them (check_cpu).
  void need_cpu(std::vector<std::string> features);
  /// The place of a code file's bytes: a mapping, whose code is mapped too, or a buffer, whose code is copied.
  struct Source {
    std::string name;  ///< for messages
    std::shared_ptr<const code::MappedFile> mapping;
    std::shared_ptr<const std::vector<uint8_t>> buffer;
  };
  /// Takes the code of a file for this module's. Pre: `describe` was called. Errors: corrupt (it does not fit), io.
  Result<void> adopt(const code::CodeFile& code, const Source& source);
  /// Becomes the module of a whole code file, for `load` and `load_file`. Errors as of `adopt` and decoding.
  Result<void> take_file(const code::CodeFile& code, const Source& source);
  /// Takes what the cache has for these bytes, if it has something. Errors: corrupt and others: what is there can't be
  /// used.
  Result<bool> take_cached(std::span<const uint8_t> bytes);
  Result<void> put_in_cache() const;
  bool cache_has_more(const code::CodeFile& ours) const;
  uint32_t code_flags() const;
  std::optional<code::CodeRegion::Site> site_at(uint64_t text_offset) const;
  /// Fills the run page's addresses, and the slots of the functions whose code there is.
  void fill_run_page();

  std::shared_ptr<EngineImpl> engine_;
  std::shared_ptr<const void> file_;  ///< holds bytes_, if they came with the code
  std::vector<uint8_t> own_bytes_;    ///< else this does
  std::span<const uint8_t> bytes_;
  wasm::Module wasm_;
  code::ContextLayout layout_;
  code::RunPageLayout run_page_;
  std::vector<std::string> cpu_features_;
  std::optional<Error> cpu_error_;  ///< of check_cpu
  std::unique_ptr<code::CodeRegion> region_;
  bool has_stubs_ = false;
  std::unique_ptr<Tiering> tiering_;  ///< ends before the region
  code::CacheKey cache_key_;
  Module::CacheOutcome cache_outcome_;
  TypeUses type_uses_;
  std::vector<const Signature*> types_;
  uint32_t result_words_ = 0;
  std::vector<ImportInfo> imports_;
  std::vector<ExportInfo> exports_;
  wasm::KeyedMap<std::string_view, uint32_t> export_index_;  ///< views of the names in exports_
  CompileStats stats_;
  bool interruptible_ = false;

  mutable std::once_flag names_once_;
  mutable wasm::Names names_;
};

}  // namespace rotor::runtime
