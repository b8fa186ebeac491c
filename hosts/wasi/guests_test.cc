// Descriptors across rotations: they are the environment's, and a rewind makes them what they were at the checkpoint.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

#include "hosts/wasi/testing/guest.h"
#include "rotor/proxy.h"

namespace rotor::wasi {
namespace {

// The name of a file is one letter; files lie below descriptor 3. What fails returns -1. Addresses are high enough for
// the proxy to take them for pointers.
const std::vector<uint8_t> kGuest = wasm::test::assemble(R"(
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 1 40)
  (data (i32.const 4112) "\20\10\00\00\01\00\00\00")
  (global $kept (mut i32) (i32.const -1))
  (global $heap (mut i32) (i32.const 8192))
  (func $open (export "open") (param $name i32) (result i32)
    (i32.store8 (i32.const 4096) (local.get $name))
    (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 4096) (i32.const 1) (i32.const 1) (i64.const 0x46)
                         (i64.const 0) (i32.const 0) (i32.const 4104))
      (then (return (i32.const -1))))
    (i32.load (i32.const 4104)))
  (func $close (export "close") (param i32) (result i32)
    (i32.sub (i32.const 0) (i32.ne (call $fd_close (local.get 0)) (i32.const 0))))
  (func (export "keep") (param i32) (result i32) (global.set $kept (call $open (local.get 0))) (global.get $kept))
  (func $write (export "write") (param $fd i32) (param $byte i32) (result i32)
    (i32.store8 (i32.const 4128) (local.get $byte))
    (i32.sub (i32.const 0)
      (i32.ne (call $fd_write (local.get $fd) (i32.const 4112) (i32.const 1) (i32.const 4104)) (i32.const 0))))
  (func (export "write_kept") (param i32) (result i32) (call $write (global.get $kept) (local.get 0)))
  (func (export "read") (param $fd i32) (result i32)
    (if (call $fd_read (local.get $fd) (i32.const 4112) (i32.const 1) (i32.const 4104)) (then (return (i32.const -1))))
    (if (result i32) (i32.load (i32.const 4104)) (then (i32.load8_u (i32.const 4128))) (else (i32.const -2))))
  ;; Reads a byte to where its data lies, and keeps it: $at is where a standby may have its heap elsewhere.
  (func (export "learn") (param $fd i32) (result i32)
    (i32.store (i32.const 4160) (global.get $heap))
    (i32.store (i32.const 4164) (i32.const 1))
    (drop (call $fd_read (local.get $fd) (i32.const 4160) (i32.const 1) (i32.const 4104)))
    (i32.load8_u (global.get $heap)))
  ;; Has the size of what was listed put where its data lies. The buffer's size is the address that this once was.
  (func (export "learn_size") (result i32)
    (drop (call $fd_readdir (i32.const 3) (i32.const 16384) (i32.const 8256) (i64.const 0) (global.get $heap)))
    (i32.load (global.get $heap)))
  (func (export "learned_size") (result i32) (i32.load (global.get $heap)))
  (func (export "move_heap") (result i32)
    (global.set $heap (i32.add (global.get $heap) (i32.const 64))) (global.get $heap))
  (func (export "drop_heap") (param i32))
  ;; Reads nothing into 1,024 pieces, again and again.
  (func (export "flood") (param $times i32)
    (loop $next
      (drop (call $fd_read (global.get $kept) (i32.const 16384) (i32.const 1024) (i32.const 4104)))
      (br_if $next (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
  (func (export "learned") (result i32) (i32.load8_u (global.get $heap)))
  (func (export "look") (param i32) (result i32) (call $close (call $open (local.get 0))))
  (func (export "exchange_and_trap") (param i32)
    (drop (call $write (global.get $kept) (i32.const 0x21)))
    (drop (call $close (global.get $kept)))
    (drop (call $open (local.get 0)))
    (drop (call $open (local.get 0)))
    unreachable)
  (func (export "leak") (param i32) (result i32) (memory.grow (local.get 0))))
)");

class WasiGuests : public testing::Test {
 protected:
  Proxy make(RotationMode mode, Input input = Input::none(), std::optional<MemoryFolder> memory = {}) {
    Builder builder;
    if (memory)
      builder.folder(*memory, "/");
    else
      builder.folder(folder_.path(), "/");
    builder.standard_in(std::move(input));
    environment_ = builder.build().value();
    Linker linker(engine_);
    define(linker, *environment_);
    Policy policy;
    policy.mode = mode;
    policy.memory_limit_bytes = 40 * Memory::kPageBytes;
    policy.at_swap = AtSwap::wait;
    for (const char* name : {"open", "close", "write", "write_kept", "read", "look", "leak", "exchange_and_trap"}) {
      policy.allow.push_back({.name = name, .results = Returned::value});
      if (mode == RotationMode::replay) policy.exports.push_back({.name = name, .effect = Effect::query});
    }
    if (mode == RotationMode::replay) {
      policy.allow.clear();
      for (const char* name : {"learned", "learned_size"})
        policy.exports.push_back({.name = name, .effect = Effect::query});
      policy.exports.push_back(
          {.name = "move_heap", .effect = Effect::build, .local = true, .results = std::vector{ResultKind::handle}});
      policy.exports.push_back(
          {.name = "drop_heap", .effect = Effect::release, .args = std::vector{ArgKind::consumed}});
    }
    if (mode == RotationMode::checkpoint)
      policy.checkpoint.grown = 1, policy.checkpoint.cpu = 1;  // a checkpoint is always due
    auto proxy = Proxy::create(module_, guests(linker.instantiate_pre(module_).value(), *environment_), policy);
    test::must(proxy.has_value(), proxy ? "" : proxy.error().to_string());
    return std::move(*proxy);
  }
  static int32_t call(Proxy& proxy, const char* name, int32_t a) {
    auto reply = proxy.call(name, {a});
    EXPECT_TRUE(reply) << reply.error().to_string();
    return reply ? reply->i32() : -100;
  }
  static int32_t write(Proxy& proxy, int32_t fd, char byte) { return proxy.call("write", {fd, int32_t{byte}})->i32(); }
  /// Fills the memory, so that the next lease begins on another instance, if it may.
  static void leak(Proxy& proxy) { call(proxy, "leak", 37); }
  /// Opens "a" as number 4, and writes "xyz!" to it, with an exchange behind each of the first three.
  static void write_across_exchanges(Proxy& proxy) {
    EXPECT_EQ(call(proxy, "keep", 'a'), 4);
    EXPECT_EQ(call(proxy, "look", 'a'), 0);
    for (char byte : {'x', 'y', 'z'}) {
      EXPECT_EQ(call(proxy, "write_kept", byte), 0);
      EXPECT_EQ(call(proxy, "look", 'a'), 0);  // is followed by a checkpoint, of the new position
      leak(proxy);
    }
    EXPECT_EQ(call(proxy, "write_kept", '!'), 0);
  }

  test::Folder folder_;
  Engine engine_ = Engine::create().value();
  Module module_ = Module::compile(engine_, kGuest).value();
  std::optional<Environment> environment_;
};

TEST_F(WasiGuests, WhatIsOpenStaysOpenInBothModes) {
  for (RotationMode mode : {RotationMode::checkpoint, RotationMode::replay}) {
    folder_.file("a", "..........");
    Proxy proxy = make(mode);
    write_across_exchanges(proxy);
    EXPECT_EQ(folder_.contents("a"), "xyz!......");
    EXPECT_EQ(proxy.counters().rotations, 3u) << proxy.counters().last_problem << proxy.counters().off_reason;
    EXPECT_EQ(environment_->open_descriptors(), 5u);
  }
}

/// A build that reads: its data comes from the log, and goes to where the standby's own pointer leads. That is
/// elsewhere, since what moved the active's is not replayed.
TEST_F(WasiGuests, WhatABuildReadComesFromTheLog) {
  folder_.file("a", "once");
  Proxy proxy = make(RotationMode::replay);
  auto heap = proxy.call("move_heap");
  ASSERT_TRUE(heap) << heap.error().to_string();
  ASSERT_TRUE(proxy.call("drop_heap", {heap->handle()}));
  EXPECT_EQ(call(proxy, "keep", 'a'), 4);
  EXPECT_EQ(call(proxy, "learn", 4), 'o');
  EXPECT_EQ(call(proxy, "learn", 4), 'n');
  leak(proxy);  // the next lease waits for the standby
  EXPECT_EQ(proxy.call("learned")->i32(), 'n');
  EXPECT_EQ(proxy.counters().rotations, 1u) << proxy.counters().last_problem << proxy.counters().off_reason;
  EXPECT_EQ(proxy.counters().divergences, 0u) << proxy.counters().last_problem;
  EXPECT_EQ(call(proxy, "read", 4), 'c') << "the replay read nothing";
}

/// A size that is also an address of the active's: the answer goes to where the standby's own pointer leads all the
/// same.
TEST_F(WasiGuests, ASizeIsNoPointer) {
  folder_.file("a", "");
  Proxy proxy = make(RotationMode::replay);
  auto heap = proxy.call("move_heap");
  ASSERT_TRUE(heap) << heap.error().to_string();
  ASSERT_TRUE(proxy.call("drop_heap", {heap->handle()}));
  const int32_t size = proxy.call("learn_size")->i32();
  EXPECT_EQ(size, 3 * static_cast<int32_t>(sizeof(DirectoryEntry)) + 4) << "., .. and a";
  leak(proxy);
  EXPECT_EQ(proxy.call("learned_size")->i32(), size);
  EXPECT_EQ(proxy.counters().rotations, 1u) << proxy.counters().last_problem << proxy.counters().off_reason;
}

/// All 46, by their signatures: only arguments that are pointers are taken for such.
TEST_F(WasiGuests, EachSignatureIsKnownToTheLog) {
  const auto explained = Policy().explain(test::Compiled::get().module);
  ASSERT_TRUE(explained) << explained.error().to_string();
  ASSERT_EQ(explained->imports.size(), 46u);
  std::map<std::string, std::string> kinds;
  for (const ExplainedImport& import : explained->imports) {
    std::string& of = kinds[import.name.substr(import.name.find('.') + 1)];
    for (ImportArg arg : import.args) of += arg == ImportArg::pointer ? 'p' : 's';
  }
  for (auto [name, wanted] : {std::pair("fd_read", "spsp"),
                              {"fd_pwrite", "spssp"},
                              {"path_open", "sspsssssp"},
                              {"path_readlink", "spspsp"},
                              {"path_symlink", "pssps"},
                              {"poll_oneoff", "ppsp"},
                              {"random_get", "ps"},
                              {"sock_recv", "spsspp"},
                              {"proc_exit", "s"},
                              {"sched_yield", ""}})
    EXPECT_EQ(kinds[name], wanted) << name;
  for (const auto& [name, of] : kinds)
    if (!name.starts_with("args_") && !name.starts_with("environ_") && !of.empty()) {
      EXPECT_TRUE(of.contains('s')) << name << " is not known";
    }
}

/// What was written by a function that then failed is in the log as well.
TEST_F(WasiGuests, WhatAFailedReadLeftComesFromTheLog) {
  int calls = 0;
  Proxy proxy = make(RotationMode::replay, Input::function([&](std::span<uint8_t> bytes) -> Result<size_t> {
                       bytes[0] = 'x';
                       ++calls;
                       return rotor::fail(ErrorKind::io, "gone");
                     }));
  EXPECT_EQ(call(proxy, "learn", 0), 'x');
  leak(proxy);
  EXPECT_EQ(proxy.call("learned")->i32(), 'x');
  EXPECT_EQ(proxy.counters().rotations, 1u) << proxy.counters().last_problem << proxy.counters().off_reason;
  EXPECT_EQ(calls, 1) << "the replay asked nobody";
}

TEST_F(WasiGuests, ACallThatAsksWithoutEndFillsNoLog) {
  folder_.file("a", "once");
  Proxy proxy = make(RotationMode::replay);
  EXPECT_EQ(call(proxy, "keep", 'a'), 4);
  EXPECT_TRUE(proxy.call("flood", {100}));
  EXPECT_TRUE(proxy.counters().rotating) << proxy.counters().off_reason;
  EXPECT_TRUE(proxy.call("flood", {1000}));
  EXPECT_FALSE(proxy.counters().rotating);
  EXPECT_NE(proxy.counters().off_reason.find("answered one call with more than 64 MiB"), std::string::npos)
      << proxy.counters().off_reason;
  EXPECT_EQ(call(proxy, "write_kept", 'x'), 0) << "it goes on";
}

TEST_F(WasiGuests, WhatIsClosedAgainLeavesNothingBehind) {
  folder_.file("a", "");
  Proxy proxy = make(RotationMode::checkpoint);
  EXPECT_EQ(call(proxy, "keep", 'a'), 4);
  for (uint64_t n = 1; n <= 3; n++) {
    EXPECT_EQ(call(proxy, "look", 'a'), 0);
    EXPECT_FALSE(proxy.counters().checkpoint_stale);
    leak(proxy);
    EXPECT_EQ(call(proxy, "look", 'a'), 0);
    EXPECT_EQ(proxy.counters().rotations, n);
  }
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
}

TEST_F(WasiGuests, WhatStaysOpenOrMovesMakesACheckpointStale) {
  folder_.file("a", "abc");
  Proxy proxy = make(RotationMode::checkpoint, Input::bytes("in"));
  EXPECT_EQ(call(proxy, "keep", 'a'), 4);
  EXPECT_EQ(call(proxy, "look", 'a'), 0);
  uint64_t checkpoints = 1;
  auto expect_new_checkpoint = [&](const char* what) {
    EXPECT_EQ(proxy.counters().checkpoints, checkpoints) << what;
    EXPECT_EQ(call(proxy, "look", 'a'), 0);
    EXPECT_EQ(proxy.counters().checkpoints, ++checkpoints) << what;
  };
  EXPECT_EQ(call(proxy, "open", 'a'), 5);
  expect_new_checkpoint("opened");
  EXPECT_EQ(call(proxy, "read", 5), 'a');
  expect_new_checkpoint("its position moved");
  EXPECT_EQ(call(proxy, "close", 5), 0);
  expect_new_checkpoint("closed");
  EXPECT_EQ(call(proxy, "read", 0), 'i');
  expect_new_checkpoint("taken from a stream");
  EXPECT_EQ(proxy.counters().stale_by, "keep 1, host state 4");
}

TEST_F(WasiGuests, ATrapUndoesWhatItsCallDidToDescriptors) {
  folder_.file("a", "......");
  folder_.file("b", "......");
  Proxy proxy = make(RotationMode::checkpoint);
  EXPECT_EQ(call(proxy, "keep", 'a'), 4);
  EXPECT_EQ(call(proxy, "write_kept", '1'), 0);
  EXPECT_EQ(call(proxy, "look", 'a'), 0);
  EXPECT_FALSE(proxy.counters().checkpoint_stale);
  EXPECT_FALSE(proxy.call("exchange_and_trap", {int32_t{'b'}}));
  EXPECT_EQ(call(proxy, "write_kept", '2'), 0);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_EQ(folder_.contents("a"), "12....") << "in place of the ! that the lost call wrote";
  EXPECT_EQ(folder_.contents("b"), "......") << "number 4 was another file when the call trapped";
  EXPECT_EQ(environment_->open_descriptors(), 5u) << "what it had opened is closed";
}

TEST_F(WasiGuests, FilesInMemoryStayOpenInBothModes) {
  for (RotationMode mode : {RotationMode::checkpoint, RotationMode::replay}) {
    MemoryFolder memory;
    ASSERT_TRUE(memory.add_file("a", ".........."));
    Proxy proxy = make(mode, Input::none(), memory);
    write_across_exchanges(proxy);
    EXPECT_EQ(memory.contents("a").value(), "xyz!......");
    EXPECT_EQ(proxy.counters().rotations, 3u) << proxy.counters().last_problem << proxy.counters().off_reason;
  }
}

/// As on a disk: a rewind closes files and moves positions, and what was written and made stays.
TEST_F(WasiGuests, ARewindUndoesNoWriteInMemory) {
  MemoryFolder memory;
  for (const char* name : {"a", "b"}) ASSERT_TRUE(memory.add_file(name, "......"));
  Proxy proxy = make(RotationMode::checkpoint, Input::none(), memory);
  EXPECT_EQ(call(proxy, "keep", 'a'), 4);
  EXPECT_EQ(call(proxy, "write_kept", '1'), 0);
  EXPECT_EQ(call(proxy, "look", 'a'), 0);
  EXPECT_FALSE(proxy.call("exchange_and_trap", {int32_t{'c'}}));
  EXPECT_EQ(memory.contents("a").value(), "1!....") << "what the lost call wrote";
  EXPECT_EQ(call(proxy, "look", 'c'), 0);
  EXPECT_EQ(call(proxy, "write_kept", '2'), 0);
  EXPECT_EQ(memory.contents("a").value(), "12....") << "at the position of the checkpoint";
  EXPECT_EQ(memory.names().value(), (std::vector<std::string>{"a", "b", "c"})) << "what the lost call made";
  EXPECT_EQ(environment_->open_descriptors(), 5u) << "what it had opened is closed";
}

TEST_F(WasiGuests, ATrapBeforeTheFirstCheckpointLeavesNothingOpen) {
  folder_.file("a", "......");
  Proxy proxy = make(RotationMode::checkpoint);
  for (int i = 0; i < 3; i++) {
    EXPECT_FALSE(proxy.call("exchange_and_trap", {int32_t{'a'}}));
    EXPECT_EQ(call(proxy, "look", 'a'), 0);
    EXPECT_EQ(environment_->open_descriptors(), 4u) << i;
  }
  EXPECT_EQ(proxy.counters().rotations, 3u);
}

TEST_F(WasiGuests, ATrapDoesNotUndoWhatOtherCallsOfItsLeaseDid) {
  folder_.file("a", "......");
  Proxy proxy = make(RotationMode::checkpoint);
  EXPECT_EQ(call(proxy, "keep", 'a'), 4);
  EXPECT_EQ(call(proxy, "look", 'a'), 0);
  {
    auto lease = proxy.acquire();
    EXPECT_EQ(lease->call("open", {int32_t{'a'}})->i32(), 5);
    EXPECT_FALSE(lease->call("exchange_and_trap", {int32_t{'a'}}));
  }
  auto after = proxy.call("look", {int32_t{'a'}});
  ASSERT_FALSE(after) << "somebody has number 5";
  EXPECT_NE(after.error().message.find("host state"), std::string::npos) << after.error().message;
}

}  // namespace
}  // namespace rotor::wasi
