// rotor explore: a page with a module's functions, wasm beside machine code.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "rotor/version.h"
#include "rotor/wat.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/explore_page.h"
#include "tools/rotor/module_file.h"
#include "tools/rotor/output.h"

namespace rotor::cli {
namespace {

struct ExploreOptions {
  std::string file;
  std::string output = "-";
  EngineOptions engine;
};

/// Takes the next line off a text, without its end.
std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == text.npos ? std::string_view() : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

/// Puts lines of the text format where they belong: the functions begin at the lines that the map has for them.
void add_wasm(std::vector<ExploredFunction>& functions, std::string_view text, const WatSourceMap& map) {
  constexpr std::string_view kFunc = "(func";
  constexpr size_t kFieldIndent = 2;
  auto entry = map.entries.begin();
  ExploredFunction* function = nullptr;
  size_t next = 0;
  uint64_t end = 0;  // of the line
  for (std::string_view rest = text; !rest.empty();) {
    const uint64_t begin = end;
    const std::string_view line = take_line(rest);
    end += line.size() + 1;
    uint64_t offset = 0;
    const bool is_mapped = entry != map.entries.end() && entry->text < end;
    if (is_mapped) offset = entry->binary;
    // What follows the last function has the indentation of a field and is none of its parts, which begin by a
    // parenthesis only to name the locals, or to end it.
    const std::string_view inner = trimmed(line);
    const bool is_field = line.starts_with("  ") && !line.starts_with("   ");
    if (is_mapped && text.substr(entry->text).starts_with(kFunc))
      function = next < functions.size() ? &functions[next++] : nullptr;
    else if (is_field && inner != ")")
      function = nullptr;
    while (entry != map.entries.end() && entry->text < end) ++entry;
    if (function && begin < text.size())
      function->wasm.push_back({offset, std::string(line.substr(std::min<size_t>(kFieldIndent, line.size())))});
  }
}

/// Returns what a comment quotes. It was made printable by who wrote it.
std::string unquoted(std::string_view text) {
  std::string name;
  for (size_t i = 1; i < text.size() && text[i] != '"'; ++i) {
    const bool is_quote = text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\');
    name += text[i += is_quote];
  }
  return name;
}

/// Puts lines of located assembly where they belong, and the functions' names. Labels and instructions are kept; what
/// is for the assembler is not.
void add_machine(std::vector<ExploredFunction>& functions, std::string_view text, uint32_t imported) {
  constexpr std::string_view kOffset = "# module offset 0x";
  ExploredFunction* function = nullptr;
  uint64_t offset = 0;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (const size_t at = line.find(kOffset); at != line.npos) {
      const std::string_view digits = line.substr(at + kOffset.size());
      std::from_chars(digits.data(), digits.data() + digits.size(), offset, 16);
      continue;
    }
    if (constexpr std::string_view kName = "\t# "; function && line.starts_with("\t# \"")) {
      function->name = unquoted(line.substr(kName.size()));
      continue;
    }
    line = line.substr(0, line.find(" # "));
    const bool is_label = !line.empty() && line[0] != '\t' && line[0] != ' ' && line[0] != '#';
    uint32_t index = 0;
    if (is_label && line[0] == 'f') {
      const auto [end, failed] = std::from_chars(line.data() + 1, line.data() + line.size(), index);
      if (failed == std::errc() && end != line.data() + line.size() && *end == ':') {
        function = index >= imported && index - imported < functions.size() ? &functions[index - imported] : nullptr;
        offset = 0;
        continue;
      }
    }
    if (line.starts_with(".Lfunc_end")) function = nullptr;
    const std::string_view inner = trimmed(line);
    const bool is_instruction = line.starts_with('\t') && !inner.empty() && inner[0] != '.' && inner[0] != '#';
    const bool is_block = is_label && line.starts_with(".LBB");
    if (function && (is_instruction || is_block))
      function->machine.push_back({is_block ? 0 : offset, std::string(is_block ? inner : line.substr(1))});
  }
}

void explore(const ExploreOptions& options) {
  if (options.output == "-" && isatty(STDOUT_FILENO))
    die(Exit::usage, "a page is nothing for a terminal: name a file with -o");
  check_or_die(options.output, check_output_file(options.output));
  const ModuleFile file = read_module_file_or_die(options.file);
  if (file.is_code_file) die(Exit::failed, options.file + ": a code file has no wasm: name what it was compiled from");
  Engine engine = engine_or_die(options.engine);
  EngineOptions lazily = options.engine;
  lazily.mode = "lazy";  // nothing is called: nothing is compiled
  const Module module = value_or_die(file, Module::compile(engine_or_die(lazily), file.module.bytes));
  uint32_t imported = 0;
  for (const ImportInfo& import : module.imports()) imported += std::holds_alternative<FuncType>(import.type);
  std::vector<ExploredFunction> functions(module.tier_stats().functions);
  for (uint32_t i = 0; i < functions.size(); ++i) functions[i].index = imported + i;

  WatSourceMap map;
  const std::string wat =
      value_or_die(file, wasm_to_wat(file.module.bytes, {.custom_sections = false, .source_map = &map}));
  add_wasm(functions, wat, map);
  const std::string assembly =
      value_or_die(file, Module::emit_text(engine, file.module.bytes, CodeText::located_assembly));
  add_machine(functions, assembly, imported);

  const EngineOptions& used = options.engine;
  const std::string facts = fmt::format("{} bytes, {} functions; machine code of --mode {} --opt {} --cpu {}; Rotor {}",
                                        file.size, functions.size(), used.mode, used.opt, used.cpu, ROTOR_VERSION);
  check_or_die(options.output, write_output_file(options.output, explore_page(options.file, facts, functions)));
}

}  // namespace

void add_explore(CLI::App& app) {
  auto options = std::make_shared<ExploreOptions>();
  CLI::App* command = app.add_subcommand("explore", "Write a page with a module's functions, wasm beside machine code");
  command->add_option("file", options->file, "a .wasm or .wat file")->required();
  command->add_option("-o,--output", options->output, "the .html file; if not standard output");
  options->engine.add_to(*command);
  command->callback([options] { explore(*options); });
}

}  // namespace rotor::cli
