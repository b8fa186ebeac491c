#include "runtime/enter/trap.h"

#include <fmt/format.h>

#include <algorithm>

#include "code/region.h"
#include "code/region_table.h"
#include "memory/fork.h"
#include "rotor/printable.h"
#include "runtime/module.h"

namespace rotor {

const char* to_string(TrapKind kind) {
  switch (kind) {
    case TrapKind::unreachable: return "unreachable";
    case TrapKind::integer_divide_by_zero: return "integer divide by zero";
    case TrapKind::integer_overflow: return "integer overflow";
    case TrapKind::invalid_conversion_to_integer: return "invalid conversion to integer";
    case TrapKind::out_of_bounds_memory: return "out of bounds memory access";
    case TrapKind::out_of_bounds_table: return "out of bounds table access";
    case TrapKind::undefined_element: return "undefined element";
    case TrapKind::uninitialized_element: return "uninitialized element";
    case TrapKind::indirect_call_type_mismatch: return "indirect call type mismatch";
    case TrapKind::null_reference: return "null reference";
    case TrapKind::null_function_reference: return "null function reference";
    case TrapKind::null_exception_reference: return "null exception reference";
    case TrapKind::null_structure_reference: return "null structure reference";
    case TrapKind::null_array_reference: return "null array reference";
    case TrapKind::null_i31_reference: return "null i31 reference";
    case TrapKind::out_of_bounds_array: return "out of bounds array access";
    case TrapKind::cast_failure: return "cast failure";
    case TrapKind::unaligned_atomic: return "unaligned atomic";
    case TrapKind::expected_shared_memory: return "expected shared memory";
    case TrapKind::stack_overflow: return "call stack exhausted";
    case TrapKind::interrupted: return "interrupt";
    case TrapKind::host: return "host function error";
    case TrapKind::out_of_fuel: return "out of fuel";
  }
  return "?";
}

namespace { constinit const std::vector<Frame> kNoFrames; }

const std::vector<Frame>& Trap::frames() const { return backtrace ? backtrace->frames() : kNoFrames; }

const std::vector<Frame>& Error::frames() const {
  return trap ? trap->frames() : backtrace ? backtrace->frames() : kNoFrames;
}

std::string Trap::to_string() const {
  return (message.empty() ? rotor::to_string(kind) : printable(message)) + runtime::lines_of(frames());
}

}  // namespace rotor

namespace rotor::runtime {

std::string lines_of(const std::vector<Frame>& frames) {
  std::string text;
  for (size_t i = 0; i < frames.size(); ++i) {
    const Frame& frame = frames[i];
    text += fmt::format("\n  #{} ", i);
    if (!frame.module_name.empty()) text += printable_name(frame.module_name) + "!";
    text += frame.func_name.empty() ? fmt::format("func[{}]", frame.func_index) : printable_name(frame.func_name);
    if (frame.module_offset) text += fmt::format(" @ 0x{:x}", frame.module_offset);
  }
  return text;
}

Backtrace::Backtrace(const Backtrace& other) {
  memory::ForkPass pass;
  std::lock_guard lock(other.mutex_);
  frames_ = other.frames_;
  places_ = other.places_;
  owners_ = other.owners_;
}

void Backtrace::append(std::span<const uintptr_t> pcs, bool first_is_pc) {
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  size_t room = Trap::kMaxFrames - frames_.size() - places_.size();
  places_.reserve(places_.size() + std::min(pcs.size(), room));
  const code::CodeOwner* last = owners_.empty() ? nullptr : owners_.back().get();
  for (size_t i = 0; i < pcs.size() && room; ++i) {
    uintptr_t pc = pcs[i] - (i == 0 && first_is_pc ? 0 : 1);
    const code::CodeRegion* region = code::find_code_region(pc);
    if (!region) continue;  // the entry's frame, or that of a host function that was called directly
    const code::CodeOwner* owner = &region->owner();
    if (owner != last &&
        std::ranges::find(owners_, owner, &std::shared_ptr<const code::CodeOwner>::get) == owners_.end())
      owners_.push_back(owner->keep());
    last = owner;
    places_.push_back({pc, owner});
    --room;
  }
}

const std::vector<Frame>& Backtrace::frames() const {
  std::vector<std::shared_ptr<const code::CodeOwner>> let_go;  // without the lock
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  for (const Place& place : places_)
    if (auto frame = place.owner->frame_at(place.pc)) frames_.push_back(std::move(*frame));
  places_.clear();
  let_go.swap(owners_);
  return frames_;
}

Error trap_error(TrapKind kind, std::span<const uintptr_t> pcs) {
  auto trap = std::make_shared<Trap>();
  trap->kind = kind;
  trap->message = to_string(kind);
  auto backtrace = std::make_shared<Backtrace>();
  backtrace->append(pcs, true);
  trap->backtrace = std::move(backtrace);
  Error error(ErrorKind::trap, trap->message);
  error.trap = std::move(trap);
  return error;
}

Error host_error(Error error, std::span<const uintptr_t> pcs) {
  // A default-constructed Error has no kind of its own.
  if (error.kind == ErrorKind::internal && error.message.empty()) {
    error.kind = ErrorKind::host;
    error.message = to_string(TrapKind::host);
  }
  // What the host passes on may be shared; the frames of this entry are appended to a copy.
  const auto appended = [&](const std::shared_ptr<const Backtrace>& to) {
    auto backtrace = to ? std::make_shared<Backtrace>(*to) : std::make_shared<Backtrace>();
    backtrace->append(pcs, false);
    return backtrace;
  };
  if (error.kind != ErrorKind::trap) {
    error.backtrace = appended(error.backtrace);
    return error;
  }
  auto trap = error.trap ? std::make_shared<Trap>(*error.trap) : std::make_shared<Trap>();
  if (!error.trap) {
    trap->kind = TrapKind::host;
    trap->message = error.message;
  }
  trap->backtrace = appended(trap->backtrace);
  error.trap = std::move(trap);
  return error;
}

}  // namespace rotor::runtime
