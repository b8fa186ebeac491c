// Fuzzes the text format: the module parser, the script reader, and whether what they make is sound. The binary of a
// text goes through the decoder, which may refuse it but must find it a module.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/heap_bound.h"
#include "rotor/wat.h"
#include "wasm/decode_module.h"
#include "wasm/text/script.h"

using namespace rotor;
using namespace rotor::wasm;

namespace {

void expect(bool property) {
  if (!property) __builtin_trap();
}

/// Checks that an error is of a kind that a parser has, has a message of one line, and points into the text.
void expect_sound(const Error& error, std::string_view text) {
  expect(error.kind == ErrorKind::malformed || error.kind == ErrorKind::invalid || error.kind == ErrorKind::limit);
  expect(!error.message.empty() && !error.message.contains('\n'));
  expect(error.offset && *error.offset <= text.size());
  expect(render_text_error("x.wat", text, error).starts_with("x.wat:"));
}

void expect_sound(const WatModule& module, std::string_view text) {
  uint32_t last = 0;
  for (const WatSourceMap::Entry& entry : module.source_map.entries) {
    expect(entry.binary >= last && entry.binary < module.bytes.size() && entry.text <= text.size());
    last = entry.binary;
  }
  auto decoded = decode_module(module.bytes, {.features = Features(), .bodies_elsewhere = false});
  if (decoded || decoded.error().kind != ErrorKind::malformed) return;
  // A well-formed text gives a malformed binary only in the few cases where the two formats disagree.
  expect(decoded.error().offset && *decoded.error().offset <= module.bytes.size());
}

void check_script(std::string source) {
  auto script = text::Script::parse(source);
  if (!script) return expect_sound(script.error(), source);
  auto check = [&](auto& self, const std::vector<text::ScriptCommand>& commands) -> void {
    for (const text::ScriptCommand& command : commands) {
      expect(command.offset <= source.size() && command.line >= 1);
      self(self, command.commands);
      if (command.module.kind == text::ScriptModule::Kind::binary) continue;
      auto module = script->encode(command.module);
      if (!module) {
        expect_sound(module.error(), script->text_of(command.module));
      } else {
        expect_sound(*module, script->text_of(command.module));
      }
    }
  };
  check(check, script->commands());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::HeapBound bound("a text", size, 8 << 10, 1 << 20);
  std::string text(reinterpret_cast<const char*>(data), size);
  auto module = parse_wat(text, {.names = true});
  if (module) {
    expect_sound(*module, text);
    expect(wat_to_wasm(text).has_value());
  } else {
    expect_sound(module.error(), text);
  }
  check_script(std::move(text));
  return 0;
}
