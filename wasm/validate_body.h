// The validator's state while a body is read (spec appendix A.3): the typed operand stack and the control stack.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "wasm/errors.h"
#include "wasm/immediates.h"
#include "wasm/limits.h"
#include "wasm/subtypes.h"

namespace rotor::wasm {

/// The last three are parts of a legacy `try`, one after another, any of them the last.
enum class FrameKind : uint8_t { function, block, loop, if_, else_, try_table, try_, catch_, catch_all };

/// An entry of the control stack. Its address is stable while it is on the stack: sinks get `control` by reference.
template <class Control>
struct Frame {
  FrameKind kind = FrameKind::block;
  /// Set after an unconditional branch: operands that are missing above `height` may be taken as any type.
  bool polymorphic = false;
  /// Whether the sink was told of this block.
  bool live_on_entry = false;
  /// Whether something other than falling through reaches the end: a live branch, or an if's first arm.
  bool branched = false;
  uint32_t height = 0;              ///< operands below the block's own
  uint32_t seen_by = 0;             ///< number of the last br_table that checked this label
  uint32_t initialized_height = 0;  ///< of Locals at the block's beginning
  /// The number of frames up to the one whose clauses get what is thrown here: this one's or one around it; 0: none.
  uint32_t handler = 0;
  BlockSignature type;
  Control control{};

  std::span<const ValType> label_types() const { return kind == FrameKind::loop ? type.params() : type.results(); }
};

/// The types of a function's locals, and which of those without a default have a value (spec appendix A.3).
class Locals {
 public:
  std::vector<ValType> types;  ///< parameters first

  void begin_function(size_t params) {
    params_ = static_cast<uint32_t>(params);
    initialized_.clear();
    is_initialized_.clear();
  }
  /// Pre for these: the local's type has no default.
  bool is_initialized(LocalIndex index) const {
    return raw(index) < params_ || (raw(index) < is_initialized_.size() && is_initialized_[raw(index)]);
  }
  void initialize(LocalIndex index) {
    if (is_initialized(index)) return;
    if (is_initialized_.empty()) is_initialized_.resize(types.size());
    is_initialized_[raw(index)] = true;
    initialized_.push_back(raw(index));
  }
  /// A local that is set inside a block counts as initialized until the block's end: `height` is noted at its
  /// beginning, `forget` undoes what came after.
  uint32_t height() const { return static_cast<uint32_t>(initialized_.size()); }
  void forget(uint32_t height) {
    for (; initialized_.size() > height; initialized_.pop_back()) is_initialized_[initialized_.back()] = false;
  }

 private:
  uint32_t params_ = 0;
  std::vector<uint32_t> initialized_;  ///< in the order in which they were set
  std::vector<bool> is_initialized_;   ///< empty until one is
};

/// Types and the sink's values are two vectors of the same length, so that the values of an instruction's operands are
/// a window that can be passed as it is.
///
/// `live` code is that which can be reached and is told to the sink. Live code is never polymorphic; the reverse does
/// not hold (a block inside dead code is typed as usual), so both flags are kept.
template <class Value, class Control>
class BodyState {
 public:
  using FrameType = Frame<Control>;

  BodyState(const Module& module, ErrorSlot& errors, Locals& locals)
      : module_(module), errors_(errors), locals_(locals) {}

  void reset() {
    types_.clear();
    values_.clear();
    depth_ = 0;
    live_ = true;
    br_tables_ = 0;
  }

  /// Sets the offset at which errors are reported: that of the current instruction.
  void set_offset(uint64_t offset) { offset_ = offset; }
  uint64_t offset() const { return offset_; }
  bool live() const { return live_; }
  void set_live(bool live) { live_ = live; }

  // Operands.
  uint32_t size() const { return static_cast<uint32_t>(types_.size()); }
  /// Returns the values of the topmost operands.
  std::span<Value> window(uint32_t count) { return {values_.data() + (values_.size() - count), count}; }
  Value& top() { return values_.back(); }
  ValType top_type() const { return types_.back(); }
  /// Returns the type of an operand of the current block, counted from the top; bottom if there is none.
  ValType type_at(uint32_t depth) { return depth < available() ? types_[types_.size() - 1 - depth] : ValType(); }
  /// Returns whether the current block has an operand on the stack.
  bool has_operand() { return available() != 0; }
  void push(ValType type, Value value) {
    types_.push_back(type);
    values_.push_back(value);
  }
  void drop(uint32_t count) {
    types_.resize(types_.size() - count);
    values_.resize(values_.size() - count);
  }
  /// Pushes operands whose values the sink is to fill in through window().
  bool push_types(std::span<const ValType> types) {
    if (types.size() + types_.size() > kMaxOperands) [[unlikely]] {
      return errors_.fail_limit(Message::limit_operands, offset_, types.size() + types_.size(), kMaxOperands);
    }
    types_.insert(types_.end(), types.begin(), types.end());
    values_.resize(types_.size());
    return true;
  }
  /// Removes `count` operands that lie below the topmost `above`.
  void drop_below(uint32_t above, uint32_t count) {
    types_.erase(types_.end() - (above + count), types_.end() - above);
    values_.erase(values_.end() - (above + count), values_.end() - above);
  }
  /// Checks that the topmost operands match these types. Afterwards exactly these are there, polymorphic or not.
  bool require(std::span<const ValType> wanted) {
    if (available() < wanted.size() || !equal_top(wanted)) [[unlikely]]
      return require_slow(wanted);
    return true;
  }
  /// Checks that there is one operand, and gives its type; bottom if unreachable code provides it.
  bool require_any(ValType& type) {
    if (available() == 0) {
      if (!frame().polymorphic) return fail_top({});
      push(ValType(), Value{});
    }
    type = top_type();
    return true;
  }
  /// Like require, but changes nothing: the labels of a br_table may require different types of an operand that
  /// unreachable code provides.
  bool check(std::span<const ValType> wanted) {
    if (fits(wanted)) [[likely]]
      return true;
    return fail_top(wanted);
  }

