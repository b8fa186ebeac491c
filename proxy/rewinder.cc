#include "proxy/rewinder.h"

#include <fmt/format.h>

#include <algorithm>

#include "proxy/clock.h"
#include "proxy/probes.h"
#include "rotor/guard.h"
#include "rotor/printable.h"

namespace rotor::proxy {
namespace {

bool is_integer(ValType type) { return type == ValType::i32 || type == ValType::i64; }

/// Returns an integer's bits as a number: an i32 has no upper half.
uint64_t number_of(ValType type, uint64_t bits) { return type == ValType::i32 ? static_cast<uint32_t>(bits) : bits; }

}  // namespace

Rewinder::Rewinder(const Policy& policy, const Plan& plan, Warmer& warmer, const ProxyOptions& options)
    : policy_(policy),
      plan_(plan),
      warmer_(warmer),
      options_(options),
      tracks_(!options.live_in_checkpoint),
      state_(policy.checkpoint, policy.warm_at),
      answers_(plan.probes.size()),
      changes_(plan.exports.size() + kOthers) {
  publish();
}

// ---- calls ----------------------------------------------------------------------------------------------------------

Rewinder::Numbers Rewinder::numbers(uint32_t export_index, std::span<const Arg> args) const {
  const ExportPlan& plan = plan_.exports[export_index];
  Numbers out;
  if (!tracks_ || (!held_.any_dead() && std::ranges::none_of(plan.args, consumes))) return out;
  for (size_t i = 0; i < args.size() && i < plan.args.size(); i++) {
    const ArgKind kind = plan.args[i];
    if (takes_handles(kind)) {
      for (size_t at = 0; at + sizeof(uint32_t) <= args[i].data().size(); at += sizeof(uint32_t)) {
        uint32_t handle = 0;
        std::copy_n(args[i].data().data() + at, sizeof handle, reinterpret_cast<uint8_t*>(&handle));
        out.push_back({.bits = handle, .may_be_pointer = true, .ends = consumes(kind)});
      }
    } else if (!takes_data(kind) && is_integer(args[i].type())) {
      out.push_back({.bits = number_of(args[i].type(), args[i].slot()),
                     .may_be_pointer = holds_handle(kind) || !plan.args_are_said,
                     .ends = consumes(kind)});
    }
  }
  return out;
}

Rewinder::Numbers Rewinder::numbers(uint32_t export_index, std::span<const Value> args) const {
  const ExportPlan& plan = plan_.exports[export_index];
  Numbers out;
  if (!tracks_ || (!held_.any_dead() && std::ranges::none_of(plan.args, consumes))) return out;
  for (size_t i = 0; i < plan.args.size(); i++) {
    const ArgKind kind = plan.args[i];
    // A raw call passes data itself: a pointer, which may be one that it holds, and a count.
    if (takes_data(kind) || plan.params[i] >= args.size()) continue;
    const Value& arg = args[plan.params[i]];
    if (!is_integer(arg.type())) continue;
    out.push_back({.bits = number_of(arg.type(), arg.bits()),
                   .may_be_pointer = holds_handle(kind) || !plan.args_are_said,
                   .ends = consumes(kind)});
  }
  return out;
}

Result<bool> Rewinder::begin_call(uint32_t export_index, const Numbers& args, uint64_t call_number) {
  const ExportPlan& plan = plan_.exports[export_index];
  for (size_t i = 0; i < args.size(); i++) {
    if (!args[i].may_be_pointer || args[i].bits == 0) continue;
    const HeldResults::Dead* dead = held_.find_dead(args[i].bits);
    if (!dead) continue;
    return fail(
        ErrorKind::stale_handle,
        fmt::format("{}: {} is what {} returned before rewind {} took it (if it is a number that says something "
                    "else, have `allow` say that {} returns a value, or `args` of {} that it is a scalar)",
                    plan.shown, args[i].bits, plan_.exports[dead->export_index].shown, dead->rotation,
                    plan_.exports[dead->export_index].shown, plan.shown));
  }
  if (plan.leaves == Leaves::nothing) return false;
  const bool ends_newer_only = std::ranges::all_of(
      args, [&](const Number& arg) { return !arg.ends || arg.bits == 0 || held_.is_newer(arg.bits); });
  if (plan.leaves == Leaves::release && tracks_ && ends_newer_only) return false;
  note_change(export_index, call_number);
  return true;
}

void Rewinder::end_call(uint32_t export_index, const Numbers& args, std::span<const uint64_t> results,
                        uint64_t call_number) {
  const ExportPlan& plan = plan_.exports[export_index];
  for (const Number& arg : args)
    if (arg.ends) held_.note_released(arg.bits);
  for (uint64_t result : results) {
    if (result == 0) continue;
    if (plan.holds)
      held_.note_returned(result, export_index, call_number);
    else
      held_.revive(result);
  }
  held_count_.set(held_.held());
}

void Rewinder::take_back_change() {
  state_.take_back_change();
  stale_.set(state_.is_stale());
}

std::vector<uint64_t> Rewinder::results(uint32_t export_index, const Reply& reply) const {
  const ExportPlan& plan = plan_.exports[export_index];
  std::vector<uint64_t> out;
  if (!tracks_ || (!plan.holds && !held_.any_dead())) return out;
  const bool scalars = !plan.rule || !plan.rule->results;  // else a scalar is said to be one
  size_t value = 0;
  for (size_t i = 0; i < plan.results.size(); i++) {
    const ResultKind kind = plan.results[i];
    if (kind == ResultKind::handles) out.insert(out.end(), reply.vector.begin(), reply.vector.end());
    if (kind >= ResultKind::bytes || value == reply.values.size()) continue;
    const Value& result = reply.values[value++];
    // What the guest fills is said to be a number, or a handle.
    if (is_integer(result.type()) && (kind == ResultKind::handle || (scalars && i < plan.own_results())))
      out.push_back(number_of(result.type(), result.bits()));
  }
  return out;
}

std::vector<uint64_t> Rewinder::results(uint32_t export_index, std::span<const Value> values) const {
  std::vector<uint64_t> out;
  if (!tracks_ || (!plan_.exports[export_index].holds && !held_.any_dead())) return out;
  for (const Value& value : values)
    if (is_integer(value.type())) out.push_back(number_of(value.type(), value.bits()));
  return out;
}

void Rewinder::note_memory(uint64_t call_number) {
  if (policy_.checkpoint.host_writes == HostWrites::state)
    note_change(plan_.exports.size() + kLeaseMemory, call_number);
}

Result<void> Rewinder::drop(uint64_t number) {
  if (number == 0) return {};
  if (!held_.drop(number))
    return fail(ErrorKind::not_found, fmt::format("{} is not held: no allowed export returned it since the checkpoint, "
                                                  "or it was released",
                                                  number));
  held_count_.set(held_.held());
  return {};
}

void Rewinder::note_change(size_t source, uint64_t call_number) {
  state_.note_change(call_number);
  changes_[source].add();
  stale_.set(1);
}

void Rewinder::hear(LiveGuest& active, uint64_t calls) {
  if (active.tape().take_state_changed()) note_change(plan_.exports.size() + kHostFunction, calls);
  // Who gave up has none any more.
  if (!checkpoint_ || !checkpoint_->saved || state_.is_stale() || active.poison) return;
  bool changed = false;
  auto asked = detail::guarded("has_changed_since",
                               [&] { changed = active.guest().has_changed_since(checkpoint_->saved.get()); });
  if (!asked) warmer_.note_problem(asked.error());
  if (!asked || changed) note_change(plan_.exports.size() + kHostState, calls);
}

// ---- checkpoints ----------------------------------------------------------------------------------------------------

bool Rewinder::holds_newer() const {
  if (tracks_) return held_.held() > 0;
  bool live_in_checkpoint = false;
  auto asked = detail::guarded("live_in_checkpoint", [&] { live_in_checkpoint = options_.live_in_checkpoint(); });
  if (!asked) warmer_.note_problem(asked.error());
  return !live_in_checkpoint;
}

bool Rewinder::wants_checkpoint(LiveGuest& active, uint64_t calls) {
  hear(active, calls);
  const bool anew = policy_.checkpoint.while_held == WhileHeld::checkpoint;
  if (state_.is_stale())
    return anew || !tracks_ || held_.held() == 0 || calls - held_.held_since() >= policy_.query_handle_calls;
  return anew && holds_newer();
}

Result<void> Rewinder::take_if_due(LiveGuest& active, double use, uint64_t calls) {
  if (!wants_checkpoint(active, calls) || !state_.is_quiet(calls) || !state_.is_due(now_ns(), use)) return {};
  return take(active, use);
}

Result<void> Rewinder::take_if_paid(LiveGuest& active, double use, uint64_t calls) {
  if (!state_.is_paid(use) || !wants_checkpoint(active, calls)) return {};
  return take(active, use);
}

Result<void> Rewinder::take(LiveGuest& active, double use) {
  const uint64_t start_ns = now_ns();
  (void)active.tape().take_state_changed();
  const uint64_t bytes = active.memory_bytes();
  Result<std::shared_ptr<const StandbyImage>> image = image_of(active);
  const uint64_t end_ns = now_ns();
  const uint64_t took_ns = end_ns - start_ns;
  if (!image) {
    failed_.add();
    state_.note_failed(end_ns, took_ns);
    warmer_.note_problem(image.error());
    warmer_.tell({.kind = ProxyEventKind::checkpoint_failed, .ns = took_ns, .text = image.error().to_string()});
    return std::unexpected(std::move(image).error());
  }
  checkpoint_ = std::move(*image);
  if (std::exchange(prepared_, false)) warmer_.prepare_from(nullptr);  // that was made from the one before
  ask_probes(active);
  warmer_.keep_ready(checkpoint_);
  state_.note_taken(end_ns, took_ns, use);
  held_.note_checkpoint();
  told_ = false;
  checkpoints_.add();
  ns_last_.set(took_ns);
  ns_max_.raise(took_ns);
  ns_total_.add(took_ns);
  bytes_.set(bytes);
  publish();
  warmer_.tell({.kind = ProxyEventKind::checkpoint_taken, .ns = took_ns, .bytes = checkpoint_->resident_bytes});
  call_back("on_checkpoint", options_.on_checkpoint);
  return {};
}

/// Keeps what the active answers, for when it has trapped.
void Rewinder::ask_probes(LiveGuest& active) {
  for (size_t i = 0; i < answers_.size(); i++) {
    answers_[i].reset();
    if (active.poison) continue;
    auto answer = ask(plan_, plan_.probes[i], active, no_handle);
    if (answer) {
      answers_[i] = std::move(*answer);
      continue;
    }
    warmer_.note_problem(answer.error());
    const ErrorKind kind = answer.error().kind;
    if (kind == ErrorKind::trap || kind == ErrorKind::host || kind == ErrorKind::internal)
      active.poison = answer.error();
  }
}

/// Pauses the workers, and makes an image of the guest. An active that does not go on is poisoned: if it was imaged
/// before, its state is in the checkpoint, which then takes its place.
Result<std::shared_ptr<const StandbyImage>> Rewinder::image_of(LiveGuest& active) {
  if (auto stopped = active.stop_workers(); !stopped) {
    active.poison = stopped.error();
    return std::unexpected(std::move(stopped).error());
  }
  Result<std::shared_ptr<StandbyImage>> image = active.take_state();
  if (!image && image.error().kind == ErrorKind::stale_handle) {
    active.poison = image.error();
    return std::unexpected(std::move(image).error());
  }
  if (auto started = active.start_workers(); !started) {
    active.poison = started.error();
    warmer_.note_problem(started.error());
  }
  if (!image) return std::unexpected(std::move(image).error());
  return std::shared_ptr<const StandbyImage>(std::move(*image));
}

// ---- rewinds --------------------------------------------------------------------------------------------------------

Rewinder::Obstacle Rewinder::obstacle(LiveGuest& active, const Moment& moment) {
  hear(active, moment.calls);
  // A guest of which the host has seen nothing, and in which nothing was left behind, is what the factory makes.
  const bool is_new = state_.is_pristine() && moment.nothing_returned;
  if (state_.is_stale() && !is_new) return state_.exists() ? Obstacle::stale : Obstacle::missing;
  if (moment.trapped) return Obstacle::none;
  if (holds_newer()) return Obstacle::held;
  return state_.is_futile() && !moment.wanted ? Obstacle::futile : Obstacle::none;
}

std::string Rewinder::changers() const {
  std::vector<uint64_t> counts(plan_.exports.size());
  for (size_t i = 0; i < counts.size(); i++) counts[i] = changes_[i];
  std::string text = counts_text(plan_, counts);
  auto add = [&](const char* what, uint64_t count) {
    if (count) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", what, count);
  };
  add("a host function by Caller::state_changed", changes_[counts.size() + kHostFunction]);
  add("host state", changes_[counts.size() + kHostState]);
  add("Lease::memory", changes_[counts.size() + kLeaseMemory]);
  add("what a probe found", changes_[counts.size() + kProbe]);
  return text;
}

std::string Rewinder::text_of(Obstacle obstacle) const {
  std::string text;
  switch (obstacle) {
    case Obstacle::none: return {};
    case Obstacle::missing:
    case Obstacle::stale:
      text =
          fmt::format("{}; what left something behind: {}",
                      obstacle == Obstacle::stale ? "the checkpoint is stale" : "there is no checkpoint", changers());
      if (tracks_ && held_.held()) text += "; a new one waits for what the host holds: " + held_.holders(plan_);
      break;
    case Obstacle::held:
      text = tracks_
                 ? fmt::format("the host holds results that are newer than the checkpoint: {}", held_.holders(plan_))
                 : "the host holds what is newer than the checkpoint";
      break;
    case Obstacle::futile:
      text = fmt::format("rotation is futile: the checkpoint itself uses {:.0f} % of the memory{}{}",
                         state_.use() * 100, changers().empty() ? "" : "; what left something behind: ", changers());
      break;
  }
  return text;
}

void Rewinder::tell(Obstacle obstacle, uint64_t calls) {
  if (obstacle == Obstacle::held && tracks_ && calls - held_.held_since() < policy_.query_handle_calls) return;
  if (std::exchange(told_, true)) return;
  std::string text = text_of(obstacle);
  held_up_.add();
  futile_.add(obstacle == Obstacle::futile);
  warmer_.note_problem(Error(ErrorKind::limit, "no rewind: " + text));
  warmer_.tell({.kind = ProxyEventKind::rewind_held_up, .text = std::move(text)});
}

std::unique_ptr<LiveGuest> Rewinder::stamp() {
  prepared_ = false;
  return warmer_.take_from(checkpoint_);
}

void Rewinder::prepare() {
  if (prepared_ || state_.is_stale() || state_.is_futile()) return;
  prepared_ = true;
  warmer_.prepare_from(checkpoint_);
}

void Rewinder::note_rewind(LiveGuest& active, uint64_t rotation, double given_back) {
  state_.note_rewind(given_back);
  held_.note_rewind(rotation);
  active.takes_shortcuts &= !held_.any_dead();
  told_ = false;
  publish();
}

void Rewinder::publish() {
  held_count_.set(held_.held());
  stale_.set(state_.is_stale());
  resident_bytes_.set(checkpoint_ ? checkpoint_->resident_bytes : 0);
}

void Rewinder::call_back(const char* what, const std::function<void()>& callback) {
  if (!callback) return;
  if (auto told = detail::guarded(what, callback); !told) warmer_.note_problem(told.error());
}

void Rewinder::report(ProxyCounters& to) const {
  to.checkpoints = checkpoints_;
  to.checkpoints_failed = failed_;
  to.checkpoint_ns_last = ns_last_;
  to.checkpoint_ns_max = ns_max_;
  to.checkpoint_ns_total = ns_total_;
  to.checkpoint_bytes = bytes_;
  to.image_bytes = resident_bytes_;
  to.futile += futile_;
  to.rewinds_held_up = held_up_;
  to.held = held_count_;
  to.checkpoint_stale = stale_;
  for (const LeaseCount& count : changes_) to.state_changes += count;
  to.stale_by = changers();
}

}  // namespace rotor::proxy
