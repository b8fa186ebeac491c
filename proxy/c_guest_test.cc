// Guests written in C: names that were minified, texts that a NUL ends, pointers that the guest fills, counts before
// pointers, and exports that do one thing or another.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/policy.h"
#include "proxy/recorder.h"
#include "proxy/testing/guest.h"
#include "rotor/proxy.h"
#include "wasm/testing/assemble.h"

namespace rotor::proxy {
namespace {

// Its malloc gives memory without a zero in it, at addresses that differ from instance to instance.
constexpr std::string_view kModule = R"(
(module
  (import "env" "salt" (func $salt (result i32)))
  (memory (export "memory") 1 16)
  (table (export "table") 1 funcref)
  (global $bump (mut i32) (i32.const 0))
  (global $lent (mut i32) (i32.const 0))
  (func $m (export "m") (param $size i32) (result i32) (local $p i32)
    (if (i32.eqz (global.get $bump))
      (then (global.set $bump (i32.add (i32.const 1024) (i32.mul (call $salt) (i32.const 64))))))
    (local.set $p (global.get $bump))
    (global.set $bump (i32.and (i32.add (i32.add (local.get $p) (local.get $size)) (i32.const 31)) (i32.const -16)))
    (global.set $lent (i32.add (global.get $lent) (i32.const 1)))
    (memory.fill (local.get $p) (i32.const 255) (i32.add (local.get $size) (i32.const 15)))
    (local.get $p))
  (func $f (export "f") (param i32) (global.set $lent (i32.sub (global.get $lent) (i32.const 1))))
  (func (export "lent") (result i32) (global.get $lent))
  (func $length (export "length") (param $p i32) (result i32) (local $n i32)
    (loop $next
      (if (i32.load8_u (i32.add (local.get $p) (local.get $n)))
        (then (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $next))))
    (local.get $n))
  ;; 1000 times the byte behind the text, and the length that was passed.
  (func (export "behind") (param $p i32) (param $n i32) (result i32)
    (i32.add (i32.mul (i32.load8_u (i32.add (local.get $p) (local.get $n))) (i32.const 1000)) (local.get $n)))
  (func $make (param $value i32) (result i32) (local $h i32)
    (local.set $h (call $m (i32.const 16)))
    (i32.store (local.get $h) (local.get $value))
    (local.get $h))
  ;; Makes an object of the name's length; an empty name is error 5, and makes none.
  (func (export "open") (param $name i32) (param $out i32) (result i32) (local $n i32)
    (local.set $n (call $length (local.get $name)))
    (if (i32.eqz (local.get $n)) (then (return (i32.const 5))))
    (i32.store (local.get $out) (call $make (local.get $n)))
    (i32.const 0))
  (func $close (export "close") (param $h i32) (call $f (local.get $h)))
  (func $get (export "get") (param $h i32) (result i32) (i32.load (local.get $h)))
  ;; Fills two numbers: the value and its square.
  (func (export "measure") (param $a i32) (param $h i32) (param $b i32)
    (i32.store (local.get $a) (call $get (local.get $h)))
    (i32.store (local.get $b) (i32.mul (call $get (local.get $h)) (call $get (local.get $h)))))
  ;; Adds, if there is something to add.
  (func (export "run") (param $h i32) (param $x i32) (result i32)
    (i32.store (local.get $h) (i32.add (call $get (local.get $h)) (local.get $x)))
    (call $get (local.get $h)))
  (func $fold (param $n i32) (param $p i32) (param $how i32) (result i32) (local $sum i32) (local $x i32)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $n)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (local.set $x
        (if (result i32) (local.get $how)
          (then (i32.load (i32.add (local.get $p) (i32.mul (local.get $n) (i32.const 4)))))
          (else (i32.load8_u (i32.add (local.get $p) (local.get $n))))))
      (if (i32.eq (local.get $how) (i32.const 2)) (then (local.set $x (call $get (local.get $x)))))
      (local.set $sum (i32.add (local.get $sum) (local.get $x)))
      (br $next)))
    (local.get $sum))
  (func (export "digest") (param i32 i32) (result i32) (call $fold (local.get 0) (local.get 1) (i32.const 0)))
  (func (export "total") (param i32 i32) (result i32) (call $fold (local.get 0) (local.get 1) (i32.const 1)))
  (func (export "sum") (param i32 i32) (result i32) (call $fold (local.get 0) (local.get 1) (i32.const 2)))
  (func (export "merge") (param $n i32) (param $p i32) (result i32)
    (global.set $lent (i32.sub (global.get $lent) (local.get $n)))
    (call $make (call $fold (local.get $n) (local.get $p) (i32.const 2))))
  (func (export "leak") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "wide") (param i64))
  (func (export "odd") (param i32) (result i32 i32) i32.const 0 i32.const 0))
)";

