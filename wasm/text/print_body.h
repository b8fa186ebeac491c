// Instructions, from the binary to text: by the rows of opcodes.def and the kinds of their immediates.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wasm/keyed_hash.h"
#include "wasm/text/keywords.h"
#include "wasm/text/print_types.h"

namespace rotor::wasm::text {

class BodyPrinter {
 public:
  BodyPrinter(PrintState& state, PrintTypes& types)
      : state_(state), reader_(state.reader), out_(state.out), types_(types) {}

  /// Puts a space and a constant expression, as a list of instructions.
  bool expression();
  /// Puts a constant expression as one folded instruction if it is a single one, else within `(word ...)`.
  bool wrapped_expression(std::string_view word);
  /// Puts a function of `type` and its body, up to the reader's end. `hints`: its branch hints, by offset.
  bool function(uint32_t index, uint32_t type, std::span<const BranchHint> hints);

  /// Returns how many branch hints stood at a branch, and were put.
  uint64_t hints_put() const { return hints_put_; }

 private:
  enum class BlockKind : uint8_t { other, if_, else_, try_, catch_, catch_all };
  struct Label {
    std::string_view name;          ///< empty: none
    uint32_t shadows = UINT32_MAX;  ///< the label that had the name before
    BlockKind kind = BlockKind::other;
  };

  bool run();
  bool instruction(const Instruction& row, uint64_t start);
  bool block(const Instruction& row);
  /// Puts `else`, `end`, `catch`, `catch_all` or `delegate`: what ends a part of a block.
  bool part_end(const Instruction& row, uint64_t start);
  /// Notes which part of the current block the instruction begins. Fails if it has none there.
  bool next_part(Opcode op, uint64_t start);
  /// Makes the name of a label that was the innermost one what it was outside its block.
  void leave_scope(const Label& label);
  void begin_line();
  /// Notes that the text of what begins at that offset begins here.
  void map(uint64_t offset);
  void put_hint(Opcode op, uint64_t start);
  bool local_declarations();

  /// Sets the label names of a new function or expression; the indices are those of its blocks.
  void name_labels(std::vector<NamedIndex> names);
  /// Returns the label name of the next block, or an empty one.
  std::string_view next_label_name();
  bool block_type();
  bool catch_clauses();

  bool immediates(const Instruction& row);
  bool index(Space space);
  bool local();
  bool label();
  bool label_table();
  bool br_on_cast();
  bool call_indirect();
  bool optional_index(Space space);
  bool two_indices(Space first, Space second);
  bool init(Space target, Space segment);
  bool copy(Space space);
  bool type_field();
  bool reference(bool nullable);
  bool heap();
  bool select_types();
  bool memory_access(uint32_t natural_align_log2);
  bool integer(unsigned bits);
  bool floating(unsigned bits);
  bool vector();
  bool lane();
  bool shuffle();
  bool zero_byte();
  bool count_of_operands();
  bool data_instruction();

  PrintState& state_;
  ByteReader& reader_;
  TextOut& out_;
  PrintTypes& types_;

  bool in_function_ = false;
  uint64_t body_begin_ = 0;
  uint64_t instruction_offset_ = 0;
  uint32_t instructions_ = 0;  ///< of the expression at hand
  std::vector<BinaryType> locals_;
  std::vector<PrintedName> local_names_;
  std::vector<Label> labels_;
  KeyedMap<std::string_view, uint32_t> label_of_;
  std::vector<NamedIndex> label_names_;
  size_t next_label_name_ = 0;
  uint32_t blocks_ = 0;  ///< begun so far in this function
  std::span<const BranchHint> hints_;
  uint64_t hints_put_ = 0;
};

}  // namespace rotor::wasm::text
