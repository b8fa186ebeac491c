// The model of random programs that throw, and Rotor beside it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <optional>

#include "rotor/rotor.h"
#include "runtime/testing/throwing_program_parts.h"

namespace rotor::runtime::test {

// ---- the model ----------------------------------------------------------------------------------------------------

struct ProgramModel::Frame {
  static constexpr uint32_t kNowhere = UINT32_MAX;
  uint64_t state;
  int32_t fuel;
  std::array<uint64_t, kLocals> kept{};
  std::array<double, kFloats> floats{};
  ExceptionRef reference{};                   ///< the one at hand
  std::map<uint32_t, ExceptionRef> caught{};  ///< by legacy clauses, by their labels
  /// The label that what is thrown passes all clauses up to; kNowhere: none.
  uint32_t delegate_to = kNowhere;
  uint32_t tail = 0;  ///< the function that is called

  void mix_in(uint64_t value) { state = state * 31 + value; }
  void use(uint32_t local) { state = (state ^ kept[local]) * 3 + std::bit_cast<uint64_t>(floats[local % kFloats]); }
  /// Notes that what is thrown leaves the block of a label.
  void leave(uint32_t label) {
    if (delegate_to == label) delegate_to = kNowhere;
  }
};

ProgramModel::ExceptionRef ProgramModel::exception_of(uint32_t tag, uint64_t state, const ExceptionRef& carried) const {
  auto exception = std::make_shared<Exception>(Exception{tag, {}, nullptr});
  for (size_t i = 0; i < kCarried[tag].size(); ++i) {
    if (kCarried[tag][i] == 'x') {
      exception->carried = carried;
      exception->values.push_back(carried == nullptr);
    } else {
      exception->values.push_back(carried_value(kCarried[tag][i], i, state));
    }
  }
  return exception;
}

ProgramModel::Flow ProgramModel::run(const std::vector<Step>& steps, Frame& frame) {
  for (const Step& step : steps)
    if (Flow flow = run(step, frame); flow != Flow::next) return flow;
  return Flow::next;
}

ProgramModel::Flow ProgramModel::run_clause(const Step& step, Frame& frame) {
  for (const Step::Clause& clause : step.clauses) {
    if (clause.tag != Step::Clause::kAll && clause.tag != thrown_->tag) continue;
    ExceptionRef exception = std::exchange(thrown_, nullptr);
    ++caught_;
    if (clause.takes_ref) frame.reference = exception;
    if (clause.tag != Step::Clause::kAll)
      for (size_t i = exception->values.size(); i-- > 0;) {
        if (kCarried[clause.tag][i] == 'x') {
          frame.reference = exception->carried;
        } else {
          frame.mix_in(exception->values[i]);
        }
      }
    frame.caught[step.label] = std::move(exception);
    return run(clause.body, frame);
  }
  return Flow::thrown;
}

ProgramModel::Flow ProgramModel::run(const Step& step, Frame& frame) {
  switch (step.kind) {
    case Kind::mix: frame.state = frame.state * kFactor + step.number; return Flow::next;
    case Kind::keep:
      frame.kept[step.target] ^= frame.state;
      frame.floats[step.target % kFloats] = static_cast<double>(static_cast<int64_t>(frame.state));
      return Flow::next;
    case Kind::use: frame.use(step.target); return Flow::next;
    case Kind::call:
    case Kind::host: {
      if (frame.fuel <= 0) return Flow::next;
      if (step.target >= kHostThrows) {
        thrown_ = exception_of(step.target - kHostThrows, frame.state, nullptr);
        return Flow::thrown;
      }
      std::vector<uint64_t> results;
      Flow flow = invoke(step.target, frame.state, frame.fuel - 1, results);
      if (flow != Flow::next) return flow;
      if (step.kind == Kind::host) results = {results[0] + 1};
      for (size_t i = results.size(); i-- > 0;) frame.mix_in(results[i]);
      return Flow::next;
    }
    case Kind::tail_call:
      if (frame.fuel <= 0) return Flow::next;
      frame.tail = step.target;
      return Flow::tail;
    case Kind::branch: return run(frame.state & condition_bit(step) ? step.body : step.other, frame);
    case Kind::loop:
      for (uint64_t turn = 0; turn < step.number && steps_ > 0; ++turn) {
        --steps_;
        if (Flow flow = run(step.body, frame); flow != Flow::next) {
          frame.leave(step.label);
          return flow;
        }
      }
      return Flow::next;
    case Kind::throw_: thrown_ = exception_of(step.target, frame.state, frame.reference); return Flow::thrown;
    case Kind::try_table:
    case Kind::try_: {
      Flow flow = run(step.body, frame);
      frame.leave(step.label);
      if (flow == Flow::thrown && frame.delegate_to == Frame::kNowhere) flow = run_clause(step, frame);
      // From a clause a delegate to its try goes outwards from there.
      frame.leave(step.label);
      return flow;
    }
    case Kind::delegate: {
      Flow flow = run(step.body, frame);
      frame.leave(step.label);
      if (flow == Flow::thrown && frame.delegate_to == Frame::kNowhere) frame.delegate_to = step.target;
      return flow;
    }
    case Kind::rethrow: thrown_ = frame.caught[step.target]; return Flow::thrown;
    case Kind::throw_ref:
      if (!frame.reference) return step.number % 64 == 0 ? Flow::trapped : Flow::next;
      thrown_ = frame.reference;
      return Flow::thrown;
    case Kind::save: (step.target == kSlots ? global_ : table_[step.target]) = frame.reference; return Flow::next;
    case Kind::load: frame.reference = step.target == kSlots ? global_ : table_[step.target]; return Flow::next;
    case Kind::unreachable: return Flow::trapped;
    case Kind::return_: return Flow::returned;
  }
  return Flow::next;
}

ProgramModel::Flow ProgramModel::invoke(uint32_t function, uint64_t state, int32_t fuel,
                                        std::vector<uint64_t>& results) {
  for (;;) {
    const ProgramFunction& callee = program_.functions[function];
    Frame frame{.state = state, .fuel = fuel};
    for (uint32_t i = 0; i < callee.extra_params; ++i) frame.mix_in(state + i);
    for (uint32_t i = 0; i < program_.locals; ++i) frame.kept[i] = frame.state * (2 * i + 3);
    for (uint32_t i = 0; i < std::min(program_.locals, kFloats); ++i)
      frame.floats[i] = static_cast<double>(static_cast<int64_t>(frame.kept[i]));
    Flow flow = Flow::returned;
    if (steps_ > 0) {
      --steps_;
      const uint64_t kept = frame.state;
      flow = run(callee.body, frame);
      if (flow == Flow::next && function == 0)
        for (uint64_t value : {uint64_t{5}, uint64_t{4}, uint64_t{3}, uint64_t{2}, kept}) frame.mix_in(value);
    }
    switch (flow) {
      case Flow::thrown:
      case Flow::trapped: return flow;
      case Flow::tail:
        function = frame.tail;
        state = frame.state;
        fuel = frame.fuel - 1;
        continue;
      case Flow::next:
        for (uint32_t i = 0; i < program_.locals; ++i) frame.use(i);
        break;
      case Flow::returned: break;
    }
    for (uint32_t i = 0; i < callee.results; ++i) results.push_back(frame.state + i);
    return Flow::next;
  }
}

Outcome ProgramModel::outcome(const Exception& exception) const {
  return fmt::format("exception of tag {}: {}", exception.tag, fmt::join(exception.values, " "));
}

Outcome ProgramModel::call(uint64_t state) {
  steps_ = program_.steps;
  std::vector<uint64_t> results;
  switch (invoke(0, state, program_.fuel, results)) {
    case Flow::thrown: return outcome(*std::exchange(thrown_, nullptr));
    case Flow::trapped: return "trap";
    default: return fmt::format("values {}", fmt::join(results, " "));
  }
}

// ---- Rotor --------------------------------------------------------------------------------------------------------

namespace {

constexpr uint8_t kSettings = 12;

/// Returns an engine of a setting, each of which is made once.
const Engine& engine_of(uint8_t setting, bool metered) {
  static std::array<std::optional<Engine>, 2 * kSettings> engines;
  std::optional<Engine>& engine = engines[setting % kSettings + (metered ? kSettings : 0)];
  if (!engine) {
    Config config;
    config.mode = std::array{CompileMode::aot, CompileMode::lazy, CompileMode::eager}[setting % 3];
    config.opt = setting / 3 % 2 == 0 ? OptLevel::o0 : OptLevel::o1;
    if (setting / 6 % 2 != 0) config.compile_steps_per_byte = 0;  // values in frames
    config.hot_count = 2;
    config.compile_workers = 1;
    config.features.legacy_exceptions = true;
    config.fuel = metered;
    auto made = Engine::create(config);
    if (!made) std::abort();
    engine = std::move(*made);
  }
  return *engine;
}

/// A program's two instances.
class Guest {
 public:
  explicit Guest(const ThrowingProgram& program, bool metered = false) : program_(program), metered_(metered) {}