constexpr std::string_view kAllocator = "[allocator]\nmalloc = \"m\"\nfree = \"f\"\n";
constexpr std::string_view kExports = R"(
[exports]
length = { effect = "query", args = ["cstring"] }
behind = { effect = "query", args = ["text"] }
digest = { effect = "query", args = ["count_bytes"] }
total = { effect = "query", args = ["count_vector"] }
sum = { effect = "query", args = ["count_handles"] }
measure = { effect = "query", args = ["out", "handle", "out"] }
get = { effect = "query", args = ["handle"] }
lent = { effect = "query" }
close = { effect = "release" }
)";

class Guests {
 public:
  Guests() {
    linker_.define("env", "salt", [this] { return salt_++; });
  }
  Result<Proxy> proxy(const std::string& text) {
    ROTOR_TRY(Policy policy, Policy::parse_toml(text, "p.toml"));
    ROTOR_TRY(InstancePre pre, linker_.instantiate_pre(module_));
    return Proxy::create(module_, linked_guests(pre), policy);
  }
  /// Of a policy with an allocator and these exports, which begin with line 5.
  std::string error(std::string_view exports) {
    return error_of(proxy(std::string(kAllocator) + "[exports]\n" + std::string(exports)));
  }

 private:
  Engine engine_ = *Engine::create();
  Module module_ = *Module::compile(engine_, wasm::test::assemble(kModule));
  Linker linker_{engine_};
  std::atomic<int32_t> salt_ = 0;
};

int32_t number(Proxy& proxy, std::string_view name, std::initializer_list<Arg> args = {}) {
  auto reply = proxy.call(name, args);
  EXPECT_TRUE(reply) << name << ": " << error_of(reply);
  return reply ? reply->i32() : -1;
}

std::string replay(std::string_view more) {
  return std::string(kAllocator) + "[imports]\nsalt = \"run\"\n" + std::string(kExports) + std::string(more);
}

TEST(CGuest, TakesTextsAndCounts) {
  Guests guests;
  auto proxy = guests.proxy(replay(""));
  ASSERT_TRUE(proxy) << error_of(proxy);
  EXPECT_EQ(number(*proxy, "length", {Arg::text("seven78")}), 7);
  EXPECT_EQ(number(*proxy, "length", {Arg::text("")}), 0);
  EXPECT_EQ(number(*proxy, "behind", {Arg::text("abc")}), 3) << "a NUL behind it, which is not counted";
  EXPECT_EQ(number(*proxy, "behind", {Arg::text(std::string_view("a\0c", 3))}), 3);
  EXPECT_EQ(number(*proxy, "behind", {Arg::text("")}), 0);
  EXPECT_EQ(number(*proxy, "digest", {Arg::text("\1\2\3")}), 6);
  const uint32_t numbers[] = {1000, 20, 3};
  EXPECT_EQ(number(*proxy, "total", {Arg::vector(numbers)}), 1023);
  EXPECT_EQ(number(*proxy, "total", {Arg::vector({})}), 0);
  EXPECT_EQ(number(*proxy, "lent"), 0) << "all was freed";
}

