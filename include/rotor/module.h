// Module: validated and compiled once, instantiated many times.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rotor/detail/access.h"
#include "rotor/engine.h"
#include "rotor/memory_slots.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {
namespace runtime { class ModuleImpl; }

/// The type of an import or export.
using ExternType = std::variant<FuncType, TableType, MemoryType, GlobalType, TagType>;
/// Returns "func", "table", "memory", "global" or "tag".
const char* kind_name(const ExternType& type);
/// Returns the type in the text format ("func (param i32)"). For people: the form may change.
std::string to_string(const ExternType& type);

/// An import that a module declares.
struct ImportInfo {
  std::string module;  ///< the first of its two names, as the module has it
  std::string name;    ///< the second of them, as the module has it
  ExternType type;     ///< the type that the module asks for
};
/// An export of a module.
struct ExportInfo {
  std::string name;  ///< as the module has it
  ExternType type;   ///< the type of what is exported
};
/// A section of a module.
struct SectionInfo {
  std::string name;     ///< "type", "code", or a custom section's name
  bool custom = false;  ///< it is a custom section
  uint64_t offset = 0;  ///< of the contents, in bytes
  uint64_t size = 0;    ///< of the contents, in bytes
};

/// What a compilation cost.
struct CompileStats {
  uint32_t functions = 0;   ///< that were compiled
  uint64_t code_bytes = 0;  ///< machine code
  double wall_ms = 0;       ///< from begin to end
  double cpu_ms = 0;        ///< summed over the compile threads
  /// Whether half of Config::compile_deadline_ms was over, so that what was left was compiled at o0: such code is not
  /// cached.
  bool hurried = false;
};

/// The progress of a module's functions through the tiers. In the mode aot all functions are tier 1 at o1, tier 0 at
/// o0.
struct TierStats {
  uint32_t functions = 0;        ///< defined in the module
  uint32_t tier0_functions = 0;  ///< that have tier-0 code, or had it before tier 1
  uint32_t tier1_functions = 0;  ///< that have tier-1 code
  uint32_t tier0_compiled = 0;   ///< functions compiled in this process: a function compiled twice counts twice
  uint32_t tier1_compiled = 0;   ///< likewise
  double tier0_cpu_ms = 0;       ///< CPU time of compiling on demand
  double tier1_cpu_ms = 0;       ///< CPU time of compiling again in the background
  uint64_t code_bytes = 0;       ///< machine code, of both tiers
};

/// The compiler's work as text.
enum class CodeText : uint8_t {
  llvm_ir_raw,  ///< LLVM IR as it is emitted
  llvm_ir,      ///< LLVM IR as it goes into the code generator
  assembly,     ///< the machine code, in AT&T syntax
  /// The same, where comments name the module offset of each instruction that code is of, not of those alone that may
  /// trap or call. The code is the same but for what the compiler finds too late to keep apart.
  located_assembly,
};

/// A cheap handle; copies share one module. Immutable and thread-safe.
class Module {
 public:
  /// Decodes, validates and compiles, as Config::mode says; or takes the code from the cache. A cache entry that is
  /// damaged is removed and made again. Errors: malformed, invalid, unsupported (each with a byte offset), limit.
  static Result<Module> compile(const Engine& engine, std::span<const uint8_t> bytes);
  /// Decodes and validates, without compiling.
  static Result<void> validate(const Features& features, std::span<const uint8_t> bytes);

  /// Returns what compile would make of a module with the engine's settings, as text for people: a diagnostic, whose
  /// form may change with any version. In the modes eager and lazy Config::opt says which tier: o0 is the code that
  /// counts until a function is hot, o1 what replaces it. `func` names one function: by its index in the module (in
  /// digits), an export's name, or its own name in the name section. Empty: all functions, an LLVM module for each
  /// batch. Errors as of compile, of what is printed; not_found (no such function), invalid_argument (an imported
  /// function; a name that several have).
  static Result<std::string> emit_text(const Engine& engine, std::span<const uint8_t> bytes, CodeText text,
                                       std::string_view func = {});

