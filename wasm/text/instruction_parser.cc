#include "wasm/text/instruction_parser.h"

#include <algorithm>

#include "wasm/text/binary_codes.h"

namespace rotor::wasm::text {
namespace {

constexpr uint8_t kEnd = 0x0b, kElse = 0x05;

bool is_block(Opcode op) {
  return op == Opcode::Block || op == Opcode::Loop || op == Opcode::TryTable || op == Opcode::Try;
}

}  // namespace

void InstructionParser::expression(SectionWriter& out) {
  run(out, false);
  out.bytes.u8(kEnd);
}

void InstructionParser::folded_expression(SectionWriter& out) {
  if (!cursor_.at(TokenKind::open)) return cursor_.unexpected("an instruction in parentheses");
  run(out, true);
  out.bytes.u8(kEnd);
}

void InstructionParser::run(SectionWriter& out, bool single) {
  out_ = &out;
  while (!cursor_.failed()) {
    switch (cursor_.peek().kind) {
      case TokenKind::open: open_parenthesis(); break;
      case TokenKind::close:
        if (hint_) return refuse_hint();
        if (frames_.empty()) return;
        close_parenthesis();
        if (single && frames_.empty()) return;
        break;
      case TokenKind::keyword: flat_instruction(); break;
      case TokenKind::annotation:
        if (cursor_.at_annotation(kBranchHint)) {
          branch_hint();
          break;
        }
        [[fallthrough]];
      default: cursor_.unexpected("an instruction");
    }
  }
  frames_.clear();
}

// ---- nesting ------------------------------------------------------------------------------------------------------

void InstructionParser::push(Frame frame) {
  if (frames_.size() >= kMaxTextNesting)
    return cursor_.fail(frame.text_offset, "instructions nested too deeply", ErrorKind::limit);
  frames_.push_back(frame);
}

uint32_t InstructionParser::take_label() {
  if (!cursor_.at(TokenKind::id)) return 0;
  uint32_t token = cursor_.position();
  cursor_.next();
  return token;
}

void InstructionParser::push_label(uint32_t id_token) {
  Label label;
  uint32_t index = static_cast<uint32_t>(labels_.size());
  if (id_token != 0) {
    label.name = cursor_.id_name(cursor_.token(id_token));
    auto [place, is_new] = label_of_.emplace(label.name, index);
    if (!is_new) label.shadows = std::exchange(place->second, index);
    if (state_.names.wanted) label_names_.emplace_back(block_count_, label.name);
  }
  ++block_count_;
  labels_.push_back(label);
}

void InstructionParser::pop_label() {
  const Label& label = labels_.back();
  if (!label.name.empty()) {
    auto place = label_of_.find(label.name);
    if (label.shadows == kNone) {
      label_of_.erase(place);
    } else {
      place->second = label.shadows;
    }
  }
  labels_.pop_back();
}

void InstructionParser::check_label(const Frame& frame) {
  if (!cursor_.at(TokenKind::id)) return;
  uint32_t begin = cursor_.offset();
  std::string_view name = cursor_.id_name(cursor_.next());
  if (frame.id_token == 0 || cursor_.id_name(cursor_.token(frame.id_token)) != name)
    cursor_.fail(begin, "mismatching label " + show_id(name));
}

const Instruction* InstructionParser::expect_instruction() {
  const Instruction* instruction =
      cursor_.at(TokenKind::keyword) ? find_instruction(cursor_.text(cursor_.peek())) : nullptr;
  if (!instruction) cursor_.unexpected("an instruction");
  return instruction;
}

// ---- flat instructions --------------------------------------------------------------------------------------------

void InstructionParser::flat_instruction() {
  if (!frames_.empty()) {
    FrameKind within = frames_.back().kind;
    if (within == FrameKind::plain || is_between_parts(within))
      return cursor_.unexpected("an instruction in parentheses");
  }
  const Instruction* instruction = expect_instruction();
  if (!instruction) return;
  Opcode op = instruction->op;
  if (op == Opcode::Else) return flat_else();
  if (op == Opcode::End) return flat_end();
  if (op == Opcode::Catch || op == Opcode::CatchAll) return flat_catch(op);
  if (op == Opcode::Delegate) return flat_delegate();
  uint32_t offset = cursor_.offset();
  begin_instruction(offset, take_hint(op));
  if (is_block(op) || op == Opcode::If) {
    Frame frame{op == Opcode::If    ? FrameKind::flat_if
                : op == Opcode::Try ? FrameKind::flat_try
                                    : FrameKind::flat_block};
    frame.text_offset = offset;
    frame.id_token = block_header(*instruction, out_->bytes);
    push_label(frame.id_token);
    push(frame);
  } else {
    plain(*instruction, out_->bytes);
  }
}

void InstructionParser::flat_else() {
  if (frames_.empty() || frames_.back().kind != FrameKind::flat_if) return cursor_.unexpected("an instruction");
  begin_instruction(cursor_.offset(), take_hint(Opcode::Else));
  cursor_.next();
  check_label(frames_.back());
  out_->bytes.u8(kElse);
  frames_.back().kind = FrameKind::flat_else;
}

void InstructionParser::flat_end() {
  if (frames_.empty() || frames_.back().kind < FrameKind::flat_block) return cursor_.unexpected("an instruction");
  begin_instruction(cursor_.offset(), take_hint(Opcode::End));
  cursor_.next();
  check_label(frames_.back());
  out_->bytes.u8(kEnd);
  pop_label();
  pop();
}

void InstructionParser::flat_catch(Opcode op) {
  if (frames_.empty() || (frames_.back().kind != FrameKind::flat_try && frames_.back().kind != FrameKind::flat_catch))
    return cursor_.unexpected("an instruction");
  begin_instruction(cursor_.offset(), take_hint(op));
  cursor_.next();
  // An id before the tag, or before no tag, is that of the label.
  TokenKind after = cursor_.peek(1).kind;
  if (op == Opcode::CatchAll || after == TokenKind::id || after == TokenKind::natural) check_label(frames_.back());
  clause(op);
  frames_.back().kind = op == Opcode::Catch ? FrameKind::flat_catch : FrameKind::flat_catch_all;
}

void InstructionParser::flat_delegate() {
  if (frames_.empty() || frames_.back().kind != FrameKind::flat_try) return cursor_.unexpected("an instruction");
  begin_instruction(cursor_.offset(), take_hint(Opcode::Delegate));
  cursor_.next();
  delegate();
  pop();
}

void InstructionParser::clause(Opcode op) {
  out_->bytes.opcode(std::to_underlying(op));
  if (op == Opcode::Catch) out_->bytes.u32(state_.index(Space::tag));
}

void InstructionParser::delegate() {
  pop_label();
  out_->bytes.opcode(std::to_underlying(Opcode::Delegate));
  label(out_->bytes);
}

// ---- folded instructions ------------------------------------------------------------------------------------------

void InstructionParser::open_parenthesis() {
  if (!frames_.empty()) {
    Frame& frame = frames_.back();
    if (frame.kind == FrameKind::if_condition && cursor_.at_open("then")) {
      begin_instruction(frame.text_offset, frame.hint);
      out_->bytes.bytes(pending_.view(frame.pending));
      pending_.truncate(frame.pending);
      push_label(frame.id_token);
      frame.kind = FrameKind::then_arm;
      cursor_.take_open("then");
      return;
    }
    if (frame.kind == FrameKind::after_then && cursor_.at_open("else")) {
      begin_instruction(cursor_.offset(), kNoHint);
      out_->bytes.u8(kElse);
      frame.kind = FrameKind::else_arm;
      cursor_.take_open("else");
      return;
    }
    if (frame.kind == FrameKind::after_then || frame.kind == FrameKind::after_else) return cursor_.unexpected(")");
    if (frame.kind != FrameKind::if_condition && is_between_parts(frame.kind)) return open_try_part(frame);
  }
  folded_instruction();
}

bool InstructionParser::is_between_parts(FrameKind kind) {
  switch (kind) {
    case FrameKind::if_condition:
    case FrameKind::after_then:
    case FrameKind::after_else:
    case FrameKind::try_begin:
    case FrameKind::after_do:
    case FrameKind::after_catch:
    case FrameKind::after_catch_all:
    case FrameKind::after_delegate: return true;
    default: return false;
  }
}

void InstructionParser::open_try_part(Frame& frame) {
  if (frame.kind == FrameKind::try_begin) {
    if (!cursor_.take_open("do")) return cursor_.unexpected("(do");
    frame.kind = FrameKind::in_do;
    return;
  }
  const bool may_catch = frame.kind == FrameKind::after_do || frame.kind == FrameKind::after_catch;
  begin_instruction(cursor_.offset(), kNoHint);
  if (may_catch && cursor_.take_open("catch")) {
    clause(Opcode::Catch);
    frame.kind = FrameKind::in_catch;
  } else if (may_catch && cursor_.take_open("catch_all")) {
    clause(Opcode::CatchAll);
    frame.kind = FrameKind::in_catch_all;
  } else if (frame.kind == FrameKind::after_do && cursor_.take_open("delegate")) {
    delegate();
    cursor_.expect_close();
    frame.kind = FrameKind::after_delegate;
  } else {
    cursor_.unexpected(")");
  }
}

void InstructionParser::folded_instruction() {
  Frame frame{FrameKind::plain};
  frame.pending = static_cast<uint32_t>(pending_.size());
  frame.text_offset = cursor_.offset();
  cursor_.next();
  const Instruction* instruction = expect_instruction();
  if (!instruction) return;
  Opcode op = instruction->op;
  if (op == Opcode::Else || op == Opcode::End || op == Opcode::Catch || op == Opcode::CatchAll ||
      op == Opcode::Delegate)
    return cursor_.unexpected("an instruction");
  frame.hint = take_hint(op);
  if (is_block(op)) {
    begin_instruction(frame.text_offset, kNoHint);
    frame.kind = op == Opcode::Try ? FrameKind::try_begin : FrameKind::folded_block;
    frame.id_token = block_header(*instruction, out_->bytes);
    push_label(frame.id_token);
  } else if (op == Opcode::If) {
    frame.kind = FrameKind::if_condition;
    frame.id_token = block_header(*instruction, pending_);
  } else {
    plain(*instruction, pending_);
  }
  push(frame);
}

void InstructionParser::close_parenthesis() {
  Frame& frame = frames_.back();
  switch (frame.kind) {
    case FrameKind::plain:
      begin_instruction(frame.text_offset, frame.hint);
      out_->bytes.bytes(pending_.view(frame.pending));
      pending_.truncate(frame.pending);
      pop();
      break;
    case FrameKind::then_arm: frame.kind = FrameKind::after_then; break;
    case FrameKind::else_arm: frame.kind = FrameKind::after_else; break;
    case FrameKind::in_do: frame.kind = FrameKind::after_do; break;
    case FrameKind::in_catch: frame.kind = FrameKind::after_catch; break;
    case FrameKind::in_catch_all: frame.kind = FrameKind::after_catch_all; break;
    case FrameKind::after_delegate: pop(); break;
    case FrameKind::after_then:
    case FrameKind::after_else:
    case FrameKind::after_do:
    case FrameKind::after_catch:
    case FrameKind::after_catch_all:
    case FrameKind::folded_block:
      begin_instruction(cursor_.offset(), kNoHint);
      out_->bytes.u8(kEnd);
      pop_label();
      pop();
      break;
    case FrameKind::if_condition: return cursor_.unexpected("(then");
    case FrameKind::try_begin: return cursor_.unexpected("(do");
    case FrameKind::flat_block:
    case FrameKind::flat_if:
    case FrameKind::flat_else:
    case FrameKind::flat_try:
    case FrameKind::flat_catch:
    case FrameKind::flat_catch_all: return cursor_.unexpected("end");
  }
  cursor_.next();
}

// ---- branch hints -------------------------------------------------------------------------------------------------

void InstructionParser::branch_hint() {
  hint_offset_ = cursor_.offset();
  if (!in_function_) return cursor_.fail(hint_offset_, "@metadata.code.branch_hint annotation: not in a function");
  if (hint_) return cursor_.fail(hint_offset_, "@metadata.code.branch_hint annotation: duplicate annotation");
  cursor_.next();
  std::string value = cursor_.expect_string();
  if (!cursor_.failed() && value != std::string_view("\0", 1) && value != "\1")
    cursor_.fail(hint_offset_, "@metadata.code.branch_hint annotation: neither \"\\00\" nor \"\\01\"");
  cursor_.expect_close();
  if (!cursor_.failed()) hint_ = static_cast<uint8_t>(value[0]);
}

void InstructionParser::refuse_hint() {
  cursor_.fail(hint_offset_, "@metadata.code.branch_hint annotation: invalid target", ErrorKind::invalid);
}

int8_t InstructionParser::take_hint(Opcode op) {
  if (!hint_) return kNoHint;
  if (op != Opcode::If && op != Opcode::BrIf) refuse_hint();
  int8_t hint = static_cast<int8_t>(*hint_);
  hint_.reset();
  return hint;
}

void InstructionParser::begin_instruction(uint32_t text_offset, int8_t hint) {
  out_->note(text_offset);
  if (hint != kNoHint) hints_.push_back({static_cast<uint32_t>(out_->bytes.size()), static_cast<uint8_t>(hint)});
}

// ---- functions ----------------------------------------------------------------------------------------------------

void InstructionParser::local_declarations(IndexSpace& locals, std::vector<NamedIndex>* local_names) {
  ByteWriter& out = local_declarations_;
  out.clear();
  // Adjacent locals of one type share an entry.
  ByteWriter runs, type, previous;
  uint32_t run_count = 0;
  uint32_t run_length = 0;
  auto flush = [&] {
    if (run_length == 0) return;
    runs.u32(run_length);
    runs.bytes(previous.view());
    ++run_count;
  };
  auto declare = [&] {
    type.clear();
    types_.value_type(type);
    if (run_length == 0 || !std::ranges::equal(type.view(), previous.view())) {
      flush();
      run_length = 0;
      std::swap(type, previous);
    }
    ++run_length;
    return locals.add();
  };
  while (cursor_.take_open("local")) {
    if (state_.inner_name(locals, locals.count(), "local", local_names)) {
      declare();
    } else {
      while (!cursor_.at(TokenKind::close) && !cursor_.failed()) declare();
    }
    cursor_.expect_close();
  }
  flush();
  out.u32(run_count);
  out.bytes(runs.view());
}

void InstructionParser::function(uint32_t index, IndexSpace& locals, std::vector<NamedIndex>* local_names) {
  local_declarations(locals, local_names);
  in_function_ = true;
  locals_ = &locals;
  body_.bytes.clear();
  body_.map.clear();
  hints_.clear();
  label_names_.clear();
  block_count_ = 0;
  run(body_, false);
  body_.note(cursor_.offset());
  body_.bytes.u8(kEnd);
  in_function_ = false;
  locals_ = nullptr;
  if (cursor_.failed()) return;

  SectionWriter& code = state_.section(SectionId::code);
  uint32_t declarations = static_cast<uint32_t>(local_declarations_.size());
  code.bytes.u64(declarations + body_.bytes.size());
  code.bytes.bytes(local_declarations_.view());
  uint32_t base = static_cast<uint32_t>(code.bytes.size());
  for (const WatSourceMap::Entry& entry : body_.map) code.map.push_back({base + entry.binary, entry.text});
  code.bytes.bytes(body_.bytes.view());
  ++code.count;
  if (!hints_.empty()) {
    ++state_.hinted_functions;
    state_.branch_hints.u32(index);
    state_.branch_hints.u64(hints_.size());
    for (const BranchHint& hint : hints_) {
      state_.branch_hints.u32(declarations + hint.offset);
      state_.branch_hints.u32(1);
      state_.branch_hints.u8(hint.value);
    }
  }
  if (state_.names.wanted) NameTables::add(state_.names.labels, index, label_names_);
}

}  // namespace rotor::wasm::text
