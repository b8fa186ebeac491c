// The way of an exception: from frame to frame by frame pointers, without a lock, and out to the host if no frame has a
// landing pad for it. A landing pad whose clauses do not take the exception has it go on from there: it was on its way
// all the time, and nothing but clauses sees it.
#include "runtime/enter/unwind.h"

#include <cstdlib>
#include <utility>

#include "code/region.h"
#include "code/region_table.h"
#include "rotor/exception.h"
#include "runtime/access.h"
#include "runtime/enter/entry.h"
#include "runtime/enter/func.h"
#include "runtime/store/instance.h"

namespace rotor::runtime {

namespace {

InstanceImpl& instance_of(code::Context* context) { return *static_cast<InstanceImpl*>(context->instance); }

const TagImpl& tag_of(const code::Thrown& thrown) { return *static_cast<const TagImpl*>(thrown.tag); }

/// Returns the error by which an exception reaches the host.
Error exception_error(const code::Thrown& thrown, LinkGroup& group) {
  const TagImpl& tag = tag_of(thrown);
  std::vector<Value> values;
  const uint64_t* word = thrown.payload;
  for (ValType type : tag.type.type.params) {
    if (type == ValType::v128) {
      values.emplace_back(detail::load_slots<V128>(word));
    } else {
      const bool is32 = type == ValType::i32 || type == ValType::f32;
      values.push_back(value_of_slot(type, is32 ? static_cast<uint32_t>(*word) : *word, &group));
    }
    word += code::kResultStride / sizeof(uint64_t);
  }
  return throw_exception(detail::Access::handle<Tag>(tag.shared_from_this()), std::move(values)).error();
}

/// The frames of compiled code from a callee's frame outwards.
class Walk {
 public:
  Walk(const EntryRecord& record, UnwindRegs& regs, uintptr_t frame)
      : entry_(record.frame()), regs_(regs), frame_(frame) {}

  /// Comes to the next landing pad, which `regs` then goes on at. Returns false if there is none up to the entry.
  bool find_pad() {
    while (words()[0] != entry_) {
      const uintptr_t caller = words()[0], return_address = words()[1];
      if (return_address == reinterpret_cast<uintptr_t>(&rotor_tail_call_return)) {
        register_of(code::SavedRegister::r13) = reinterpret_cast<const uint64_t*>(caller)[-1];
      } else {
        const code::CodeRegion* region = region_of(return_address);
        // A frame that is none of compiled code's can't be there; nobody could go on.
        if (!region || caller <= frame_ || caller > entry_) std::abort();
        const auto text = reinterpret_cast<uintptr_t>(region->text());
        const auto unwind = region->unwind_at(return_address - text);
        if (!unwind) std::abort();
        if (unwind->pad) {
          regs_.rbp = caller;
          regs_.rsp = frame_ + 2 * sizeof(uint64_t) + unwind->pushed_bytes;
          regs_.rip = text + unwind->pad;
          return true;
        }
        restore(caller, unwind->saved);
      }
      frame_ = caller;
    }
    return false;
  }

 private:
  const uintptr_t* words() const { return reinterpret_cast<const uintptr_t*>(frame_); }
  uint64_t& register_of(code::SavedRegister name) { return regs_.saved[std::to_underlying(name)]; }

  /// Takes back the registers that a frame keeps for its caller.
  void restore(uintptr_t frame, uint32_t saved) {
    const auto* place = reinterpret_cast<const uint64_t*>(frame);
    for (uint32_t i = code::kSavedRegisters; i-- > 0;)
      if (saved & 1u << i) regs_.saved[i] = *--place;
  }

  const code::CodeRegion* region_of(uintptr_t return_address) {
    if (region_) {
      const auto text = reinterpret_cast<uintptr_t>(region_->text());
      if (return_address - text <= region_->layout().text_bytes) return region_;
    }
    return region_ = code::find_code_region(return_address - 1);
  }

