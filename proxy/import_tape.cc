#include "proxy/import_tape.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "rotor/guard.h"

namespace rotor::proxy {
namespace {

/// Returns what a reference is to that means nothing in another instance; null if it is none.
const char* bound_reference(ValType type) {
  if (type.is_func_ref()) return "a function";
  if (type.is_exn_ref()) return "an exception";
  return type.is_any_ref() ? "an object" : nullptr;
}

/// The answers of one call take no more: a guest decides how often it asks, and for how much.
constexpr size_t kMaxCallBytes = size_t{64} << 20;
/// An address farther from a pointer than this many bytes is not taken as relative to it.
constexpr uint64_t kMaxReachBytes = UINT64_C(16) << 20;
/// A number below it is no address: guests keep the first page for null pointers or their stack.
constexpr uint64_t kMinAddress = 1024;

bool passes_vector(const FuncType& type) {
  return std::ranges::find(type.params, ValType::v128) != type.params.end() ||
         std::ranges::find(type.results, ValType::v128) != type.results.end();
}

bool same(ImportArg kind, ValType type, Slot a, Slot b) {
  if (kind != ImportArg::scalar) return true;
  const bool is32 = type == ValType::i32 || type == ValType::f32;
  return is32 ? static_cast<uint32_t>(a) == static_cast<uint32_t>(b) : a == b;
}

}  // namespace

void drop_from_error(std::vector<HostAnswer>& answers) {
  const auto failed = std::ranges::find_if(answers, [](const HostAnswer& answer) { return answer.error.has_value(); });
  answers.erase(failed, answers.end());
}

void ImportTape::record() {
  mode_ = Mode::recording;
  answers_.clear();
  next_ = 0;
  unrecordable_.clear();
  divergence_.clear();
  open_ = kNone;
  kept_bytes_ = 0;
  is_full_ = false;
}

void ImportTape::replay(std::span<const HostAnswer> answers, bool then_live) {
  mode_ = Mode::replaying;
  then_live_ = then_live;
  answers_.assign(answers.begin(), answers.end());
  next_ = 0;
  kept_bytes_ = 0;
  is_full_ = false;
  open_ = kNone;
  divergence_.clear();
  unrecordable_.clear();
}

std::vector<HostAnswer> ImportTape::stop() {
  if (mode_ == Mode::replaying) answers_.resize(next_);
  mode_ = Mode::idle;
  return std::exchange(answers_, {});
}

Result<void> ImportTape::end_replay() {
  mode_ = Mode::idle;
  const size_t left = answers_.size() - next_;
  answers_.clear();
  if (!divergence_.empty()) return fail(ErrorKind::internal, "divergence: " + divergence_);
  if (left)
    return fail(ErrorKind::internal, fmt::format("divergence: {} host calls were not made that once were", left));
  return {};
}

std::unexpected<Error> ImportTape::diverged(std::string what) {
  if (divergence_.empty()) divergence_ = what;
  return fail(ErrorKind::internal, "divergence: " + std::move(what));
}

Result<void> ImportTape::on_import(uint32_t import_index, Caller& caller, Slot* slots, const HostFunction& host) {
  const ImportPlan& plan = plan_.imports[import_index];
  if (mode_ == Mode::idle) return host(caller, slots);
  if (plan.mode == ImportMode::run) {
    // A function that is run does again what it does to the guest, so that is no part of the answer around it.
    const size_t open = std::exchange(open_, kNone);
    Result<void> done = detail::guarded("a host function", [&] { return host(caller, slots); });
    open_ = open;
    return done;
  }
  if (mode_ == Mode::recording) return record_answer(plan, import_index, caller, slots, host);
  if (next_ == answers_.size()) {
    if (!then_live_) return diverged(fmt::format("the host function {} was called, which once was not", plan.shown));
    mode_ = Mode::recording;  // behind the answers that were given
    return record_answer(plan, import_index, caller, slots, host);
  }
  if (const HostAnswer& next = answers_[next_]; next.import_index != import_index)
    return diverged(fmt::format("the host function {} was called, once it was {}", plan.shown,
                                plan_.imports[next.import_index].shown));
  return give_answer(plan, caller, slots);
}

// ---- recording ------------------------------------------------------------------------------------------------------

Result<void> ImportTape::record_answer(const ImportPlan& plan, uint32_t index, Caller& caller, Slot* slots,
                                       const HostFunction& host) {
  if (is_full_ || !has_room_for(sizeof(HostAnswer) + sizeof(Slot) * plan.type.params.size()))
    return detail::guarded("a host function", [&] { return host(caller, slots); });
  const size_t mine = answers_.size();
  answers_.push_back({.import_index = index, .args = {slots, slots + plan.type.params.size()}});
  if (passes_vector(plan.type) && unrecordable_.empty())
    unrecordable_ = plan.shown + " passes a v128; let the policy run it";
  const size_t around = std::exchange(open_, mine);
  std::vector<Slot> nested_around = std::exchange(nested_, {});
  Result<void> done = detail::guarded("a host function", [&] { return host(caller, slots); });
  if (mode_ == Mode::recording && mine < answers_.size()) {
    HostAnswer& answer = answers_[mine];
    if (done) {
      answer.results.assign(slots, slots + plan.type.results.size());
      for (size_t i = 0; i < answer.results.size(); i++) {
        const bool may_be_address = plan.type.results[i] == ValType::i32;
        answer.result_symbols.push_back(may_be_address ? symbol_of(static_cast<uint32_t>(answer.results[i]))
                                                       : Symbol{});
        if (const char* what = bound_reference(plan.type.results[i]);
            what && answer.results[i] && unrecordable_.empty())
          unrecordable_ = plan.shown + " returns a reference to " + what;
      }
    } else {
      answer.error = done.error();
      // The guest may catch it and go on. Its tag and values may be those of one instance.
      if (done.error().kind == ErrorKind::exception && unrecordable_.empty())
        unrecordable_ = plan.shown + " throws an exception; let the policy run it";
    }
  }
  open_ = around;
  nested_ = std::move(nested_around);
  return done;
}

Symbol ImportTape::symbol_of(uint64_t value) const {
  if (value < kMinAddress) return {};
  for (size_t i = nested_.size(); i-- > 0;)
    if (static_cast<uint32_t>(nested_[i]) == value)
      return {.kind = Symbol::Kind::nested, .index = static_cast<uint32_t>(i)};
  const HostAnswer& answer = answers_[open_];
  const ImportPlan& plan = plan_.imports[answer.import_index];
  for (size_t i = 0; i < answer.args.size(); i++)
    if (plan.args[i] == ImportArg::pointer && static_cast<uint32_t>(answer.args[i]) == value)
      return {.kind = Symbol::Kind::argument, .index = static_cast<uint32_t>(i)};
  return {};
}

Symbol ImportTape::base_of(uint64_t address, uint64_t* offset) const {
  Symbol best;
  *offset = kMaxReachBytes;
  auto consider = [&](uint64_t value, Symbol symbol) {
    if (value < kMinAddress || value > address || address - value >= *offset) return;
    *offset = address - value;
    best = symbol;
  };
  const HostAnswer& answer = answers_[open_];
  const ImportPlan& plan = plan_.imports[answer.import_index];
  for (size_t i = 0; i < answer.args.size(); i++)
    if (plan.args[i] == ImportArg::pointer)
      consider(static_cast<uint32_t>(answer.args[i]), {Symbol::Kind::argument, static_cast<uint32_t>(i)});
  for (size_t i = 0; i < nested_.size(); i++)
    consider(static_cast<uint32_t>(nested_[i]), {Symbol::Kind::nested, static_cast<uint32_t>(i)});
  return best;
}

bool ImportTape::has_room_for(size_t bytes) {
  kept_bytes_ += bytes;
  if (kept_bytes_ <= kMaxCallBytes) return true;
  is_full_ = true;
  answers_ = {};
  if (unrecordable_.empty())
    unrecordable_ = fmt::format("host functions answered one call with more than {} MiB", kMaxCallBytes >> 20);
  return false;
}

HostEffect* ImportTape::add_effect(HostEffect::Kind kind, size_t data_bytes) {
  if (mode_ != Mode::recording || open_ == kNone || is_full_) return nullptr;
  if (!has_room_for(sizeof(HostEffect) + data_bytes)) return nullptr;
  HostEffect& effect = answers_[open_].effects.emplace_back();
  effect.kind = kind;
  return &effect;
}

void ImportTape::on_write(uint64_t address, std::span<const uint8_t> bytes) {
  HostEffect* effect = add_effect(HostEffect::Kind::write, bytes.size());
  if (!effect) return;
  effect->base = base_of(address, &effect->offset);
  effect->bytes.assign(bytes.begin(), bytes.end());
  if (effect->base.kind == Symbol::Kind::none && unrecordable_.empty())
    unrecordable_ =
        fmt::format("{} writes to an address that no pointer argument of it leads to; let the policy run it",
                    plan_.imports[answers_[open_].import_index].shown);
}

void ImportTape::on_follow(uint64_t address, uint32_t pointer) {
  HostEffect* effect = add_effect(HostEffect::Kind::follow);
  if (!effect) return;
  effect->base = base_of(address, &effect->offset);
  nested_.push_back(pointer);
  if (effect->base.kind == Symbol::Kind::none && unrecordable_.empty())
    unrecordable_ = fmt::format("{} follows a pointer that no pointer argument of it leads to; let the policy run it",
                                plan_.imports[answers_[open_].import_index].shown);
}

void ImportTape::note_reference(ValType type, Slot slot) {
  if (const char* what = bound_reference(type); what && slot && unrecordable_.empty())
    unrecordable_ = std::string("a host function sets a reference to ") + what;
}

void ImportTape::on_table_set(std::string_view table, uint64_t index, ValType type, Slot element) {
  HostEffect* effect = add_effect(HostEffect::Kind::table_set);
  if (!effect) return;
  effect->name = table;
  effect->offset = index;
  effect->base = symbol_of(index);
  effect->type = type;
  effect->slot = element;
  note_reference(type, element);
}

void ImportTape::on_table_grow(std::string_view table, uint64_t delta, ValType type, Slot init) {
  HostEffect* effect = add_effect(HostEffect::Kind::table_grow);
  if (!effect) return;
  effect->name = table;
  effect->offset = delta;
  effect->type = type;
  effect->slot = init;
  note_reference(type, init);
}

void ImportTape::on_nested_call(std::string_view name, std::span<const Value> args, std::span<const Value> results) {
  HostEffect* effect = add_effect(HostEffect::Kind::nested_call);
  if (!effect) return;
  effect->name = name;
  effect->args.assign(args.begin(), args.end());
  for (const Value& arg : args)
    effect->symbols.push_back(arg.type() == ValType::i32 ? symbol_of(static_cast<uint32_t>(arg.i32())) : Symbol{});
  effect->result_count = static_cast<uint32_t>(results.size());
  for (const Value& result : results) nested_.push_back(result.type() == ValType::i32 ? result.bits() : 0);
}

/// Handles the error of a nested call. If the host function returns it, the guest's call fails and is not recorded; if
/// it keeps the error to itself, the call can't be replayed.
void ImportTape::on_nested_error(std::string_view name, std::span<const Value> /*args*/, const Error& /*error*/) {
  if (mode_ == Mode::recording && open_ != kNone && unrecordable_.empty())
    unrecordable_ = fmt::format(
        "{} goes on after its call of {} failed, which may have changed the guest; let the "
        "policy run it",
        plan_.imports[answers_[open_].import_index].shown, name);
}

Result<void> ImportTape::on_handle(std::string_view what) {
  if (mode_ == Mode::recording && open_ != kNone && unrecordable_.empty())
    unrecordable_ = fmt::format("{} uses {}, through which it may change the guest unseen; let the policy run it",
                                plan_.imports[answers_[open_].import_index].shown, what);
  return {};
}

void ImportTape::on_state_changed() {
  state_changed_ = true;
  if (attention_) attention_->store(true, std::memory_order_relaxed);
}

void ImportTape::watch_state(std::atomic<bool>& attention) {
  state_changed_ = false;
  attention_ = &attention;
}

// ---- replay ---------------------------------------------------------------------------------------------------------

Result<void> ImportTape::give_answer(const ImportPlan& plan, Caller& caller, Slot* slots) {
  const HostAnswer answer = answers_[next_++];  // a copy: nested calls may add to the answers
  for (size_t i = 0; i < answer.args.size(); i++)
    if (!same(plan.args[i], plan.type.params[i], slots[i], answer.args[i]))
      return diverged(fmt::format("argument {} of the host function {} is {:#x}, once it was {:#x}", i + 1, plan.shown,
                                  slots[i], answer.args[i]));
  std::vector<Slot> nested;
  for (const HostEffect& effect : answer.effects) ROTOR_CHECK(give_effect(effect, caller, slots, nested));
  if (answer.error) return std::unexpected(*answer.error);
  std::vector<Slot> results = answer.results;
  for (size_t i = 0; i < results.size(); i++) {
    const Symbol& symbol = answer.result_symbols[i];
    if (symbol.kind == Symbol::Kind::nested && symbol.index < nested.size()) results[i] = nested[symbol.index];
    if (symbol.kind == Symbol::Kind::argument) results[i] = slots[symbol.index];
  }
  std::ranges::copy(results, slots);
  return {};
}

Result<void> ImportTape::give_effect(const HostEffect& effect, Caller& caller, const Slot* args,
                                     std::vector<Slot>& nested) {
  auto value_of = [&](const Symbol& symbol, uint64_t otherwise) -> uint64_t {
    if (symbol.kind == Symbol::Kind::argument) return static_cast<uint32_t>(args[symbol.index]);
    if (symbol.kind == Symbol::Kind::nested && symbol.index < nested.size())
      return static_cast<uint32_t>(nested[symbol.index]);
    return otherwise;
  };
  Result<void> done;
  switch (effect.kind) {
    case HostEffect::Kind::write: done = caller.write(value_of(effect.base, 0) + effect.offset, effect.bytes); break;
    case HostEffect::Kind::follow: {
      uint32_t pointer = 0;
      done =
          caller.read(value_of(effect.base, 0) + effect.offset, {reinterpret_cast<uint8_t*>(&pointer), sizeof pointer});
      nested.push_back(pointer);
      break;
    }
    case HostEffect::Kind::table_set:
      done = caller.table_set(effect.name, value_of(effect.base, effect.offset),
                              Value::from_bits(effect.type, effect.slot));
      break;
    case HostEffect::Kind::table_grow: {
      auto grown = caller.table_grow(effect.name, effect.offset, Value::from_bits(effect.type, effect.slot));
      if (!grown) done = std::unexpected(std::move(grown).error());
      break;
    }
    case HostEffect::Kind::nested_call: {
      std::vector<Value> values = effect.args;
      for (size_t i = 0; i < values.size(); i++)
        if (effect.symbols[i].kind != Symbol::Kind::none)
          values[i] = Value(static_cast<int32_t>(value_of(effect.symbols[i], 0)));
      auto results = caller.call(effect.name, values);
      if (!results) {
        done = std::unexpected(std::move(results).error());
      } else {
        for (const Value& result : *results) nested.push_back(result.type() == ValType::i32 ? result.bits() : 0);
      }
      break;
    }
  }
  if (!done) return diverged("a host function's effect can't be repeated: " + done.error().message);
  return {};
}

}  // namespace rotor::proxy
