#include "proxy/policy_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "rotor/printable.h"

namespace rotor::proxy {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); j++) row[j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string place(const Policy& policy, uint32_t line) {
  std::string_view file = policy.file.empty() ? "policy" : std::string_view(policy.file);
  return line ? fmt::format("{}:{}: ", file, line) : fmt::format("{}: ", file);
}

bool is_glob(std::string_view pattern) { return pattern.find_first_of("*?") != std::string_view::npos; }

bool glob_matches(std::string_view pattern, std::string_view name) {
  // On a mismatch the last `*` takes one character more; earlier ones need not be retried.
  size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      p++;
      n++;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') p++;
  return p == pattern.size();
}

}  // namespace rotor::proxy

namespace rotor::detail {

std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates) {
  size_t best_distance = std::max<size_t>(2, name.size() / 2) + 1;
  std::string_view best;
  for (std::string_view candidate : candidates) {
    size_t distance = proxy::edit_distance(name, candidate);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", printable_name(best));
}

}  // namespace rotor::detail