  const uintptr_t entry_;
  UnwindRegs& regs_;
  uintptr_t frame_;  ///< of what the next frame called
  const code::CodeRegion* region_ = nullptr;
};

/// Ends the entry's call with its error, which is set. `frame` is that of what the guest called.
void leave(EntryRecord& record, UnwindRegs& regs, uintptr_t frame) {
  regs.rsp = reinterpret_cast<uint64_t>(leave_with_error(record, frame));
  regs.rip = reinterpret_cast<uint64_t>(&rotor_enter_landing);
}

/// Sends what is thrown outwards from the frame that called `frame`.
void unwind(const code::Thrown& thrown, UnwindRegs& regs, uintptr_t frame) {
  EntryRecord& record = *t_thread.top;
  if (Walk(record, regs, frame).find_pad()) [[likely]]
    return;
  record.host_error = exception_error(thrown, *record.group);
  leave(record, regs, frame);
}

/// Makes an exception of the host's the one that is on its way in a group. Errors: type_mismatch, stale_handle,
/// invalid_argument.
Result<void> throw_for_host(LinkGroup& group, const std::shared_ptr<const Exception>& exception) {
  const std::shared_ptr<const TagImpl>& tag = detail::Access::impl(exception->tag);
  if (!tag) return fail(ErrorKind::type_mismatch, "a host function threw an exception without a tag");
  ROTOR_TRY(std::vector<uint64_t> slots, slots_of_values(tag->type, exception->values, group, "thrown value"));
  ExceptionHeap& heap = group.exceptions();
  heap.host_payload.clear();
  const uint64_t* slot = slots.data();
  for (ValType type : tag->type.type.params) {
    heap.host_payload.push_back(*slot++);
    heap.host_payload.push_back(type == ValType::v128 ? *slot++ : 0);
  }
  heap.host_thrown = exception;
  group.activation().thrown = {tag.get(), heap.host_payload.data(), 0};
  return {};
}

}  // namespace

extern "C" {

[[gnu::visibility("hidden"), gnu::used]] void rotor_unwind_new(code::Context* context, uint32_t tag, UnwindRegs* regs,
                                                               uintptr_t frame) {
  InstanceImpl& instance = instance_of(context);
  code::Thrown& thrown = context->activation->thrown;
  thrown = {*instance.at<const void*>(instance.module_impl().layout().tag(tag)), context->results, 0};
  unwind(thrown, *regs, frame);
}

[[gnu::visibility("hidden"), gnu::used]] void rotor_unwind_ref(code::Context* context, uint64_t exception,
                                                               UnwindRegs* regs, uintptr_t frame) {
  ExceptionObject* object = ExceptionObject::of(exception);
  code::Thrown& thrown = context->activation->thrown;
  thrown = {object->tag.get(), object->payload(), exception};
  unwind(thrown, *regs, frame);
}

[[gnu::visibility("hidden"), gnu::used]] void rotor_unwind_on(code::Context* context, uint64_t, UnwindRegs* regs,
                                                              uintptr_t frame) {
  unwind(context->activation->thrown, *regs, frame);
}

[[gnu::visibility("hidden"), gnu::used]] void rotor_unwind_host(UnwindRegs* regs, uintptr_t frame) {
  EntryRecord& record = *t_thread.top;
  Error& error = *record.host_error;
  if (error.kind == ErrorKind::exception && error.exception) {
    LinkGroup& group = record.group->root();
    if (auto thrown = throw_for_host(group, error.exception); thrown) {
      record.host_error.reset();
      return unwind(group.root().activation().thrown, *regs, frame);
    } else {
      error = std::move(thrown).error();
    }
  }
  leave(record, *regs, frame);
}

}  // extern "C"

uint64_t take_exception(code::Context* context) {
  const code::Thrown& thrown = context->activation->thrown;
  if (thrown.ref) return thrown.ref;
  EntryRecord& record = *t_thread.top;
  void* leave_to = nullptr;
  {
    InstanceImpl& instance = instance_of(context);
    Result<uint64_t> taken = instance.group->take_exception(thrown, instance.options.limits.exception_bytes);
    if (taken) [[likely]]
      return *taken;
    record.host_error = std::move(taken).error();
    leave_to = leave_with_error(record, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  }
  rotor_leave(leave_to);  // this frame has nothing left to clean up
}

}  // namespace rotor::runtime
