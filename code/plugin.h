// The compiler as a shared library of its own, so that a program loads LLVM (some 30 MB, and milliseconds of
// constructors) only when it compiles something.
#pragma once

#include "code/compiler.h"

namespace rotor::code {

/// What the shared library offers: the functions of compiler.h. Both sides must be of one build.
struct CompilerPlugin {
  const char* (*build_name)();
  decltype(&compile_module) compile;
  decltype(&FunctionCompiler::create) create;
  decltype(&code::emit_text) emit_text;
};
inline constexpr const char* kCompilerPluginSymbol = "rotor_compiler_plugin";
inline constexpr const char* kCompilerPluginFile = "librotor-compiler.so";
/// The folder that it is installed to (cmake/install.cmake), as the program's folder sees it.
inline constexpr const char* kInstalledPluginFolder = "../lib/rotor/";
/// The same as the folder of the installed librotor.so may see it: that is lib, or a folder in lib for one
/// architecture.
inline constexpr const char* kPluginFolderInLib = "rotor/";
inline constexpr const char* kPluginFolderBesideLibs = "../rotor/";

}  // namespace rotor::code
