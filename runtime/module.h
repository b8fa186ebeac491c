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
#include "code/region.h"
#include "code/run_page.h"
#include "rotor/module.h"
#include "rotor/trap.h"
#include "runtime/compile/tiering.h"
#include "runtime/engine.h"
#include "runtime/store/data_images.h"
#include "runtime/store/preformed.h"
#include "wasm/keyed_hash.h"
#include "wasm/module.h"
#include "wasm/names.h"

namespace rotor::runtime {

struct Acquired;

class ModuleImpl final : public code::CodeOwner, public std::enable_shared_from_this<ModuleImpl> {
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
  const CanonicalType& canonical_type(wasm::TypeIndex index) const { return *types_[raw(index)]; }
  const CanonicalType& canonical_type(wasm::FuncIndex index) const { return canonical_type(wasm_.funcs[raw(index)]); }
  /// Returns the module's types as types of the engine.
  std::span<const CanonicalType* const> types() const { return types_; }
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

  uint64_t id() const override { return id_; }
  const std::vector<ImportInfo>& imports() const { return imports_; }
  const std::vector<ExportInfo>& exports() const { return exports_; }
  /// Returns the indices of the globals that hold references to exceptions.
  std::span<const uint32_t> exception_globals() const { return exception_globals_; }
  struct ObjectGlobal {
    uint32_t index;
    ValType type;
  };
  /// Returns the globals that may refer to objects of a heap: those of references below any, and external ones.
  std::span<const ObjectGlobal> object_globals() const { return object_globals_; }
  const wasm::KeyedMap<std::string_view, uint32_t>& export_index() const { return export_index_; }
  /// Returns the index of an export among the exports.
  std::optional<uint32_t> find_export(std::string_view name) const;
  const CompileStats& stats() const { return stats_; }
  TierStats tier_stats() const;
  /// Returns the Config::interruptible that the code was compiled with.
  bool interruptible() const { return interruptible_; }
  /// Returns whether the code takes a memory of its own for one that may be on a slab.
  bool on_slab(uint32_t memory) const { return memory_checks_[memory] == code::MemoryCheck::slab; }
  /// Returns whether its code depends on the processor's floating-point control.
  bool uses_floats() const { return uses_floats_; }
  /// Returns whether its instances need a heap: it has types or instructions of garbage collection.
  bool uses_heap() const { return uses_heap_; }
  std::vector<std::string> required_features() const;
  /// Checks that this machine can run the code. Errors: unsupported (it is for more than this machine's CPU has).
  Result<void> check_cpu() const {
    if (cpu_error_) [[unlikely]]
      return std::unexpected(*cpu_error_);
    return {};
  }

  /// Returns the images of the module's data, made by the first who asks.
  const DataImages::Made& data_images() const { return data_images_.of(wasm_, bytes_, memory_checks_); }
  const Preformed& preformed() const { return preformed_; }
  const DataImages::Made* made_data_images() const { return data_images_.made(); }

  /// Returns what messages call the module and its functions; decoded when first asked for.
  const wasm::Names& names() const override;
  /// Returns what is known of an address in the module's text; nullopt if it lies in no function.
  std::optional<Frame> frame_at(uintptr_t pc) const override;
  std::shared_ptr<const code::CodeOwner> keep() const override { return weak_from_this().lock(); }

 private:
  /// Takes over all of `acquired` but its code.
  ModuleImpl(std::shared_ptr<EngineImpl> engine, Acquired& acquired, std::vector<const CanonicalType*> types,
             TypeUses uses);
  /// Makes a module with its code in memory. Errors: those of `place`.
  static Result<std::shared_ptr<ModuleImpl>> create(std::shared_ptr<EngineImpl> engine, Acquired acquired);
  /// Makes the module that the cache has; null: it has none. Errors: what is there can't be used.
  static Result<std::shared_ptr<ModuleImpl>> from_cache(const std::shared_ptr<EngineImpl>& engine,
                                                        const code::CacheKey& key, std::span<const uint8_t> bytes);
  /// Puts the code in memory, and has functions without code compiled on demand. Errors: io, limit.
  Result<void> place(Acquired acquired);
  /// Fills the run page's addresses, and the slots of the functions whose code there is.
  void fill_run_page();
  /// Returns what a code file holds; it views `module_bytes`.
  code::CodeRegion::Contents contents(std::span<const uint8_t> module_bytes) const;
  /// Pre: the module has a key.
  Result<void> put_in_cache() const;
  std::optional<code::CodeRegion::Site> site_at(uint64_t text_offset) const;

  std::shared_ptr<EngineImpl> engine_;
  const uint64_t id_;
  std::shared_ptr<const void> bytes_owner_;
  std::span<const uint8_t> bytes_;
  wasm::Module wasm_;
  code::ContextLayout layout_;
  code::RunPageLayout run_page_;
  std::vector<uint32_t> exception_globals_;
  std::vector<ObjectGlobal> object_globals_;
  std::vector<std::string> cpu_features_;
  std::optional<Error> cpu_error_;  ///< of check_cpu
  std::unique_ptr<code::CodeRegion> region_;
  bool has_stubs_;
  std::unique_ptr<Tiering> tiering_;         ///< ends before the region
  std::optional<code::CacheKey> cache_key_;  ///< there if the module is kept in the engine's cache
  Module::CacheOutcome cache_outcome_;
  TypeUses type_uses_;
  std::vector<const CanonicalType*> types_;
  uint32_t result_words_ = 0;
  std::vector<ImportInfo> imports_;
  std::vector<ExportInfo> exports_;
  wasm::KeyedMap<std::string_view, uint32_t> export_index_;  ///< views of the names in exports_
  CompileStats stats_;
  bool interruptible_;
  bool slab_memories_;
  std::vector<code::MemoryCheck> memory_checks_;
  bool uses_floats_;
  bool uses_heap_;
  DataImages data_images_;
  Preformed preformed_;

  mutable std::once_flag names_once_;
  mutable wasm::Names names_;
};

}  // namespace rotor::runtime
