#include "jit/plugin.h"

extern "C" [[gnu::visibility("default"), gnu::used]] const rotor::jit::CompilerPlugin rotor_compiler_plugin = {
    &rotor::jit::build_name, &rotor::jit::compile_module, &rotor::jit::FunctionCompiler::create,
    &rotor::jit::emit_text};
