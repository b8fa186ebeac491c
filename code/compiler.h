// wasm -> machine code. The only door to LLVM. What stands behind it is chosen by linking one of three libraries:
// rotor_jit (jit/compile.cc and LLVM itself), rotor_no_compiler (every call is an error that says so),
// rotor_compiler_loader (a shared library with LLVM in it, loaded when something is to be compiled).
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "code/code_image.h"
#include "code/settings.h"
#include "rotor/config.h"
#include "rotor/module.h"
#include "wasm/module.h"

namespace rotor::code {

/// Stack of the threads that compile. LLVM recurses where loops nest.
inline constexpr size_t kCompileStackBytes = 64 << 20;

/// The memory, in bytes by estimates, that compiling may take at once. Threads wait for each other; thread-safe.
class CompileMemory {
 public:
  explicit CompileMemory(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  uint64_t limit_bytes() const { return limit_bytes_; }
  /// Waits until `bytes` are free, or nothing is taken, and takes them.
  void take(uint64_t bytes) {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return used_bytes_ == 0 || used_bytes_ + bytes <= limit_bytes_; });
    used_bytes_ += bytes;
  }
  void give_back(uint64_t bytes) {
    {
      std::scoped_lock lock(mutex_);
      used_bytes_ -= bytes;
    }
    freed_.notify_all();
  }

 private:
  const uint64_t limit_bytes_;
  uint64_t used_bytes_ = 0;
  std::mutex mutex_;
  std::condition_variable freed_;
};

struct CompileOptions {
  CodeSettings settings;
  unsigned workers = 0;           ///< 0: one a core
  uint32_t batch_functions = 16;  ///< functions per LLVM module: so few stay in the CPU's cache until they are used
  std::shared_ptr<CompileMemory> memory =
      std::make_shared<CompileMemory>(Config().compile_memory_bytes);  ///< of the engine
  uint64_t code_limit_bytes = UINT64_C(1) << 30;
  std::function<void(uint32_t, uint32_t)> progress;
  /// Called by each thread of compile_module when it enters LLVM for a batch (true) and when it returns (false).
  std::function<void(bool)> in_llvm;
};

// Without a compiler everything below fails with `unsupported`, and says so.

struct Compiled {
  RegionLayout region;
  CodeImage image;
  std::vector<std::string> cpu_features;
  bool uses_floats = false;  ///< wasm::BodyDecoder::uses_floats
  bool uses_heap = false;    ///< bodies have instructions of garbage collection
  CompileStats stats;
};

/// Decodes, validates and compiles every body, at CodeSettings::first_opt; functions of the module call each other
/// through slots at o0, else directly. Errors as of wasm::decode_module (of the first bad function); limit;
/// internal: an object that LLVM made is not what the contract allows (an undefined symbol, an absolute relocation).
Result<Compiled> compile_module(const wasm::Module& module, std::span<const uint8_t> bytes,
                                const CompileOptions& options);

/// Returns what the compiler makes of one defined function or, batch after batch, of all, as text for people. With
/// tiers, o0 shows tier-0 code that counts; o1 shows tier-1 code, in which functions call only themselves directly,
/// except that huge functions show their tier-0 code. Errors as of compile_module, of what is printed.
Result<std::string> emit_text(const wasm::Module& module, std::span<const uint8_t> bytes, const CompileOptions& options,
                              CodeText text, std::optional<uint32_t> defined_func);

/// Compiled code that can be linked once its place in the region is known. The module must outlive it.
class UnlinkedCode {
 public:
  virtual ~UnlinkedCode() = default;
  /// Return the bytes it takes in a region, in whole pages.
  virtual uint64_t text_bytes() const = 0;
  virtual uint64_t rodata_bytes() const = 0;
  /// Links it for a place in a region. Errors: internal (an undefined symbol, an absolute relocation).
  virtual Result<CodeImage> link(const RegionLayout& region, uint64_t text_offset, uint64_t rodata_offset,
                                 uint32_t tier) = 0;
};

/// Compiles functions of one module one by one. Thread-safe: keeps what an LLVM thread needs for as many threads as
/// ever compiled at once.
class FunctionCompiler {
 public:
  /// Makes a compiler for a module; `module` and `bytes` must outlive it. Errors: invalid_argument (unknown cpu),
  /// unsupported (there is no compiler).
  static Result<std::unique_ptr<FunctionCompiler>> create(const wasm::Module& module, std::span<const uint8_t> bytes,
                                                          const CompileOptions& options);
  virtual ~FunctionCompiler() = default;
  virtual const std::vector<std::string>& cpu_features() const = 0;
  /// Prepares what the first call of `compile` would otherwise have to prepare.
  virtual void warm_up() = 0;
  /// Compiles defined functions, at tier 0 (as --opt 0) or 1 (as --opt 1). Errors as of compile_module; limit: LLVM
  /// would take too long for one at tier 1, which stays at tier 0 for ever.
  virtual Result<std::unique_ptr<UnlinkedCode>> compile(std::span<const uint32_t> defined_funcs, uint32_t tier) = 0;
};

}  // namespace rotor::code
