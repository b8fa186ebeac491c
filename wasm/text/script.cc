#include "wasm/text/script.h"

#include "wasm/text/module_parser.h"
#include "wasm/text/script_parser.h"

namespace rotor::wasm::text {

Result<Script> Script::parse(std::string source) {
  Script script;
  script.source_ = std::make_unique<const std::string>(std::move(source));
  script.tokens_ = lex(*script.source_);
  ROTOR_TRY(script.commands_, ScriptParser(script.tokens_).run());
  return script;
}

Result<WatModule> Script::encode(const ScriptModule& module, const WatOptions& options) const {
  switch (module.kind) {
    case ScriptModule::Kind::binary: {
      WatModule out;
      out.bytes.assign(module.bytes.begin(), module.bytes.end());
      return out;
    }
    case ScriptModule::Kind::quote: return parse_module(lex(module.bytes), options);
    case ScriptModule::Kind::text: break;
  }
  return parse_module(tokens_, module.begin_token, module.name, options);
}

std::string_view Script::text_of(const ScriptModule& module) const {
  return module.kind == ScriptModule::Kind::quote ? std::string_view(module.bytes) : std::string_view(*source_);
}

}  // namespace rotor::wasm::text
