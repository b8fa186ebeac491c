// Fuzzes the policy parser: any text is an error that names file and line, or a policy that says the same when read
// again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz/heap_bound.h"
#include "rotor/proxy/policy.h"

using namespace rotor;

namespace {

void expect(bool property) {
  if (!property) __builtin_trap();
}

void expect_sound(const Error& error) {
  expect(error.kind == ErrorKind::corrupt || error.kind == ErrorKind::invalid_argument);
  expect(error.message.starts_with("fuzz.toml:") && error.message.size() > 12);
}

void expect_same(const Policy& a, const Policy& b) {
  expect(a.exports.size() == b.exports.size());
  for (size_t i = 0; i < a.exports.size(); ++i)
    expect(a.exports[i].name == b.exports[i].name && a.exports[i].line == b.exports[i].line &&
           a.exports[i].key == b.exports[i].key);
  expect(a.imports.size() == b.imports.size());
  for (size_t i = 0; i < a.imports.size(); ++i)
    expect(a.imports[i].name == b.imports[i].name && a.imports[i].mode == b.imports[i].mode);
}

/// Checks that rules come from a line each, in the order of the file.
void expect_in_order(const auto& rules) {
  for (size_t i = 0; i < rules.size(); ++i) {
    expect(rules[i].line > 0);
    expect(i == 0 || rules[i - 1].line <= rules[i].line);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::HeapBound bound("a policy", size, 8 << 10, 1 << 20);
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto policy = Policy::parse_toml(text, "fuzz.toml");
  auto again = Policy::parse_toml(text, "fuzz.toml");
  expect(policy.has_value() == again.has_value());
  if (!policy) {
    expect_sound(policy.error());
    expect(policy.error().message == again.error().message);
    return 0;
  }
  expect_same(*policy, *again);
  for (double threshold : {policy->warm_at, policy->swap_at, policy->force_at}) expect(threshold > 0 && threshold <= 1);
  expect(policy->catch_up_rounds > 0);
  expect_in_order(policy->exports);
  expect_in_order(policy->imports);
  return 0;
}
