// Instructions of the text format (spec section 6.5), flat and folded, encoded in the order in which they run. What is
// nested lies on an explicit stack: no depth of the text can exhaust the C++ stack.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "wasm/keyed_hash.h"
#include "wasm/text/keywords.h"
#include "wasm/text/module_state.h"
#include "wasm/text/type_parser.h"

namespace rotor::wasm::text {

/// Deepest nesting of blocks and folded instructions.
inline constexpr uint32_t kMaxTextNesting = 200'000;

class InstructionParser {
 public:
  InstructionParser(ModuleState& state, TypeParser& types) : state_(state), cursor_(state.cursor), types_(types) {}

  /// Parses a constant expression: instructions up to the enclosing `)`. Writes the final `end`, too.
  void expression(SectionWriter& out);
  /// Parses one folded instruction as a constant expression.
  void folded_expression(SectionWriter& out);
  /// Parses a function's local declarations and instructions, after its type use. `locals` has the parameters; the
  /// other locals are added to it. Appends the body's size and contents to the code section.
  void function(uint32_t index, IndexSpace& locals, std::vector<NamedIndex>* local_names);

 private:
  enum class FrameKind : uint8_t {
    plain,         ///< `(op immediates` operands
    if_condition,  ///< `(if` type, operands
    then_arm,      ///< within `(then`
    after_then,    ///< `(else` may come
    else_arm,      ///< within `(else`
    after_else,
    try_begin,  ///< `(try` type
    in_do,      ///< within `(do`
    after_do,   ///< `(catch`, `(catch_all` or `(delegate` may come
    in_catch,
    after_catch,
    in_catch_all,
    after_catch_all,
    after_delegate,
    folded_block,
    flat_block,
    flat_if,
    flat_else,
    flat_try,
    flat_catch,
    flat_catch_all,
  };
  struct Frame {
    FrameKind kind;
    int8_t hint = kNoHint;
    uint32_t pending = 0;  ///< where its instruction begins in `pending_`
    uint32_t text_offset = 0;
    uint32_t id_token = 0;  ///< of the label; 0: none (the first token of a text is never a label's)
  };
  struct Label {
    std::string_view name;     ///< empty: none
    uint32_t shadows = kNone;  ///< the label that had the name before
  };
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr int8_t kNoHint = -1;

  // The loop, and what it does at each kind of token.
  void run(SectionWriter& out, bool single);
  void open_parenthesis();
  void close_parenthesis();
  void flat_instruction();
  void flat_else();
  void flat_end();
  void flat_catch(Opcode op);
  void flat_delegate();
  /// Parses the `(` of a folded try's next part.
  void open_try_part(Frame& frame);
  /// Write a clause's opcode with its tag, and a `delegate` with its label, which is one outside the `try`.
  void clause(Opcode op);
  void delegate();
  static bool is_between_parts(FrameKind kind);
  void folded_instruction();

  void push(Frame frame);
  void pop() { frames_.pop_back(); }
  /// Takes a label's id token if one is next, and returns its index, else 0.
  uint32_t take_label();
  void push_label(uint32_t id_token);
  void pop_label();
  /// Checks the label that `else` and `end` may repeat: it must be that of their block.
  void check_label(const Frame& frame);
  const Instruction* expect_instruction();
  void branch_hint();
  /// Fails: the pending branch hint does not stand before an `if` or `br_if`.
  void refuse_hint();
  /// Notes the place in the text of the instruction that is written next, and its hint.
  void begin_instruction(uint32_t text_offset, int8_t hint);
  /// Takes the hint that stands before the instruction that begins here; kNoHint: there is none.
  int8_t take_hint(Opcode op);

  // Opcode and immediates, appended to `out` (instruction_immediates.cc).
  void plain(const Instruction& instruction, ByteWriter& out);
  /// Writes a block's opcode and type, with the clauses of a try_table. Returns the id token of its label.
  uint32_t block_header(const Instruction& instruction, ByteWriter& out);
  void block_type(ByteWriter& out);
  void immediates(const Instruction& instruction, ByteWriter& out);
  void catch_clauses(ByteWriter& out);
  void label(ByteWriter& out);
  void label_table(ByteWriter& out);
  void call_indirect(ByteWriter& out);
  void select(ByteWriter& out);
  void ref_test(Opcode op, ByteWriter& out);
  void br_on_cast(ByteWriter& out);
  void field(ByteWriter& out);
  void memory_access(uint32_t natural_align_log2, bool has_lane, ByteWriter& out);
  /// Takes `offset=N` or `align=N`, if that is next, and returns N.
  std::optional<uint64_t> memory_argument(std::string_view prefix);
  void two_indices(Space first, Space second, bool first_is_optional, bool second_goes_first, ByteWriter& out);
  void copy(Space space, ByteWriter& out);
  void integer(unsigned bits, ByteWriter& out);
  void number_f32(ByteWriter& out);
  void number_f64(ByteWriter& out);
  void lane(ByteWriter& out);
  void shuffle(ByteWriter& out);
  void vector(ByteWriter& out);
  /// Notes an instruction that names a data segment, which needs a data count section.
  void data_instruction();

  void local_declarations(IndexSpace& locals, std::vector<NamedIndex>* local_names);

  ModuleState& state_;
  Cursor& cursor_;
  TypeParser& types_;
  SectionWriter* out_ = nullptr;
  const IndexSpace* locals_ = nullptr;
  std::vector<Frame> frames_;
  /// The encodings of folded instructions whose operands are still being parsed.
  ByteWriter pending_;
  std::vector<Label> labels_;
  KeyedMap<std::string_view, uint32_t> label_of_;
  std::optional<uint8_t> hint_;
  uint32_t hint_offset_ = 0;

  // The function that is being parsed.
  bool in_function_ = false;
  SectionWriter body_;
  ByteWriter local_declarations_;
  std::vector<BranchHint> hints_;
  uint32_t block_count_ = 0;
  std::vector<NamedIndex> label_names_;
  IndexSpace no_locals_;
};

}  // namespace rotor::wasm::text