TEST(CGuest, RefusesWhatDoesNotFit) {
  Guests guests;
  auto proxy = guests.proxy(replay("open = { args = [\"cstring\", \"out_handle\"] }"));
  ASSERT_TRUE(proxy) << error_of(proxy);
  EXPECT_EQ(error_of(proxy->call("length", {Arg::text(std::string_view("ab\0d", 4))})),
            "length, argument 1: has a NUL as byte 3 of 4, which would end the text");
  EXPECT_EQ(error_of(proxy->call("length", {1})), "length, argument 1: must be bytes, not a value");
  EXPECT_EQ(error_of(proxy->call("total", {Arg::text("x")})), "total, argument 1: must be a vector, not bytes");
  EXPECT_EQ(error_of(proxy->call("open", {Arg::text("x"), 0})), "open takes 1 arguments, not 2");
  EXPECT_EQ(error_of(proxy->get_typed<void(uint32_t, uint32_t, uint32_t)>("measure")),
            "measure fills arguments: call it by name");
  EXPECT_EQ(number(*proxy, "lent"), 0);
}

TEST(CGuest, WhatItFillsIsReplayed) {
  Guests guests;
  auto proxy = guests.proxy(replay(R"(
open = { effect = "build", args = ["cstring", "out_handle"] }
merge = { effect = "build", args = ["count_consumed_handles"], results = ["handle"] }
)"));
  ASSERT_TRUE(proxy) << error_of(proxy);
  auto opened = proxy->call("open", {Arg::text("four")});
  ASSERT_TRUE(opened) << error_of(opened);
  ASSERT_EQ(opened->values.size(), 2u);
  EXPECT_EQ(opened->i32(), 0);
  const uint32_t four = opened->handle(1);
  EXPECT_GE(four, 1u << 31) << "a token";
  const uint32_t two = proxy->call("open", {Arg::text("xx")})->handle(1);
  const uint32_t one = proxy->call("open", {Arg::text("x")})->handle(1);
  const uint32_t pair[] = {two, one};
  EXPECT_EQ(number(*proxy, "sum", {Arg::vector(pair)}), 3);
  const uint32_t three = proxy->call("merge", {Arg::vector(pair)})->handle();
  EXPECT_EQ(error_of(proxy->call("get", {two})).substr(0, 3), "get");
  ASSERT_TRUE(proxy->prepare());
  for (uint64_t n = 1; n <= 2; n++) {
    ASSERT_TRUE(proxy->rotate());
    EXPECT_TRUE(eventually([&] { return number(*proxy, "get", {four}) == 4 && proxy->counters().rotations >= n; }));
    EXPECT_EQ(number(*proxy, "get", {three}), 3);
    auto measured = proxy->call("measure", {four});
    ASSERT_TRUE(measured) << error_of(measured);
    ASSERT_EQ(measured->values.size(), 2u);
    EXPECT_EQ(measured->i32(0), 4);
    EXPECT_EQ(measured->i32(1), 16);
    EXPECT_EQ(number(*proxy, "lent"), 2) << "the two objects, and nothing of the proxy's";
  }
  EXPECT_EQ(proxy->counters().divergences, 0u);
  auto verified = proxy->verify();
  ASSERT_TRUE(verified) << error_of(verified);
  EXPECT_FALSE(verified->digests_equal) << "addresses differ here";
}

constexpr std::string_view kProbes = R"(
[probe]
length = ["seven78"]
behind = ["abc"]
total = [[1, 2]]
measure = [{ handle = "open_first" }]
)";

TEST(CGuest, ProbesAskForWhatItFills) {
  Guests guests;
  auto proxy = guests.proxy(replay(R"(
open = { effect = "build", args = ["cstring", "out_handle"] }
open_first = { export = "open", effect = "build", args = ["cstring", "out_handle"] }
write = { export = "run", effect = "query", args = ["handle", "scalar"] }
)") + std::string(kProbes));
  ASSERT_TRUE(proxy) << error_of(proxy);
  const uint32_t four = proxy->call("open_first", {Arg::text("four")})->handle(1);
  ASSERT_TRUE(proxy->prepare());
  ASSERT_TRUE(proxy->rotate());
  EXPECT_TRUE(eventually([&] { return number(*proxy, "get", {four}) == 4 && proxy->counters().rotations == 1; }));
  EXPECT_EQ(number(*proxy, "write", {four, 10}), 14) << "a wrong line: it is a build";
  ASSERT_TRUE(proxy->rotate());
  EXPECT_TRUE(eventually([&] { return number(*proxy, "get", {four}) == 14 && proxy->counters().warmups_failed > 0; }));
  EXPECT_NE(proxy->counters().last_problem.find("measure"), std::string::npos) << proxy->counters().last_problem;
  EXPECT_EQ(proxy->counters().rotations, 1u);
}

TEST(CGuest, WhatItFillsIsGivenByAnInstanceThatIsRetired) {
  ExportPlan plan{.name = "f", .type = {{ValType::i32}, {ValType::i64}}};
  plan.filled = {0};
  plan.results = {ResultKind::scalar, ResultKind::scalar};
  auto reply = Recorder::plain_reply(plan, RawReply{.values = {UINT64_C(1) << 40, 7}});
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->values[0].i64(), INT64_C(1) << 40);
  EXPECT_EQ(reply->i32(1), 7);
}

