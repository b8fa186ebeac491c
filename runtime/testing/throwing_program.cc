#include "runtime/testing/throwing_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/testing/throwing_program_parts.h"

namespace rotor::runtime::test {

namespace {

// ---- bytes to programs --------------------------------------------------------------------------------------------

class Generator {
 public:
  Generator(std::span<const uint8_t> script, ThrowingProgram& program) : script_(script), program_(program) {}

  void run() {
    program_.setting = next();
    program_.fuel = 2 + next() % 50;
    program_.steps = next() % 4 == 0 ? 6000 : 300;
    program_.locals = std::array{1u, 3u, 8u}[next() % 3];
    program_.functions.resize(2 + next() % 6);
    for (ProgramFunction& function : program_.functions) {
      function.extra_params = std::array{0, 3, 12, 12}[next() % 4];
      function.results = std::array{1, 1, 3, 9}[next() % 4];
    }
    for (uint32_t i = 0; i < program_.functions.size(); ++i) {
      function_ = i;
      open_ = {{kFunctionLabel, false}};
      left_ = 30;
      // The first one tries the others again and again, whatever they throw.
      if (i == 0) program_.functions[0].body.push_back(tries(program_.steps > 1000 ? 2000 : 12));
      // Some do nothing but to catch, so that registers are theirs which others use up.
      const bool is_small = i > 1 && next() % 3 == 0;
      if (is_small) program_.functions[i].body.push_back(catching_call());
      for (Step& step : steps(is_small ? 0 : 4 + next() % 8)) program_.functions[i].body.push_back(std::move(step));
      if (i != 0 && next() % 2 == 0) program_.functions[i].body.push_back(tail_call());
    }
  }

 private:
  struct Open {
    uint32_t label;
    bool is_clause;
  };

  uint8_t next() { return at_ < script_.size() ? script_[at_++] : 0; }
  uint32_t function() { return next() % static_cast<uint32_t>(program_.functions.size()); }
  uint32_t tag() { return next() % (is_of_b(function_) ? ThrowingProgram::kTags : ThrowingProgram::kTags - 1); }

  std::vector<Step> steps(uint32_t count) {
    std::vector<Step> all;
    if (open_.size() > 6) count = 0;
    for (uint32_t i = 0; i < count && left_ != 0; ++i) {
      --left_;
      all.push_back(step());
    }
    return all;
  }

  /// Returns a try around a direct call of a function of the same module.
  Step catching_call() {
    Step call{.kind = Kind::call, .target = function()};
    if (is_of_b(call.target) != is_of_b(function_)) call.target ^= 1;
    if (call.target >= program_.functions.size()) call.target = function_;
    Step step{.kind = next() % 2 == 0 ? Kind::try_table : Kind::try_, .label = ++labels_};
    step.body.push_back(std::move(call));
    step.clauses.push_back({.tag = next() % 2 == 0 ? Step::Clause::kAll : tag(), .takes_ref = false, .body = {}});
    return step;
  }

  Step tail_call() {
    Step step{.kind = Kind::tail_call, .number = next(), .target = function()};
    // Its results have to be this function's.
    while (program_.functions[step.target].results != program_.functions[function_].results)
      step.target = (step.target + 1) % static_cast<uint32_t>(program_.functions.size());
    return step;
  }

  Step tries(uint32_t turns) {
    Step loop{.kind = Kind::loop, .number = turns, .label = ++labels_};
    open_.push_back({loop.label, false});
    Step step{.kind = next() % 2 == 0 ? Kind::try_table : Kind::try_};
    attempt(step);
    loop.body.push_back({.kind = Kind::mix, .number = next()});
    loop.body.push_back(std::move(step));
    open_.pop_back();
    return loop;
  }

  /// Returns a step that runs if a bit of the state is set, else nothing is done.
  Step sometimes(Step step) {
    Step branch{.kind = Kind::branch, .number = next()};
    branch.body.push_back(std::move(step));
    return branch;
  }

