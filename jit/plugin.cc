#include "code/plugin.h"

#include "code/build.h"

extern "C" [[gnu::visibility("default"), gnu::used]] const rotor::code::CompilerPlugin rotor_compiler_plugin = {
    &rotor::code::build_name, &rotor::code::compile_module, &rotor::code::FunctionCompiler::create,
    &rotor::code::emit_text};