TEST(CGuest, AnOutHandleThatIsNullIsNone) {
  Guests guests;
  auto proxy = guests.proxy(replay("open = { effect = \"build\", args = [\"cstring\", \"out_handle\"] }"));
  auto failed = proxy->call("open", {Arg::text("")});
  ASSERT_TRUE(failed) << error_of(failed);
  EXPECT_EQ(failed->i32(), 5);
  EXPECT_EQ(failed->handle(1), 0u) << "it was zero before the call";
}

std::string checkpoint(std::string_view allowed, std::string_view more) {
  return "mode = \"checkpoint\"\n" + std::string(kAllocator) + "[checkpoint]\ncpu = 1\n[allow]\n" +
         std::string(allowed) + std::string(kExports) + std::string(more);
}

TEST(CGuest, WhatItFillsIsHeld) {
  Guests guests;
  auto proxy = guests.proxy(checkpoint(R"(
open = "held"
open_as_number = "held"
get = "value"
lent = "value"
measure = "held"
length = "value"
)",
                                       R"(
open = { args = ["cstring", "out_handle"], results = ["scalar"] }
open_as_number = { export = "open", args = ["cstring", "out"] }
)"));
  ASSERT_TRUE(proxy) << error_of(proxy);
  EXPECT_EQ(number(*proxy, "length", {Arg::text("ab")}), 2);
  EXPECT_EQ(proxy->counters().checkpoints, 1u);
  const uint32_t four = proxy->call("open", {Arg::text("four")})->handle(1);
  EXPECT_LT(four, 1u << 20) << "a pointer";
  EXPECT_EQ(proxy->counters().held, 1u);
  EXPECT_EQ(proxy->call("open", {Arg::text("")})->i32(), 5);
  EXPECT_EQ(proxy->counters().held, 1u) << "5 is said to be a number";
  EXPECT_EQ(proxy->call("measure", {four})->i32(1), 16);
  EXPECT_EQ(proxy->call("open_as_number", {Arg::text("x")})->i32(), 0);
  EXPECT_EQ(proxy->counters().held, 1u) << "so is what `out` is filled with";
  ASSERT_TRUE(proxy->rotate());
  EXPECT_EQ(number(*proxy, "get", {four}), 4);
  EXPECT_EQ(proxy->counters().rotations, 0u);
  ASSERT_TRUE(proxy->call("close", {four}));
  EXPECT_EQ(proxy->counters().held, 0u);
  EXPECT_EQ(number(*proxy, "lent"), 0) << "what `open_as_number` made is gone, too";
  EXPECT_EQ(proxy->counters().rotations, 1u);
  EXPECT_FALSE(proxy->counters().checkpoint_stale);
}

TEST(CGuest, TheAllocatorThatIsNamedIsKnownToRawCalls) {
  Guests guests;
  auto proxy = guests.proxy(checkpoint("lent = \"value\"\n", ""));
  ASSERT_TRUE(proxy) << error_of(proxy);
  number(*proxy, "lent");
  {
    auto lease = proxy->acquire();
    const Value pointer = (*lease->raw("m", {16}))[0];
    EXPECT_EQ(proxy->counters().held, 1u);
    ASSERT_TRUE(lease->raw("f", {pointer}));
  }
  EXPECT_EQ(proxy->counters().held, 0u);
  EXPECT_FALSE(proxy->counters().checkpoint_stale);
}

