// Random programs that throw: functions of two modules and of the host that call each other, with clauses of all kinds
// around what they do. A program is run by a model and by Rotor, and both have to come to the same. For tests and for
// fuzz/exceptions.cc.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace rotor::runtime::test {

/// What a function of a program does, one after another, to its 64-bit state and the locals beside it.
struct Step {
  enum class Kind : uint8_t {
    mix,        ///< state = state * a constant + number
    keep,       ///< a local becomes one of the state
    use,        ///< the state becomes one of the locals
    call,       ///< of a function, with results that are mixed in
    host,       ///< a call of the host, which throws or calls a function
    branch,     ///< `body` or `other`, by a bit of the state
    loop,       ///< `body`, some turns
    throw_,     ///< an exception of a tag, with values of the state
    try_table,  ///< `body`, with clauses that are outside of its label
    try_,       ///< the same, as it was before 3.0
    delegate,   ///< `body`, whose exceptions go to a label
    rethrow,    ///< what the clause of a label took
    throw_ref,  ///< the reference at hand, which may be null
    save,       ///< the reference at hand, in a global or a table
    load,       ///< the same, back
    tail_call,  ///< of a function with as many results
    unreachable,
    return_,
  };
  struct Clause {
    static constexpr uint32_t kAll = UINT32_MAX;
    uint32_t tag;
    bool takes_ref;
    std::vector<Step> body;
  };
  Kind kind = Kind::mix;
  uint64_t number = 0;  ///< mix: what is added; loop: turns; call, tail_call: not 0 if through the table; else a choice
  uint32_t target = 0;  ///< a function, tag, local or label
  uint32_t label = 0;   ///< of a block of its own
  std::vector<Step> body{}, other{};
  std::vector<Clause> clauses{};
};

struct ProgramFunction {
  uint32_t extra_params;
  uint32_t results;
  std::vector<Step> body;
};

/// A program of what some bytes say. All bytes are one.
struct ThrowingProgram {
  static constexpr uint32_t kTags = 6;  ///< the last one is module B's own; tag 1 is the host's
  explicit ThrowingProgram(std::span<const uint8_t> script);

  /// The functions with even numbers are module A's, which has all else, the others B's, which imports it.
  std::vector<ProgramFunction> functions;
  uint8_t setting = 0;  ///< how it is compiled
  uint32_t locals = 0;  ///< that are in use everywhere: few leave registers to other values
  int32_t fuel = 0;     ///< calls within each other, at most
  int32_t steps = 0;    ///< calls and turns of loops, at most
};

/// Returns a module of a program, as text.
std::string program_text(const ThrowingProgram& program, bool is_b);

/// How a call ended: "values …", "exception of tag …" or "trap".
using Outcome = std::string;

/// Calls the first function with this state, as the model of the program says.
class ProgramModel {
 public:
  explicit ProgramModel(const ThrowingProgram& program) : program_(program) {}
  Outcome call(uint64_t state);
  uint64_t caught() const { return caught_; }  ///< by clauses, in all calls

 private:
  struct Exception;
  using ExceptionRef = std::shared_ptr<const Exception>;
  struct Exception {
    uint32_t tag;
    std::vector<uint64_t> values;  ///< of a reference: whether it is null
    ExceptionRef carried;
  };
  enum class Flow : uint8_t { next, returned, thrown, trapped, tail };
  struct Frame;

  Flow run(const std::vector<Step>& steps, Frame& frame);
  Flow run(const Step& step, Frame& frame);
  /// Runs the clause that takes what is thrown.
  Flow run_clause(const Step& step, Frame& frame);
  Flow invoke(uint32_t function, uint64_t state, int32_t fuel, std::vector<uint64_t>& results);
  ExceptionRef exception_of(uint32_t tag, uint64_t state, const ExceptionRef& carried) const;
  Outcome outcome(const Exception& exception) const;

  const ThrowingProgram& program_;
  int32_t steps_ = 0;
  uint64_t caught_ = 0;
  ExceptionRef thrown_;
  ExceptionRef global_, table_[4];
};

struct ProgramReport {
  std::string difference;  ///< with the modules' texts; empty: none
  uint64_t caught = 0;     ///< exceptions, by clauses
};
/// Runs a program both ways.
ProgramReport check_throwing_program(std::span<const uint8_t> script);

/// Runs a program with metered code in every setting, with as much fuel as it takes and with less. Returns what is
/// different of how its calls end, what they leave and what they use up; empty: nothing. `used`: out, the units.
std::string check_fuel_of_program(std::span<const uint8_t> script, uint64_t& used);

}  // namespace rotor::runtime::test
