// The functions of code/compiler.h by a shared library with LLVM, which is loaded when it is first used. It lies beside
// the program, or beside the shared library that this is linked into, or where it was installed.
#include <dlfcn.h>
#include <fmt/format.h>

#include <unistd.h>
#include <atomic>
#include <climits>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "code/build.h"
#include "code/plugin.h"
#include "memory/fork.h"
#include "rotor/detail/made_once.h"

namespace rotor::code {

namespace {

/// Returns the folder of the running program, with a slash at the end.
std::string program_folder() {
  char path[PATH_MAX];
  ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  std::string program(path, size > 0 ? static_cast<size_t>(size) : 0);
  return program.substr(0, program.rfind('/') + 1);
}

/// Returns the folder of the shared library that this is linked into, with a slash at the end; empty if it can't be
/// told, as in a program.
std::string library_folder() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&library_folder), &info) || !info.dli_fname) return {};
  std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

using Loaded = Result<const CompilerPlugin*>;

Loaded load() {
  const std::string program = program_folder();
  std::string path = program + kCompilerPluginFile;
  // A library that was loaded by a relative path is not followed: the working folder is not the program's to trust.
  std::string beside = library_folder();
  for (const std::string& folder : {program, beside, program + kInstalledPluginFolder, beside + kPluginFolderInLib,
                                    beside + kPluginFolderBesideLibs, beside + kInstalledPluginFolder}) {
    if (!folder.starts_with('/') || access((folder + kCompilerPluginFile).c_str(), F_OK) != 0) continue;
    path = folder + kCompilerPluginFile;
    break;
  }
  // Its symbols are local to it, and it is never unloaded: the code of functions that it compiles does not need it, but
  // its threads' destructors might.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library) return fail(ErrorKind::unsupported, fmt::format("the compiler could not be loaded: {}", dlerror()));
  auto* plugin = static_cast<const CompilerPlugin*>(dlsym(library, kCompilerPluginSymbol));
  if (!plugin || std::strcmp(plugin->build_name(), build_name()) != 0)
    return fail(ErrorKind::unsupported, fmt::format("{}: the compiler of another build of Rotor", path));
  return plugin;
}

/// Returns the library's functions. It is loaded once; an error stays, too. Thread-safe.
const Loaded& plugin() {
  static constinit std::atomic<const Loaded*> loaded{nullptr};
  return detail::made_once(loaded, [] {
    memory::ForkPass pass;  // a fork in the middle of it would leave the loader's locks taken
    return std::make_unique<const Loaded>(load());
  });
}

}  // namespace

Result<Compiled> compile_module(const wasm::Module& module, std::span<const uint8_t> bytes,
                                const CompileOptions& options) {
  if (!plugin()) return std::unexpected(plugin().error());
  return (*plugin())->compile(module, bytes, options);
}

Result<std::string> emit_text(const wasm::Module& module, std::span<const uint8_t> bytes, const CompileOptions& options,
                              CodeText text, std::optional<uint32_t> defined_func) {
  if (!plugin()) return std::unexpected(plugin().error());
  return (*plugin())->emit_text(module, bytes, options, text, defined_func);
}

Result<std::unique_ptr<FunctionCompiler>> FunctionCompiler::create(const wasm::Module& module,
                                                                   std::span<const uint8_t> bytes,
                                                                   const CompileOptions& options) {
  if (!plugin()) return std::unexpected(plugin().error());
  return (*plugin())->create(module, bytes, options);
}

}  // namespace rotor::code