  Result<void> make() {
    const Engine& engine = engine_of(program_.setting, metered_);
    ROTOR_TRY(tags_[kHostTag], Tag::create(engine, {{ValType::i32}}));
    Linker linker(engine);
    linker.define("env", "tag", tags_[kHostTag]);
    linker.define("env", "host",
                  [this](Caller&, int32_t target, int64_t state, int32_t fuel) { return host(target, state, fuel); });
    for (bool is_b : {false, true}) {
      ROTOR_TRY(auto bytes, wat_to_wasm(program_text(program_, is_b)));
      ROTOR_TRY(auto module, Module::compile(engine, bytes));
      ROTOR_TRY(instances_[is_b], linker.instantiate(module));
      if (!is_b) linker.define_instance("a", instances_[0]);
    }
    for (uint32_t i = 0; i < program_.functions.size(); ++i) {
      ROTOR_TRY(Func func, instances_[is_of_b(i)].get_func(fmt::format("f{}", i)));
      functions_.push_back(func);
    }
    for (uint32_t tag = 0; tag < tags_.size(); ++tag)
      if (tag != kHostTag) {
        ROTOR_TRY(tags_[tag], instances_[tag == kTagOfB].get_tag(fmt::format("e{}", tag)));
      }
    return {};
  }

  Result<Outcome> call(uint64_t state) {
    ROTOR_TRY(Global steps, instances_[0].get_global("steps"));
    ROTOR_CHECK(steps.set(Value(program_.steps)));
    auto results = invoke(0, state, program_.fuel);
    if (!results && results.error().kind == ErrorKind::exception) return outcome(*results.error().exception);
    if (!results && results.error().kind == ErrorKind::trap) return "trap";
    if (!results) return std::unexpected(std::move(results).error());
    std::vector<uint64_t> values;
    for (const Value& value : *results) values.push_back(value.bits());
    return fmt::format("values {}", fmt::join(values, " "));
  }
  /// Does so with so many units. Returns how the call ended, where it came to and what is left.
  Result<Outcome> call_with(uint64_t fuel, uint64_t state) {
    ROTOR_CHECK(instances_[0].set_fuel(fuel));
    ROTOR_TRY(Outcome outcome, call(state));
    ROTOR_TRY(Global steps, instances_[0].get_global("steps"));
    ROTOR_TRY(const Value left, steps.get());
    ROTOR_TRY(const uint64_t units, instances_[1].fuel());
    return fmt::format("{}, {} steps and {} units left", outcome, left.i32(), units);
  }
  uint64_t fuel() const { return instances_[0].fuel().value_or(0); }

