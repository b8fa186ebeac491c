// What is made of the commands' definitions: completions of shells, and the man page's options.
// tools/rotor/test/test_generated.py compares what is committed with it.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tools/rotor/cli.h"
#include "tools/rotor/output.h"

namespace rotor::cli {
namespace {

struct OptionDefinition {
  std::vector<std::string> names;  ///< with their dashes, those of one letter first
  std::string value;               ///< empty: it is a flag
  std::string text;
};

/// A command, with the options of the commands in it.
struct Definition {
  std::string name;
  std::string text;
  std::vector<std::string> words;  ///< the commands in it
  std::vector<OptionDefinition> options;
};

void add_options(std::vector<OptionDefinition>& to, const CLI::App& command) {
  for (const CLI::Option* option : command.get_options(nullptr)) {
    if (option->get_positional() || option->get_group().empty() || option->get_single_name() == "help") continue;
    OptionDefinition made;
    for (const std::string& name : option->get_snames()) made.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) made.names.push_back("--" + name);
    if (option->get_items_expected_max() > 0)
      made.value = option->get_type_name().empty() ? "VALUE" : option->get_type_name();
    made.text = option->get_description();
    const bool is_known =
        std::ranges::any_of(to, [&](const OptionDefinition& known) { return known.names == made.names; });
    if (!is_known && !made.names.empty()) to.push_back(std::move(made));
  }
}

std::vector<Definition> definitions(const CLI::App& app) {
  std::vector<Definition> all;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (command->get_group().empty()) continue;
    Definition made{command->get_name(), command->get_description(), {}, {}};
    add_options(made.options, *command);
    for (const CLI::App* inner : command->get_subcommands(nullptr)) {
      made.words.push_back(inner->get_name());
      add_options(made.options, *inner);
    }
    all.push_back(std::move(made));
  }
  return all;
}

std::string option_names(const Definition& command) {
  std::string names;
  for (const OptionDefinition& option : command.options)
    for (const std::string& name : option.names) names += (names.empty() ? "" : " ") + name;
  return names;
}

/// Returns a text with `from` replaced by `to`.
std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string bash(const std::vector<Definition>& commands) {
  std::string names, cases;
  for (const Definition& command : commands) {
    names += (names.empty() ? "" : " ") + command.name;
    cases += fmt::format("    {}) options='{}' words='{}' ;;\n", command.name, option_names(command),
                         fmt::join(command.words, " "));
  }
  return fmt::format(R"(# Made by `rotor completions bash`.
_rotor() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} options='' words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{} --help --version' -- "$word"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{}  esac
  if [ "$COMP_CWORD" -eq 2 ] && [ -n "$words" ] && [ "${{word#-}}" = "$word" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$word"))
  elif [ "${{word#-}}" != "$word" ]; then
    COMPREPLY=($(compgen -W "$options --help" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _rotor rotor
)",
                     names, cases);
}

std::string zsh(const std::vector<Definition>& commands) {
  auto quoted = [](const std::string& text) { return replaced(replaced(text, "'", "'\\''"), ":", "\\:"); };
  std::string names, cases;
  for (const Definition& command : commands) {
    names += fmt::format("    '{}:{}'\n", command.name, quoted(command.text));
    cases += fmt::format("    {})\n      _arguments \\\n", command.name);
    for (const OptionDefinition& option : command.options)
      for (const std::string& name : option.names)
        cases += fmt::format("        '{}[{}]{}' \\\n", name,
                             replaced(replaced(quoted(option.text), "[", "\\["), "]", "\\]"),
                             option.value.empty() ? "" : ":value:_files");
    if (!command.words.empty()) cases += fmt::format("        '2:command:({})' \\\n", fmt::join(command.words, " "));
    cases += "        '*:file:_files' ;;\n";
  }
  return fmt::format(R"(#compdef rotor
# Made by `rotor completions zsh`.
_rotor() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
{}  esac
}}
_rotor "$@"
)",
                     names, cases);
}

std::string fish(const std::vector<Definition>& commands) {
  auto quoted = [](const std::string& text) { return replaced(replaced(text, "\\", "\\\\"), "'", "\\'"); };
  std::string lines = "# Made by `rotor completions fish`.\n";
  for (const Definition& command : commands) {
    lines += fmt::format("complete -c rotor -n __fish_use_subcommand -f -a {} -d '{}'\n", command.name,
                         quoted(command.text));
    const std::string of = fmt::format("complete -c rotor -n '__fish_seen_subcommand_from {}'", command.name);
    for (const std::string& word : command.words) lines += fmt::format("{} -a {}\n", of, word);
    for (const OptionDefinition& option : command.options) {
      lines += of;
      for (const std::string& name : option.names)
        lines += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      lines += fmt::format("{} -d '{}'\n", option.value.empty() ? "" : " -r", quoted(option.text));
    }
  }
  return lines;
}

/// Returns a text as troff shows it as it stands.
std::string troff(const std::string& text) {
  std::string shown = replaced(replaced(text, "\\", "\\e"), "-", "\\-");
  return shown.starts_with('.') || shown.starts_with('\'') ? "\\&" + shown : shown;
}

std::string man(const std::vector<Definition>& commands) {
  std::string page = ".SH OPTIONS\n";
  for (const Definition& command : commands) {
    if (command.options.empty()) continue;
    page += fmt::format(".SS {}{}\n", command.name,
                        command.words.empty() ? "" : fmt::format(" ({})", fmt::join(command.words, ", ")));
    for (const OptionDefinition& option : command.options)
      page += fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", troff(fmt::format("{}", fmt::join(option.names, ", "))),
                          option.value.empty() ? "" : " \\fI" + troff(option.value) + "\\fR", troff(option.text));
  }
  return page;
}

}  // namespace

void add_completions(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completions", "Print what a shell completes commands and options by");
  command->add_option("shell", *shell, "the shell")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&app, shell] {
    const auto commands = definitions(app);
    write_out(*shell == "bash" ? bash(commands) : *shell == "zsh" ? zsh(commands) : fish(commands));
  });
  // For docs/rotor.1.
  CLI::App* manual = app.add_subcommand("man-options", "Print the man page's options");
  manual->group("");
  manual->callback([&app] { write_out(man(definitions(app))); });
}

}  // namespace rotor::cli
