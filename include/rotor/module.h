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

#include "rotor/engine.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {
namespace runtime { class ModuleImpl; }

using ExternType = std::variant<FuncType, TableType, MemoryType, GlobalType>;
/// "func", "table", "memory" or "global".
const char* kind_name(const ExternType& type);
std::string to_string(const ExternType& type);

struct ImportInfo {
  std::string module;
  std::string name;
  ExternType type;
};
struct ExportInfo {
  std::string name;
  ExternType type;
};
struct SectionInfo {
  std::string name;  ///< "type", "code", or a custom section's name
  bool custom = false;
  uint64_t offset = 0;  ///< of the contents, in bytes
  uint64_t size = 0;    ///< of the contents, in bytes
};

/// What a compilation cost.
struct CompileStats {
  uint32_t functions = 0;
  uint64_t code_bytes = 0;  ///< machine code
  double wall_ms = 0;
  double cpu_ms = 0;  ///< summed over the compile threads
  /// Config::compile_deadline_ms was half over, and what was left was compiled at o0: such code is not cached.
  bool hurried = false;
};

/// How far a module's functions are. In the mode aot all functions are tier 1 at o1, tier 0 at o0.
struct TierStats {
  uint32_t functions = 0;        ///< defined in the module
  uint32_t tier0_functions = 0;  ///< that have tier-0 code, or had it before tier 1
  uint32_t tier1_functions = 0;  ///< that have tier-1 code
  uint32_t tier0_compiled = 0;   ///< functions compiled in this process: a function compiled twice counts twice
  uint32_t tier1_compiled = 0;
  double tier0_cpu_ms = 0;  ///< CPU time of compiling on demand
  double tier1_cpu_ms = 0;  ///< and of compiling again in the background
  uint64_t code_bytes = 0;
};

/// The compiler's work as text.
enum class CodeText : uint8_t {
  llvm_ir_raw,  ///< LLVM IR as it is emitted
  llvm_ir,      ///< LLVM IR as it goes into the code generator
  assembly,     ///< what comes out of it, as AT&T writes it
};

/// A cheap handle; copies share one module. Immutable and thread-safe.
class Module {
 public:
  /// Decodes, validates and compiles, as Config::mode says; or takes the code from the cache. A cache entry that is
  /// damaged is removed and made again. Errors: malformed, invalid, unsupported (each with a byte offset), limit.
  static Result<Module> compile(const Engine& engine, std::span<const uint8_t> bytes);
  /// Decodes and validates, without compiling.
  static Result<void> validate(const Features& features, std::span<const uint8_t> bytes);

  /// What compile would make of a module with the engine's settings, as text for people: a diagnostic, whose form may
  /// change with any version. In the modes eager and lazy Config::opt says which tier: o0 is the code that counts until
  /// a function is hot, o1 what replaces it. `func`: one function, by its index among the module's (in digits), an
  /// export's name, or its own in the name section; empty: all of them, an LLVM module for each batch. Errors as of
  /// compile, of what is printed; not_found (no such function), invalid_argument (an imported one; a name of several).
  static Result<std::string> emit_text(const Engine& engine, std::span<const uint8_t> bytes, CodeText text,
                                       std::string_view func = {});

  /// Linked code with all that is needed to run it. Functions that have no code yet are compiled first.
  Result<std::vector<uint8_t>> serialize() const;
  /// The same to a file: whole or not at all, through links, mode and owner kept; pipes and devices are written to.
  Result<void> serialize_to_file(const std::string& path) const;
  /// The module of what `serialize` gave. It is *trusted*: who made it can run code in this process. Checksums find
  /// damage, not tampering. LLVM is not touched, and code is never compiled again. Errors: corrupt (damaged, foreign,
  /// other version), unsupported (made for a CPU with features that this one lacks, which are named).
  static Result<Module> deserialize(const Engine& engine, std::span<const uint8_t> bytes);
  /// How much of a file is read through before it runs: all of it (some 10 GB/s), or its tables only.
  enum class Verify : uint8_t { tables, all };
  /// The same of a file, whose code is mapped, not read. Errors: io as well.
  static Result<Module> deserialize_file(const Engine& engine, const std::string& path, Verify verify = Verify::tables);

  /// What the cache had to do with this module.
  struct CacheOutcome {
    bool hit = false;              ///< code came from the cache
    std::optional<Error> failure;  ///< why code could not be put there, or what was there could not be used
  };
  CacheOutcome cache_outcome() const;
  /// Puts code that was compiled since Module::compile into the cache, if there is a cache and such code. What is not
  /// put there when the last handle to the module goes away is put there then, and errors are lost. Errors: io, limit.
  Result<void> update_cache() const;

  const std::vector<ImportInfo>& imports() const;
  const std::vector<ExportInfo>& exports() const;
  /// The type of an export; nullptr if there is none of that name.
  const ExternType* export_type(std::string_view name) const;
  std::vector<SectionInfo> sections() const;
  /// Contents of the first custom section of that name; empty if there is none. Lives as long as the module.
  std::span<const uint8_t> custom_section(std::string_view name) const;
  /// Names of the proposals the module uses beyond the features' MVP ("threads", "multi-value", …).
  std::vector<std::string> required_features() const;
  /// What Module::compile cost; functions compiled on demand come later (tier_stats).
  const CompileStats& compile_stats() const;
  /// As of now.
  TierStats tier_stats() const;

  runtime::ModuleImpl& impl() const { return *impl_; }
  explicit Module(std::shared_ptr<runtime::ModuleImpl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<runtime::ModuleImpl> impl_;
};

}  // namespace rotor
