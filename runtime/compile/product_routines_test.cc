// What --opt 1 makes of long numbers, run at both levels, with the pass and without: routines that multiply and return
// through memory (jit/emit/batch.h), words that were stored there (jit/passes/stored_words.h), chains of carries
// (jit/passes/carries.h), loops over limbs (jit/passes/unroll.h). jit/passes/wide_products_test.cc has the products
// themselves.
#include <cstring>

#include "rotor/wat.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

using U128 = unsigned __int128;

/// What clang makes of __multi3: the low words' product, and of the rest what is left of it below 2^128.
constexpr std::string_view kMulti3 = R"(
  (func $multi3 (param $p i32) (param $al i64) (param $ah i64) (param $bl i64) (param $bh i64)
    (local $ll i64) (local $t i64) (local $u i64)
    (local.set $ll (i64.mul (i64.and (local.get $al) (i64.const 0xffffffff))
                            (i64.and (local.get $bl) (i64.const 0xffffffff))))
    (local.set $t (i64.add (i64.mul (i64.shr_u (local.get $al) (i64.const 32))
                                    (i64.and (local.get $bl) (i64.const 0xffffffff)))
                           (i64.shr_u (local.get $ll) (i64.const 32))))
    (local.set $u (i64.add (i64.mul (i64.and (local.get $al) (i64.const 0xffffffff))
                                    (i64.shr_u (local.get $bl) (i64.const 32)))
                           (i64.and (local.get $t) (i64.const 0xffffffff))))
    (i64.store offset=8 (local.get $p)
      (i64.add (i64.add (i64.add (i64.mul (i64.shr_u (local.get $al) (i64.const 32))
                                          (i64.shr_u (local.get $bl) (i64.const 32)))
                                 (i64.shr_u (local.get $t) (i64.const 32)))
                        (i64.shr_u (local.get $u) (i64.const 32)))
               (i64.add (i64.mul (local.get $ah) (local.get $bl)) (i64.mul (local.get $al) (local.get $bh)))))
    (i64.store (local.get $p)
      (i64.or (i64.shl (local.get $u) (i64.const 32)) (i64.and (local.get $ll) (i64.const 0xffffffff)))))
)";

std::vector<uint8_t> wasm_of(std::string_view text) { return must(wat_to_wasm(text)); }

struct Compiler {
  OptLevel opt;
  bool wide_products;
};
void PrintTo(const Compiler& compiler, std::ostream* out) {
  *out << (compiler.opt == OptLevel::o0 ? "o0" : "o1") << (compiler.wide_products ? "" : " without wide products");
}

class ProductRoutines : public testing::TestWithParam<Compiler> {
 protected:
  Instance instance(std::string_view text) {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = GetParam().opt;
    config.wide_products = GetParam().wide_products;
    engine_ = must(Engine::create(std::move(config)));
    Linker linker(*engine_);
    return instantiate(linker, compile(*engine_, wasm_of(text)));
  }
  /// A routine that was inlined has no frame of its own.
  bool inlines() const { return GetParam().opt == OptLevel::o1 && GetParam().wide_products; }

  std::optional<Engine> engine_;
};

const auto kCompilers =
    testing::Values(Compiler{OptLevel::o0, true}, Compiler{OptLevel::o1, true}, Compiler{OptLevel::o1, false});
INSTANTIATE_TEST_SUITE_P(Compilers, ProductRoutines, kCompilers);

const std::vector<uint64_t> kCorners = {0,
                                        1,
                                        2,
                                        0x7fffffff,
                                        0xffffffff,
                                        0x100000000,
                                        0x7fffffffffffffff,
                                        0x8000000000000000,
                                        0xffffffff00000000,
                                        0xfffffffeffffffff,
                                        0xfffffffffffffffe,
                                        UINT64_MAX,
                                        0x992d30ed00000001,
                                        0x224698fc094cf91b,
                                        0x4000000000000000};

