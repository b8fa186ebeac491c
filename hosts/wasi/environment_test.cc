// What an environment is made of, and what does not need files: arguments, streams, clocks, random bytes, ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "hosts/wasi/testing/guest.h"

namespace rotor::wasi {
namespace {

using test::Folder;
using test::Guest;

std::string build_error(Builder& builder) {
  auto built = builder.build();
  return built ? "built" : std::string(to_string(built.error().kind)) + ": " + built.error().message;
}

TEST(Environment, ArgumentsAndVariables) {
  Builder builder;
  Guest g(builder.args({"prog", "", "é"}).env("A", "1").env("B", "x=y").env("A", "2"));
  ASSERT_EQ(g("args_sizes_get", 16, 20), Errno::success);
  EXPECT_EQ(g.load<uint32_t>(16), 3u);
  ASSERT_EQ(g.load<uint32_t>(20), 9u);
  ASSERT_EQ(g("args_get", 32, 64), Errno::success);
  EXPECT_EQ(g.bytes(64, 9), std::string("prog\0\0é\0", 9));
  EXPECT_EQ(g.load<uint32_t>(36), 69u);
  ASSERT_EQ(g("environ_sizes_get", 16, 20), Errno::success);
  EXPECT_EQ(g.load<uint32_t>(16), 2u);
  ASSERT_EQ(g("environ_get", 32, 64), Errno::success);
  EXPECT_EQ(g.bytes(64, g.load<uint32_t>(20)), std::string("A=2\0B=x=y\0", 10));
  // The last byte that does not fit is one too many.
  const auto end = static_cast<uint32_t>(g.memory().size_bytes());
  EXPECT_EQ(g("args_get", 32, end - 8), Errno::fault);
  EXPECT_EQ(g("args_get", 32, end - 9), Errno::success);
  EXPECT_EQ(g("args_get", end - 11, 64), Errno::fault);
}

TEST(Environment, WhatCanNotBeBuiltIsSaid) {
  using namespace std::string_literals;
  Folder folder;
  folder.file("file", "x");
  EXPECT_EQ(build_error(Builder().args({"a\0b"s})), "invalid argument: the arguments hold a NUL: a\\u{0}b");
  EXPECT_EQ(build_error(Builder().env("A=B", "x")), "invalid argument: \"A=B\" is no name of a variable");
  EXPECT_EQ(build_error(Builder().env("", "x")), "invalid argument: \"\" is no name of a variable");
  EXPECT_EQ(build_error(Builder().folder(folder.path("no"), "/")),
            "not found: folder " + folder.path("no") + ": No such file or directory");
  EXPECT_EQ(build_error(Builder().folder(folder.path("file"), "/")),
            "not found: folder " + folder.path("file") + ": Not a directory");
  EXPECT_EQ(build_error(Builder().folder(::open(folder.path("file").c_str(), O_RDONLY), "/data")),
            "invalid argument: what is to be the folder /data is none");
  EXPECT_EQ(build_error(Builder().descriptor(1'000'000)), "invalid argument: descriptor 1000000 is none that is open");
  EXPECT_EQ(build_error(Builder().max_descriptors(3).folder(folder.path(), "/")),
            "limit: more descriptors than the 3 that may be open at once");
  EXPECT_EQ(build_error(Builder().args({std::string(kMaxStringsBytes, 'x')})),
            "limit: the arguments have 67108865 bytes, of 67108864 that they may have");
  Builder twice;
  EXPECT_EQ(build_error(twice), "built");
  EXPECT_EQ(build_error(twice), "invalid argument: the builder has built its environment already");
}

TEST(Environment, StreamsOfTheEmbedder) {
  auto out = std::make_shared<Buffer>(10);
  std::string errors;
  Builder builder;
  builder.standard_in(Input::bytes("hello")).standard_out(Output::buffer(out));
  builder.standard_error(Output::function([&](std::span<const uint8_t> bytes) -> Result<size_t> {
    errors.append(bytes.begin(), bytes.end());
    return bytes.size();
  }));
  Guest g(builder);
  EXPECT_EQ(g.read(0, 3), Errno::success);
  EXPECT_EQ(g.text(), "hel");
  EXPECT_EQ(g.read(0), Errno::success);
  EXPECT_EQ(g.text(), "lo");
  EXPECT_EQ(g.read(0), Errno::success);
  EXPECT_EQ(g.text(), "");
  EXPECT_EQ(g.write(1, "12345678"), Errno::success);
  EXPECT_EQ(g.write(1, "abcd"), Errno::success);
  EXPECT_EQ(g.result(), 2u) << "what there was room for";
  EXPECT_EQ(g.write(1, "e"), Errno::nospc);
  EXPECT_EQ(out->contents(), "12345678ab");
  EXPECT_EQ(g.write(2, "oh"), Errno::success);
  EXPECT_EQ(errors, "oh");
  // Each is for one direction, and no file.
  EXPECT_EQ(g.read(1), Errno::notcapable);
  EXPECT_EQ(g.write(0, "x"), Errno::notcapable);
  EXPECT_EQ(g("fd_seek", 1, 0, 0, Guest::kResult), Errno::notcapable);
  EXPECT_EQ(g("fd_filestat_get", 1, Guest::kBuffer), Errno::success);
  EXPECT_EQ(g("fd_close", 1), Errno::success);
  EXPECT_EQ(g.write(1, "x"), Errno::badf);
}

TEST(Environment, StreamsThatFailOrLie) {
  Builder builder;
  builder.standard_in(Input::function([](std::span<uint8_t> bytes) -> Result<size_t> { return bytes.size() + 1; }));
  builder.standard_out(
      Output::function([](std::span<const uint8_t>) -> Result<size_t> { throw std::runtime_error("no"); }));
  builder.standard_error(
      Output::function([](std::span<const uint8_t>) -> Result<size_t> { return rotor::fail(ErrorKind::io, "gone"); }));
  Guest g(builder);
  EXPECT_EQ(g.read(0), Errno::io);
  EXPECT_EQ(g.write(1, "x"), Errno::io);
  EXPECT_EQ(g.write(2, "x"), Errno::io);
}

TEST(Environment, NothingByDefault) {
  Builder builder;
  Guest g(builder);
  EXPECT_EQ(g.read(0), Errno::success);
  EXPECT_EQ(g.text(), "");
  EXPECT_EQ(g.write(1, "x"), Errno::success);
  EXPECT_EQ(g.write(2, "x"), Errno::success);
  EXPECT_EQ(g("fd_prestat_get", 3, Guest::kResult), Errno::badf);
  EXPECT_EQ(g("args_sizes_get", 16, 20), Errno::success);
  EXPECT_EQ(g.load<uint64_t>(16), 0u);
}

TEST(Environment, ProcExitIsAValue) {
  Builder builder;
  Environment environment = builder.build().value();
  Guest g(environment);
  EXPECT_FALSE(environment.exit_code());
  auto ended = g.try_call("proc_exit", 77);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind, ErrorKind::host);
  EXPECT_EQ(ended.error().message, "the guest ended with exit code 77");
  EXPECT_EQ(environment.exit_code(), 77u);
  environment.clear_exit_code();
  EXPECT_FALSE(environment.exit_code());
  ASSERT_FALSE(g.try_call("proc_exit", 0xFFFFFFFF));
  EXPECT_EQ(environment.exit_code(), 0xFFFFFFFF);
}

TEST(Environment, ProcRaise) {
  Builder builder;
  Environment environment = builder.build().value();
  Guest g(environment);
  constexpr int kAbrt = 6, kChld = 16, kStop = 18, kWinch = 27;
  EXPECT_EQ(g("proc_raise", 0), Errno::success);
  EXPECT_EQ(g("proc_raise", kChld), Errno::success);
  EXPECT_EQ(g("proc_raise", kWinch), Errno::success);
  EXPECT_EQ(g("proc_raise", kStop), Errno::notsup);
  EXPECT_EQ(g("proc_raise", 31), Errno::inval);
  EXPECT_EQ(g("proc_raise", 0xFFFFFFFF), Errno::inval);
  EXPECT_FALSE(environment.exit_code());
  auto ended = g.try_call("proc_raise", kAbrt);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().message, "the guest raised signal 6");
  EXPECT_EQ(environment.exit_code(), 134u);
}

