// The instructions of exceptions (spec section 3.4.1.10 on), as the body decoder reads them.
#pragma once

#include <cstdint>
#include <vector>

#include "wasm/body_reader.h"
#include "wasm/body_sink.h"
#include "wasm/module.h"
#include "wasm/opcodes.h"
#include "wasm/validate_body.h"

namespace rotor::wasm {

/// A part of the body decoder `Decoder`, whose sink has labels of type `Control`.
template <class Decoder, class Control>
class ExceptionDecoder {
 protected:
  template <Opcode op>
  using Is = IsOpcode<op>;

  bool on(Is<Opcode::TryTable>) {
    BlockSignature type;
    if (!reader().block_type(type) || !state().require(type.params())) return false;
    uint64_t start = reader().offset();
    uint32_t count = 0;
    if (!reader().count(count)) return false;
    if (count > kMaxCatches) return reader().fail_limit(Message::limit_catches, start, count, kMaxCatches);
    catches_.resize(count);
    for (Catch<Control>& clause : catches_) {
      if (!read_catch(clause)) return false;
    }
    if (!state().push_frame(FrameKind::try_table, type)) return false;
    if (state().live()) sink().try_table(state().frame().control, type, state().window(type.params_count), catches_);
    return true;
  }
  bool on(Is<Opcode::Throw>) {
    TagIndex tag{};
    if (!reader().tag_index(tag)) return false;
    const FuncType& type = self().module_.tag_type(tag);
    if (!state().require(type.params)) return false;
    if (state().live()) sink().throw_(tag, type, state().window(static_cast<uint32_t>(type.params.size())));
    state().set_unreachable();
    return true;
  }
  bool on(Is<Opcode::ThrowRef>) {
    ValType operand = state().has_operand() ? state().top_type() : ValType::exnref;
    if (!self().require_one(ValType::exnref)) return false;
    if (state().live()) sink().throw_ref(operand, state().top());
    state().set_unreachable();
    return true;
  }

  // Those of before 3.0 (the proposal's "legacy" instructions).
  bool on(Is<Opcode::Try>) {
    BlockSignature type;
    if (!reader().block_type(type) || !state().require(type.params())) return false;
    if (!state().push_frame(FrameKind::try_, type)) return false;
    if (state().live()) sink().try_(state().frame().control, type, state().window(type.params_count));
    return true;
  }
  bool on(Is<Opcode::Catch>) {
    TagIndex tag{};
    if (!reader().tag_index(tag)) return false;
    return begin_clause(FrameKind::catch_, tag, &self().module_.tag_type(tag), Message::misplaced_catch);
  }
  bool on(Is<Opcode::CatchAll>) {
    return begin_clause(FrameKind::catch_all, TagIndex{}, nullptr, Message::misplaced_catch_all);
  }
  bool on(Is<Opcode::Delegate>) {
    if (state().frame().kind != FrameKind::try_) return reader().fail(Message::misplaced_delegate, state().offset());
    uint64_t start = reader().offset();
    uint32_t index = 0;
    if (!reader().u32(index)) return false;
    // The label is one outside the try.
    if (uint64_t{index} + 1 >= state().depth()) return reader().fail_index(Message::unknown_label, start, index);
    Frame<Control>* handler = state().handler_of(state().label(index + 1));
    if (!state().check_block_end()) return false;
    return self().end_block([&](Control& control, bool reachable, auto& fallthrough, auto& results) {
      sink().delegate(control, handler ? &handler->control : nullptr, reachable, fallthrough, results);
    });
  }
  bool on(Is<Opcode::Rethrow>) {
    uint64_t start = reader().offset();
    Frame<Control>* clause = self().label();
    if (!clause) return false;
    if (clause->kind != FrameKind::catch_ && clause->kind != FrameKind::catch_all)
      return reader().fail(Message::invalid_rethrow_label, start);
    if (state().live()) sink().rethrow(clause->control);
    state().set_unreachable();
    return true;
  }

 private:
  Decoder& self() { return static_cast<Decoder&>(*this); }
  BodyReader& reader() { return self().reader_; }
  auto& state() { return self().state_; }
  auto& sink() { return *self().sink_; }

  /// Reads a clause and checks that its label takes what it passes on.
  bool read_catch(Catch<Control>& out) {
    static constexpr uint8_t kWithRef = 1, kForAll = 2;  // bits of a clause's kind
    uint64_t start = reader().offset();
    uint8_t kind = 0;
    if (!reader().u8(kind)) return false;
    if (kind > (kWithRef | kForAll)) return reader().fail(Message::malformed_catch, start);
    out = {.tag = TagIndex(0), .type = nullptr, .takes_ref = (kind & kWithRef) != 0, .target = nullptr};
    if (!(kind & kForAll)) {
      if (!reader().tag_index(out.tag)) return false;
      out.type = &self().module_.tag_type(out.tag);
    }
    Frame<Control>* target = self().label();
    if (!target) return false;
    passed_.clear();
    if (out.type) passed_ = out.type->params;
    if (out.takes_ref) passed_.push_back(ValType::exnref.non_null());
    if (!self().all_match(passed_, target->label_types())) {
      return reader().fail_detail(Message::type_mismatch, start,
                                  "the label takes other operands than the clause passes");
    }
    if (state().live()) target->branched = true;
    out.target = &target->control;
    return true;
  }

  /// Begins a clause of a legacy `try`: for all exceptions if there is no `type`.
  bool begin_clause(FrameKind kind, TagIndex tag, const FuncType* type, Message misplaced) {
    const FrameKind before = state().frame().kind;
    if (before != FrameKind::try_ && before != FrameKind::catch_) return reader().fail(misplaced, state().offset());
    std::span<const ValType> carried;
    if (type) carried = type->params;
    return self().begin_arm(kind, carried, [&](Control& control, bool reachable, auto& results, auto& operands) {
      sink().catch_(control, reachable, results, tag, type, operands);
    });
  }

  std::vector<Catch<Control>> catches_;
  std::vector<ValType> passed_;  ///< by a clause, to its label
};

}  // namespace rotor::wasm