 private:
  Result<std::vector<Value>> invoke(uint32_t function, uint64_t state, int32_t fuel) {
    std::vector<Value> args{static_cast<int64_t>(state), fuel};
    for (uint32_t i = 0; i < program_.functions[function].extra_params; ++i)
      args.emplace_back(static_cast<int64_t>(state + i));
    return functions_[function].call(args);
  }

  Result<int64_t> host(int32_t target, int64_t state, int32_t fuel) {
    if (target >= static_cast<int32_t>(kHostThrows)) {
      const uint32_t tag = static_cast<uint32_t>(target) - kHostThrows;
      std::vector<Value> values;
      for (size_t i = 0; i < kCarried[tag].size(); ++i) {
        const uint64_t value = carried_value(kCarried[tag][i], i, static_cast<uint64_t>(state));
        switch (kCarried[tag][i]) {
          case 'i': values.emplace_back(static_cast<int32_t>(value)); break;
          case 'l': values.emplace_back(static_cast<int64_t>(value)); break;
          default: values.emplace_back(std::bit_cast<double>(value));
        }
      }
      return throw_exception(tags_[tag], std::move(values));
    }
    ROTOR_TRY(auto results, invoke(static_cast<uint32_t>(target), static_cast<uint64_t>(state), fuel));
    return results[0].i64() + 1;
  }