TEST(Environment, ClocksOfTheSystem) {
  Builder builder;
  Guest g(builder);
  uint64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(g("clock_time_get", 1, 0, Guest::kResult), Errno::success);
    EXPECT_GE(g.load<uint64_t>(Guest::kResult), last);
    last = g.load<uint64_t>(Guest::kResult);
  }
  EXPECT_GT(last, 0u);
  for (uint32_t id = 0; id < 4; ++id) {
    EXPECT_EQ(g("clock_time_get", id, 0, Guest::kResult), Errno::success);
    EXPECT_EQ(g("clock_res_get", id, Guest::kResult), Errno::success);
    EXPECT_GT(g.load<uint64_t>(Guest::kResult), 0u);
  }
  EXPECT_EQ(g("clock_time_get", 4, 0, Guest::kResult), Errno::inval);
  EXPECT_EQ(g("clock_res_get", 4, Guest::kResult), Errno::inval);
  EXPECT_EQ(g("clock_time_get", 0, 0, g.memory().size_bytes() - 7), Errno::fault);
}

/// Asks for all that differs from run to run.
std::string run_deterministic(uint64_t seed) {
  Builder builder;
  Guest g(builder.deterministic(seed));
  std::string all;
  for (uint32_t id : {0, 1, 2, 3, 1}) {
    EXPECT_EQ(g("clock_time_get", id, 0, Guest::kResult), Errno::success);
    all += g.bytes(Guest::kResult, 8);
  }
  EXPECT_EQ(g("random_get", Guest::kBuffer, 1000), Errno::success);
  all += g.bytes(Guest::kBuffer, 1000);
  // Sleeps for a year.
  Subscription sleep{};
  sleep.type = EventType::clock;
  sleep.clock.id = 1;
  sleep.clock.timeout_ns = UINT64_C(365) * 24 * 3600 * 1'000'000'000;
  g.store(2048, sleep);
  EXPECT_EQ(g("poll_oneoff", 2048, 4096, 1, Guest::kResult), Errno::success);
  EXPECT_EQ(g.result(), 1u);
  EXPECT_EQ(g("clock_time_get", 0, 0, Guest::kResult), Errno::success);
  EXPECT_GT(g.load<uint64_t>(Guest::kResult), sleep.clock.timeout_ns);
  return all + g.bytes(Guest::kResult, 8);
}

