// A guest in use, as active, standby or retired, and calls into it with nothing symbolic left in them.
#pragma once

#include <algorithm>
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
  /// The image of the instance that `calls` were replayed on; null: they were on what the factory makes.
  std::shared_ptr<const StandbyImage> base = {};
  /// All calls that the state was made by, in order.
  std::vector<std::shared_ptr<const LogCall>> calls = {};
  bool stands_alone = false;    ///< the log was cut at it: nothing is known of how it was made
  uint64_t resident_bytes = 0;  ///< that the system holds for it
};

class LiveGuest;

/// Makes guests by the factory, which it never calls twice at once.
class GuestSource {
 public:
  GuestSource(const Plan& plan, const GuestFactory& factory, uint64_t memory_limit_bytes, bool rotates)
      : plan_(plan), factory_(factory), memory_limit_bytes_(memory_limit_bytes), rotates_(rotates) {}
  /// Makes a guest: restored from `image` or, if that is null, fresh. `imageable`: see GuestRequest. Errors: those of
  /// the factory; invalid_argument (it made none).
  Result<std::unique_ptr<LiveGuest>> make(const StandbyImage* image, bool imageable);
  /// Makes the mutex anew: a thread that was making a guest is gone.
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
  /// Begins without a guest, which GuestSource puts in.
  explicit LiveGuest(const Plan& plan)
      : plan_(plan),
        tape_(std::make_unique<ImportTape>(plan)),
        funcs_(plan.exports.size()),
        simple_(plan.exports.size()) {
    takes_shortcuts = plan.call_deadline_ms == 0;
  }
  ~LiveGuest();

  /// Calls an export of the guest. Errors: trap, host; limit (its allocator failed); invalid_argument (it returned data
  /// outside its memory).
  Result<void> call(uint32_t export_index, std::span<const RawArg> args, RawReply& reply);
  /// Returns the function of an export, looked up on first use; it lives as long as this.
  Result<const Func*> func(uint32_t export_index) {
    if (const Func& func = funcs_[export_index]; func) [[likely]]
      return &func;
    return find_func(export_index);
  }
  /// What the proxy's shortest way of calling needs of an export (ExportPlan::simple).
  struct Simple {
    const Func* func = nullptr;  ///< null: not looked up yet, or not ExportPlan::simple
    uint32_t handle_params = 0;  ///< one bit per parameter that is a handle
  };
  const Simple& simple(uint32_t export_index) const { return simple_[export_index]; }
  Instance& instance() { return guest_->instance(); }
  Guest& guest() { return *guest_; }
  ImportTape& tape() { return *tape_; }

  /// Start and stop the workers of a group (Plan::group); do nothing for a guest without workers.
  Result<void> start_workers();
  Result<void> stop_workers();
  /// Makes an image of the guest's state, which keeps `calls` and `base`; stops the workers for it and starts them
  /// again. Errors: those of Guest and Instance::snapshot; after an error the guest must not be used if `*usable` is
  /// false.
  Result<std::shared_ptr<const StandbyImage>> make_image(std::vector<std::shared_ptr<const LogCall>> calls,
                                                         std::shared_ptr<const StandbyImage> base, bool* usable);
  /// Makes an image of the guest's state. Pre: its workers are stopped. Errors: those of Guest::save; those of
  /// Instance::snapshot: a refused one left the guest as it was, unless it is stale_handle (the system took a memory
  /// and did not give it back).
  Result<std::shared_ptr<StandbyImage>> take_state();

  /// These may be called by any thread.
  uint64_t memory_bytes() const {
    uint64_t bytes = memory_.size_bytes();
    for (const OtherMemory& other : others_) bytes += other.memory.size_bytes();
    return bytes;
  }
  uint64_t denied_growths() const {
    uint64_t growths = memory_.denied_growths();
    for (const OtherMemory& other : others_) growths += other.memory.denied_growths();
    return growths;
  }
  /// Returns the memory in use, as a fraction of the limit; of several memories, that of all together or of the one
  /// which is nearest to its own limit; of a guest that has a garbage-collected heap, the greater one of this and what
  /// its objects take of that. Must be called while no call runs, if `is_asked_for_use`.
  double use() {
    if (is_gauged()) return fraction(gauge_bytes(), limit_bytes_);
    double use = fraction(memory_bytes(), limit_bytes_);
    if (!others_.empty()) use = std::max(use, use_of_fullest());
    return has_heap() ? std::max(use, use_of_heap()) : use;
  }
  /// Returns whether `use` asks the guest, and does not only look at sizes of memories.
  bool is_asked_for_use() const { return is_gauged() || has_heap(); }
  bool has_heap() const { return usage_.heap_limit_bytes != 0; }
  /// Returns what `use` found in the heap.
  const InstanceUsage& usage() const { return usage_; }

  HandleMap handles;
  /// Whether calls may take the proxy's shortest way. To be cleared before the first call.
  bool takes_shortcuts = true;
  uint64_t number = 0;  ///< from 1; each guest of the proxy has another one
  StandbyOrigin origin = StandbyOrigin::replay;
  uint64_t calls_replayed = 0;
  uint64_t warmup_ns = 0;
  uint64_t retired_at_ns = 0;
  std::optional<Error> poison = {};  ///< the trap after which it must not be used

 private:
  friend class GuestSource;
  /// A memory that is not memory 0.
  struct OtherMemory {
    Memory memory;
    uint64_t limit_bytes = 0;  ///< 0: it can't grow
  };
  static double fraction(uint64_t bytes, uint64_t of_bytes) {
    return of_bytes ? static_cast<double>(bytes) / static_cast<double>(of_bytes) : 0;
  }
  Result<const Func*> find_func(uint32_t export_index);
  void find_memories(uint64_t limit_bytes);
  Result<void> find_data_memory();
  double use_of_fullest() const;
  double use_of_heap();
  bool is_gauged() const { return plan_.gauge.kind != Gauge::Kind::memory_size; }
  Result<void> find_gauge();
  uint64_t gauge_bytes();
  /// Copies data into the guest, and a NUL behind it if `nul`.
  Result<uint32_t> pass_in(std::span<const uint8_t> data, uint32_t element_bytes, bool nul);
  template <class T>
  Result<void> take_out(Slot pointer, Slot count, std::vector<T>& out);
  Result<void> free_data(uint32_t pointer, uint32_t bytes, uint32_t align);
  Result<std::string> take_error(uint32_t reference_index);

  const Plan& plan_;
  std::unique_ptr<ImportTape> tape_;  // outlives the guest, which it watches
  std::unique_ptr<Guest> guest_;
  Memory memory_;                    ///< memory 0
  Memory data_memory_;               ///< where data go
  uint64_t memory_limit_bytes_ = 0;  ///< its own; 0: it can't grow
  std::vector<OtherMemory> others_;
  uint64_t limit_bytes_ = 0;  ///< of all together
  InstanceUsage usage_;       ///< when it was made; of its heap, when use() was called last
  // These are indexed by export, and looked up on first use.
  std::vector<Func> funcs_;
  std::vector<Simple> simple_;
  Func gauge_func_;
  Global gauge_global_;
  bool workers_run_ = false;
};

}  // namespace rotor::proxy
