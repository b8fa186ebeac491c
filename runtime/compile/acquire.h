// Where a module's code comes from: the compiler, or what it made before. The cache is in runtime/compile/cached.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "code/code_file.h"
#include "code/code_image.h"
#include "code/mapped_file.h"
#include "rotor/module.h"
#include "rotor/result.h"
#include "runtime/compile/validate.h"
#include "wasm/module.h"

namespace rotor::runtime {

class EngineImpl;

/// A code file that was parsed, with the bytes that `code` views: a mapping, whose code is mapped, too, or a buffer,
/// whose code is copied.
struct StoredCode {
  std::string name;  ///< for messages
  std::shared_ptr<const code::MappedFile> mapping;
  std::shared_ptr<const std::vector<uint8_t>> buffer;
  code::CodeFile code;
};

/// No code yet: functions are compiled when they are called.
struct CodeOnDemand {
  CallGraph calls;
};

/// A decoded module and its code, which has no place in memory yet: all that a ModuleImpl is made of.
struct Acquired {
  wasm::Module wasm;
  std::span<const uint8_t> bytes;           ///< without the code section, if `has_bodies` is not set
  std::shared_ptr<const void> bytes_owner;  ///< keeps `bytes` alive
  bool has_bodies = true;                   ///< functions can be compiled
  bool has_stubs = false;                   ///< text begins with stubs (code/stubs.h)
  bool interruptible = false;               ///< the Config::interruptible that the code was compiled with
  bool slab_memories = false;               ///< likewise of Config::slab_memories
  bool fuel = false;                        ///< likewise of Config::fuel
  bool uses_floats = true;                  ///< wasm::BodyDecoder::uses_floats of the bodies
  bool uses_heap = false;                   ///< bodies have instructions of garbage collection
  std::vector<std::string> cpu_features;    ///< that the code needs
  code::RegionLayout region;
  std::variant<CodeOnDemand, code::CodeImage, StoredCode> code;
  CompileStats stats;
};

/// Compiles all functions or, in the mode lazy, validates them. Errors: those of Module::compile.
Result<Acquired> acquire_anew(const EngineImpl& engine, std::span<const uint8_t> bytes);
/// Read a code file, all of whose functions must have code: a file itself, or a copy of its bytes. Errors: those of
/// Module::deserialize_file.
Result<Acquired> acquire_file(const EngineImpl& engine, const std::string& path, code::Check check);
Result<Acquired> acquire_copy(const EngineImpl& engine, std::span<const uint8_t> bytes);
/// Takes a code file whose module has its bodies, if `has_bodies`, or lacks its code section. Errors: those of
/// decoding; corrupt (the code is not of the module).
Result<Acquired> acquire_stored(const EngineImpl& engine, StoredCode stored, bool has_bodies);

}  // namespace rotor::runtime
