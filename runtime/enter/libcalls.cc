// Helpers that compiled code calls, inside the instance's group; the guest left host_stack_reserve_bytes of stack.
// Operands are guest values of up to 64 bits: every one is checked here, without sums that could wrap.
#include "runtime/enter/libcalls.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "code/abi.h"
#include "code/run_page.h"
#include "code/stubs.h"
#include "runtime/enter/copying.h"
#include "runtime/enter/entry.h"
#include "runtime/enter/gc_libcalls.h"
#include "runtime/enter/unwind.h"
#include "runtime/store/instance.h"

namespace rotor::runtime {

namespace {

InstanceImpl& instance_of(code::Context* context) { return *static_cast<InstanceImpl*>(context->instance); }
MemoryImpl& memory_of(code::Context* context, uint32_t index) { return *instance_of(context).memories[index]; }
TableImpl& table_of(code::Context* context, uint32_t index) { return *instance_of(context).tables[index]; }

namespace libcalls {

constexpr int32_t kOk = 0;
constexpr int32_t kTrap = 1;

/// Runs memory.grow. UINT64_MAX, which MemoryImpl and TableImpl return for "refused", is -1 in either index type.
uint64_t memory_grow(code::Context* context, uint32_t memory, uint64_t delta) {
  EntryRecord& record = *t_thread.top;
  void* leave_to = nullptr;
  {
    HostScope host(record);
    Result<uint64_t> grown = memory_of(context, memory).grow(delta);
    if (grown) [[likely]]
      return *grown;
    record.host_error = std::move(grown).error();
    leave_to = leave_with_error(record, reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  }
  rotor_leave(leave_to);  // this frame has nothing left to clean up
}

int32_t memory_copy(code::Context* context, uint32_t dst_memory, uint32_t src_memory, uint64_t dst, uint64_t src,
                    uint64_t size) {
  uint8_t* to = memory_of(context, dst_memory).range(dst, size);
  const uint8_t* from = memory_of(context, src_memory).range(src, size);
  if (!to || !from) return kTrap;
  context->may_have_written = 1;
  Copying copying(__builtin_frame_address(0));
  std::memmove(to, from, size);
  return kOk;
}

int32_t memory_fill(code::Context* context, uint32_t memory, uint64_t dst, uint32_t byte, uint64_t size) {
  uint8_t* to = memory_of(context, memory).range(dst, size);
  if (!to) return kTrap;
  context->may_have_written = 1;
  Copying copying(__builtin_frame_address(0));
  std::memset(to, static_cast<uint8_t>(byte), size);
  return kOk;
}

int32_t memory_init(code::Context* context, uint32_t memory, uint32_t segment, uint64_t dst, uint64_t src,
                    uint64_t size) {
  Copying copying(__builtin_frame_address(0));
  return instance_of(context).memory_init(memory, segment, dst, src, size) ? kOk : kTrap;
}

void data_drop(code::Context* context, uint32_t segment) { instance_of(context).dropped_data[segment] = true; }

uint64_t table_grow(code::Context* context, uint32_t table, uint64_t init, uint64_t delta) {
  return table_of(context, table).grow(delta, init);
}

int32_t table_fill(code::Context* context, uint32_t table, uint64_t index, uint64_t value, uint64_t size) {
  TableImpl& to = table_of(context, table);
  if (!to.in_bounds(index, size)) return kTrap;
  std::fill_n(to.slots(index), size, value);
  return kOk;
}

int32_t table_init(code::Context* context, uint32_t table, uint32_t segment, uint64_t dst, uint64_t src,
                   uint64_t size) {
  return instance_of(context).table_init(table, segment, dst, src, size) ? kOk : kTrap;
}

int32_t table_copy(code::Context* context, uint32_t dst_table, uint32_t src_table, uint64_t dst, uint64_t src,
                   uint64_t size) {
  TableImpl& to = table_of(context, dst_table);
  TableImpl& from = table_of(context, src_table);
  if (!to.in_bounds(dst, size) || !from.in_bounds(src, size)) return kTrap;
  std::memmove(to.slots(dst), from.slots(src), size * sizeof(uint64_t));
  return kOk;
}

void elem_drop(code::Context* context, uint32_t segment) { instance_of(context).drop_elements(segment); }

// Compiled code has checked bounds, alignment and, for waits, that the memory is shared.

int32_t atomic_notify(code::Context* context, uint32_t memory, uint64_t address, uint32_t count) {
  return static_cast<int32_t>(memory_of(context, memory).waiters.notify(address, count));
}

static_assert(static_cast<uint32_t>(WaitQueue::Outcome::interrupted) == code::kWaitInterrupted);

struct MemorySleeper final : Sleeper {
  explicit MemorySleeper(WaitQueue& wait_queue) : queue(wait_queue) {}
  void interrupt() override { queue.interrupt(waiter); }
  WaitQueue& queue;
  WaitQueue::Waiter waiter;
};

template <class T>
int32_t wait(code::Context* context, uint32_t index, uint64_t address, T expected, uint64_t timeout_ns) {
  MemoryImpl& memory = memory_of(context, index);
  LinkGroup& group = *instance_of(context).group;
  auto* cell = reinterpret_cast<T*>(memory.base() + address);
  MemorySleeper self(memory.waiters);
  auto outcome = WaitQueue::Outcome::interrupted;
  if (group.begin_wait(self)) {
    outcome = memory.waiters.wait(self.waiter, address, static_cast<int64_t>(timeout_ns),
                                  [&] { return __atomic_load_n(cell, __ATOMIC_SEQ_CST) == expected; });
    group.end_wait();
  }
  return static_cast<int32_t>(outcome);
}

int32_t atomic_wait32(code::Context* context, uint32_t memory, uint64_t address, uint32_t expected,
                      uint64_t timeout_ns) {
  return wait<uint32_t>(context, memory, address, expected, timeout_ns);
}

int32_t atomic_wait64(code::Context* context, uint32_t memory, uint64_t address, uint64_t expected,
                      uint64_t timeout_ns) {
  return wait<uint64_t>(context, memory, address, expected, timeout_ns);
}

constexpr auto& throw_new = rotor_throw_new;
constexpr auto& throw_ref = rotor_throw_ref;
constexpr auto& throw_on = rotor_throw_on;
using runtime::take_exception;

using runtime::any_convert_extern;
using runtime::extern_convert_any;
using runtime::gc_copy;
using runtime::gc_fill;
using runtime::gc_function_number;
using runtime::gc_init_data;
using runtime::gc_init_elem;
using runtime::gc_is_subtype;
using runtime::gc_new;
using runtime::gc_new_array;
using runtime::gc_new_data;
using runtime::gc_new_elem;

void tier_up(code::Context* context, uint32_t defined_func) {
  instance_of(context).module_impl().tier_up(defined_func);
}

}  // namespace libcalls
}  // namespace

/// What rotor_lazy_entry gets: the code to go on with, or the stack pointer to leave the guest to. It passes
/// `return_address`, which lies in the stub of the function to compile, and its own frame as `frame`.
struct LazyResult {
  const void* code;
  void* saved_sp;
};
extern "C" [[gnu::visibility("hidden"), gnu::used]] LazyResult rotor_lazy_dispatch(code::Context* context,
                                                                                   uintptr_t return_address,
                                                                                   uintptr_t frame) {
  InstanceImpl& instance = instance_of(context);
  const ModuleImpl& module = instance.module_impl();
  auto text = reinterpret_cast<uintptr_t>(module.region().text());
  auto code = module.tiering()->code_of(code::Stubs::func_of_return(return_address - text), *instance.group);
  if (code && *code) [[likely]]
    return {*code, nullptr};
  EntryRecord& record = *t_thread.top;
  if (code) {
    // The trap is reported as if the function had begun: it is the innermost of the backtrace.
    record.kind = TrapKind::interrupted;
    record.pcs[0] = return_address - code::Stubs::kReturn;
    record.pc_count = 1 + walk_frames(record, frame, record.pcs + 1, Trap::kMaxFrames - 1);
    return {nullptr, record.saved_sp};
  }
  record.host_error = std::move(code).error();
  return {nullptr, leave_with_error(record, frame)};
}

std::array<const void*, code::kLibcallCount> libcall_addresses() {
  return {
#define ROTOR_LIBCALL(Name, result, params) reinterpret_cast<const void*>(&libcalls::Name),
#include "code/libcalls.def"
  };
}

}  // namespace rotor::runtime