TEST_P(ProductRoutines, ResultsGoThroughMemory) {
  // ((a * b) + c) >> 64, and the low word to memory, with the result on a stack in linear memory.
  Instance guest =
      instance(std::string("(module (memory (export \"memory\") 1) (global $sp (mut i32) (i32.const 4096))") +
               std::string(kMulti3) +
               R"(
    (func (export "mac") (param $a i64) (param $b i64) (param $c i64) (result i64) (local $sp i32) (local $low i64)
      (global.set $sp (local.tee $sp (i32.sub (global.get $sp) (i32.const 32))))
      (call $multi3 (i32.add (local.get $sp) (i32.const 16)) (local.get $a) (i64.const 0) (local.get $b) (i64.const 0))
      (local.set $low (i64.add (i64.load offset=16 (local.get $sp)) (local.get $c)))
      (i64.store (i32.const 0) (local.get $low))
      (i64.add (i64.load offset=24 (local.get $sp))
               (i64.extend_i32_u (i64.lt_u (local.get $low) (local.get $c))))
      (global.set $sp (i32.add (local.get $sp) (i32.const 32)))))"
               ")");
  auto mac = typed<uint64_t(uint64_t, uint64_t, uint64_t)>(guest, "mac");
  Memory memory = must(guest.get_memory("memory"));
  for (uint64_t a : kCorners)
    for (uint64_t b : kCorners)
      for (uint64_t c : {UINT64_C(0), UINT64_C(1), UINT64_MAX, a, b}) {
        U128 expected = U128{a} * b + c;
        ASSERT_EQ(must(mac(a, b, c)), static_cast<uint64_t>(expected >> 64)) << std::hex << a << ' ' << b << ' ' << c;
        uint64_t low = 0;
        std::memcpy(&low, memory.data(), sizeof low);
        ASSERT_EQ(low, static_cast<uint64_t>(expected)) << std::hex << a << ' ' << b << ' ' << c;
      }
}

TEST_P(ProductRoutines, ATrapInsideIsAtTheCall) {
  const std::string text = "(module (memory 1)" + std::string(kMulti3) + R"(
    (func (export "at") (param i32)
      (call $multi3 (local.get 0) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))))";
  Instance guest = instance(text);
  auto at = typed<void(uint32_t)>(guest, "at");
  must(at(65520));
  auto trapped = at(65528);
  expect_trap(trapped, TrapKind::out_of_bounds_memory);
  const std::vector<Frame>& frames = trapped.error().trap->frames();
  ASSERT_EQ(frames.size(), inlines() ? 1u : 2u);
  EXPECT_EQ(frames.back().func_index, 1u);
  // The caller's frame stands at its call in either case.
  EXPECT_EQ(wasm_of(text)[frames.back().module_offset], 0x10) << "not a call";
}

TEST_P(ProductRoutines, StoredWordsThatAreWrittenOver) {
  // Each "way" comes between the routine's stores and the load of its high word.
  std::string text = "(module (memory 1) (func $nothing)" + std::string(kMulti3);
  struct Way {
    const char* name;
    const char* code;
  };
  const Way ways[] = {
      {"nothing", ""},
      {"call", "(call $nothing)"},
      {"same_place", "(i64.store offset=24 (local.get $p) (i64.const 7))"},
      {"other_index", "(i64.store (local.get $q) (i64.const 7))"},
      {"a_byte_of_it", "(i32.store8 offset=31 (local.get $p) (i32.const 7))"},
      {"half_of_it", "(i32.store offset=20 (local.get $p) (i32.const 7))"},
      {"beside_it",
       "(i64.store offset=32 (local.get $p) (i64.const 7)) (i64.store offset=8 (local.get $p) (i64.const 7))"},
      {"fill", "(memory.fill (local.get $q) (i32.const 7) (i32.const 8))"},
      {"vector", "(v128.store (local.get $q) (v128.const i64x2 7 7))"},
      {"atomic", "(drop (i64.atomic.rmw.xchg (local.get $q) (i64.const 7)))"},
      {"constant_index", "(i64.store (i32.const 1024) (i64.const 7))"},
  };
  for (const Way& way : ways)
    text += std::string("(func (export \"") + way.name + R"(") (param $p i32) (param $q i32) (result i64)
      (call $multi3 (i32.add (local.get $p) (i32.const 16)) (i64.const -1) (i64.const 0) (i64.const -1) (i64.const 0)))" +
            way.code + "(i64.load offset=24 (local.get $p)))";
  Instance guest = instance(text + ")");
  // Where q is the high word's address, and where it is another's.
  auto of = [&](const char* name, uint32_t p, uint32_t q) {
    return must(typed<uint64_t(uint32_t, uint32_t)>(guest, name)(p, q));
  };
  constexpr uint64_t kHigh = UINT64_MAX - 1;
  for (const char* name : {"nothing", "call", "beside_it"}) EXPECT_EQ(of(name, 1000, 1024), kHigh) << name;
  EXPECT_EQ(of("same_place", 1000, 0), 7u);
  for (const char* name : {"other_index", "vector", "atomic"}) {
    EXPECT_EQ(of(name, 1000, 1024), 7u) << name;
    EXPECT_EQ(of(name, 1000, 2048), kHigh) << name;
  }
  EXPECT_EQ(of("constant_index", 1000, 0), 7u);
  EXPECT_EQ(of("constant_index", 2000, 0), kHigh);
  EXPECT_EQ(of("a_byte_of_it", 1000, 0), 0x07fffffffffffffeu);
  EXPECT_EQ(of("half_of_it", 1000, 0), kHigh);
  EXPECT_EQ(of("fill", 1000, 1024), 0x0707070707070707u);
}

