#include "tools/rotor/wast_expected.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

namespace rotor::cli {
namespace {

// The text of spec-tests/expected_failures.txt.
const char kBuiltIn[] = {
#include "tools/rotor/expected_failures.inc"
};

bool glob(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool parse_line_number(std::string_view text, uint64_t& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0;
}

/// Parses "path:line" or "path:first-last".
bool parse_place(std::string_view place, ExpectedFailures::Entry& entry) {
  size_t colon = place.rfind(':');
  entry.file = place.substr(0, colon);
  if (colon == place.npos) return false;
  std::string_view lines = place.substr(colon + 1);
  size_t dash = lines.find('-');
  if (!parse_line_number(lines.substr(0, dash), entry.first_line)) return false;
  entry.last_line = entry.first_line;
  if (dash != lines.npos && !parse_line_number(lines.substr(dash + 1), entry.last_line)) return false;
  return entry.first_line <= entry.last_line && !entry.file.empty();
}

}  // namespace

Result<ExpectedFailures> ExpectedFailures::parse(std::string_view text, const std::string& file) {
  ExpectedFailures list;
  for (uint64_t number = 1; !text.empty(); ++number) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    line = line.substr(0, line.find('#'));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    size_t space = line.find(' ');
    Entry entry;
    if (space == line.npos || line.find(' ', space + 1) != line.npos || !parse_place(line.substr(0, space), entry))
      return fail(ErrorKind::corrupt,
                  fmt::format("{}:{}: expected FILE:LINE[-LINE] FEATURE, found \"{}\"", file, number, line));
    entry.feature = line.substr(space + 1);
    list.entries_.push_back(std::move(entry));
  }
  return list;
}

Result<ExpectedFailures> ExpectedFailures::built_in() {
  return parse(std::string_view(kBuiltIn, sizeof kBuiltIn - 1), "spec-tests/expected_failures.txt");
}

const ExpectedFailures::Entry* ExpectedFailures::find(std::string_view path, uint64_t line) const {
  for (const Entry& entry : entries_) {
    if (line < entry.first_line || line > entry.last_line) continue;
    if (glob(entry.file, path) || glob("*/" + entry.file, path)) return &entry;
  }
  return nullptr;
}

std::string listed_name(std::string_view path) {
  size_t start = path.npos;
  for (std::string_view folder : {"core/", "proposals/"}) {
    size_t found = path.rfind(folder);
    if (found != path.npos && (found == 0 || path[found - 1] == '/') && (start == path.npos || found > start))
      start = found;
  }
  if (start == path.npos) {
    size_t file = path.rfind('/');
    size_t folder = file == path.npos || file == 0 ? path.npos : path.rfind('/', file - 1);
    start = folder == path.npos ? 0 : folder + 1;
  }
  return std::string(path.substr(start));
}

std::string failure_lines(std::string_view path, const std::vector<uint64_t>& lines,
                          const std::vector<Failure>& failures) {
  std::map<uint64_t, std::string> features;
  for (const Failure& command : failures) features[command.line] = command.feature;
  std::set<uint64_t> ordered(lines.begin(), lines.end());
  std::string name = listed_name(path), text;
  for (auto line = ordered.begin(); line != ordered.end();) {
    auto found = features.find(*line);
    if (found == features.end()) {
      ++line;
      continue;
    }
    uint64_t first = *line, last = first;
    for (; line != ordered.end(); ++line) {
      auto next = features.find(*line);
      if (next == features.end() || next->second != found->second) break;
      last = *line;
    }
    text += first == last ? fmt::format("{}:{} {}\n", name, first, found->second)
                          : fmt::format("{}:{}-{} {}\n", name, first, last, found->second);
  }
  return text;
}

}  // namespace rotor::cli
