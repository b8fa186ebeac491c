// Where a thread is, from within a signal handler. Compiled code keeps frame pointers, so its frames are a chain; the
// library's and the host's code does not, so from there the C++ unwinder finds the way to the guest's last frame.
#include <ucontext.h>
#include <unwind.h>

#include <algorithm>
#include <span>

#include "code/region.h"
#include "code/region_table.h"
#include "runtime/enter/entry.h"
#include "runtime/enter/host_function.h"
#include "runtime/enter/sample.h"
#include "runtime/enter/unwind.h"
#include "runtime/module.h"
#include "runtime/store/instance.h"

namespace rotor::runtime {

namespace {

/// DWARF's numbers of registers.
constexpr int kDwarfRbp = 6, kDwarfR13 = 13;

/// What the unwinder found: the guest's frame that lies behind host code.
struct Found {
  static constexpr uint32_t kMaxSteps = 256;
  uint32_t steps = 0;
  uintptr_t frame = 0;  ///< 0: there is no guest
  uintptr_t return_address =
      0;  ///< in the guest's function whose frame it is; 0: it is a host function's, or the stub's
  const HostImport* host = nullptr;
};

_Unwind_Reason_Code visit(_Unwind_Context* context, void* argument) {
  Found& found = *static_cast<Found*>(argument);
  if (++found.steps > Found::kMaxSteps) return _URC_NORMAL_STOP;
  const uintptr_t pc = _Unwind_GetIP(context);
  if (code::find_code_region(pc - 1)) {
    found.frame = _Unwind_GetGR(context, kDwarfRbp);
    found.return_address = pc;
    return _URC_NORMAL_STOP;
  }
  auto is_in = [start = _Unwind_GetRegionStart(context)](void (*function)()) {
    return start == reinterpret_cast<uintptr_t>(function);
  };
  const bool is_host = is_in(&rotor_host_entry) || is_in(&rotor_host_entry_ints);
  if (is_host || is_in(&rotor_lazy_entry)) {
    found.frame = _Unwind_GetGR(context, kDwarfRbp);
    if (is_host)
      found.host = static_cast<const HostImport*>(
          reinterpret_cast<const code::Context*>(_Unwind_GetGR(context, kDwarfR13))->host);
    return _URC_NORMAL_STOP;
  }
  return _URC_NO_REASON;
}

/// Returns the word at the top of the stack that is the return address of a function which has no frame yet, or no
/// more; 0: it has one. Pre: `pc` is in the function's code.
uintptr_t frameless_return(const code::FunctionCode* function, const uint8_t* text, const uint8_t* pc, uintptr_t sp) {
  // push rbp; mov rbp, rsp: behind what checks the stack.
  static constexpr uint8_t kBegin[] = {0x55, 0x48, 0x89, 0xe5};
  static constexpr uint8_t kReturn = 0xc3;
  static constexpr uint32_t kReach = 64;
  const auto* top = reinterpret_cast<const uintptr_t*>(sp);
  if (!function || *pc == kReturn) return top[0];  // a stub is no function, and has no frame
  const uint8_t* begin = text + function->begin;
  const std::span<const uint8_t> head(begin, std::min(function->end - function->begin, kReach));
  const auto push = std::ranges::search(head, kBegin);
  if (push.empty() || pc > &*push.begin() + 1) return 0;
  return top[pc == &*push.begin() ? 0 : pc < &*push.begin() ? 0 : 1];
}

}  // namespace

/// Writes the frames of one sample.
class SampleBuffer::Writer {
 public:
  Writer(SampleBuffer& to, uint64_t at) : to_(to), begin_(&to.words_[at]) {
    end_ = begin_ + std::min<uint64_t>(to.capacity_ - at, Profile::kMaxFrames);
    next_ = begin_;
  }
  uint64_t count() const { return static_cast<uint64_t>(next_ - begin_); }

  /// Puts the function whose code holds `pc`. Returns false if that is no guest's code.
  bool guest(uintptr_t pc) {
    const code::CodeRegion* region = code::find_code_region(pc);
    if (!region) return false;
    if (const code::FunctionCode* function = region->function_at(pc - reinterpret_cast<uintptr_t>(region->text())))
      put({Profile::Kind::guest, static_cast<uint8_t>(function->tier), to_.place_of(region->owner().id()),
           function->func});
    return true;
  }
  void host(const HostImport* import) {
    if (!import) return put({.kind = Profile::Kind::runtime});
    put({Profile::Kind::host, 0, to_.place_of(import->instance->module_impl().id()), import->import_index});
  }
  /// Puts the functions that called the one whose frame is at `frame`, up to the entry.
  void callers(uintptr_t frame) {
    for (uintptr_t inner = frame - 1; frame > inner && frame % 8 == 0 && next_ < end_;) {
      const auto* words = reinterpret_cast<const uintptr_t*>(frame);
      if (!guest(words[1] - 1) && words[1] != reinterpret_cast<uintptr_t>(&rotor_tail_call_return)) return;
      inner = frame;
      frame = words[0];
    }
  }

 private:
  void put(const SampledFrame& frame) {
    if (next_ < end_) *next_++ = frame.word();
  }

  SampleBuffer& to_;
  uint64_t* begin_;
  uint64_t* end_;
  uint64_t* next_;
};

uint16_t SampleBuffer::place_of(uint64_t module_id) {
  for (uint16_t place = 0; place < modules_; ++place)
    if (ids_[place] == module_id) return place;
  if (modules_ == kModules) return kModules;
  ids_[modules_] = module_id;
  return modules_++;
}

void SampleBuffer::take(const void* context, uint64_t cpu_ns) {
  constexpr uint64_t kHead = 2;
  if (capacity_ - used_ < kHead + Profile::kMaxFrames) {
    ++dropped_;
    return;
  }
  Writer writer(*this, used_ + kHead);
  const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
  const auto pc = static_cast<uintptr_t>(registers[REG_RIP]), sp = static_cast<uintptr_t>(registers[REG_RSP]);
  if (const code::CodeRegion* region = code::find_code_region(pc)) {
    writer.guest(pc);
    const auto* text = region->text();
    const code::FunctionCode* function = region->function_at(pc - reinterpret_cast<uintptr_t>(text));
    if (const uintptr_t caller = frameless_return(function, text, reinterpret_cast<const uint8_t*>(pc), sp))
      writer.guest(caller - 1);
    writer.callers(static_cast<uintptr_t>(registers[REG_RBP]));
  } else if (t_thread.top) {
    Found found;
    _Unwind_Backtrace(visit, &found);
    if (found.frame) {
      writer.host(found.host);
      if (found.return_address) writer.guest(found.return_address - 1);
      writer.callers(found.frame);
    }
  }
  words_[used_] = cpu_ns;
  words_[used_ + 1] = writer.count();
  used_ += kHead + writer.count();
}

}  // namespace rotor::runtime
