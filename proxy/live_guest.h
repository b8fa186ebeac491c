// A guest in use, as active, standby or retired, and calls into it with nothing symbolic left in them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proxy/handle_map.h"
#include "proxy/import_tape.h"
#include "proxy/policy.h"
#include "rotor/proxy.h"

namespace rotor::proxy {

/// One argument with raw handles. Data is copied into the guest.
struct RawArg {
  Slot slot = 0;                  ///< scalar, handle
  std::span<const uint8_t> data;  ///< bytes; a vector's elements
};

struct RawReply {
  std::vector<Slot> values = {};  ///< scalars and raw handles, in order
  std::vector<uint8_t> bytes = {};
  std::vector<uint32_t> vector = {};
  bool guest_error = false;  ///< the guest returned its error result; there are no others
  std::string error_text = {};
};

/// The state that standbys are restored from.
struct StandbyImage {
  Snapshot snapshot;
  std::shared_ptr<const void> saved = {};  ///< Guest::save
  std::shared_ptr<const HandleMap::Table> handles = {};
  /// What it was made by, all of it, in order.
  std::vector<std::shared_ptr<const LogCall>> calls = {};
  uint64_t resident_bytes = 0;  ///< what the system holds for it
};

class LiveGuest;

/// The factory, for whoever needs a guest: it is never called twice at once.
class GuestSource {
 public:
  GuestSource(const Plan& plan, const GuestFactory& factory, uint64_t memory_limit_bytes, bool rotates)
      : plan_(plan), factory_(factory), memory_limit_bytes_(memory_limit_bytes), rotates_(rotates) {}
  /// `image`: restored from it, null: a fresh start. `imageable`: GuestRequest. Errors: those of the factory;
  /// invalid_argument (it made none).
  Result<std::unique_ptr<LiveGuest>> make(const StandbyImage* image, bool imageable);
  /// A thread that was making one is gone.
  void after_fork_in_child() { new (&mutex_) std::mutex(); }

 private:
  const Plan& plan_;
  const GuestFactory& factory_;
  const uint64_t memory_limit_bytes_;
  const bool rotates_;
  std::mutex mutex_;
  uint64_t made_ = 0;
};

class LiveGuest {
 public:
  /// Without a guest yet, which GuestSource puts in.
  explicit LiveGuest(const Plan& plan)
      : plan_(plan),
        tape_(std::make_unique<ImportTape>(plan)),
        funcs_(plan.exports.size()),
        simple_(plan.exports.size()) {}
  ~LiveGuest();

  /// Errors: trap, host; limit (its allocator failed); invalid_argument (it returned data outside its memory).
  Result<void> call(uint32_t export_index, std::span<const RawArg> args, RawReply& reply);
  /// Looked up on first use; lives as long as this.
  Result<const Func*> func(uint32_t export_index) {
    if (const Func& func = funcs_[export_index]; func.handle().object) [[likely]]
      return &func;
    return find_func(export_index);
  }
  /// What the shortest way needs of an export.
  struct Simple {
    const Func* func = nullptr;  ///< null: not looked up yet, or not ExportPlan::simple
    uint32_t handle_params = 0;  ///< a bit for each
  };
  const Simple& simple(uint32_t export_index) const { return simple_[export_index]; }
  Instance& instance() { return guest_->instance(); }
  Guest& guest() { return *guest_; }
  ImportTape& tape() { return *tape_; }

  /// The workers of a group (Plan::group): none of a guest without.
  Result<void> start_workers();
  Result<void> stop_workers();
  /// The guest's state as an image that knows `calls`; stops the workers for it and starts them again. Errors: those of
  /// Guest and Instance::snapshot; after one the guest must not be used if `*usable` is false.
  Result<std::shared_ptr<const StandbyImage>> make_image(std::vector<std::shared_ptr<const LogCall>> calls,
                                                         bool* usable);

  /// By any thread.
  uint64_t memory_bytes() const { return memory_.size_bytes(); }
  uint64_t denied_growths() const { return memory_.denied_growths(); }
  /// Memory in use, of the limit. While no call runs, if there is a gauge.
  double use() {
    const uint64_t bytes = plan_.gauge.kind == Gauge::Kind::memory_size ? memory_bytes() : gauge_bytes();
    return limit_bytes_ ? static_cast<double>(bytes) / static_cast<double>(limit_bytes_) : 0;
  }

  HandleMap handles;
  uint64_t number = 0;  ///< from 1: another one for each guest of the proxy
  StandbyOrigin origin = StandbyOrigin::replay;
  uint64_t calls_replayed = 0;
  uint64_t warmup_ns = 0;
  uint64_t retired_at_ns = 0;
  std::optional<Error> poison = {};  ///< the trap after which it must not be used

 private:
  friend class GuestSource;
  Result<const Func*> find_func(uint32_t export_index);
  Result<void> find_gauge();
  uint64_t gauge_bytes();
  Result<uint32_t> pass_in(std::span<const uint8_t> data, uint32_t element_bytes);
  template <class T>
  Result<void> take_out(Slot pointer, Slot count, std::vector<T>& out);
  Result<void> free_data(uint32_t pointer, uint32_t bytes, uint32_t align);
  Result<std::string> take_error(uint32_t reference_index);

  const Plan& plan_;
  std::unique_ptr<ImportTape> tape_;  // outlives the guest, which it watches
  std::unique_ptr<Guest> guest_;
  Memory memory_;
  uint64_t limit_bytes_ = 0;
  // By export index, looked up on first use.
  std::vector<Func> funcs_;
  std::vector<Simple> simple_;
  Func gauge_func_;
  Global gauge_global_;
  bool workers_run_ = false;
};

}  // namespace rotor::proxy
