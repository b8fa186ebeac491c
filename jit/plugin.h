// The compiler as a shared library of its own, so that a program loads LLVM (some 30 MB, and milliseconds of
// constructors) only when it compiles something.
#pragma once

#include "jit/compile.h"

namespace rotor::jit {

/// What the shared library offers: the functions of compile.h. Both sides are built together; `build` says so.
struct CompilerPlugin {
  const char* build;  ///< kCompilerPluginBuild
  decltype(&compile_module) compile;
  decltype(&FunctionCompiler::create) create;
  decltype(&jit::emit_text) emit_text;
};
/// Differs between builds whose headers may differ.
inline constexpr const char* kCompilerPluginBuild = ROTOR_PLUGIN_BUILD;
inline constexpr const char* kCompilerPluginSymbol = "rotor_compiler_plugin";
inline constexpr const char* kCompilerPluginFile = "librotor-compiler.so";

}  // namespace rotor::jit
