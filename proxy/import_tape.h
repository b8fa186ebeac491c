// Records what host functions answer within a call, and answers in their place when the call is replayed.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "proxy/log_call.h"
#include "rotor/import_observer.h"

namespace rotor::proxy {

/// Drops the first answer that was an error, and what followed it: who makes the call again asks anew from there on.
void drop_from_error(std::vector<HostAnswer>& answers);

/// Stands between one guest and its host. Used by the thread that is in the guest.
///
/// An answer is the results, and the effects on the guest in their order. Addresses in it differ from instance to
/// instance, so they are kept relative to a pointer among the import's arguments (the nearest below), or to what a
/// nested call returned (the guest's allocator, mostly).
class ImportTape final : public ImportObserver {
 public:
  explicit ImportTape(const Plan& plan) : plan_(plan) {}

  /// Begins recording answers.
  void record();
  /// Begins giving `answers`; host functions whose mode is `run` are run. When the answers are used up, and
  /// `then_live`, host functions answer themselves, and all is recorded; without `then_live` a further call is a
  /// divergence.
  void replay(std::span<const HostAnswer> answers, bool then_live);
  /// Stops, and returns the answers of `replay` that were given, followed by those that were recorded.
  std::vector<HostAnswer> stop();
  /// Returns how many answers of `replay` were given.
  size_t given() const { return next_; }
  /// Ends a replay. Errors: internal (divergence: the guest called, or did not call, other host functions).
  Result<void> end_replay();
  /// Returns why what was recorded can't be replayed; empty if it can.
  const std::string& unrecordable() const { return unrecordable_; }
  /// Returns how the replay has diverged so far; empty if it has not.
  const std::string& divergence() const { return divergence_; }

  Result<void> on_import(uint32_t import_index, Caller& caller, Slot* slots, const HostFunction& host) override;
  void on_write(uint64_t address, std::span<const uint8_t> bytes) override;
  void on_follow(uint64_t address, uint32_t pointer) override;
  void on_table_set(std::string_view table, uint64_t index, ValType type, Slot element) override;
  void on_table_grow(std::string_view table, uint64_t delta, ValType type, Slot init) override;
  void on_nested_call(std::string_view name, std::span<const Value> args, std::span<const Value> results) override;
  void on_nested_error(std::string_view name, std::span<const Value> args, const Error& error) override;
  Result<void> on_handle(std::string_view what) override;
  void on_state_changed() override;

  /// Has Caller::state_changed raise `attention`, too, from now on, and forgets what it said so far.
  void watch_state(std::atomic<bool>& attention);
  /// Returns, once, whether a host function said that state outside of the guest changed.
  bool take_state_changed() { return std::exchange(state_changed_, false); }

 private:
  enum class Mode : uint8_t { idle, recording, replaying };
  static constexpr size_t kNone = SIZE_MAX;

  Result<void> record_answer(const ImportPlan& plan, uint32_t index, Caller& caller, Slot* slots,
                             const HostFunction& host);
  Result<void> give_answer(const ImportPlan& plan, Caller& caller, Slot* slots);
  Result<void> give_effect(const HostEffect& effect, Caller& caller, const Slot* args, std::vector<Slot>& nested);
  std::unexpected<Error> diverged(std::string what);
  /// Notes that a host function put a reference that a replay can't put again, if it is one.
  void note_reference(ValType type, Slot slot);
  /// Returns what stands for a number in the open answer.
  Symbol symbol_of(uint64_t value) const;
  Symbol base_of(uint64_t address, uint64_t* offset) const;
  /// Adds an effect with so many bytes of data to the open answer. Returns null if nothing is recorded.
  HostEffect* add_effect(HostEffect::Kind kind, size_t data_bytes = 0);
  /// Counts what is kept of a call. Returns false, and drops it, once that is too much.
  bool has_room_for(size_t bytes);

  const Plan& plan_;
  Mode mode_ = Mode::idle;
  bool then_live_ = false;
  std::vector<HostAnswer> answers_;
  size_t next_ = 0;           ///< index of the answer to be given next
  size_t open_ = kNone;       ///< index of the answer being recorded; kNone: none, or a function that runs
  std::vector<Slot> nested_;  ///< results of the open answer's nested calls, and pointers that it followed
  size_t kept_bytes_ = 0;     ///< of this call
  bool is_full_ = false;      ///< this call's answers were dropped
  std::string unrecordable_;
  std::string divergence_;
  bool state_changed_ = false;
  std::atomic<bool>* attention_ = nullptr;
};

}  // namespace rotor::proxy
