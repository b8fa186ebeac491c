#include "proxy/live_guest.h"

#include <fmt/format.h>

#include <algorithm>

namespace rotor::proxy {
namespace {

/// Most calls have few arguments and results: their slots need no heap.
class Slots {
 public:
  explicit Slots(const FuncType& type) {
    size_t count = std::max(type.params.size(), type.results.size());
    if (count > std::size(few_)) many_.resize(count);
  }
  Slot* data() { return many_.empty() ? few_ : many_.data(); }
  Slot& operator[](size_t index) { return data()[index]; }

 private:
  Slot few_[16] = {};
  std::vector<Slot> many_;
};

uint32_t element_bytes(ArgKind kind) { return kind == ArgKind::bytes ? 1 : 4; }

}  // namespace

Result<std::unique_ptr<LiveGuest>> LiveGuest::create(const GuestFactory& factory, const Plan& plan,
                                                     uint64_t memory_limit_bytes) {
  ROTOR_TRY(std::unique_ptr<Guest> guest, factory());
  if (!guest || !guest->instance()) return fail(ErrorKind::invalid_argument, "the factory returned no guest");
  std::unique_ptr<LiveGuest> live(new LiveGuest(std::move(guest), plan));
  if (auto memory = live->instance().memory0()) {
    live->memory_ = *memory;
    live->limit_bytes_ = memory->limit_bytes();
    if (MemoryType type = memory->type(); type.limits.has_max())
      live->limit_bytes_ = std::min(live->limit_bytes_, type.limits.max * Memory::kPageBytes);
    if (memory_limit_bytes) live->limit_bytes_ = std::min(live->limit_bytes_, memory_limit_bytes);
  }
  return live;
}

Result<const Func*> LiveGuest::func(uint32_t export_index) {
  Func& func = funcs_[export_index];
  if (!func.handle().object) {
    ROTOR_TRY(func, instance().get_func(plan_.exports[export_index].name));
  }
  return &func;
}

Result<void> LiveGuest::call(uint32_t export_index, std::span<const RawArg> args, RawReply& reply) {
  const ExportPlan& plan = plan_.exports[export_index];
  ROTOR_TRY(const Func* func, this->func(export_index));
  Slots slots(plan.type);
  size_t at = 0;
  std::vector<uint32_t> lent;  // what a plain guest does not free
  for (size_t i = 0; i < plan.args.size(); i++) {
    if (!takes_data(plan.args[i])) {
      slots[at++] = args[i].slot;
      continue;
    }
    ROTOR_TRY(uint32_t pointer, pass_in(args[i].data, element_bytes(plan.args[i])));
    slots[at++] = pointer;
    slots[at++] = args[i].data.size() / element_bytes(plan.args[i]);
    if (plan_.preset == Preset::plain) lent.push_back(pointer);
  }
  ROTOR_CHECK(func->call_raw(slots.data()));
  for (uint32_t pointer : lent) ROTOR_CHECK(free_data(pointer, 0, 0));

  if (!plan.results.empty() && plan.results.back() == ResultKind::error) {
    size_t last = plan.type.results.size() - 1;
    if (static_cast<uint32_t>(slots[last]) != 0) {
      reply.guest_error = true;
      ROTOR_TRY(reply.error_text, take_error(static_cast<uint32_t>(slots[last - 1])));
      return {};
    }
  }
  at = 0;
  for (ResultKind kind : plan.results) {
    if (kind == ResultKind::scalar || kind == ResultKind::handle) {
      reply.values.push_back(slots[at++]);
      continue;
    }
    if (kind == ResultKind::bytes) {
      ROTOR_CHECK(take_out(slots[at], slots[at + 1], reply.bytes));
    } else if (kind != ResultKind::error) {
      ROTOR_CHECK(take_out(slots[at], slots[at + 1], reply.vector));
    }
    at += 2;
  }
  return {};
}

Result<uint32_t> LiveGuest::pass_in(std::span<const uint8_t> data, uint32_t element_bytes) {
  if (data.size() > UINT32_MAX) return fail(ErrorKind::limit, "an argument of more than 4 GiB");
  ROTOR_TRY(const Func* allocate, func(plan_.allocate));
  Slot slots[2] = {data.size(), element_bytes};  // the alignment; a plain malloc ignores it
  ROTOR_CHECK(allocate->call_raw(slots));
  uint32_t pointer = static_cast<uint32_t>(slots[0]);
  if (data.empty()) return pointer;
  if (pointer == 0) return fail(ErrorKind::limit, fmt::format("the guest can't allocate {} bytes", data.size()));
  ROTOR_CHECK(memory_.write(pointer, data));
  return pointer;
}

template <class T>
Result<void> LiveGuest::take_out(Slot pointer, Slot count, std::vector<T>& out) {
  uint32_t address = static_cast<uint32_t>(pointer);
  uint64_t bytes = uint64_t{static_cast<uint32_t>(count)} * sizeof(T);
  if (bytes == 0) return {};
  if (address + bytes > memory_bytes())
    return fail(ErrorKind::invalid_argument,
                fmt::format("the guest returned {} bytes at {:#x}, outside its memory", bytes, address));
  out.resize(bytes / sizeof(T));
  ROTOR_CHECK(memory_.read(address, {reinterpret_cast<uint8_t*>(out.data()), bytes}));
  return free_data(address, static_cast<uint32_t>(bytes), sizeof(T));
}

Result<void> LiveGuest::free_data(uint32_t pointer, uint32_t bytes, uint32_t align) {
  ROTOR_TRY(const Func* deallocate, func(plan_.deallocate));
  Slot slots[3] = {pointer, bytes, align};  // a plain free takes the first
  return deallocate->call_raw(slots);
}

Result<std::string> LiveGuest::take_error(uint32_t reference_index) {
  std::string text;
  if (!plan_.reference_table.empty()) {
    ROTOR_TRY(Table table, instance().get_table(plan_.reference_table));
    ROTOR_TRY(Value error, table.get(reference_index));
    text = guest_->describe_error(error.externref());
  }
  if (plan_.drop_reference != kNoExport) {
    ROTOR_TRY(const Func* drop, func(plan_.drop_reference));
    Slot slots[1] = {reference_index};
    ROTOR_CHECK(drop->call_raw(slots));
  }
  return text;
}

}  // namespace rotor::proxy

namespace rotor {
namespace {

class LinkedGuest final : public Guest {
 public:
  LinkedGuest(std::shared_ptr<void> host_data, Instance instance)
      : host_data_(std::move(host_data)), instance_(std::move(instance)) {}
  Instance& instance() override { return instance_; }

 private:
  std::shared_ptr<void> host_data_;  // outlives the instance
  Instance instance_;
};

}  // namespace

GuestFactory linked_guests(InstancePre pre, Limits limits, std::function<std::shared_ptr<void>()> make_host_data) {
  return [pre = std::move(pre), limits = std::move(limits),
          make_host_data = std::move(make_host_data)]() -> Result<std::unique_ptr<Guest>> {
    std::shared_ptr<void> host_data = make_host_data ? make_host_data() : nullptr;
    ROTOR_TRY(Instance instance, pre.instantiate({.limits = limits, .host_data = host_data.get()}));
    return std::make_unique<LinkedGuest>(std::move(host_data), std::move(instance));
  };
}

}  // namespace rotor