  /// Returns linked code with all that is needed to run it. Functions that have no code yet are compiled first.
  Result<std::vector<uint8_t>> serialize() const;
  /// Writes the same to a file: whole or not at all, through links, mode and owner kept; pipes and devices are written
  /// to.
  Result<void> serialize_to_file(const std::string& path) const;
  /// Makes the module that `serialize` wrote. The bytes are *trusted*: whoever made them can run code in this process.
  /// Checksums find damage, not tampering. LLVM is not touched, and code is never compiled again. Errors: corrupt
  /// (damaged, foreign, other version), unsupported (made for a CPU with features that this one lacks, which are
  /// named).
  static Result<Module> deserialize(const Engine& engine, std::span<const uint8_t> bytes);
  /// How much of a file is read through before it runs, at some 10 GB/s: its tables only; code and the rest of the
  /// module, too; images of its data, too.
  enum class Verify : uint8_t { tables, code, all };
  /// Does the same for a file, whose code is mapped, not read. Errors: io as well.
  static Result<Module> deserialize_file(const Engine& engine, const std::string& path, Verify verify = Verify::tables);

  /// How the cache was used for this module.
  struct CacheOutcome {
    bool hit = false;              ///< code came from the cache
    std::optional<Error> failure;  ///< why code could not be put there, or what was there could not be used
  };
  /// Returns how the cache was used, as of now.
  CacheOutcome cache_outcome() const;
  /// Puts code that was compiled since Module::compile into the cache, if there is a cache and such code. Code that was
  /// not put there is put there when the last handle to the module goes away; errors are lost then. Errors: io, limit.
  Result<void> update_cache() const;

  /// Returns a number that no other module of the engine has, or had.
  uint64_t id() const;
  /// Returns the imports, in the order of the module. They live as long as the module.
  const std::vector<ImportInfo>& imports() const;
  /// Returns the exports, in the order of the module. They live as long as the module.
  const std::vector<ExportInfo>& exports() const;
  /// Returns the type of an export; nullptr if there is none of that name.
  const ExternType* export_type(std::string_view name) const;
  /// Returns the sections, in the order of the module.
  std::vector<SectionInfo> sections() const;
  /// Returns the contents of the first custom section of that name; empty if there is none. They live as long as the
  /// module.
  std::span<const uint8_t> custom_section(std::string_view name) const;
  /// Returns the names of the proposals that the module uses beyond the MVP ("threads", "multi-value", …).
  std::vector<std::string> required_features() const;
  /// Returns what Module::compile cost; functions compiled on demand come later (tier_stats).
  const CompileStats& compile_stats() const;
  /// Returns the state as of now.
  TierStats tier_stats() const;
  /// Returns whether instances pay for what they execute: the Config::fuel of the engine.
  bool uses_fuel() const;

  /// How instances get the contents of the module's active data segments.
  enum class DataInit : uint8_t {
    copied,       ///< each instance writes them: there are none, or few
    mapped,       ///< from images, copy-on-write: what an instance costs does not depend on how many there are
    mapped_file,  ///< the same, straight from the code file or the cache's entry: not even the first instance copies
    // Why each instance writes them though they are many:
    imported_memory,     ///< a segment goes into a memory that the module imports
    offset_by_global,    ///< a global decides where a segment goes
    out_of_bounds,       ///< a segment does not fit, so that instantiation traps
    no_memory_for_image  ///< the system gave none, when the first instance was made
  };
  /// Returns what was settled when the first instance was made; nullopt before.
  std::optional<DataInit> data_init() const;
  /// Returns the counts of the slots of the memories that the module defines, over all instances that were not made
  /// from a snapshot.
  MemorySlots memory_slots() const;

 private:
  friend struct detail::Access;
  explicit Module(std::shared_ptr<runtime::ModuleImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<runtime::ModuleImpl> impl_;
};

}  // namespace rotor