TEST_P(ProductRoutines, ALoadPastTheEndStillTraps) {
  // The routine writes to index + 16, which wraps; the load's index + 24 does not, and is behind any memory.
  Instance guest = instance("(module (memory 1)" + std::string(kMulti3) + R"(
    (func (export "wraps") (param $p i32) (result i64)
      (call $multi3 (i32.add (local.get $p) (i32.const 16)) (i64.const -1) (i64.const 0) (i64.const -1) (i64.const 0))
      (i64.load offset=24 (local.get $p)))
    (func (export "other_way") (param $p i32) (result i64)
      (call $multi3 (local.get $p) (i64.const -1) (i64.const 0) (i64.const -1) (i64.const 0))
      (i64.load (i32.add (local.get $p) (i32.const 8))))))");
  auto wraps = typed<uint64_t(uint32_t)>(guest, "wraps");
  EXPECT_EQ(must(wraps(64)), UINT64_MAX - 1);
  expect_trap(wraps(static_cast<uint32_t>(-16)), TrapKind::out_of_bounds_memory);
  expect_trap(wraps(static_cast<uint32_t>(-12)), TrapKind::out_of_bounds_memory);
  auto other_way = typed<uint64_t(uint32_t)>(guest, "other_way");
  EXPECT_EQ(must(other_way(64)), UINT64_MAX - 1);
  expect_trap(other_way(static_cast<uint32_t>(-8)), TrapKind::out_of_bounds_memory);
}

TEST_P(ProductRoutines, LoadsBehindAFartherOneAreNotMade) {
  // The load of the high word goes farther than the one of the low word. The store to 1000 says how far it got.
  Instance guest = instance("(module (memory (export \"memory\") 1)" + std::string(kMulti3) + R"(
    (func (export "low_after_high") (param $p i32) (result i64)
      (call $multi3 (i32.add (local.get $p) (i32.const 16)) (i64.const -1) (i64.const 0) (i64.const -1) (i64.const 0))
      (i64.load offset=24 (local.get $p))
      (i64.store (i32.const 1000) (i64.load offset=16 (local.get $p))))
    (func (export "high_after_low") (param $p i32) (result i64) (local $low i64)
      (call $multi3 (i32.add (local.get $p) (i32.const 16)) (i64.const -1) (i64.const 0) (i64.const -1) (i64.const 0))
      (local.set $low (i64.load offset=16 (local.get $p)))
      (i64.store (i32.const 1000) (local.get $low))
      (i64.load offset=24 (local.get $p)))
    (func (export "of_another") (param $p i32) (param $q i32) (result i64)
      (drop (i64.load offset=32 (local.get $q)))
      (call $multi3 (i32.add (local.get $p) (i32.const 16)) (i64.const -1) (i64.const 0) (i64.const -1) (i64.const 0))
      (i64.load offset=24 (local.get $p)))))");
  Memory memory = must(guest.get_memory("memory"));
  auto mark = [&] {
    uint64_t word = 0;
    std::memcpy(&word, memory.data() + 1000, sizeof word);
    std::memset(memory.data() + 1000, 0, sizeof word);
    return word;
  };
  constexpr uint64_t kHigh = UINT64_MAX - 1, kLow = 1;
  for (const char* name : {"low_after_high", "high_after_low"}) {
    auto function = typed<uint64_t(uint32_t)>(guest, name);
    EXPECT_EQ(must(function(64)), kHigh) << name;
    EXPECT_EQ(mark(), kLow) << name;
  }
  // The routine writes to 0, as its index wraps; the loads' do not, and the first one traps.
  auto low_after_high = typed<uint64_t(uint32_t)>(guest, "low_after_high");
  expect_trap(low_after_high(static_cast<uint32_t>(-16)), TrapKind::out_of_bounds_memory);
  EXPECT_EQ(mark(), 0u);
  auto high_after_low = typed<uint64_t(uint32_t)>(guest, "high_after_low");
  expect_trap(high_after_low(static_cast<uint32_t>(-16)), TrapKind::out_of_bounds_memory);
  EXPECT_EQ(mark(), 0u);
  auto of_another = typed<uint64_t(uint32_t, uint32_t)>(guest, "of_another");
  EXPECT_EQ(must(of_another(64, 64)), kHigh);
  expect_trap(of_another(static_cast<uint32_t>(-16), 64), TrapKind::out_of_bounds_memory);
}