TEST(Environment, DeterministicRunsAreTheSame) {
  EXPECT_EQ(run_deterministic(1), run_deterministic(1));
  EXPECT_NE(run_deterministic(1), run_deterministic(2));
}

TEST(Environment, RandomBytes) {
  Builder builder;
  Guest g(builder);
  EXPECT_EQ(g("random_get", Guest::kBuffer, 32), Errno::success);
  const std::string first = g.bytes(Guest::kBuffer, 32);
  EXPECT_EQ(g("random_get", Guest::kBuffer, 32), Errno::success);
  EXPECT_NE(g.bytes(Guest::kBuffer, 32), first);
  EXPECT_EQ(g("random_get", 0, 0), Errno::success);
  const auto size = static_cast<uint32_t>(g.memory().size_bytes());
  EXPECT_EQ(g("random_get", size - 8, 9), Errno::fault);
  EXPECT_EQ(g("random_get", 8, 0xFFFFFFFF), Errno::fault);
  // The same bytes, in whichever pieces.
  auto all = seeded_random(7), pieces = seeded_random(7);
  uint8_t a[10], b[10];
  ASSERT_TRUE(all(a));
  ASSERT_TRUE(pieces(std::span(b).first(3)));
  ASSERT_TRUE(pieces(std::span(b).subspan(3)));
  EXPECT_TRUE(std::equal(a, a + 10, b));
  Builder failing;
  failing.random([](std::span<uint8_t>) -> Result<void> { return rotor::fail(ErrorKind::io, "none"); });
  Guest poor(failing);
  EXPECT_EQ(poor("random_get", Guest::kBuffer, 1), Errno::io);
}

Result<bool> uses_wasi(std::string_view imports) {
  static Engine engine = Engine::create().value();
  const std::string text = "(module " + std::string(imports) + ")";
  return uses(Module::compile(engine, wasm::test::assemble(text)).value());
}

TEST(Environment, OtherWasisAreRefusedByName) {
  EXPECT_EQ(uses_wasi("(import \"env\" \"f\" (func))").value(), false);
  EXPECT_EQ(uses_wasi("(import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32)))").value(), true);
  auto message = [](std::string_view imports) { return uses_wasi(imports).error().message; };
  EXPECT_EQ(message("(import \"wasi_unstable\" \"fd_write\" (func))"),
            "wasi_unstable.fd_write: WASI preview 0, whose types differ: build the module for wasi_snapshot_preview1");
  EXPECT_EQ(message("(import \"wasi:io/streams@0.2.0\" \"f\" (func))"),
            "wasi:io/streams@0.2.0.f: not WASI preview 1, the only one that there is here");
  EXPECT_EQ(message("(import \"wasi_snapshot_preview1\" \"fd_wriet\" (func))"),
            "wasi_snapshot_preview1.fd_wriet: WASI preview 1 has no such function");
}

TEST(Environment, CommandsAndReactors) {
  Engine engine = Engine::create().value();
  auto run = [&](std::string_view body) {
    Environment environment = Builder().build().value();
    Linker linker(engine);
    define(linker, environment);
    const std::string text =
        "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))" + std::string(body) + ")";
    Module module = Module::compile(engine, wasm::test::assemble(text)).value();
    Instance instance = linker.instantiate(module).value();
    EXPECT_TRUE(initialize_reactor(instance));
    auto code = run_command(instance, environment);
    return code ? std::to_string(*code) : code.error().message;
  };
  EXPECT_EQ(run("(func (export \"_start\"))"), "0");
  EXPECT_EQ(run("(func (export \"_start\") (call $exit (i32.const 3)) unreachable)"), "3");
  EXPECT_EQ(run("(func (export \"_start\") unreachable)"), "unreachable");
  EXPECT_EQ(run("(func (export \"_initialize\"))"), "no export \"_start\"");
  EXPECT_EQ(run("(global $n (mut i32) (i32.const 0)) (func (export \"_initialize\") (global.set $n (i32.const 5)))"
                "(func (export \"_start\") (call $exit (global.get $n)))"),
            "5");
}

}  // namespace
}  // namespace rotor::wasi
