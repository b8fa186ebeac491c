#include "wasm/text/print_body.h"

#include "wasm/local_declarations.h"
#include "wasm/text/binary_codes.h"

namespace rotor::wasm::text {
namespace {

/// Returns whether an instruction ends a part of a block, so that it is put as far to the left as the block's begin.
bool ends_part(Opcode op) {
  return op == Opcode::Else || op == Opcode::End || op == Opcode::Catch || op == Opcode::CatchAll ||
         op == Opcode::Delegate;
}

}  // namespace

// ---- expressions and functions ------------------------------------------------------------------------------------

bool BodyPrinter::expression() {
  in_function_ = false;
  name_labels({});
  local_names_.clear();
  return run();
}

bool BodyPrinter::wrapped_expression(std::string_view word) {
  size_t begin = out_.position();
  if (!expression()) return false;
  if (instructions_ == 1 && blocks_ == 0) {
    out_.insert(begin + 1, "(");
  } else {
    out_.insert(begin, " (" + std::string(word));
  }
  out_.put(')');
  return true;
}

bool BodyPrinter::local_declarations() {
  return read_local_declarations<BinaryType>(
      reader_, locals_.size(), [&](BinaryType& type) { return types_.value_type(type); },
      [&](uint64_t total, const BinaryType& type) { locals_.resize(total, type); });
}

bool BodyPrinter::function(uint32_t index, uint32_t type, std::span<const BranchHint> hints) {
  body_begin_ = reader_.offset();
  hints_ = hints;
  auto params = types_.params(type);
  locals_.assign(params.begin(), params.end());
  if (!local_declarations()) return false;
  local_names_ = state_.names.locals(index, static_cast<uint32_t>(locals_.size()));
  name_labels(state_.names.labels(index));

  out_.line(1);
  map(body_begin_);
  out_.put("(func");
  state_.definition(Space::func, index);
  auto names = std::span<const PrintedName>(local_names_);
  types_.put_use(type, names.first(names.empty() ? 0 : params.size()));
  if (locals_.size() > params.size()) {
    out_.line(1);
    out_.put(' ');  // together with the space that each list begins with: an indentation
    types_.put_list("local", std::span(locals_).subspan(params.size()),
                    names.subspan(names.empty() ? 0 : params.size()));
  }
  in_function_ = true;
  if (!run()) return false;
  if (!reader_.at_end()) return reader_.fail(Message::section_size_mismatch, reader_.offset());
  if (instructions_ > 0 || locals_.size() > params.size()) out_.line(1);
  out_.put(')');
  return true;
}

bool BodyPrinter::run() {
  labels_.clear();
  label_of_.clear();
  instructions_ = 0;
  // Text that is over its limit will not be kept: there is no need to read on.
  while (!out_.over()) {
    uint64_t start = reader_.offset();
    uint32_t code = 0;
    if (!reader_.opcode(code)) return false;
    const Instruction* row = find_instruction(static_cast<Opcode>(code));
    if (!row) return reader_.fail_opcode(start, code);
    if (row->op == Opcode::End && labels_.empty()) return true;
    if (!instruction(*row, start)) return false;
    ++instructions_;
  }
  return reader_.fail_detail(Message::limit_module_size, reader_.offset(), "its text");
}

bool BodyPrinter::instruction(const Instruction& row, uint64_t start) {
  instruction_offset_ = start;
  if (ends_part(row.op)) return part_end(row, start);
  put_hint(row.op, start);
  begin_line();
  if (in_function_) map(start);
  // Puts the word only: in "ref.test null" the rest belongs to the type.
  out_.put(row.text.substr(0, row.text.find(' ')));
  if (row.immediate == ImmediateKind::block || row.immediate == ImmediateKind::try_table) return block(row);
  return immediates(row);
}

void BodyPrinter::begin_line() {
  if (in_function_) {
    out_.line(static_cast<uint32_t>(labels_.size()) + 2);
  } else {
    out_.put(' ');
  }
}

void BodyPrinter::map(uint64_t offset) {
  if (state_.source_map)
    state_.source_map->entries.push_back({static_cast<uint32_t>(offset), static_cast<uint32_t>(out_.position())});
}

void BodyPrinter::put_hint(Opcode op, uint64_t start) {
  if (!in_function_ || hints_.empty() || body_begin_ + hints_.front().offset != start) return;
  if (op != Opcode::If && op != Opcode::BrIf) return;
  begin_line();
  out_.put("(@");
  out_.put(kBranchHint);
  out_.put(hints_.front().value == 0 ? " \"\\00\")" : " \"\\01\")");
  hints_ = hints_.subspan(1);
  ++hints_put_;
}

// ---- blocks -------------------------------------------------------------------------------------------------------

void BodyPrinter::name_labels(std::vector<NamedIndex> names) {
  label_names_ = std::move(names);
  next_label_name_ = 0;
  blocks_ = 0;
}

std::string_view BodyPrinter::next_label_name() {
  uint32_t index = blocks_++;
  if (next_label_name_ == label_names_.size() || label_names_[next_label_name_].first != index) return {};
  return label_names_[next_label_name_++].second;
}

bool BodyPrinter::block(const Instruction& row) {
  uint64_t start = instruction_offset_;
  std::string_view name = next_label_name();
  if (name.empty()) {
    out_.put(" (;@");
    out_.natural(labels_.size() + 1);
    out_.put(";)");
  } else {
    out_.put(' ');
    out_.put(id_of(name));
    state_.has_put_name = true;
  }
  // The clauses of a try_table branch from outside it.
  if (!block_type() || (row.op == Opcode::TryTable && !catch_clauses())) return false;
  if (labels_.size() >= kMaxNesting)
    return reader_.fail_limit(Message::limit_nesting, start, labels_.size() + 1, kMaxNesting);
  uint32_t index = static_cast<uint32_t>(labels_.size());
  Label label{.name = name,
              .kind = row.op == Opcode::If    ? BlockKind::if_
                      : row.op == Opcode::Try ? BlockKind::try_
                                              : BlockKind::other};
  if (!name.empty()) {
    auto [place, is_new] = label_of_.emplace(name, index);
    if (!is_new) label.shadows = std::exchange(place->second, index);
  }
  labels_.push_back(label);
  return true;
}

bool BodyPrinter::next_part(Opcode op, uint64_t start) {
  const BlockKind before = labels_.empty() ? BlockKind::other : labels_.back().kind;
  const bool may_catch = before == BlockKind::try_ || before == BlockKind::catch_;
  switch (op) {
    case Opcode::Else:
      if (before != BlockKind::if_) return reader_.fail(Message::misplaced_else, start);
      labels_.back().kind = BlockKind::else_;
      return true;
    case Opcode::Catch:
      if (!may_catch) return reader_.fail(Message::misplaced_catch, start);
      labels_.back().kind = BlockKind::catch_;
      return true;
    case Opcode::CatchAll:
      if (!may_catch) return reader_.fail(Message::misplaced_catch_all, start);
      labels_.back().kind = BlockKind::catch_all;
      return true;
    case Opcode::Delegate:
      if (before != BlockKind::try_) return reader_.fail(Message::misplaced_delegate, start);
      return true;
    default: return true;
  }
}

bool BodyPrinter::part_end(const Instruction& row, uint64_t start) {
  if (!next_part(row.op, start)) return false;
  Label label = labels_.back();
  labels_.pop_back();
  begin_line();
  if (in_function_) map(start);
  out_.put(row.text);
  if (row.op == Opcode::Delegate || row.op == Opcode::End) {
    leave_scope(label);  // before the label of a delegate, which is one outside its block
  } else {
    labels_.push_back(label);
  }
  return immediates(row);
}

void BodyPrinter::leave_scope(const Label& label) {
  if (label.name.empty()) return;
  auto place = label_of_.find(label.name);
  if (label.shadows == UINT32_MAX) {
    label_of_.erase(place);
  } else {
    place->second = label.shadows;
  }
}

bool BodyPrinter::block_type() {
  uint64_t start = reader_.offset();
  uint8_t first = reader_.peek();
  if (first == kEmptyBlock) return reader_.skip(1);
  // A byte 0x40..0x7f is a value type by its form; anything else is a type index, written as a signed integer.
  if ((first & 0xc0) == 0x40) {
    BinaryType type;
    if (!types_.value_type(type)) return false;
    types_.put_list("result", std::span(&type, 1), {});
    return true;
  }
  int64_t index = 0;
  if (!reader_.s33(index)) return false;
  if (index < 0) return reader_.fail(Message::malformed_block_type, start);
  types_.put_use(static_cast<uint32_t>(index));
  return true;
}

bool BodyPrinter::catch_clauses() {
  uint32_t count = 0;
  if (!reader_.count(count)) return false;
  for (uint32_t i = 0; i < count; ++i) {
    uint64_t start = reader_.offset();
    uint8_t code = 0;
    if (!reader_.u8(code)) return false;
    if (code >= std::size(kCatchClauses)) return reader_.fail_detail(Message::illegal_opcode, start, "catch clause");
    out_.put(" (");
    out_.put(kCatchClauses[code].word);
    if ((kCatchClauses[code].has_tag && !index(Space::tag)) || !label()) return false;
    out_.put(')');
  }
  return true;
}

}  // namespace rotor::wasm::text
