#include "jit/testing/costly_modules.h"

#include <initializer_list>

namespace rotor::jit {

namespace {

constexpr uint8_t kI32 = 0x7f, kI64 = 0x7e, kV128 = 0x7b, kFunc = 0x60, kNone = 0x40, kEnd = 0x0b;

/// Bytes of a module.
class Bytes {
 public:
  Bytes() = default;
  Bytes(std::initializer_list<uint8_t> bytes) : bytes_(bytes) {}
  Bytes& operator<<(const Bytes& more) {
    bytes_.insert(bytes_.end(), more.bytes_.begin(), more.bytes_.end());
    return *this;
  }
  /// LEB128.
  Bytes& number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<uint8_t>(value | 0x80));
    bytes_.push_back(static_cast<uint8_t>(value));
    return *this;
  }
  Bytes& repeat(uint32_t count, const Bytes& piece) {
    for (uint32_t i = 0; i < count; ++i) *this << piece;
    return *this;
  }
  Bytes& sized(const Bytes& piece) { return number(piece.bytes_.size()) << piece; }
  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

Bytes with_number(Bytes opcode, uint64_t number) { return opcode.number(number); }
Bytes local_get(uint64_t index) { return with_number({0x20}, index); }
Bytes local_set(uint64_t index) { return with_number({0x21}, index); }
Bytes call(uint64_t func) { return with_number({0x10}, func); }

/// A module of functions, whose last one is exported; it has a table, a memory and a mutable i32 global.
class Maker {
 public:
  /// A function type, by its index.
  uint32_t type(std::vector<uint8_t> params, std::vector<uint8_t> results) {
    types_ << Bytes{kFunc};
    types_.number(params.size());
    for (uint8_t param : params) types_ << Bytes{param};
    types_.number(results.size());
    for (uint8_t result : results) types_ << Bytes{result};
    return types_count_++;
  }
  struct Locals {
    uint32_t count;
    uint8_t type;
  };
  /// A function, by its index. The body goes without its `end`.
  uint32_t function(uint32_t type, std::initializer_list<Locals> locals, const Bytes& body) {
    functions_.number(type);
    Bytes code;
    code.number(locals.size());
    for (const Locals& group : locals) code.number(group.count) << Bytes{group.type};
    code << body << Bytes{kEnd};
    code_.sized(code);
    return functions_count_++;
  }
  std::vector<uint8_t> make() {
    Bytes module{0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00};
    auto section = [&](uint8_t id, uint32_t count, const Bytes& items) {
      Bytes counted;
      counted.number(count) << items;
      module << Bytes{id};
      module.sized(counted);
    };
    section(1, types_count_, types_);
    section(3, functions_count_, functions_);
    section(4, 1, {0x70, 0x00, 0x08});
    section(5, 1, {0x00, 0x01});
    section(6, 1, {kI32, 0x01, 0x41, 0x00, kEnd});
    section(7, 1, with_number({0x03, 'r', 'u', 'n', 0x00}, functions_count_ - 1));
    section(10, functions_count_, code_);
    return module.take();
  }