constexpr std::string_view kTwoRoles = R"(
read = { export = "run", effect = "query", args = ["handle", "scalar"] }
write = { export = "run", effect = "build", args = ["handle", "scalar"] }
)";

TEST(CGuest, AnExportHasTwoRolesInReplay) {
  Guests guests;
  auto proxy = guests.proxy(
      replay("open = { effect = \"build\", args = [\"cstring\", \"out_handle\"] }" + std::string(kTwoRoles)));
  ASSERT_TRUE(proxy) << error_of(proxy);
  const uint32_t four = proxy->call("open", {Arg::text("four")})->handle(1);
  EXPECT_EQ(number(*proxy, "write", {four, 10}), 14);
  EXPECT_EQ(number(*proxy, "read", {four, 0}), 14);
  EXPECT_EQ(number(*proxy, "read", {four, 100}), 114) << "a wrong role: it is not recorded";
  EXPECT_EQ(proxy->counters().log_calls, 2u);
  ASSERT_TRUE(proxy->rotate());
  EXPECT_TRUE(eventually([&] { return number(*proxy, "read", {four, 0}) == 14 && proxy->counters().rotations == 1; }));
  auto typed = proxy->get_typed<int32_t(uint32_t, int32_t)>("read");
  ASSERT_TRUE(typed) << error_of(typed);
  EXPECT_EQ(*(*typed)(four, 0), 14);
  EXPECT_EQ(*(*typed)(four, 0), 14);
}

TEST(CGuest, AnExportHasTwoRolesWithCheckpoints) {
  Guests guests;
  auto proxy =
      guests.proxy(checkpoint("read = \"value\"\n", "read = { export = \"run\" }\nwrite = { export = \"run\" }"));
  ASSERT_TRUE(proxy) << error_of(proxy);
  uint32_t object = 0;
  {
    auto lease = proxy->acquire();
    object = static_cast<uint32_t>((*lease->raw("m", {16}))[0].i32());
    ASSERT_TRUE(lease->raw("write", {static_cast<int32_t>(object), 2}));
    EXPECT_EQ(proxy->counters().stale_by, "write 1");
  }
  number(*proxy, "read", {object, 0});
  EXPECT_EQ(proxy->counters().state_changes, 1u);
}

TEST(CGuest, ExplainsOtherNames) {
  Guests guests;
  auto policy = Policy::parse_toml("[exports]\n" + std::string(kTwoRoles), "p.toml");
  ASSERT_TRUE(policy) << error_of(policy);
  const Engine engine = *Engine::create();
  auto explained = policy->explain(*Module::compile(engine, wasm::test::assemble(kModule)));
  ASSERT_TRUE(explained) << error_of(explained);
  const ExplainedExport& last = explained->exports.back();
  EXPECT_EQ(last.name, "write");
  EXPECT_EQ(last.export_name, "run");
  EXPECT_EQ(last.rule, "p.toml:4 write");
  EXPECT_EQ(explained->exports.front().export_name, "m");
}

TEST(CGuestPolicy, OtherNames) {
  Guests guests;
  EXPECT_EQ(guests.error("a = { export = \"rum\" }"), "p.toml:5: no export \"rum\"; did you mean \"run\"?");
  EXPECT_EQ(guests.error("a = { export = \"table\" }"), "p.toml:5: export \"table\" is a table, not a function");
  EXPECT_EQ(guests.error("get = { export = \"run\" }"),
            "p.toml:5: \"get\" can't be another name for \"run\": something else has it");
  EXPECT_EQ(guests.error("memory = { export = \"run\" }"),
            "p.toml:5: \"memory\" can't be another name for \"run\": something else has it");
  EXPECT_EQ(guests.error("\"a*\" = { export = \"run\" }"),
            "p.toml:5: \"a*\" is a glob: it can't be another name for \"run\"");
  EXPECT_EQ(guests.error("a = { export = \"run\" }\nb = { export = \"a\" }"),
            "p.toml:6: no export \"a\"; did you mean \"m\"?");
  EXPECT_EQ(guests.error("a = { export = 1 }"), "p.toml:5: export must be a text");
  EXPECT_EQ(guests.error("a = { exprot = \"run\" }"), "p.toml:5: unknown key \"exprot\"; did you mean \"export\"?");
}

