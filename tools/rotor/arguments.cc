#include "tools/rotor/arguments.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "rotor/detail/did_you_mean.h"

namespace rotor::cli {
namespace {

/// Returns whether an argument is a number that CLI11 takes for options, because no digit follows the sign.
bool is_number_like_options(std::string_view argument) {
  return argument == "-inf" || argument == "-infinity" || argument == "-nan" || argument.starts_with("-nan:0x") ||
         argument.starts_with("-.");
}

/// Returns how many words an option at `at` takes, its own included; 0: it is none of the command's, or asks for help.
size_t option_words(const CLI::App& command, const std::vector<std::string>& words, size_t at) {
  const std::string& word = words[at];
  const size_t equals = word.find('=');
  const CLI::Option* option =
      word.starts_with('-') && word.size() > 1 ? command.get_option_no_throw(word.substr(0, equals)) : nullptr;
  if (!option || option == command.get_help_ptr()) return 0;
  const bool takes_next = equals == std::string::npos && option->get_items_expected_max() > 0;
  return std::min<size_t>(takes_next ? 2 : 1, words.size() - at);
}

/// Returns where the arguments of a WASI command begin: behind the file that a command is to run, whose own arguments
/// begin at `at`. If an export is to be called, or no file is named, that is nowhere: the number of words.
size_t guest_begin(const CLI::App& run, const std::vector<std::string>& words, size_t at) {
  auto skip_options = [&] {
    bool invokes = false;
    for (size_t taken = 0; at < words.size() && (taken = option_words(run, words, at)) != 0; at += taken)
      invokes |= words[at] == "--invoke" || words[at].starts_with("--invoke=");
    return invokes;
  };
  if (skip_options()) return words.size();
  if (at < words.size() && words[at] == "--") ++at;
  const bool is_file = at < words.size() && (words[at - 1] == "--" || words[at] == "-" || !words[at].starts_with('-'));
  if (!is_file) return words.size();
  const size_t begin = ++at;
  return skip_options() ? words.size() : begin;
}

/// Puts `run` behind `bench` if no command follows there. A word that is near a command, and no file, is left for the
/// parser to refuse.
void name_bench_run(const CLI::App& bench, std::vector<std::string>& words) {
  if (words.size() < 2 || words[1].empty() || words[1] == "--help" || words[1] == "-h") return;
  std::vector<std::string_view> names;
  for (const CLI::App* command : bench.get_subcommands(nullptr)) names.push_back(command->get_name());
  if (std::ranges::find(names, words[1]) != names.end()) return;
  std::error_code failed;
  const bool may_be_command = words[1][0] != '-' && !std::filesystem::exists(words[1], failed);
  if (may_be_command && !detail::did_you_mean(words[1], names).empty()) return;
  words.insert(words.begin() + 1, "run");
}

}  // namespace

std::vector<std::string> parser_arguments(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> all(argv + std::min(argc, 1), argv + argc);
  const bool is_run = !all.empty() && all.front() == "run", is_bench = !all.empty() && all.front() == "bench";
  if (is_bench) name_bench_run(*app.get_subcommand("bench"), all);
  if (is_run || is_bench) {
    const bool is_bench_run = is_bench && all.size() > 1 && all[1] == "run";
    const size_t guest = is_run         ? guest_begin(*app.get_subcommand("run"), all, 1)
                         : is_bench_run ? guest_begin(*app.get_subcommand("bench")->get_subcommand("run"), all, 2)
                                        : all.size();
    // One `--` parts the tool's arguments from the guest's, and is neither's.
    const size_t marked = std::min<size_t>(guest, std::ranges::find(all, "--") - all.begin());
    if (marked < all.size() && all[marked] == "--") all.erase(all.begin() + static_cast<std::ptrdiff_t>(marked));
    for (size_t i = 1; i < all.size(); ++i)
      if (i >= marked || is_number_like_options(all[i])) all[i].insert(0, kGuestMark);
  }
  if (!all.empty() && all.front() == "help") {
    all.erase(all.begin());
    all.push_back("--help");
  }
  std::ranges::reverse(all);
  return all;
}

void unmark(std::string& argument) {
  if (argument.starts_with(kGuestMark)) argument.erase(0, 1);
}

}  // namespace rotor::cli
