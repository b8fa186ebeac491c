// The whole test suite there and back: each well-formed module is printed, parsed, and printed again.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "wasm/text/testing/suite.h"

namespace rotor::wasm::text {
namespace {

using Kind = ScriptCommand::Kind;

struct Counts {
  unsigned texts = 0, binaries = 0, refused = 0;
};

class Suite {
 public:
  void script(const std::string& path, const Script& script) {
    path_ = path;
    commands(script, script.commands());
  }

  Counts counts;

 private:
  void commands(const Script& script, const std::vector<ScriptCommand>& list) {
    for (const ScriptCommand& command : list) {
      commands(script, command.commands);
      where_ = path_ + ":" + std::to_string(command.line);
      bool is_binary = command.module.kind == ScriptModule::Kind::binary;
      switch (command.kind) {
        case Kind::module:
        case Kind::assert_invalid:
        case Kind::assert_unlinkable:
        case Kind::assert_uninstantiable:
          if (is_binary) {
            other(encode(script, command, false));
            ++counts.binaries;
          } else {
            own(encode(script, command, false), false);
            own(encode(script, command, true), true);
            ++counts.texts;
          }
          break;
        case Kind::assert_malformed:
          if (is_binary) refused(encode(script, command, false));
          break;
        case Kind::assert_malformed_custom:
        case Kind::assert_invalid_custom:
          // What is wrong with a custom section is no concern of the printer's: it stays as it is.
          if (is_binary) other(encode(script, command, false));
          break;
        default: break;
      }
    }
  }

  std::vector<uint8_t> encode(const Script& script, const ScriptCommand& command, bool names) {
    auto module = script.encode(command.module, {.names = names});
    EXPECT_TRUE(module) << where_;
    return module ? std::move(module->bytes) : std::vector<uint8_t>();
  }

  std::string print(std::span<const uint8_t> bytes) {
    auto text = wasm_to_wat(bytes);
    EXPECT_TRUE(text) << where_ << ": " << text.error().message << " at " << text.error().offset.value_or(0);
    return text ? std::move(*text) : std::string();
  }

  std::vector<uint8_t> parse(const std::string& text, bool names) {
    auto bytes = wat_to_wasm(text, {.names = names});
    EXPECT_TRUE(bytes) << where_ << "\n" << render_text_error("printed", text, bytes.error());
    return bytes ? std::move(*bytes) : std::vector<uint8_t>();
  }

  /// What our encoder made comes back byte for byte.
  void own(const std::vector<uint8_t>& bytes, bool names) {
    std::string text = print(bytes);
    EXPECT_EQ(parse(text, names), bytes) << where_ << "\n" << text;
  }

  /// What others made may be written in ways that ours is not: its text comes back.
  void other(const std::vector<uint8_t>& bytes) {
    std::string text = print(bytes);
    std::vector<uint8_t> again = parse(text, true);
    EXPECT_EQ(print(again), text) << where_;
    own(again, true);
  }

  void refused(const std::vector<uint8_t>& bytes) {
    auto text = wasm_to_wat(bytes);
    EXPECT_FALSE(text) << where_ << ": malformed, and yet printed\n" << *text;
    if (text) return;
    EXPECT_LE(text.error().offset.value(), bytes.size()) << where_;
    ++counts.refused;
  }

  std::string path_, where_;
};

TEST(PrintSuite, EveryModuleComesBack) {
  const char* folder = suite_folder();
  if (!folder) GTEST_SKIP() << "not set: ROTOR_SPEC_SUITE";
  Suite suite;
  const unsigned files =
      for_each_script(folder, [&](const std::string& path, const Script& script) { suite.script(path, script); });
  std::printf("%u files: %u texts and %u binaries there and back, %u malformed binaries refused\n", files,
              suite.counts.texts, suite.counts.binaries, suite.counts.refused);
  EXPECT_GT(files, 0u);
}

}  // namespace
}  // namespace rotor::wasm::text