TEST_P(ProductRoutines, InALoopLocalsStartAtZero) {
  // $t is read before it is set: zero in each turn, not what the last one left.
  Instance guest = instance(R"((module
    (func $routine (param $a i64) (result i64) (local $t i64)
      (i64.add (local.get $t)
        (local.tee $t (i64.mul (i64.mul (local.get $a) (i64.const 3)) (i64.mul (local.get $a) (i64.const 5))))))
    (func (export "sum") (param $n i64) (result i64) (local $sum i64)
      (loop $again
        (local.set $sum (i64.add (local.get $sum) (call $routine (local.get $n))))
        (br_if $again (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))
      (local.get $sum))))");
  EXPECT_EQ(must(typed<uint64_t(uint64_t)>(guest, "sum")(10)), 15u * 385u);
}

TEST(ProductRoutineErrors, TheFirstBadFunctionIsTheOneThatIsReported) {
  // The caller would inline a body that does not validate; before that body stands another bad one.
  std::string bad_routine = R"((func $routine (param i64) (result i64)
    (i64.mul (i64.mul (local.get 0) (local.get 0)) (i64.mul (local.get 0) (i32.const 1)))))";
  std::string caller = "(func (param i64) (result i64) (call $routine (local.get 0)))";
  std::string bad = "(func (result i32) (i64.const 1))";
  for (OptLevel opt : {OptLevel::o0, OptLevel::o1}) {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = opt;
    Engine engine = must(Engine::create(std::move(config)));
    auto offset_of = [&](const std::string& text) {
      auto compiled = Module::compile(engine, wasm_of("(module " + text + ")"));
      EXPECT_FALSE(compiled);
      EXPECT_EQ(kind_of(compiled), ErrorKind::invalid);
      return compiled ? 0 : compiled.error().offset.value_or(0);
    };
    // What is reported does not depend on who calls, but that a call takes two bytes.
    std::string leaf = "(func (param i64) (result i64) (local.get 0))";
    EXPECT_EQ(offset_of(caller + bad_routine), offset_of(leaf + bad_routine) + 2);
    EXPECT_EQ(offset_of(caller + bad + bad_routine), offset_of(leaf + bad + bad_routine) + 2);
    // In another batch than the caller, behind the bad one or before it.
    std::string many;
    for (int i = 0; i < 40; ++i) many += leaf;
    EXPECT_EQ(offset_of(caller + many + bad + bad_routine), offset_of(leaf + many + bad + bad_routine) + 2);
    EXPECT_EQ(offset_of(caller + many + bad_routine + bad), offset_of(leaf + many + bad_routine + bad) + 2);
  }
}