  Outcome outcome(const Exception& exception) const {
    uint32_t tag = 0;
    while (tag < tags_.size() && tags_[tag] != exception.tag) ++tag;
    std::vector<uint64_t> values;
    for (const Value& value : exception.values)
      values.push_back(value.type().is_ref() ? value.is_null() : value.bits());
    return fmt::format("exception of tag {}: {}", tag, fmt::join(values, " "));
  }

  const ThrowingProgram& program_;
  const bool metered_;
  std::array<Tag, ThrowingProgram::kTags> tags_;
  std::array<Instance, 2> instances_;
  std::vector<Func> functions_;
};

}  // namespace

ProgramReport check_throwing_program(std::span<const uint8_t> script) {
  const ThrowingProgram program(script);
  Guest guest(program);
  ProgramModel model(program);
  std::string difference;
  if (auto made = guest.make(); !made) difference = made.error().to_string();
  // More than one call: functions get hot, and references are kept from one to the next.
  for (uint64_t state : {uint64_t{1}, ~uint64_t{4}, UINT64_C(0x9e3779b97f4a7c15), uint64_t{1}}) {
    if (!difference.empty()) break;
    const Outcome expected = model.call(state);
    auto actual = guest.call(state);
    if (!actual || *actual != expected)
      difference = fmt::format("state {:#x}: the model has \"{}\", setting {} \"{}\"", state, expected, program.setting,
                               actual ? *actual : actual.error().to_string());
  }
  if (difference.empty()) return {.difference = {}, .caught = model.caught()};
  difference = fmt::format("{}\n(module $a\n{})\n(module $b\n{})\nfuel {}, steps {}", difference,
                           program_text(program, false), program_text(program, true), program.fuel, program.steps);
  return {.difference = std::move(difference), .caught = model.caught()};
}

std::string check_fuel_of_program(std::span<const uint8_t> script, uint64_t& used) {
  constexpr uint64_t kPlenty = 1'000'000'000;
  ThrowingProgram program(script);
  std::vector<Outcome> first;
  for (uint8_t setting = 0; setting < kSettings; ++setting) {
    program.setting = setting;
    Guest guest(program, /*metered=*/true);
    if (auto made = guest.make(); !made) return made.error().to_string();
    std::vector<Outcome> outcomes;
    // What a call that ran out has left behind is there for the next one, as in the first setting.
    for (uint64_t state : {uint64_t{1}, ~uint64_t{4}}) {
      auto whole = guest.call_with(kPlenty, state);
      if (!whole) return whole.error().to_string();
      outcomes.push_back(*whole);
      const uint64_t units = kPlenty - guest.fuel();
      if (setting == 0) used += units;
      for (uint64_t fuel : {units - 1, units / 2, units / 3, uint64_t{1}, uint64_t{0}}) {
        auto part = guest.call_with(fuel, state);
        outcomes.push_back(part ? *part : part.error().to_string());
      }
    }
    if (first.empty()) first = outcomes;
    for (size_t i = 0; i < outcomes.size(); ++i)
      if (outcomes[i] != first[i])
        return fmt::format("call {}: setting 0 has \"{}\", setting {} \"{}\"\n(module $a\n{})\n(module $b\n{})", i,
                           first[i], setting, outcomes[i], program_text(program, false), program_text(program, true));
  }
  return {};
}

}  // namespace rotor::runtime::test