  Step step() {
    // Calls and what catches come more often than the rest.
    static constexpr Kind kKinds[] = {
        Kind::mix,       Kind::keep,      Kind::use,       Kind::call,      Kind::call,      Kind::call,
        Kind::call,      Kind::call,      Kind::host,      Kind::branch,    Kind::loop,      Kind::throw_,
        Kind::throw_,    Kind::throw_,    Kind::throw_,    Kind::throw_,    Kind::try_table, Kind::try_table,
        Kind::try_table, Kind::try_table, Kind::try_,      Kind::try_,      Kind::try_,      Kind::try_,
        Kind::delegate,  Kind::delegate,  Kind::rethrow,   Kind::rethrow,   Kind::save,      Kind::load,
        Kind::throw_ref, Kind::throw_ref, Kind::tail_call, Kind::tail_call, Kind::return_,   Kind::unreachable,
    };
    Step step{.kind = kKinds[next() % std::size(kKinds)], .number = next()};
    switch (step.kind) {
      case Kind::mix:
      case Kind::unreachable:
      case Kind::return_: break;
      case Kind::keep:
      case Kind::use: step.target = next() % program_.locals; break;
      case Kind::call: step.target = function(); break;
      case Kind::host: step.target = next() % 3 == 0 ? kHostThrows + next() % kHostTags : function(); break;
      case Kind::branch:
        step.body = steps(1 + next() % 3);
        step.other = steps(next() % 3);
        break;
      case Kind::loop:
        step.number = 1 + (step.number % 8 == 0 ? 2000 : step.number % 5);
        step.label = ++labels_;
        open_.push_back({step.label, false});
        step.body = steps(1 + next() % 3);
        open_.pop_back();
        break;
      case Kind::throw_: step.target = tag(); break;
      case Kind::try_table:
      case Kind::try_: attempt(step); break;
      case Kind::delegate:
        step.target = open_[next() % open_.size()].label;
        step.label = ++labels_;
        open_.push_back({step.label, false});
        step.body = steps(1 + next() % 4);
        open_.pop_back();
        break;
      case Kind::rethrow: {
        std::vector<uint32_t> clauses;
        for (const Open& open : open_)
          if (open.is_clause) clauses.push_back(open.label);
        if (clauses.empty()) {
          step = {.kind = Kind::throw_, .target = tag()};
        } else {
          step.target = clauses[next() % clauses.size()];
        }
        break;
      }
      case Kind::throw_ref: break;
      case Kind::save:
      case Kind::load: step.target = next() % (kSlots + 1); break;
      case Kind::tail_call: step = tail_call(); break;
    }
    switch (step.kind) {
      case Kind::unreachable: return sometimes(sometimes(sometimes(std::move(step))));
      case Kind::throw_:
      case Kind::rethrow:
      case Kind::throw_ref:
      case Kind::tail_call:
      case Kind::return_: return next() % 4 == 0 ? std::move(step) : sometimes(std::move(step));
      default: return step;
    }
  }

  void attempt(Step& step) {
    const bool is_legacy = step.kind == Kind::try_;
    step.label = ++labels_;
    open_.push_back({step.label, false});
    step.body = steps(2 + next() % 6);
    if (is_legacy) {
      open_.back().is_clause = true;
    } else {
      open_.pop_back();
    }
    for (uint32_t count = next() % 4; count != 0; --count) {
      const uint8_t how = next();
      Step::Clause clause{
          .tag = how % 4 == 0 ? Step::Clause::kAll : tag(), .takes_ref = how & 4 && !is_legacy, .body = {}};
      clause.body = steps(next() % 4);
      step.clauses.push_back(std::move(clause));
      if (is_legacy && step.clauses.back().tag == Step::Clause::kAll) break;  // it is the last one
    }
    if (is_legacy) open_.pop_back();
  }

  std::span<const uint8_t> script_;
  size_t at_ = 0;
  ThrowingProgram& program_;
  uint32_t function_ = 0;
  uint32_t labels_ = kFunctionLabel;
  uint32_t left_ = 0;  ///< steps of the function
  std::vector<Open> open_;
};

// ---- programs to text ---------------------------------------------------------------------------------------------

class TextWriter {
 public:
  TextWriter(const ThrowingProgram& program, bool is_b) : program_(program), is_b_(is_b) {}

  std::string module() {
    std::string text = is_b_ ? imports_of_b() : fields_of_a();
    text += "(import \"env\" \"host\" (func $host (param i32 i64 i32) (result i64)))\n";
    // Imports come first.
    std::string definitions =
        is_b_ ? fmt::format("(tag $e{} (export \"e{}\") (param i32))\n", kTagOfB, kTagOfB) : definitions_of_a();
    for (uint32_t i = 0; i < program_.functions.size(); ++i) {
      const ProgramFunction& function = program_.functions[i];
      definitions += fmt::format("(type $s{} (func (param i64 i32{}) (result{})))\n", i,
                                 repeat(" i64", function.extra_params), repeat(" i64", function.results));
      if (is_of_b(i) == is_b_) {
        definitions += function_text(i) + fmt::format("(elem (table $T) (i32.const {}) func $f{})\n", i, i);
      }
    }
    return text + definitions;
  }

