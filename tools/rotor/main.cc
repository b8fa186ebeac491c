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
#include "tools/rotor/cli.h"

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

/// Returns whether an argument is a number that CLI11 takes for options, because no digit follows the sign.
bool is_number_like_options(std::string_view argument) {
  return argument == "-inf" || argument == "-infinity" || argument == "-nan" || argument.starts_with("-nan:0x") ||
         argument.starts_with("-.");
}

/// Returns the arguments as CLI11 wants them, the last first. What belongs to a guest gets a mark, which the commands
/// that take arguments of a call take off: numbers like options, and all behind `--`, which CLI11 would not give to a
/// command that has some already.
std::vector<std::string> arguments(int argc, char** argv) {
  std::vector<std::string> all(argv + std::min(argc, 1), argv + argc);
  if (!all.empty() && (all.front() == "run" || all.front() == "bench")) {
    const auto end = std::ranges::find(all, "--");
    const auto options = end - all.begin();
    if (end != all.end()) all.erase(end);
    for (std::ptrdiff_t i = 0; i < std::ssize(all); ++i)
      if (i >= options || is_number_like_options(all[i])) all[i].insert(0, kGuestMark);
  }
  // `help run` is `run --help`.
  if (!all.empty() && all.front() == "help") {
    all.erase(all.begin());
    all.push_back("--help");
  }
  std::ranges::reverse(all);
  return all;
}

/// Ends the command if a word is none of the tool's commands, with the nearest one.
void check_command(const CLI::App& app, std::string_view word) {
  std::vector<std::string_view> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  if (std::ranges::find(names, word) != names.end()) return;
  die(Exit::usage, fmt::format("no command \"{}\"{}; rotor --help names them", printable_name(word),
                               detail::did_you_mean(word, names)));
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
  add_replay(app);
  add_wast(app);
  add_rotate(app);
  add_policy(app);
  add_bench(app);
  add_completions(app);
  app.add_subcommand("help", "Print this, or what a command takes");
  app.add_subcommand("version", "Print the version, LLVM's, and the proposals that are on")->callback(print_version);
  try {
    std::vector<std::string> words = arguments(argc, argv);
    if (!words.empty() && words.back()[0] != '-') check_command(app, words.back());
    app.parse(words);
    return Exit::ok;
  } catch (const CLI::RuntimeError& end) {
    return static_cast<Exit>(end.get_exit_code());
  } catch (const CLI::ParseError& error) {
    // CLI11 prints help, or what is wrong with the arguments.
    std::ostringstream out, err;
    const bool is_good = app.exit(error, out, err) == 0;
    write_out(out.view());
    write_error(err.view());
    return is_good ? Exit::ok : Exit::usage;
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
  return static_cast<int>(rotor::cli::exit_code(rotor::cli::run(argc, argv)));
}