/// Sums and differences of four words, in the ways programs carry from word to word.
std::string chain(const char* step) {
  std::string text = "(module (memory (export \"memory\") 1)";
  for (const char* merge : {"add", "or", "xor", "equals_one", "not_zero"}) {
    text += std::string("(func (export \"") + merge + R"(") (local $a i64) (local $b i64) (local $t i64) (local $s i64)
      (local $c i64))";
    for (int word = 0; word < 4; ++word) {
      std::string at = std::to_string(word * 8), to = std::to_string(64 + word * 8);
      text += "(local.set $a (i64.load offset=" + at +
              " (i32.const 0)))(local.set $b (i64.load offset=" + std::to_string(32 + word * 8) + " (i32.const 0)))" +
              step;
      std::string first, second;
      bool adds = std::string_view(step).find("i64.add") != std::string_view::npos;
      first = adds ? "(i64.lt_u (local.get $t) (local.get $b))" : "(i64.lt_u (local.get $a) (local.get $b))";
      second = adds ? "(i64.gt_u (local.get $t) (local.get $s))" : "(i64.lt_u (local.get $t) (local.get $c))";
      text += "(i64.store offset=" + to + " (i32.const 0) (local.get $s))";
      std::string f = "(i64.extend_i32_u " + first + ")", s = "(i64.extend_i32_u " + second + ")";
      std::string_view m = merge;
      if (m == "add") text += "(local.set $c (i64.add " + f + s + "))";
      if (m == "or") text += "(local.set $c (i64.extend_i32_u (i32.or " + first + second + ")))";
      if (m == "xor") text += "(local.set $c (i64.xor " + s + f + "))";
      if (m == "equals_one") text += "(local.set $c (i64.extend_i32_u (i64.eq (i64.add " + f + s + ") (i64.const 1))))";
      if (m == "not_zero") text += "(local.set $c (i64.extend_i32_u (i64.ne (i64.add " + s + f + ") (i64.const 0))))";
    }
    text += "(i64.store offset=96 (i32.const 0) (local.get $c)))";
  }
  return text + ")";
}

class Chains : public ProductRoutines {
 protected:
  /// Words of a and b in, words of the result and the last carry out.
  void check(const std::string& text, bool adds) {
    Instance guest = instance(text);
    auto* words = reinterpret_cast<uint64_t*>(must(guest.get_memory("memory")).data());
    for (const char* merge : {"add", "or", "xor", "equals_one", "not_zero"}) {
      auto run = typed<void()>(guest, merge);
      uint64_t state = 1;
      for (int trial = 0; trial < 2000; ++trial) {
        uint64_t a[4], b[4];
        for (int word = 0; word < 4; ++word) {
          state = state * 6364136223846793005 + 1442695040888963407;
          a[word] = kCorners[(state >> 33) % kCorners.size()];
          b[word] = trial % 3 ? kCorners[(state >> 43) % kCorners.size()] : adds ? ~a[word] : a[word];
        }
        std::memcpy(words, a, sizeof a);
        std::memcpy(words + 4, b, sizeof b);
        must(run());
        uint64_t carry = 0;
        for (int word = 0; word < 4; ++word) {
          U128 result = adds ? U128{a[word]} + b[word] + carry : U128{a[word]} - b[word] - carry;
          ASSERT_EQ(words[8 + word], static_cast<uint64_t>(result)) << merge << " word " << word;
          carry = static_cast<uint64_t>(result >> 64) & 1;
        }
        ASSERT_EQ(words[12], carry) << merge;
      }
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Compilers, Chains, kCompilers);

TEST_P(Chains, OfSums) {
  check(chain("(local.set $t (i64.add (local.get $a) (local.get $b)))"
              "(local.set $s (i64.add (local.get $t) (local.get $c)))"),
        true);
}
TEST_P(Chains, OfDifferences) {
  check(chain("(local.set $t (i64.sub (local.get $a) (local.get $b)))"
              "(local.set $s (i64.sub (local.get $t) (local.get $c)))"),
        false);
}

TEST_P(ProductRoutines, CarriesThatAreNoCarriesStaySums) {
  // Both may be set: of x < y and y < z the sum is 2.
  Instance guest = instance(R"((module
    (func (export "both") (param $x i64) (param $y i64) (param $z i64) (result i64)
      (i64.add (i64.extend_i32_u (i64.lt_u (local.get $x) (local.get $y)))
               (i64.extend_i32_u (i64.lt_u (local.get $y) (local.get $z)))))
    (func (export "by_two") (param $x i64) (param $y i64) (result i64) (local $t i64)
      (local.set $t (i64.add (local.get $x) (local.get $y)))
      (i64.add (i64.extend_i32_u (i64.lt_u (local.get $t) (local.get $y)))
               (i64.extend_i32_u (i64.lt_u (i64.add (local.get $t) (i64.const 2)) (local.get $t)))))))");
  EXPECT_EQ(must(typed<uint64_t(uint64_t, uint64_t, uint64_t)>(guest, "both")(1, 2, 3)), 2u);
  auto by_two = typed<uint64_t(uint64_t, uint64_t)>(guest, "by_two");
  EXPECT_EQ(must(by_two(UINT64_MAX, UINT64_MAX)), 2u);
  EXPECT_EQ(must(by_two(UINT64_MAX, UINT64_MAX - 1)), 1u);
}

TEST_P(ProductRoutines, LoopsOverLimbs) {
  // r[0..n] = a[0..n-1] * b, a limb a turn: loops of 2, 4, 8 and 9 turns, and one whose number nobody knows.
  std::string text = "(module (memory (export \"memory\") 1)" + std::string(kMulti3);
  for (const char* turns : {"2", "4", "8", "9", "n"}) {
    std::string limit = turns == std::string_view("n") ? "(local.get $n)" : std::string("(i32.const ") + turns + ")";
    text += std::string("(func (export \"") + turns +
            R"(") (param $n i32) (local $i i32) (local $carry i64) (local $low i64)
      (loop $next
        (call $multi3 (i32.const 512) (i64.load (i32.shl (local.get $i) (i32.const 3))) (i64.const 0)
                      (i64.load (i32.const 128)) (i64.const 0))
        (local.set $low (i64.add (i64.load (i32.const 512)) (local.get $carry)))
        (local.set $carry (i64.add (i64.load (i32.const 520))
                                   (i64.extend_i32_u (i64.lt_u (local.get $low) (local.get $carry)))))
        (i64.store offset=256 (i32.shl (local.get $i) (i32.const 3)) (local.get $low))
        (br_if $next (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) )" +
            limit + R"()))
      (i64.store offset=256 (i32.shl (local.get $i) (i32.const 3)) (local.get $carry))))";
  }
  Instance guest = instance(text + ")");
  auto* words = reinterpret_cast<uint64_t*>(must(guest.get_memory("memory")).data());
  for (const char* turns : {"2", "4", "8", "9", "n"}) {
    int count = turns[0] == 'n' ? 5 : turns[0] - '0';
    for (uint64_t a : kCorners)
      for (uint64_t b : kCorners) {
        for (int i = 0; i < count; ++i) words[i] = i % 2 ? a : UINT64_MAX - a;
        words[16] = b;
        must(typed<void(int32_t)>(guest, turns)(count));
        uint64_t carry = 0;
        for (int i = 0; i < count; ++i) {
          U128 product = U128{words[i]} * b + carry;
          ASSERT_EQ(words[32 + i], static_cast<uint64_t>(product)) << turns << " limb " << i;
          carry = static_cast<uint64_t>(product >> 64);
        }
        ASSERT_EQ(words[32 + count], carry) << turns;
      }
  }
}