 private:
  static std::string repeat(std::string_view text, uint32_t count) {
    std::string all;
    for (uint32_t i = 0; i < count; ++i) all += text;
    return all;
  }
  static std::string types_of(std::string_view carried) {
    std::string all;
    for (char type : carried) all += type == 'i' ? " i32" : type == 'l' ? " i64" : type == 'd' ? " f64" : " exnref";
    return all;
  }

  std::string fields_of_a() const { return fmt::format("(import \"env\" \"tag\" (tag $e{} (param i32)))\n", kHostTag); }
  std::string definitions_of_a() const {
    std::string text = fmt::format(
        "(table $T (export \"T\") {} funcref) (table $tx (export \"tx\") {} exnref)\n"
        "(global $gx (export \"gx\") (mut exnref) (ref.null exn)) (global $steps (export \"steps\") (mut i32) "
        "(i32.const 0))\n",
        program_.functions.size(), kSlots);
    for (uint32_t tag = 0; tag < kTagOfB; ++tag)
      if (tag != kHostTag)
        text += fmt::format("(tag $e{0} (export \"e{0}\") (param{1}))\n", tag, types_of(kCarried[tag]));
    return text;
  }
  std::string imports_of_b() const {
    std::string text = fmt::format(
        "(import \"env\" \"tag\" (tag $e{} (param i32)))\n"
        "(import \"a\" \"T\" (table $T {} funcref)) (import \"a\" \"tx\" (table $tx {} exnref))\n"
        "(import \"a\" \"gx\" (global $gx (mut exnref))) (import \"a\" \"steps\" (global $steps (mut i32)))\n",
        kHostTag, program_.functions.size(), kSlots);
    for (uint32_t tag = 0; tag < kTagOfB; ++tag)
      if (tag != kHostTag)
        text += fmt::format("(import \"a\" \"e{0}\" (tag $e{0} (param{1})))\n", tag, types_of(kCarried[tag]));
    for (uint32_t i = 0; i < program_.functions.size(); i += 2)
      text += fmt::format("(import \"a\" \"f{0}\" (func $f{0} (param i64 i32{1}) (result{2})))\n", i,
                          repeat(" i64", program_.functions[i].extra_params),
                          repeat(" i64", program_.functions[i].results));
    return text;
  }

  std::string function_text(uint32_t index) {
    const ProgramFunction& function = program_.functions[index];
    results_ = function.results;
    counters_.clear();
    std::string extra, mixed;
    for (uint32_t i = 0; i < function.extra_params; ++i) {
      extra += fmt::format(" (param $p{} i64)", i);
      mixed += mix_in(fmt::format("(local.get $p{})", i));
    }
    for (uint32_t i = 0; i < program_.locals; ++i)
      mixed += fmt::format("(local.set $k{0} (i64.mul (local.get $s) (i64.const {1})))\n", i, 2 * i + 3);
    for (uint32_t i = 0; i < std::min(program_.locals, kFloats); ++i)
      mixed += fmt::format("(local.set $d{0} (f64.convert_i64_s (local.get $k{0})))\n", i);
    // The first function keeps an exception that only its frame refers to, and throws it at its end.
    std::string body = steps(function.body), last;
    if (index == 0) {
      mixed += fmt::format(
          "(local.set $y (block $made (result exnref) (try_table (catch_all_ref $made)\n"
          "(throw $e{} (local.get $s) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5))) (unreachable)))\n",
          kTagKept);
      last = fmt::format(
          "(block $kept (result{}) (try_table (catch $e{} $kept) (throw_ref (local.get $y))) (unreachable))\n{}",
          types_of(kCarried[kTagKept]), kTagKept, take(kCarried[kTagKept]));
    }
    std::string end = last;
    for (uint32_t i = 0; i < program_.locals; ++i) end += use(i);
    return fmt::format(
        "(func $f{0} (export \"f{0}\") (param $s i64) (param $fuel i32){1} (result{2})\n"
        "(local $x exnref) (local $y exnref) (local $ti i32) (local $tl i64) (local $td f64){3}{4}{5}\n"
        "{6}(if (i32.le_s (global.get $steps) (i32.const 0)) (then (return{7})))\n{8}"
        "(block $L0\n{9})\n{10}{7})\n",
        index, extra, repeat(" i64", results_), named(" (local $k{} i64)", kLocals),
        named(" (local $d{} f64)", kFloats), counters_, mixed, results(), kCountStep, body, end);
  }
  static std::string named(std::string_view form, uint32_t count) {
    std::string all;
    for (uint32_t i = 0; i < count; ++i) all += fmt::format(fmt::runtime(form), i);
    return all;
  }

