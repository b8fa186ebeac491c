// Holds docs/policy-reference.md to what policy files are read as: keys, defaults and words.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

#include "proxy/policy_keys.h"
#include "proxy/policy_words.h"
#include "rotor/proxy/policy.h"

namespace rotor::proxy {
namespace {

/// What stands in backticks in a text.
std::vector<std::string> in_backticks(const std::string& text) {
  std::vector<std::string> all;
  for (size_t begin = text.find('`'); begin != text.npos;) {
    const size_t end = text.find('`', begin + 1);
    all.push_back(text.substr(begin + 1, end - begin - 1));
    begin = text.find('`', end + 1);
  }
  return all;
}

struct Row {
  std::string value;    ///< the default, in TOML; empty: none
  std::string meaning;  ///< the last cell, and what stands below the table
};
using Section = std::map<std::string, Row>;

/// The tables of the page, by the words of their headings.
std::map<std::string, Section> sections() {
  std::ifstream in(ROTOR_POLICY_REFERENCE);
  std::map<std::string, Section> all;
  std::string heading;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) {
      heading = line.substr(3);
      all[heading];
    } else if (line.starts_with("| `")) {
      std::vector<std::string> cells;
      for (size_t at = 1; at < line.size();) {
        const size_t end = line.find(" |", at);
        cells.push_back(line.substr(at + 1, end - at - 1));
        at = end + 2;
      }
      EXPECT_EQ(cells.size(), 3u) << line;
      const auto value = in_backticks(cells[1]);
      EXPECT_TRUE(value.size() == 1 || cells[1] == "none") << line;
      const auto [row, is_new] =
          all[heading].try_emplace(in_backticks(cells[0]).at(0), value.empty() ? "" : value[0], cells[2]);
      EXPECT_TRUE(is_new) << line;
    } else if (!heading.empty()) {
      for (auto& [key, row] : all[heading]) row.meaning += "\n" + line;
    }
  }
  return all;
}

/// The heading of a table of TableKeys.
std::string heading_of(std::string_view table) {
  if (table == "the top of the file") return "The top of the file";
  const size_t line = table.find('[');
  return std::string(table.substr(line));
}

TEST(PolicyReference, HasEachKeyOnce) {
  const auto all = sections();
  EXPECT_EQ(all.size(), std::size(kTables));
  for (const TableKeys& table : kTables) {
    const auto section = all.find(heading_of(table.table));
    ASSERT_NE(section, all.end()) << table.table;
    std::set<std::string> described;
    for (const auto& [key, row] : section->second) described.insert(key);
    EXPECT_EQ(described, std::set<std::string>(table.keys.begin(), table.keys.end())) << table.table;
  }
}

TEST(PolicyReference, StatesTheDefaults) {
  std::string toml;
  size_t stated = 0;
  for (const auto& [heading, section] : sections()) {
    // A line of a table has its defaults for itself.
    if (heading == "[exports]") {
      for (const auto& [key, row] : section) {
        EXPECT_TRUE(row.value.empty() || row.value == "false") << key;
      }
      continue;
    }
    std::string lines;
    for (const auto& [key, row] : section) {
      if (row.value.empty()) continue;
      lines += key + " = " + row.value + "\n";
      stated++;
    }
    if (heading == "The top of the file")
      toml = lines + toml;
    else if (!lines.empty())
      toml += heading + "\n" + lines;
  }
  const auto policy = Policy::parse_toml(toml, "reference");
  ASSERT_TRUE(policy) << policy.error().message << "\n" << toml;
  const Policy wanted;
  size_t compared = 0;
  auto same = [&](const auto& got, const auto& want) {
    compared++;
    EXPECT_EQ(got, want) << "the " << compared << "th";
  };
  const Policy& p = *policy;
  same(p.preset, wanted.preset);
  same(p.enabled, wanted.enabled);
  same(p.mode, wanted.mode);
  same(p.warm_at, wanted.warm_at);
  same(p.swap_at, wanted.swap_at);
  same(p.force_at, wanted.force_at);
  same(p.gauge, wanted.gauge);
  same(p.memory_limit_bytes, wanted.memory_limit_bytes);
  same(p.at_swap, wanted.at_swap);
  same(p.on_trap, wanted.on_trap);
  same(p.catch_up_ns, wanted.catch_up_ns);
  same(p.catch_up_rounds, wanted.catch_up_rounds);
  same(p.call_deadline_ms, wanted.call_deadline_ms);
  same(p.call_fuel, wanted.call_fuel);
  same(p.drain_deadline_ms, wanted.drain_deadline_ms);
  same(p.query_handle_calls, wanted.query_handle_calls);
  same(p.backoff_first_ms, wanted.backoff_first_ms);
  same(p.backoff_max_ms, wanted.backoff_max_ms);
  same(p.image, wanted.image);
  same(p.image_tail_ns, wanted.image_tail_ns);
  same(p.verify_every, wanted.verify_every);
  same(p.checkpoint.grown, wanted.checkpoint.grown);
  same(p.checkpoint.cpu, wanted.checkpoint.cpu);
  same(p.checkpoint.while_held, wanted.checkpoint.while_held);
  same(p.checkpoint.host_writes, wanted.checkpoint.host_writes);
  same(p.checkpoint.reseed, wanted.checkpoint.reseed);
  same(p.log_max_calls, wanted.log_max_calls);
  same(p.log_max_bytes, wanted.log_max_bytes);
  same(p.log_max_replay_ns, wanted.log_max_replay_ns);
  same(p.group.workers, wanted.group.workers);
  same(p.group.start, wanted.group.start);
  same(p.group.stop, wanted.group.stop);
  same(p.group.thread_exit, wanted.group.thread_exit);
  same(p.group.stop_deadline_ms, wanted.group.stop_deadline_ms);
  EXPECT_EQ(compared, stated) << "a default that is stated is compared";
}

TEST(PolicyReference, NamesEachWord) {
  const auto all = sections();
  auto names = [&](const char* heading, const char* key, const auto& words) {
    std::set<std::string> named;
    for (const std::string& text : in_backticks(all.at(heading).at(key).meaning)) named.insert(text);
    for (const auto& [word, value] : words) {
      EXPECT_TRUE(named.contains("\"" + std::string(word) + "\"")) << heading << " " << key << ": " << word;
    }
  };
  names("The top of the file", "preset", kPresetWords);
  names("The top of the file", "mode", kModeWords);
  names("[rotation]", "at_swap", kAtSwapWords);
  names("[rotation]", "on_trap", kOnTrapWords);
  names("[image]", "mode", kImageWords);
  names("[checkpoint]", "while_held", kWhileHeldWords);
  names("[checkpoint]", "host_writes", kHostWritesWords);
  names("[exports]", "effect", kEffectWords);
  names("[exports]", "args", kArgWords);
  names("[exports]", "results", kResultWords);
  names("[imports]", "mode", kImportModeWords);
  names("[imports]", "args", kImportArgWords);
  names("[allow]", "results", kReturnedWords);
}

}  // namespace
}  // namespace rotor::proxy
