#include "proxy/live_guest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "rotor/guard.h"
#include "rotor/printable.h"

namespace rotor::proxy {
namespace {

/// The slots of a call. Most calls have few arguments and results, whose slots need no heap.
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

uint32_t element_bytes(ArgKind kind) { return is_bytes(kind) ? 1 : sizeof(uint32_t); }

}  // namespace

Result<std::unique_ptr<LiveGuest>> GuestSource::make(const StandbyImage* image, bool imageable) {
  std::unique_ptr<LiveGuest> live(new LiveGuest(plan_));
  GuestRequest request;
  request.imageable = imageable;
  request.rotates = rotates_;
  request.rewinds = plan_.mode == RotationMode::checkpoint;
  if (plan_.records_answers || request.rewinds) request.import_observer = live->tape_.get();
  if (image) {
    request.snapshot = &image->snapshot;
    request.saved = image->saved;
    live->handles = HandleMap(image->handles);
    live->origin = StandbyOrigin::image;
  }
  std::lock_guard lock(mutex_);
  live->number = ++made_;
  ROTOR_TRY(live->guest_, detail::guarded("the guest factory", [&] { return factory_(request); }));
  if (!live->guest_ || !live->instance()) return fail(ErrorKind::invalid_argument, "the factory returned no guest");
  if (live->instance().module().uses_fuel()) ROTOR_CHECK(live->instance().set_fuel(kUnmetered));
  if (request.rewinds && live->guest_->tracks_host_state()) live->takes_shortcuts = false;
  live->find_memories(memory_limit_bytes_);
  ROTOR_CHECK(live->find_data_memory());
  ROTOR_CHECK(live->find_gauge());
  return live;
}

/// Finds the memories and what they may have, of which the policy may want to be used no more than `limit_bytes`.
void LiveGuest::find_memories(uint64_t limit_bytes) {
  const std::vector<Memory> all = instance().memories();
  usage_ = instance().usage();
  if (usage_.memories) limit_bytes_ = usage_.memory_limit_bytes;
  for (size_t i = 0; i < all.size(); i++) {
    const uint64_t own_bytes = all[i].limit_bytes();
    if (i + usage_.memories < all.size()) limit_bytes_ += own_bytes;  // imported: it has a limit of its own
    // To exchange the instance does not help a memory that begins full.
    const bool can_grow = all[i].size_bytes() + all[i].page_bytes() <= own_bytes;
    if (i == 0) {
      memory_ = all[i].pinned();
      memory_limit_bytes_ = can_grow ? own_bytes : 0;
    } else {
      others_.push_back({all[i].pinned(), can_grow ? own_bytes : 0});
    }
  }
  if (limit_bytes) limit_bytes_ = std::min(limit_bytes_, limit_bytes);
}

Result<void> LiveGuest::find_data_memory() {
  data_memory_ = memory_;
  if (plan_.data_memory.empty()) return {};
  ROTOR_TRY(Memory memory, instance().get_memory(plan_.data_memory));
  data_memory_ = memory.pinned();
  return {};
}

double LiveGuest::use_of_fullest() const {
  double use = fraction(memory_.size_bytes(), memory_limit_bytes_);
  for (const OtherMemory& other : others_) use = std::max(use, fraction(other.memory.size_bytes(), other.limit_bytes));
  return use;
}

/// Blocks hold what nobody refers to until there is a collection, and one is due when they take half of what the last
/// one left free: so a leak is noticed before it fills the heap, and each takes no more time than it gave.
double LiveGuest::use_of_heap() {
  if (const InstanceUsage now = instance().usage(); now.heap_limit_bytes != 0)
    usage_ = now;  // else another thread is inside, and what was known stays
  const uint64_t free_bytes = usage_.heap_limit_bytes - std::min(usage_.heap_live_bytes, usage_.heap_limit_bytes);
  if (usage_.heap_used_bytes > usage_.heap_live_bytes + free_bytes / 2) {
    if (instance().collect_garbage()) usage_ = instance().usage();
  }
  return fraction(usage_.heap_live_bytes, usage_.heap_limit_bytes);
}

LiveGuest::~LiveGuest() {
  // The workers of a trapped guest are ended by the guest object itself.
  if (guest_ && !poison) (void)stop_workers();
}

Result<void> LiveGuest::start_workers() {
  if (plan_.group.workers == 0 || workers_run_) return {};
  ROTOR_CHECK(detail::guarded("Guest::start_workers", [&] { return guest_->start_workers(plan_.group); }));
  workers_run_ = true;
  return {};
}

Result<void> LiveGuest::stop_workers() {
  if (!workers_run_) return {};
  workers_run_ = false;
  return detail::guarded("Guest::stop_workers", [&] { return guest_->stop_workers(plan_.group); });
}

Result<std::shared_ptr<const StandbyImage>> LiveGuest::make_image(std::vector<std::shared_ptr<const LogCall>> calls,
                                                                  std::shared_ptr<const StandbyImage> base,
                                                                  bool* usable) {
  *usable = false;
  ROTOR_CHECK(stop_workers());
  Result<std::shared_ptr<StandbyImage>> image = take_state();
  if (!image && image.error().kind == ErrorKind::stale_handle) return std::unexpected(std::move(image).error());
  ROTOR_CHECK(start_workers());
  *usable = true;
  if (!image) return std::unexpected(std::move(image).error());
  (*image)->handles = handles.share();
  (*image)->calls = std::move(calls);
  (*image)->base = std::move(base);
  return *image;
}

Result<std::shared_ptr<StandbyImage>> LiveGuest::take_state() {
  auto image = std::make_shared<StandbyImage>();
  ROTOR_TRY(image->saved, detail::guarded("Guest::save", [&] { return guest_->save(); }));
  ROTOR_TRY(image->snapshot, instance().snapshot(SnapshotCopy::changes));
  image->resident_bytes = image->snapshot.resident_bytes();
  return image;
}

Result<const Func*> LiveGuest::find_func(uint32_t export_index) {
  const ExportPlan& plan = plan_.exports[export_index];
  ROTOR_TRY(funcs_[export_index], instance().get_func(plan.export_name));
  constexpr size_t kMaxParams = 32;
  if (plan.simple && takes_shortcuts && plan.args.size() <= kMaxParams) {
    Simple& simple = simple_[export_index];
    simple.func = &funcs_[export_index];
    for (size_t i = 0; i < plan.args.size(); i++)
      if (plan.args[i] != ArgKind::scalar) simple.handle_params |= uint32_t{1} << i;
  }
  return &funcs_[export_index];
}

Result<void> LiveGuest::find_gauge() {
  if (plan_.gauge.kind == Gauge::Kind::function) {
    ROTOR_TRY(gauge_func_, instance().get_func(plan_.gauge.name));
  } else if (plan_.gauge.kind == Gauge::Kind::global) {
    ROTOR_TRY(gauge_global_, instance().get_global(plan_.gauge.name));
  }
  return {};
}

uint64_t LiveGuest::gauge_bytes() {
  Slot slot[1] = {};
  if (plan_.gauge.kind == Gauge::Kind::function) {
    // A gauge that traps gives no value; the memory's size is an upper bound.
    if (!gauge_func_.call_raw(slot)) return memory_bytes();
  } else {
    auto value = gauge_global_.get();
    if (!value) return memory_bytes();
    slot[0] = value->bits();
  }
  return plan_.gauge.type == ValType::i32 ? static_cast<uint32_t>(slot[0]) : slot[0];
}

Result<void> LiveGuest::call(uint32_t export_index, std::span<const RawArg> args, RawReply& reply) {
  const ExportPlan& plan = plan_.exports[export_index];
  ROTOR_TRY(const Func* func, this->func(export_index));
  Slots slots(plan.type);
  std::vector<uint32_t> lent;  // data that a plain guest does not free
  std::vector<uint8_t> filled(plan.filled.size() * sizeof(uint32_t));
  uint32_t filled_at = 0;
  if (!filled.empty()) {
    ROTOR_TRY(filled_at, pass_in(filled, sizeof(uint32_t), false));
    for (size_t i = 0; i < plan.filled.size(); i++) slots[plan.filled[i]] = filled_at + i * sizeof(uint32_t);
  }
  for (size_t i = 0; i < plan.args.size(); i++) {
    const ArgKind kind = plan.args[i];
    Slot& first = slots[plan.params[i]];
    if (!takes_data(kind)) {
      first = args[i].slot;
      continue;
    }
    ROTOR_TRY(first, pass_in(args[i].data, element_bytes(kind), ends_with_nul(kind)));
    if (plan_.preset == Preset::plain) lent.push_back(static_cast<uint32_t>(first));
    if (width(kind) == 1) continue;
    Slot& second = slots[plan.params[i] + 1];
    second = args[i].data.size() / element_bytes(kind);
    if (count_is_first(kind)) std::swap(first, second);
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
  size_t at = 0;
  for (ResultKind kind : std::span(plan.results).first(plan.own_results())) {
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
  if (filled.empty()) return {};
  ROTOR_CHECK(data_memory_.read(filled_at, filled));
  for (size_t i = 0; i < filled.size(); i += sizeof(uint32_t)) {
    uint32_t value = 0;
    std::memcpy(&value, &filled[i], sizeof value);
    reply.values.push_back(value);
  }
  return free_data(filled_at, static_cast<uint32_t>(filled.size()), sizeof(uint32_t));
}

Result<uint32_t> LiveGuest::pass_in(std::span<const uint8_t> data, uint32_t element_bytes, bool nul) {
  const uint64_t bytes = data.size() + nul;
  if (bytes > UINT32_MAX) return fail(ErrorKind::limit, "an argument of more than 4 GiB");
  ROTOR_TRY(const Func* allocate, func(plan_.allocate));
  Slot slots[2] = {bytes, element_bytes};  // the alignment; a plain malloc ignores it
  ROTOR_CHECK(allocate->call_raw(slots));
  uint32_t pointer = static_cast<uint32_t>(slots[0]);
  if (bytes == 0) return pointer;
  if (pointer == 0) return fail(ErrorKind::limit, fmt::format("the guest can't allocate {} bytes", bytes));
  ROTOR_CHECK(data_memory_.write(pointer, data));
  constexpr uint8_t kNul[1] = {};
  if (nul) ROTOR_CHECK(data_memory_.write(uint64_t{pointer} + data.size(), kNul));
  return pointer;
}

template <class T>
Result<void> LiveGuest::take_out(Slot pointer, Slot count, std::vector<T>& out) {
  uint32_t address = static_cast<uint32_t>(pointer);
  uint64_t bytes = uint64_t{static_cast<uint32_t>(count)} * sizeof(T);
  if (bytes == 0) return {};
  if (address + bytes > data_memory_.size_bytes())
    return fail(ErrorKind::invalid_argument,
                fmt::format("the guest returned {} bytes at {:#x}, outside its memory", bytes, address));
  out.resize(bytes / sizeof(T));
  ROTOR_CHECK(data_memory_.read(address, {reinterpret_cast<uint8_t*>(out.data()), bytes}));
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
    auto describe = [&] { return guest_->describe_error(error.externref()); };
    ROTOR_TRY(text, detail::guarded("Guest::describe_error", describe));
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

Result<void> Guest::start_workers(const GroupRule&) {
  return fail(ErrorKind::unsupported,
              "the policy's [group] has workers, and the guest does not know how to start them");
}

Result<void> Guest::stop_workers(const GroupRule&) {
  return fail(ErrorKind::unsupported, "the policy's [group] has workers, and the guest does not know how to stop them");
}

InstanceOptions GuestRequest::apply(InstanceOptions options) const {
  options.limits.memory = apply(std::move(options.limits.memory));
  if (import_observer) options.import_observer = import_observer;
  return options;
}

MemoryLimits GuestRequest::apply(MemoryLimits limits) const {
  limits.imageable = imageable;
  return limits;
}

Result<Instance> GuestRequest::instantiate(const InstancePre& pre, InstanceOptions options) const {
  options = apply(std::move(options));
  if (!options.fuel && pre.module().uses_fuel()) options.fuel = proxy::kUnmetered;
  return snapshot ? pre.instantiate(*snapshot, options) : pre.instantiate(options);
}

GuestFactory linked_guests(InstancePre pre, Limits limits, std::function<std::shared_ptr<void>()> make_host_data) {
  return [pre = std::move(pre), limits = std::move(limits), make_host_data = std::move(make_host_data),
          shared = std::optional<std::vector<std::string>>()](
             const GuestRequest& request) mutable -> Result<std::unique_ptr<Guest>> {
    if (!shared) shared = pre.shared_state();
    if (request.rotates && !shared->empty())
      return fail(
          ErrorKind::invalid_argument,
          fmt::format("{} is defined once for all instances and can be changed: a guest that shares it can't be "
                      "rotated; define it per instance",
                      printable_name(shared->front())));
    std::shared_ptr<void> host_data;
    if (make_host_data) {
      ROTOR_TRY(host_data, detail::guarded("make_host_data", make_host_data));
    }
    ROTOR_TRY(Instance instance, request.instantiate(pre, {.limits = limits, .host_data = host_data.get()}));
    return std::make_unique<LinkedGuest>(std::move(host_data), std::move(instance));
  };
}

}  // namespace rotor