  static constexpr std::string_view kCountStep = "(global.set $steps (i32.sub (global.get $steps) (i32.const 1)))\n";
  static std::string mix_in(std::string_view value) {
    return fmt::format("(local.set $s (i64.add (i64.mul (local.get $s) (i64.const 31)) {}))\n", value);
  }
  static std::string use(uint32_t local) {
    return fmt::format(
        "(local.set $s (i64.add (i64.mul (i64.xor (local.get $s) (local.get $k{})) (i64.const 3)) (i64.reinterpret_f64 "
        "(local.get $d{}))))\n",
        local, local % kFloats);
  }
  std::string results() const {
    std::string all;
    for (uint32_t i = 0; i < results_; ++i) all += fmt::format(" (i64.add (local.get $s) (i64.const {}))", i);
    return all;
  }
  /// Takes what an exception carried off the stack.
  static std::string take(std::string_view carried) {
    std::string all;
    for (size_t i = carried.size(); i-- > 0;) switch (carried[i]) {
        case 'i': all += "(local.set $ti)" + mix_in("(i64.extend_i32_u (local.get $ti))"); break;
        case 'l': all += "(local.set $tl)" + mix_in("(local.get $tl)"); break;
        case 'd': all += "(local.set $td)" + mix_in("(i64.reinterpret_f64 (local.get $td))"); break;
        default: all += "(local.set $x)\n";
      }
    return all;
  }

  std::string steps(const std::vector<Step>& all) {
    std::string text;
    for (const Step& step : all) text += this->step(step);
    return text;
  }

  std::string call(const Step& step, bool is_tail) {
    const uint32_t callee = step.target;
    const ProgramFunction& function = program_.functions[callee];
    std::string args = "(local.get $s) (i32.sub (local.get $fuel) (i32.const 1))";
    for (uint32_t i = 0; i < function.extra_params; ++i)
      args += fmt::format(" (i64.add (local.get $s) (i64.const {}))", i);
    const bool may_be_direct = is_of_b(callee) == is_b_ || is_b_;
    const char* prefix = is_tail ? "return_" : "";
    std::string text =
        may_be_direct && step.number % 2 == 0
            ? fmt::format("({}call $f{} {})\n", prefix, callee, args)
            : fmt::format("({}call_indirect $T (type $s{}) {} (i32.const {}))\n", prefix, callee, args, callee);
    for (uint32_t i = 0; i < function.results && !is_tail; ++i) text += take("l");
    return with_fuel(text);
  }
  static std::string with_fuel(std::string_view text) {
    return fmt::format("(if (i32.gt_s (local.get $fuel) (i32.const 0)) (then\n{}))\n", text);
  }

  std::string try_table(const Step& step) {
    std::string clauses;
    for (size_t i = 0; i < step.clauses.size(); ++i) {
      const Step::Clause& clause = step.clauses[i];
      const char* suffix = clause.takes_ref ? "_ref" : "";
      clauses += clause.tag == Step::Clause::kAll
                     ? fmt::format(" (catch_all{} $H{}_{})", suffix, step.label, i)
                     : fmt::format(" (catch{} $e{} $H{}_{})", suffix, clause.tag, step.label, i);
    }
    std::string text = fmt::format("(try_table $L{}{}\n{})\n", step.label, clauses, steps(step.body));
    for (size_t i = step.clauses.size(); i-- > 0;) {
      const Step::Clause& clause = step.clauses[i];
      const std::string_view carried = clause.tag == Step::Clause::kAll ? "" : kCarried[clause.tag];
      text = fmt::format("(block $H{}_{} (result{}{})\n{}(br $O{}))\n{}{}{}", step.label, i, types_of(carried),
                         clause.takes_ref ? " exnref" : "", text, step.label,
                         clause.takes_ref ? "(local.set $x)\n" : "", take(carried), steps(clause.body));
    }
    return fmt::format("(block $O{}\n{})\n", step.label, text);
  }
  std::string legacy_try(const Step& step) {
    std::string text = fmt::format("(try $L{} (do\n{})", step.label, steps(step.body));
    for (const Step::Clause& clause : step.clauses) {
      if (clause.tag == Step::Clause::kAll) {
        text += fmt::format(" (catch_all\n{})", steps(clause.body));
      } else {
        text += fmt::format(" (catch $e{}\n{}{})", clause.tag, take(kCarried[clause.tag]), steps(clause.body));
      }
    }
    return text + ")\n";
  }