 private:
  Bytes types_, functions_, code_;
  uint32_t types_count_ = 0, functions_count_ = 0;
};

std::vector<uint8_t> of(uint32_t count, uint8_t type) { return std::vector<uint8_t>(count, type); }

/// One function of an i32 with this body.
std::vector<uint8_t> single(const Bytes& body, std::initializer_list<Maker::Locals> locals = {}) {
  Maker maker;
  maker.function(maker.type({kI32}, {}), locals, body);
  return maker.make();
}

// Many values.

constexpr uint32_t kMany = 1000;

/// `emit(source, sink)` of functions that give and take kMany i64.
template <class Body>
std::vector<uint8_t> with_many(Body body, std::initializer_list<Maker::Locals> locals = {}) {
  Maker maker;
  uint32_t gives = maker.type({}, of(kMany, kI64)), takes = maker.type(of(kMany, kI64), {});
  uint32_t runs = maker.type({kI32}, {});
  uint32_t source = maker.function(gives, {}, Bytes().repeat(kMany, {0x42, 0x00}));
  uint32_t sink = maker.function(takes, {}, {});
  maker.function(runs, locals, body(source, sink, gives));
  return maker.make();
}

std::vector<uint8_t> branches_with_values(uint32_t size) {
  return with_many([&](uint32_t source, uint32_t sink, uint32_t gives) {
    Bytes body = with_number({0x02}, gives);
    body << call(source);
    body.repeat(size, {0x20, 0x00, 0x0d, 0x00});
    return body << Bytes{kEnd} << call(sink);
  });
}

/// Branches whose values have to be moved.
std::vector<uint8_t> moving_branches(uint32_t size) {
  return with_many([&](uint32_t source, uint32_t sink, uint32_t gives) {
    Bytes body = with_number({0x02}, gives);
    body << Bytes{0x41, 0x00} << call(source);
    body.repeat(size, {0x20, 0x00, 0x0d, 0x00});
    return body << Bytes{0x0c, 0x00, kEnd} << call(sink);
  });
}

std::vector<uint8_t> br_table_with_values(uint32_t size) {
  return with_many([&](uint32_t source, uint32_t sink, uint32_t gives) {
    Bytes body = with_number({0x02}, gives);
    body << with_number({0x02}, gives) << call(source) << Bytes{0x20, 0x00};
    body << with_number({0x0e}, size);
    body.repeat(size, {0x00});
    return body << Bytes{0x01, kEnd, 0x0c, 0x00, kEnd} << call(sink);
  });
}

std::vector<uint8_t> calls_of_many(uint32_t size) {
  return with_many(
      [&](uint32_t source, uint32_t sink, uint32_t) { return Bytes().repeat(size, call(source) << call(sink)); });
}

std::vector<uint8_t> live_values(uint32_t size) {
  return with_many([&](uint32_t source, uint32_t sink, uint32_t) {
    return Bytes().repeat(size, call(source)).repeat(size, call(sink));
  });
}

std::vector<uint8_t> loops_with_values(uint32_t size) {
  Maker maker;
  uint32_t many = maker.type(of(kMany, kI64), of(kMany, kI64));
  Bytes body;
  for (uint32_t i = 0; i < kMany; ++i) body << local_get(i);
  body.repeat(size, with_number({0x03}, many)).repeat(size, {kEnd});
  maker.function(many, {}, body);
  return maker.make();
}

std::vector<uint8_t> many_results_of_vectors(uint32_t size) {
  Maker maker;
  uint32_t gives = maker.type({}, of(kMany, kV128)), takes = maker.type(of(kMany, kV128), {});
  uint32_t source = maker.function(gives, {}, Bytes().repeat(kMany, {0x41, 0x00, 0xfd, 0x11}));
  uint32_t sink = maker.function(takes, {}, {});
  maker.function(maker.type({}, {}), {}, Bytes().repeat(size, call(source) << call(sink)));
  return maker.make();
}

std::vector<uint8_t> functions_of_many(uint32_t size) {
  Maker maker;
  uint32_t takes = maker.type(of(kMany, kI64), {});
  for (uint32_t i = 0; i < size; ++i) maker.function(takes, {}, {});
  return maker.make();
}

/// Each tail call passes on the stack words of the function that makes it.
std::vector<uint8_t> tail_calls_past_words(uint32_t size) {
  Maker maker;
  uint32_t takes = maker.type(of(kMany, kV128), {}), none = maker.type({}, {});
  uint32_t callee = maker.function(none, {}, {});
  maker.function(takes, {},
                 Bytes().repeat(size, Bytes{0x41, 0, 0x04, kNone} << with_number({0x12}, callee) << Bytes{kEnd}));
  return maker.make();
}

/// Each `if` without an `else` has its parameters as results, even if its own end is not reached.
std::vector<uint8_t> ifs_without_else(uint32_t size) {
  Maker maker;
  uint32_t gives = maker.type({}, of(kMany, kI32)), passes = maker.type(of(kMany, kI32), of(kMany, kI32));
  uint32_t none = maker.type({}, {});
  uint32_t source = maker.function(gives, {}, Bytes().repeat(kMany, {0x41, 0}));
  Bytes one = Bytes{0x41, 0} << with_number({0x04}, passes) << Bytes{0x00, kEnd};
  maker.function(none, {}, call(source) << Bytes().repeat(size, one) << Bytes().repeat(kMany, {0x1a}));
  return maker.make();
}

// Many locals.

std::vector<uint8_t> functions_with_locals(uint32_t size) {
  Maker maker;
  uint32_t none = maker.type({}, {});
  for (uint32_t i = 0; i < size; ++i) maker.function(none, {{50'000, kI32}}, {});
  return maker.make();
}

/// Loops around each other, behind locals that change places.
std::vector<uint8_t> loops_with_locals(uint32_t size) {
  Bytes body;
  for (uint32_t i = 0; i < size; ++i) body << Bytes{0x03, kNone};
  for (uint32_t i = 0; i < size; ++i) body << local_get(1 + (i + 1) % size) << local_set(1 + i);
  return single(body.repeat(size, {0x20, 0x00, 0x0d, 0x00, kEnd}), {{size, kI64}});
}

std::vector<uint8_t> locals_across_a_call(uint32_t size) {
  Maker maker;
  uint32_t nothing = maker.function(maker.type({}, {}), {}, {});
  Bytes body;
  for (uint32_t i = 0; i < size; ++i) body << local_get(0) << Bytes{0x42, 0x01, 0x7c} << local_set(1 + i);
  body << call(nothing) << Bytes{0x42, 0x00};
  for (uint32_t i = 0; i < size; ++i) body << local_get(1 + i) << Bytes{0x85};
  maker.function(maker.type({kI64}, {kI64}), {{size, kI64}}, body);
  return maker.make();
}

// Exceptions.

/// Each call is a way to the clause, which reads all locals.
std::vector<uint8_t> locals_of_a_try(uint32_t size) {
  Maker maker;
  uint32_t none = maker.type({}, {});
  uint32_t nothing = maker.function(none, {}, {});
  Bytes body{0x02, kNone, 0x1f, kNone, 1, 2, 0};
  for (uint32_t i = 0; i < size; ++i) body << Bytes{0x41, 1} << local_set(i) << call(nothing);
  body << Bytes{kEnd, kEnd};
  for (uint32_t i = 0; i < size; ++i) body << local_get(i) << Bytes{0x24, 0};
  maker.function(none, {{size, kI32}}, body);
  return maker.make();
}
std::vector<uint8_t> tries_in_a_row(uint32_t size) {
  return single(Bytes().repeat(size, {0x02, kNone, 0x1f, kNone, 1, 2, 0, 0x20, 0x00, 0x10, 0x00, kEnd, kEnd}));
}
std::vector<uint8_t> nested_tries(uint32_t size) {
  return single(Bytes{0x02, kNone}.repeat(size, {0x1f, kNone, 1, 2, 0}).repeat(size, {0x20, 0x00, 0x10, 0x00, kEnd})
                << Bytes{kEnd});
}
std::vector<uint8_t> legacy_tries_in_a_row(uint32_t size) {
  return single(Bytes().repeat(size, {0x06, kNone, 0x20, 0x00, 0x10, 0x00, 0x19, 0x09, 0x00, kEnd}));
}
/// In each clause all exceptions of those around it are at hand.
std::vector<uint8_t> nested_clauses(uint32_t size) {
  Bytes body;
  body.repeat(size, {0x06, kNone, 0x20, 0x00, 0x10, 0x00, 0x19});
  for (uint32_t i = 0; i < size; ++i)
    body << Bytes{0x20, 0x00, 0x04, kNone} << with_number({0x09}, i + 1) << Bytes{kEnd};
  return single(body.repeat(size, {kEnd}));
}
std::vector<uint8_t> nested_delegates(uint32_t size) {
  return single(Bytes().repeat(size, {0x06, kNone}).repeat(size, {0x20, 0x00, 0x10, 0x00, 0x18, 0x00}));
}

std::vector<uint8_t> inlined_locals(uint32_t size) {
  Maker maker;
  uint32_t type = maker.type({kI64}, {kI64});
  Bytes product{0x20, 0x00, 0x20, 0x00, 0x7e, 0x20, 0x00, 0x7e, 0x20, 0x00, 0x7e};
  uint32_t routine =
      maker.function(type, {{400, kI32}, {400, kI64}, {400, kI32}, {400, kI64}, {400, kI32}, {400, kI64}}, product);
  maker.function(type, {}, local_get(0).repeat(size, call(routine)));
  return maker.make();
}

std::vector<uint8_t> inlined_bodies(uint32_t size) {
  Maker maker;
  uint32_t type = maker.type({kI64}, {kI64});
  uint32_t routine = maker.function(type, {}, local_get(0).repeat(120, {0x20, 0x00, 0x7e}));
  maker.function(type, {}, local_get(0).repeat(size, call(routine)));
  return maker.make();
}

// Nests and sequences of blocks.

std::vector<uint8_t> nested_loops(uint32_t size) {
  return single(Bytes().repeat(size, {0x03, kNone}).repeat(size, {0x20, 0x00, 0x28, 0x00, 0x00, 0x0d, 0x00, kEnd}));
}
std::vector<uint8_t> nested_blocks(uint32_t size) {
  return single(Bytes().repeat(size, {0x02, kNone}).repeat(size, {0x20, 0x00, 0x0d, 0x00, kEnd}));
}
std::vector<uint8_t> nested_ifs(uint32_t size) {
  return single(Bytes()
                    .repeat(size, {0x20, 0x00, 0x28, 0x00, 0x00, 0x04, kNone})
                    .repeat(size, {0x20, 0x00, 0x20, 0x00, 0x36, 0x00, 0x00, 0x05, 0x20, 0x00, 0x21, 0x00, kEnd}));
}
std::vector<uint8_t> ifs_in_a_row(uint32_t size) {
  return single(Bytes().repeat(size, {0x20, 0x00, 0x04, kNone, 0x20, 0x00, 0x21, 0x00, kEnd}));
}
std::vector<uint8_t> loops_in_a_row(uint32_t size) {
  return single(Bytes().repeat(size, {0x03, kNone, 0x20, 0x00, 0x0d, 0x00, kEnd}));
}
std::vector<uint8_t> traps_in_a_row(uint32_t size) {
  return single(Bytes{0x20, 0x00}.repeat(size, {0x20, 0x00, 0x6f}) << Bytes{0x1a});
}
std::vector<uint8_t> br_table_in_a_loop(uint32_t size) {
  Bytes body{0x02, kNone, 0x03, kNone, 0x20, 0x00};
  body << with_number({0x0e}, size);
  body.repeat(size / 2, {0x00}).repeat(size - size / 2, {0x01});
  return single(body << Bytes{0x01, kEnd, kEnd});
}
std::vector<uint8_t> br_table_to_each(uint32_t size) {
  Bytes body;
  body.repeat(size, {0x02, kNone}) << Bytes{0x20, 0x00};
  body << with_number({0x0e}, size - 1);
  for (uint32_t i = 0; i < size; ++i) body.number(i);
  return single(body.repeat(size, {kEnd, 0x23, 0x00, 0x41, 0x03, 0x6c, 0x24, 0x00}));
}

// Long blocks.

std::vector<uint8_t> chain(uint32_t size, const Bytes& link) {
  return single(Bytes{0x20, 0x00}.repeat(size, link) << Bytes{0x1a});
}
std::vector<uint8_t> sum(uint32_t size) { return chain(size, {0x20, 0x00, 0x6a}); }
std::vector<uint8_t> sum_of_sums(uint32_t size) {
  Bytes body{0x41, 0x00};
  for (uint32_t i = 0; i < size; ++i) body << Bytes{0x20, 0x00} << with_number({0x41}, i % 64) << Bytes{0x6a, 0x6a};
  return single(body << Bytes{0x1a});
}
std::vector<uint8_t> sum_of_many(uint32_t size) {
  Bytes body;
  for (uint32_t i = 0; i <= size; ++i) body << with_number({0x20, 0x00, 0x28, 0x00}, i);
  return single(body.repeat(size, {0x6a}) << Bytes{0x1a});
}
std::vector<uint8_t> sum_of_lanes(uint32_t size) {
  Bytes body{0x41, 0x00};
  for (uint32_t i = 0; i < size; ++i)
    body << local_get(1 + i % 64) << Bytes{0xfd, 0x1b, static_cast<uint8_t>(i % 4), 0x6a};
  return single(body << Bytes{0x1a}, {{64, kV128}});
}
std::vector<uint8_t> loads(uint32_t size) { return chain(size, {0x28, 0x00, 0x00}); }
std::vector<uint8_t> stores(uint32_t size) { return single(Bytes().repeat(size, {0x20, 0, 0x20, 0, 0x36, 0, 0})); }
std::vector<uint8_t> selects(uint32_t size) { return chain(size, {0x20, 0x00, 0x20, 0x00, 0x1b}); }
std::vector<uint8_t> ors(uint32_t size) { return chain(size, {0x23, 0x00, 0x72}); }
std::vector<uint8_t> shifts(uint32_t size) { return chain(size, {0x41, 0x07, 0x78, 0x23, 0x00, 0x73}); }
std::vector<uint8_t> products(uint32_t size) { return chain(size, {0x41, 0x05, 0x6c}); }
std::vector<uint8_t> globals(uint32_t size) { return single(Bytes().repeat(size, {0x23, 0, 0x41, 1, 0x6a, 0x24, 0})); }
std::vector<uint8_t> simd(uint32_t size) {
  return single(Bytes{0x20, 0x00, 0xfd, 0x11}.repeat(size, {0x20, 0x00, 0xfd, 0x11, 0xfd, 0xae, 0x01}) << Bytes{0x1a});
}
std::vector<uint8_t> shuffles(uint32_t size) {
  return single(Bytes{0x20, 0x00, 0xfd, 0x11}.repeat(
                    size, {0x20, 0x00, 0xfd, 0x11, 0xfd, 0x0d, 3, 17, 8, 30, 1, 0, 31, 12, 9, 20, 4, 5, 6, 7, 22, 11})
                << Bytes{0x1a});
}
std::vector<uint8_t> conversions(uint32_t size) { return chain(size, {0xb7, 0xab}); }
std::vector<uint8_t> far_loads(uint32_t size) { return chain(size, with_number({0x28, 0x00}, 32 << 20)); }
std::vector<uint8_t> indirect_calls(uint32_t size) {
  Maker maker;
  uint32_t none = maker.type({}, {});
  maker.function(none, {}, Bytes().repeat(size, Bytes{0x41, 0} << with_number({0x11}, none) << Bytes{0}));
  return maker.make();
}
std::vector<uint8_t> float_minima(uint32_t size) {
  return single(Bytes{0x20, 0x00, 0xb2}.repeat(size, {0x20, 0x00, 0xb2, 0x96}) << Bytes{0x1a});
}
std::vector<uint8_t> calls(uint32_t size) { return single(Bytes().repeat(size, {0x20, 0x00, 0x10, 0x00})); }
std::vector<uint8_t> returns(uint32_t size) {
  return single(Bytes().repeat(size, {0x20, 0x00, 0x04, kNone, 0x0f, kEnd}));
}

}  // namespace

std::vector<uint8_t> mixed_module(std::span<const uint8_t> choices) {
  size_t at = 0;
  auto next = [&]() -> uint32_t { return at < choices.size() ? choices[at++] : 0; };
  constexpr uint32_t kLocals = 40;
  return with_many(
      [&](uint32_t source, uint32_t sink, uint32_t gives) {
        Bytes body;
        uint32_t open = 0;  // blocks
        const Bytes condition{0x23, 0x00};
        while (at < choices.size()) {
          uint32_t piece = next() % 12, count = 1 + next() % 64;
          Bytes many = with_number({0x02}, gives);
          switch (piece) {
            case 0: body.repeat(count % 8, call(source) << call(sink)); break;
            case 1: body << many << call(source) << Bytes().repeat(count, Bytes(condition) << Bytes{0x0d, 0x00}); break;
            case 2:
              body << many << Bytes{0x41, 0x00} << call(source)
                   << Bytes().repeat(count, Bytes(condition) << Bytes{0x0d, 0x00});
              break;
            case 3:
              body << many << many << call(source) << condition << with_number({0x0e}, count);
              body << Bytes().repeat(count, {0x00}) << Bytes{0x01, kEnd};
              break;
            case 4: body.repeat(count, {0x41, 0, 0x41, 0, 0x41, 4, 0xfc, 0x0a, 0, 0}); break;
            case 5: body.repeat(count, {0x41, 0, 0x41, 0, 0x25, 0, 0x26, 0}); break;
            case 6: body.repeat(count, {0x41, 0, 0xd0, 0x70, 0x41, 1, 0xfc, 0x11, 0}); break;
            case 7: body.repeat(count, {0x41, 0, 0x41, 0, 0x28, 0, 0, 0x36, 0, 0}); break;
            case 8:
              for (uint32_t i = 0; i < count; ++i)
                body << local_get(1 + (i + 1) % kLocals) << local_set(1 + i % kLocals);
              break;
            case 9: body << Bytes().repeat(count, {0x03, kNone}), open += count; break;
            case 10: body << Bytes().repeat(count, Bytes(condition) << Bytes{0x04, kNone}), open += count; break;
            default:
              for (; count != 0 && open != 0; --count, --open) body << condition << Bytes{0x0d, 0x00, kEnd};
          }
          if (piece >= 1 && piece <= 2) body << (piece == 2 ? Bytes{0x0c, 0x00, kEnd} : Bytes{kEnd}) << call(sink);
          if (piece == 3) body << Bytes{0x0c, 0x00, kEnd} << call(sink);
        }
        return body.repeat(open, {kEnd});
      },
      {{kLocals, kI64}});
}

std::span<const CostlyModule> costly_modules() {
  static constexpr CostlyModule kModules[] = {
      {"branches with values", branches_with_values, 1000},
      {"moving branches", moving_branches, 1000},
      {"br_table with values", br_table_with_values, 1000},
      {"calls of many", calls_of_many, 200},
      {"live values", live_values, 40},
      {"loops with values", loops_with_values, 500},
      {"vectors passed and returned", many_results_of_vectors, 200},
      {"functions of many parameters", functions_of_many, 500},
      {"tail calls past words", tail_calls_past_words, 200},
      {"ifs without else", ifs_without_else, 200},
      {"functions with locals", functions_with_locals, 250},
      {"loops with locals", loops_with_locals, 500},
      {"locals across a call", locals_across_a_call, 1000},
      {"locals of a try", locals_of_a_try, 1600},
      {"tries in a row", tries_in_a_row, 2000},
      {"nested tries", nested_tries, 1000},
      {"legacy tries in a row", legacy_tries_in_a_row, 2000},
      {"nested clauses", nested_clauses, 1000},
      {"nested delegates", nested_delegates, 2000},
      {"inlined locals", inlined_locals, 250},
      {"inlined bodies", inlined_bodies, 250},
      {"nested loops", nested_loops, 1000},
      {"nested blocks", nested_blocks, 4000},
      {"nested ifs", nested_ifs, 1000},
      {"ifs in a row", ifs_in_a_row, 4000},
      {"loops in a row", loops_in_a_row, 4000},
      {"traps in a row", traps_in_a_row, 4000},
      {"br_table in a loop", br_table_in_a_loop, 4000},
      {"br_table to each", br_table_to_each, 2000},
      {"sum", sum, 4000},
      {"sum of sums", sum_of_sums, 2000},
      {"sum of many", sum_of_many, 4000},
      {"sum of lanes", sum_of_lanes, 2000},
      {"loads", loads, 4000},
      {"stores", stores, 4000},
      {"selects", selects, 4000},
      {"ors", ors, 4000},
      {"shifts", shifts, 4000},
      {"products", products, 4000},
      {"globals", globals, 4000},
      {"simd", simd, 4000},
      {"shuffles", shuffles, 2000},
      {"conversions", conversions, 4000},
      {"float minima", float_minima, 4000},
      {"far loads", far_loads, 2000},
      {"indirect calls", indirect_calls, 2000},
      {"calls", calls, 4000},
      {"returns", returns, 4000},
  };
  return kModules;
}

}  // namespace rotor::jit
