// The specification's test suite, as far as it is about the text format. ROTOR_SPEC_SUITE is its folder.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "wasm/text/testing/suite.h"

namespace rotor::wasm::text {
namespace {

using Kind = ScriptCommand::Kind;

struct Counts {
  unsigned commands = 0, encoded = 0, refused = 0;
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
      ++counts.commands;
      commands(script, command.commands);
      switch (command.kind) {
        case Kind::assert_malformed:
        case Kind::assert_malformed_custom:
        case Kind::assert_invalid_custom:
          // Binaries are the decoder's matter.
          if (command.module.kind != ScriptModule::Kind::binary) refused(script, command);
          break;
        case Kind::module:
        case Kind::assert_invalid:
        case Kind::assert_unlinkable:
        case Kind::assert_uninstantiable:
          if (command.module.kind != ScriptModule::Kind::binary) encoded(script, command);
          break;
        default: break;
      }
    }
  }

  /// The suite holds an error to begin with its text.
  void refused(const Script& script, const ScriptCommand& command) {
    auto module = script.encode(command.module);
    ASSERT_FALSE(module) << path_ << ":" << command.line << ": not refused: " << command.message;
    EXPECT_TRUE(module.error().message.starts_with(command.message))
        << path_ << ":" << command.line << ": \"" << module.error().message << "\", not \"" << command.message << "\"";
    EXPECT_LE(module.error().offset.value(), script.text_of(command.module).size());
    ++counts.refused;
  }

  void encoded(const Script& script, const ScriptCommand& command) {
    auto module = script.encode(command.module, {.names = true});
    ASSERT_TRUE(module) << render_text_error(path_, script.text_of(command.module), module.error());
    const auto& entries = module->source_map.entries;
    EXPECT_TRUE(std::ranges::is_sorted(entries, {}, &WatSourceMap::Entry::binary)) << path_ << ":" << command.line;
    ++counts.encoded;
  }

  std::string path_;
};

TEST(TextSuite, ModulesAreEncodedAndMalformedOnesRefused) {
  const char* folder = suite_folder();
  if (!folder) GTEST_SKIP() << "not set: ROTOR_SPEC_SUITE";
  Suite suite;
  const unsigned files =
      for_each_script(folder, [&](const std::string& path, const Script& script) { suite.script(path, script); });
  std::printf("%u files, %u commands: %u texts encoded, %u refused\n", files, suite.counts.commands,
              suite.counts.encoded, suite.counts.refused);
  EXPECT_GT(files, 0u);
}

}  // namespace
}  // namespace rotor::wasm::text