  std::string step(const Step& step) {
    switch (step.kind) {
      case Kind::mix:
        return fmt::format("(local.set $s (i64.add (i64.mul (local.get $s) (i64.const {})) (i64.const {})))\n", kFactor,
                           step.number);
      case Kind::keep:
        return fmt::format(
            "(local.set $k{} (i64.xor (local.get $k{}) (local.get $s))) (local.set $d{} (f64.convert_i64_s (local.get "
            "$s)))\n",
            step.target, step.target, step.target % kFloats);
      case Kind::use: return use(step.target);
      case Kind::call: return call(step, /*is_tail=*/false);
      case Kind::tail_call: return call(step, /*is_tail=*/true);
      case Kind::host:
        return with_fuel(
            fmt::format("(call $host (i32.const {}) (local.get $s) (i32.sub (local.get $fuel) (i32.const 1)))\n{}",
                        step.target, take("l")));
      case Kind::branch:
        return fmt::format(
            "(if (i64.ne (i64.and (local.get $s) (i64.const {})) (i64.const 0)) (then\n{}) (else\n{}))\n",
            static_cast<int64_t>(condition_bit(step)), steps(step.body), steps(step.other));
      case Kind::loop:
        counters_ += fmt::format(" (local $n{} i32)", step.label);
        return fmt::format(
            "(local.set $n{0} (i32.const {1})) (block $L{0} (loop $T{0}\n"
            "(br_if $L{0} (i32.le_s (global.get $steps) (i32.const 0)))\n{2}{3}"
            "(br_if $T{0} (local.tee $n{0} (i32.sub (local.get $n{0}) (i32.const 1))))))\n",
            step.label, step.number, kCountStep, steps(step.body));
      case Kind::throw_: {
        std::string values;
        for (size_t i = 0; i < kCarried[step.target].size(); ++i) switch (kCarried[step.target][i]) {
            case 'i': values += " (i32.wrap_i64 (local.get $s))"; break;
            case 'l': values += fmt::format(" (i64.add (local.get $s) (i64.const {}))", i); break;
            case 'd': values += " (f64.convert_i64_s (local.get $s))"; break;
            default: values += " (local.get $x)";
          }
        return fmt::format("(throw $e{}{})\n", step.target, values);
      }
      case Kind::try_table: return try_table(step);
      case Kind::try_: return legacy_try(step);
      case Kind::delegate:
        return fmt::format("(try $L{} (do\n{}) (delegate $L{}))\n", step.label, steps(step.body), step.target);
      case Kind::rethrow: return fmt::format("(rethrow $L{})\n", step.target);
      case Kind::throw_ref:
        // Null is a trap, which ends all: most are looked at first.
        return step.number % 64 == 0
                   ? "(throw_ref (local.get $x))\n"
                   : "(if (i32.eqz (ref.is_null (local.get $x))) (then (throw_ref (local.get $x))))\n";
      case Kind::save:
        return step.target == kSlots ? "(global.set $gx (local.get $x))\n"
                                     : fmt::format("(table.set $tx (i32.const {}) (local.get $x))\n", step.target);
      case Kind::load:
        return step.target == kSlots ? "(local.set $x (global.get $gx))\n"
                                     : fmt::format("(local.set $x (table.get $tx (i32.const {})))\n", step.target);
      case Kind::unreachable: return "(unreachable)\n";
      case Kind::return_: return fmt::format("(return{})\n", results());
    }
    return {};
  }

  const ThrowingProgram& program_;
  const bool is_b_;
  uint32_t results_ = 0;
  std::string counters_;  ///< of the function's loops
};

}  // namespace

ThrowingProgram::ThrowingProgram(std::span<const uint8_t> script) { Generator(script, *this).run(); }

std::string program_text(const ThrowingProgram& program, bool is_b) { return TextWriter(program, is_b).module(); }

}  // namespace rotor::runtime::test
