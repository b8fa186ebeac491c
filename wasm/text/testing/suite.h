// The scripts of the specification's test suite, for tests that go over all of them. ROTOR_SPEC_SUITE is its folder.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "wasm/text/script.h"

namespace rotor::wasm::text {

/// nullptr: not set, and a test of it is to be skipped.
inline const char* suite_folder() {
  const char* folder = std::getenv("ROTOR_SPEC_SUITE");
  return folder && *folder ? folder : nullptr;
}

/// Expects each script to be read, and gives it to `see`. How many there are.
inline unsigned for_each_script(const char* folder,
                                const std::function<void(const std::string& path, const Script& script)>& see) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".wast") files.push_back(entry.path());
  std::ranges::sort(files);
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    std::string source(std::istreambuf_iterator<char>(in), {});
    auto script = Script::parse(source);
    EXPECT_TRUE(script) << render_text_error(file.string(), source, script.error());
    if (script) see(file.string(), *script);
  }
  return static_cast<unsigned>(files.size());
}

}  // namespace rotor::wasm::text