TEST(CGuestPolicy, Arguments) {
  Guests guests;
  EXPECT_EQ(guests.error("run = { args = [\"cstring\"] }"),
            "p.toml:5: run: arguments stand for 1 wasm values, there are 2 in [i32 i32] -> [i32]");
  EXPECT_EQ(guests.error("run = { args = [\"text\", \"out\"] }"),
            "p.toml:5: run: arguments stand for 3 wasm values, there are 2 in [i32 i32] -> [i32]");
  EXPECT_EQ(guests.error("wide = { args = [\"out\"] }"),
            "p.toml:5: wide: argument 1 must be i32, it is i64 in [i64] -> []");
  EXPECT_EQ(guests.error("wide = { args = [\"cstring\"] }"),
            "p.toml:5: wide: argument 1 must be i32, it is i64 in [i64] -> []");
  EXPECT_EQ(guests.error("odd = { args = [\"out\"], results = [\"error\"] }"),
            "p.toml:5: odd: has an `error` result, and arguments that the guest fills: not both");
  EXPECT_EQ(guests.error("measure = { effect = \"build\", args = [\"out\", \"handle\", \"out\"], key = [1] }"),
            "p.toml:5: measure: `key` names argument 1, counted from 0, but there are 1");
  EXPECT_EQ(guests.error("length = { args = [\"cstrng\"] }"),
            "p.toml:5: args = \"cstrng\" is unknown; did you mean \"cstring\"?");
}

TEST(CGuestPolicy, Probes) {
  Guests guests;
  auto error = [&](std::string_view probe) { return error_of(guests.proxy(replay("[probe]\n") + std::string(probe))); };
  EXPECT_EQ(error("length = [\"a\\u0000b\"]").substr(11),
            "probe length: argument 1 has a NUL in it, which would end the text");
  EXPECT_EQ(error("total = [\"a\"]").substr(11), "probe total: argument 1 must be a count_vector (i32), not a text");
  EXPECT_EQ(error("length = [[1]]").substr(11), "probe length: argument 1 must be a cstring (i32), not a list");
}

TEST(CGuestPolicy, Allocators) {
  Guests guests;
  auto error = [&](std::string_view text) { return error_of(guests.proxy(std::string(text))); };
  EXPECT_EQ(error("[exports]\nlength = { args = [\"cstring\"] }"),
            "p.toml:2: length: passes bytes or vectors, but the module exports no malloc (name the guest's under "
            "[allocator])");
  EXPECT_EQ(error("[allocator]\nmalloc = \"m\"\n[exports]\nmeasure = { args = [\"out\", \"handle\", \"out\"] }"),
            "p.toml:4: measure: passes bytes or vectors, but the module exports no free (name the guest's under "
            "[allocator])");
  EXPECT_EQ(error("[allocator]\nmalloc = \"mm\""),
            "p.toml: malloc of the allocator: no exported function \"mm\"; did you mean \"m\"?");
  EXPECT_EQ(error("[allocator]\nfree = \"m\""),
            "p.toml: free of the allocator: m must be [i32] -> [], it is [i32] -> [i32]");
  EXPECT_EQ(error("[allocator]\nmaloc = \"m\""), "p.toml:2: unknown key \"maloc\"; did you mean \"malloc\"?");
  EXPECT_EQ(error("[allocator]\nfree = 1"), "p.toml:2: free must be a text");
  EXPECT_EQ(error("allocator = 1"), "p.toml:1: \"allocator\" must be a table");
}

TEST(CGuestPolicy, TextIsForGuestsWhoseTextsTheProxyFrees) {
  TestGuests guests;
  auto policy = Policy::parse_toml("preset = \"wasm-bindgen\"\n[exports]\npack = { args = [\"text\"] }", "p.toml");
  EXPECT_EQ(
      error_of(policy->check(guests.module())),
      "p.toml:3: pack: takes `text` or a `cstring`: those are for preset = \"plain\", for such a guest would free "
      "them without their NUL");
}

}  // namespace
}  // namespace rotor::proxy
