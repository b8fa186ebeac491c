// The functions of code/compiler.h without a compiler, each of which fails: for programs that only run code files.
#include "code/compiler.h"

namespace rotor::code {

namespace {
std::unexpected<Error> no_compiler() {
  return fail(ErrorKind::unsupported,
              "this program was built without the compiler: it runs code files, which `rotor compile` makes");
}
}  // namespace

Result<Compiled> compile_module(const wasm::Module&, std::span<const uint8_t>, const CompileOptions&) {
  return no_compiler();
}

Result<std::string> emit_text(const wasm::Module&, std::span<const uint8_t>, const CompileOptions&, CodeText,
                              std::optional<uint32_t>) {
  return no_compiler();
}

Result<std::unique_ptr<FunctionCompiler>> FunctionCompiler::create(const wasm::Module&, std::span<const uint8_t>,
                                                                   const CompileOptions&) {
  return no_compiler();
}

}  // namespace rotor::code