/// What is inlined is bounded by the caller's length: a call of two bytes may be of a routine of 400, whose locals may
/// be declared by the thousand in two more.
TEST(ProductRoutineCost, IsBoundedByTheCallersBody) {
  auto text_of = [](const std::string& routine_locals, int calls) {
    std::string text = "(module (func $r (param i64) (result i64) " + routine_locals;
    for (int i = 0; i < 60; ++i) text += " local.get 0 local.get 0 i64.mul drop";
    text += " local.get 0) (func (export \"f\") (param i64) (result i64) local.get 0";
    for (int i = 0; i < calls; ++i) text += " call $r";
    Engine engine = test::engine();
    return must(Module::emit_text(engine, wasm_of(text + "))"), CodeText::llvm_ir_raw, "f"));
  };
  auto count = [](const std::string& text, std::string_view word) {
    size_t found = 0;
    for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; ++at) ++found;
    return found;
  };
  std::string none = text_of("", 1);
  EXPECT_EQ(count(none, "call swiftcc"), 0u) << "it is a product routine";
  std::string many_locals = "(local";
  for (int i = 0; i < 65; ++i) many_locals += " i64";
  EXPECT_EQ(count(text_of(many_locals + ")", 3), "call swiftcc"), 3u);
  for (int calls : {500, 1000, 2000}) {
    size_t left = count(text_of("", calls), "call swiftcc");
    // 16 times two bytes a call and 4 KiB are inlined, at 300 bytes or so a call.
    EXPECT_GT(left, static_cast<size_t>(calls) * 8 / 10);
  }
}

}  // namespace
}  // namespace rotor::runtime::test
