#include "wasm/text/script_parser.h"

#include <algorithm>

namespace rotor::wasm::text {
namespace {

struct CommandWord {
  std::string_view word;
  ScriptCommand::Kind kind;
};
constexpr CommandWord kCommands[] = {
    {"module", ScriptCommand::Kind::module},
    {"register", ScriptCommand::Kind::register_},
    {"invoke", ScriptCommand::Kind::action},
    {"get", ScriptCommand::Kind::action},
    {"assert_return", ScriptCommand::Kind::assert_return},
    {"assert_trap", ScriptCommand::Kind::assert_trap},
    {"assert_exhaustion", ScriptCommand::Kind::assert_exhaustion},
    {"assert_exception", ScriptCommand::Kind::assert_exception},
    {"assert_invalid", ScriptCommand::Kind::assert_invalid},
    {"assert_malformed", ScriptCommand::Kind::assert_malformed},
    {"assert_invalid_custom", ScriptCommand::Kind::assert_invalid_custom},
    {"assert_malformed_custom", ScriptCommand::Kind::assert_malformed_custom},
    {"assert_unlinkable", ScriptCommand::Kind::assert_unlinkable},
    {"thread", ScriptCommand::Kind::thread},
    {"wait", ScriptCommand::Kind::wait},
};

const CommandWord* find_command(std::string_view word) {
  auto found = std::ranges::find(kCommands, word, &CommandWord::word);
  return found == std::end(kCommands) ? nullptr : found;
}

}  // namespace

const char* to_string(ScriptCommand::Kind kind) {
  switch (kind) {
    case ScriptCommand::Kind::instance: return "module instance";
    case ScriptCommand::Kind::assert_uninstantiable: return "assert_trap";
    default: return std::ranges::find(kCommands, kind, &CommandWord::kind)->word.data();
  }
}

Result<std::vector<ScriptCommand>> ScriptParser::run() {
  std::vector<ScriptCommand> commands;
  if (cursor_.at(TokenKind::open) && !at_command()) {
    // A script of fields alone is a module.
    ScriptCommand& command = commands.emplace_back();
    command.line = line_of(cursor_.offset());
    command.offset = command.module.offset = cursor_.offset();
    command.module.end_token = static_cast<uint32_t>(tokens_.tokens.size()) - 2;
    return commands;
  }
  while (cursor_.at(TokenKind::open)) commands.push_back(command(0));
  if (!cursor_.at(TokenKind::end) || !tokens_.error.empty()) cursor_.unexpected("a command");
  if (cursor_.failed()) return std::unexpected(cursor_.take_error());
  return commands;
}

bool ScriptParser::at_command() const {
  return cursor_.peek(1).kind == TokenKind::keyword && find_command(cursor_.text(cursor_.peek(1))) != nullptr;
}

uint64_t ScriptParser::line_of(uint32_t offset) {
  std::string_view between = tokens_.source.substr(line_offset_, offset - line_offset_);
  line_ += static_cast<uint64_t>(std::ranges::count(between, '\n'));
  line_offset_ = offset;
  return line_;
}

std::string ScriptParser::optional_name() { return std::string(cursor_.take_id().value_or("")); }

ScriptCommand ScriptParser::command(unsigned depth) {
  ScriptCommand out;
  out.offset = cursor_.offset();
  out.line = line_of(cursor_.offset());
  if (!at_command()) {
    cursor_.next();
    cursor_.unexpected("a command");
    return out;
  }
  std::string_view word = cursor_.text(cursor_.peek(1));
  out.kind = find_command(word)->kind;
  // An action reads its own parenthesis.
  if (out.kind == Kind::action) {
    out.action = action();
  } else {
    cursor_.take_open(word);
    contents(out, word, depth);
    cursor_.expect_close();
  }
  return out;
}

void ScriptParser::contents(ScriptCommand& out, std::string_view word, unsigned depth) {
  switch (out.kind) {
    case Kind::module: return module_or_instance(out);
    case Kind::register_:
      out.as = cursor_.expect_string();
      out.of = optional_name();
      return;
    case Kind::assert_return:
      out.action = action();
      while (cursor_.at(TokenKind::open)) out.expected.push_back(value(true, 0));
      return;
    case Kind::assert_trap: return assert_trap(out);
    case Kind::assert_exhaustion:
      out.action = action();
      out.message = cursor_.expect_string();
      return;
    case Kind::assert_exception: out.action = action(); return;
    case Kind::assert_invalid:
    case Kind::assert_malformed:
    case Kind::assert_invalid_custom:
    case Kind::assert_malformed_custom:
    case Kind::assert_unlinkable: return rejected_module(out, out.kind);
    case Kind::thread: return thread(out, depth);
    case Kind::wait: out.name = optional_name(); return;
    case Kind::instance:
    case Kind::assert_uninstantiable:
    case Kind::action: return;  // the word is no command's
  }
}

// ---- modules ------------------------------------------------------------------------------------------------------

void ScriptParser::module_or_instance(ScriptCommand& out) {
  if (cursor_.take_keyword("instance")) {
    out.kind = Kind::instance;
    out.name = optional_name();
    out.of = optional_name();
    return;
  }
  out.module = module(static_cast<uint32_t>(out.offset));
}

ScriptModule ScriptParser::module(uint32_t offset) {
  ScriptModule out;
  out.offset = offset;
  out.is_definition = cursor_.take_keyword("definition");
  out.name = optional_name();
  bool is_binary = cursor_.take_keyword("binary");
  if (is_binary || cursor_.take_keyword("quote")) {
    out.kind = is_binary ? ScriptModule::Kind::binary : ScriptModule::Kind::quote;
    // Strings of a quoted module are joined with a space between them, which ends a token as a line end would.
    while (cursor_.at(TokenKind::string)) {
      decode_string(cursor_.text(cursor_.next()), out.bytes);
      if (!is_binary) out.bytes.push_back('\n');
    }
    return out;
  }
  out.begin_token = cursor_.position();
  // What is no field becomes an error of the module when that is encoded.
  while (!cursor_.at(TokenKind::close) && !cursor_.at(TokenKind::end)) {
    if (cursor_.at(TokenKind::open) || cursor_.at(TokenKind::annotation)) {
      cursor_.skip_parenthesis();
    } else {
      cursor_.next();
    }
  }
  out.end_token = cursor_.position();
  return out;
}

void ScriptParser::rejected_module(ScriptCommand& out, Kind kind) {
  out.kind = kind;
  uint32_t offset = cursor_.offset();
  cursor_.expect_open("module");
  out.module = module(offset);
  cursor_.expect_close();
  out.message = cursor_.expect_string();
}

void ScriptParser::assert_trap(ScriptCommand& out) {
  if (cursor_.at_open("module")) return rejected_module(out, Kind::assert_uninstantiable);
  out.action = action();
  out.message = cursor_.expect_string();
}

// ---- the others ---------------------------------------------------------------------------------------------------

ScriptAction ScriptParser::action() {
  ScriptAction out;
  if (cursor_.take_open("get")) {
    out.kind = ScriptAction::Kind::get;
  } else {
    cursor_.expect_open("invoke");
  }
  out.module = optional_name();
  out.field = cursor_.expect_string();
  if (out.kind == ScriptAction::Kind::invoke)
    while (cursor_.at(TokenKind::open)) out.args.push_back(value(false, 0));
  cursor_.expect_close();
  return out;
}

void ScriptParser::thread(ScriptCommand& out, unsigned depth) {
  if (depth >= kMaxScriptNesting) return cursor_.fail(out.offset, "threads nested too deeply", ErrorKind::limit);
  out.name = optional_name();
  while (cursor_.take_open("shared")) {
    cursor_.expect_open("module");
    out.shared.push_back(optional_name());
    cursor_.expect_close();
    cursor_.expect_close();
  }
  while (cursor_.at(TokenKind::open)) out.commands.push_back(command(depth + 1));
}

}  // namespace rotor::wasm::text
