// rotor: runs, checks, compiles and tests WebAssembly modules. One file a command.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "rotor/detail/did_you_mean.h"
#include "rotor/printable.h"
#include "rotor/version.h"
#include "tools/rotor/arguments.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/stop_request.h"

namespace rotor::cli {
namespace {

/// Opens standard streams that the process was started without: else the next file that it opens would be one. They are
/// opened the wrong way round, so that they fail as closed ones do.
void fill_standard_streams() {
  for (int stream : {0, 1, 2})
    if (fcntl(stream, F_GETFD) < 0) (void)open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
}

/// The proposals that have a switch.
struct FeatureName {
  const char* name;
  bool Features::* value;
};
constexpr FeatureName kFeatures[] = {
    {"threads", &Features::threads},
    {"extended-const", &Features::extended_const},
    {"simd", &Features::simd},
    {"relaxed-simd", &Features::relaxed_simd},
    {"tail-call", &Features::tail_call},
    {"function-references", &Features::function_references},
    {"exceptions", &Features::exceptions},
    {"legacy-exceptions", &Features::legacy_exceptions},
    {"gc", &Features::gc},
    {"multi-memory", &Features::multi_memory},
    {"memory64", &Features::memory64},
    {"custom-page-sizes", &Features::custom_page_sizes},
    {"wide-arithmetic", &Features::wide_arithmetic},
};
static_assert(std::size(kFeatures) == sizeof(Features), "a switch is missing");

std::vector<std::string_view> command_names(const CLI::App& group) {
  std::vector<std::string_view> names;
  for (const CLI::App* command : group.get_subcommands(nullptr)) names.push_back(command->get_name());
  return names;
}

bool is_command(const CLI::App& app, std::string_view word) {
  const std::vector<std::string_view> names = command_names(app);
  return std::ranges::find(names, word) != names.end();
}

/// Returns what is wrong with a word that is none of the commands of a group, with the nearest one.
std::string no_command(const CLI::App& group, std::string_view word) {
  const std::vector<std::string_view> names = command_names(group);
  return fmt::format("no command \"{}\"{}", printable_name(word), detail::did_you_mean(word, names));
}

/// Returns the nearest of a command's options to a word, as a question; empty if none is near.
std::string nearest_option(const CLI::App& command, std::string_view word) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options(nullptr))
    if (!option->get_group().empty())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return detail::did_you_mean(word, std::vector<std::string_view>(names.begin(), names.end()));
}

/// Ends the command because the arguments can't be taken: says which, of which command, and where its options are told.
[[noreturn]] void die_of_arguments(const CLI::App& app, const CLI::ParseError& error, const std::string& first_word) {
  const CLI::App* command = &app;
  std::string name = "rotor";
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    name += ' ' + command->get_name();
  }
  std::string what = error.what();
  std::vector<std::string> unexpected = command->remaining();
  // A first word that is neither a command nor an option of the tool's own is the reason why there is no command.
  if (command == &app && !first_word.empty()) unexpected = {first_word};
  if (!unexpected.empty()) {
    std::string& word = unexpected.front();
    unmark(word);
    if (word.starts_with('-'))
      what = fmt::format("no option \"{}\"{}", printable_name(word),
                         nearest_option(*command, word.substr(0, word.find('='))));
    else if (!command->get_subcommands(nullptr).empty())
      what = no_command(*command, word);
    else
      what = fmt::format("not expected: \"{}\"", printable_name(word));
  } else if (error.get_name() == "RequiredError" && !command->get_subcommands(nullptr).empty()) {
    what = "no command given";
  }
  die(Exit::usage, fmt::format("{}{}; {} --help says more", command == &app ? "" : name.substr(6) + ": ", what, name));
}

void print_version() {
  print("rotor {}\nLLVM {}\n", ROTOR_VERSION, ROTOR_LLVM_VERSION);
  for (bool is_on : {true, false}) {
    print("proposals that are {} by default:", is_on ? "on" : "off");
    for (const FeatureName& feature : kFeatures)
      if (Features().*feature.value == is_on) print(" {}", feature.name);
    print("\n");
  }
}

/// Runs the command that the words name, the last of them first. Throws how it ended.
void parse(CLI::App& app, std::vector<std::string> words) {
  const std::string first_word = words.empty() ? "" : words.back();
  // `help X` prints the tool's help where X is no command.
  if (!first_word.empty() && first_word[0] != '-' && !is_command(app, first_word))
    die(Exit::usage, no_command(app, first_word) + "; rotor --help names them");
  try {
    app.parse(words);
  } catch (const CLI::Success&) {
    throw;
  } catch (const CLI::RuntimeError&) {
    throw;
  } catch (const CLI::ParseError& error) {
    die_of_arguments(app, error, first_word);
  }
}

Exit run(int argc, char** argv) {
  CLI::App app{"Rotor: a WebAssembly runtime that rotates instances that leak", "rotor"};
  app.require_subcommand(1);
  app.fallthrough(false);
  app.set_version_flag("--version", "rotor " ROTOR_VERSION);
  app.footer("Where a file is named, - is standard input or output.");
  add_run(app);
  add_validate(app);
  add_wat2wasm(app);
  add_wasm2wat(app);
  add_inspect(app);
  add_compile(app);
  add_explore(app);
  add_replay(app);
  add_wast(app);
  add_rotate(app);
  add_policy(app);
  add_bench(app);
  add_completions(app);
  app.add_subcommand("help", "Print this, or what a command takes");
  app.add_subcommand("version", "Print the version, LLVM's, and the proposals that are on")->callback(print_version);
  try {
    parse(app, parser_arguments(app, argc, argv));
    return Exit::ok;
  } catch (const CLI::RuntimeError& end) {
    return static_cast<Exit>(end.get_exit_code());
  } catch (const CLI::Success& success) {
    std::ostringstream out, err;
    app.exit(success, out, err);  // help, or the version
    write_out(out.view());
    return Exit::ok;
  } catch (const std::bad_alloc&) {
    print_error("rotor: out of memory\n");
  } catch (const std::exception& error) {
    print_error("rotor: {}\n", error.what());
  }
  return Exit::failed;
}

}  // namespace
}  // namespace rotor::cli

int main(int argc, char** argv) {
  rotor::cli::fill_standard_streams();
  // Makes a write past the limit on file sizes an error like any other, which leaves no temporary.
  std::signal(SIGXFSZ, SIG_IGN);
  // A pipe that nobody reads any more ends the tool without a word, whatever started it.
  std::signal(SIGPIPE, SIG_DFL);
  rotor::cli::take_end_signals();
  return static_cast<int>(rotor::cli::exit_code(rotor::cli::run(argc, argv)));
}