  // Control.
  uint32_t depth() const { return depth_; }
  FrameType& frame() { return *top_frame_; }
  /// Returns the frame that a label names; its index must be below depth().
  FrameType& label(uint32_t index) { return frames_[depth_ - 1 - index]; }
  FrameType& function_frame() { return frames_[0]; }
  /// Returns the frame whose clauses get what is thrown in this one; nullptr: there is none.
  FrameType* handler_of(const FrameType& frame) { return frame.handler == 0 ? nullptr : &frames_[frame.handler - 1]; }

  /// Pushes a frame; the topmost operands, those of `type.params`, become the block's own.
  bool push_frame(FrameKind kind, const BlockSignature& type) {
    if (depth_ == kMaxNesting) [[unlikely]] {
      return errors_.fail_limit(Message::limit_nesting, offset_, depth_ + 1, kMaxNesting);
    }
    if (depth_ == frames_.size()) frames_.emplace_back();
    top_frame_ = &frames_[depth_++];
    top_frame_->kind = kind;
    top_frame_->polymorphic = false;
    top_frame_->live_on_entry = live_;
    top_frame_->branched = false;
    top_frame_->height = size() - type.params_count;
    top_frame_->seen_by = 0;
    top_frame_->initialized_height = locals_.height();
    top_frame_->handler = kind == FrameKind::try_table || kind == FrameKind::try_ ? depth_ : outer_handler();
    top_frame_->type = type;
    top_frame_->control = Control{};
    return true;
  }
  void pop_frame() {
    locals_.forget(top_frame_->initialized_height);
    --depth_;
    top_frame_ = depth_ == 0 ? nullptr : &frames_[depth_ - 1];
  }
  /// Begins another part of the block, which is not reached from the one before: an `else`, a clause of a `try`.
  void begin_arm(FrameKind kind) {
    FrameType& block = frame();
    locals_.forget(block.initialized_height);
    block.kind = kind;
    block.polymorphic = false;
    block.branched |= live_;
    block.handler = outer_handler();
    live_ = block.live_on_entry;
  }
  /// Checks that the block's results, and nothing else, are on its stack.
  bool check_block_end() {
    FrameType& block = frame();
    if (!require(block.type.results())) return false;
    if (available() != block.type.results_count) [[unlikely]] {
      return errors_.fail_detail(Message::type_mismatch, offset_,
                                 std::to_string(available() - block.type.results_count) +
                                     " values too many on the stack at the end of a block");
    }
    return true;
  }
  /// Makes the rest of the block unreachable, after an instruction that does not return.
  void set_unreachable() {
    drop(available());
    frame().polymorphic = true;
    live_ = false;
  }
  /// Returns a number for the current br_table, by which each label is checked once however often it is named.
  uint32_t next_br_table() { return ++br_tables_; }

 private:
  uint32_t available() { return size() - frame().height; }
  /// Returns Frame::handler of the frame around the current one.
  uint32_t outer_handler() const { return depth_ < 2 ? 0 : frames_[depth_ - 2].handler; }

  bool equal_top(std::span<const ValType> wanted) const {
    const ValType* actual = types_.data() + (types_.size() - wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (actual[i] != wanted[i]) return false;
    }
    return true;
  }

  bool fits(std::span<const ValType> wanted) {
    size_t have = available();
    if (have < wanted.size() && !frame().polymorphic) return false;
    for (size_t i = 0; i < wanted.size() && i < have; ++i) {
      ValType actual = types_[types_.size() - 1 - i];
      if (!matches(module_, actual, wanted[wanted.size() - 1 - i])) return false;
    }
    return true;
  }

  [[gnu::noinline]] bool require_slow(std::span<const ValType> wanted) {
    if (!fits(wanted)) return fail_top(wanted);
    size_t have = available();
    if (have < wanted.size()) {
      auto missing = wanted.first(wanted.size() - have);
      types_.insert(types_.begin() + frame().height, missing.begin(), missing.end());
      values_.resize(types_.size());  // dead: no value is ever looked at
    }
    std::copy(wanted.begin(), wanted.end(), types_.end() - static_cast<ptrdiff_t>(wanted.size()));
    return true;
  }

  [[gnu::cold, gnu::noinline]] bool fail_top(std::span<const ValType> wanted) {
    size_t shown = std::min<size_t>(available(), std::max<size_t>(wanted.size(), 1));
    return errors_.fail_stack(offset_, wanted, std::span(types_).last(shown));
  }

  const Module& module_;
  ErrorSlot& errors_;
  Locals& locals_;
  std::vector<ValType> types_;
  std::vector<Value> values_;
  std::deque<FrameType> frames_;  // never shrinks: frames are used again
  FrameType* top_frame_ = nullptr;
  uint32_t depth_ = 0;
  uint32_t br_tables_ = 0;
  bool live_ = true;
  uint64_t offset_ = 0;
};

}  // namespace rotor::wasm
