// What functions take of the stack, where a guest calls them with next to none left: no more than a host function may
// (Limits::host_stack_reserve_bytes), or they would write over what lies below. AddressSanitizer's frames are larger.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <ucontext.h>

#include "hosts/wasi/testing/guest.h"
#include "rotor/fiber_stack.h"

namespace rotor::wasi {
namespace {

[[maybe_unused]] constexpr size_t kBelow = 256 << 10;
[[maybe_unused]] constexpr uint8_t kPaint = 0xab;

// Calls a function with 1,024 pieces of which the first has a byte, or with 8 KiB to list a folder into, $n calls deep.
const std::vector<uint8_t> kGuest = wasm::test::assemble(R"(
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_readlink" (func $path_readlink (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv" (func $sock_recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $sock_send (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "link")
  (func $act (param $which i32) (result i32)
    (block $5 (block $4 (block $3 (block $2 (block $1 (block $0 (br_table $0 $1 $2 $3 $4 $5 (local.get $which)))
      (return (call $fd_read (i32.const 0) (i32.const 1024) (i32.const 1024) (i32.const 512))))
      (return (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 1024) (i32.const 512))))
      (return (call $fd_readdir (i32.const 3) (i32.const 65536) (i32.const 8192) (i64.const 0) (i32.const 512))))
      (return (call $path_readlink (i32.const 3) (i32.const 16) (i32.const 4) (i32.const 65536) (i32.const 512)
                                   (i32.const 512))))
      (return (call $sock_recv (i32.const 4) (i32.const 1024) (i32.const 1024) (i32.const 0) (i32.const 512)
                               (i32.const 516))))
    (call $sock_send (i32.const 4) (i32.const 1024) (i32.const 1024) (i32.const 0) (i32.const 512)))
  (func $deep (param $n i32) (param $which i32) (result i32)
    (if (result i32) (local.get $n)
      (then (i32.add (call $deep (i32.sub (local.get $n) (i32.const 1)) (local.get $which)) (i32.const 0)))
      (else (call $act (local.get $which)))))
  (func (export "go") (param $n i32) (param $which i32) (result i32)
    (local $i i32)
    (loop $next
      (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 8))) (i32.const 65536))
      (i32.store (i32.add (i32.const 1028) (i32.mul (local.get $i) (i32.const 8))) (i32.eqz (local.get $i)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
    (call $deep (local.get $n) (local.get $which))))
)");

/// Calls `go` on a painted stack of its own.
class OnSmallStack {
 public:
  OnSmallStack(Instance& instance, size_t stack_bytes) : instance_(instance), stack_bytes_(stack_bytes) {
    bytes_ = static_cast<uint8_t*>(
        mmap(nullptr, kBelow + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    stack_.emplace(FiberStack::declare(bytes_ + kBelow, stack_bytes).value());
  }
  ~OnSmallStack() {
    stack_.reset();
    munmap(bytes_, kBelow + stack_bytes_);
  }
  /// Returns what the function returned; -1: the stack was exhausted.
  int32_t call(int32_t depth, int32_t which) {
    std::memset(bytes_, kPaint, kBelow + stack_bytes_);
    depth_ = depth, which_ = which;
    getcontext(&fiber_);
    fiber_.uc_stack.ss_sp = bytes_ + kBelow;
    fiber_.uc_stack.ss_size = stack_bytes_;
    fiber_.uc_link = &main_;
    current_ = this;
    makecontext(&fiber_, [] { current_->run(); }, 0);
    swapcontext(&main_, &fiber_);
    return result_;
  }
  bool is_untouched_below() const {
    return std::all_of(bytes_, bytes_ + kBelow, [](uint8_t byte) { return byte == kPaint; });
  }

 private:
  void run() {
    auto done = instance_.get_func("go").value().call({Value(depth_), Value(which_)});
    result_ = done ? done->at(0).i32() : -1;
  }
  static inline OnSmallStack* current_ = nullptr;
  Instance& instance_;
  const size_t stack_bytes_;
  uint8_t* bytes_;
  std::optional<FiberStack> stack_;
  ucontext_t main_, fiber_;
  int32_t depth_ = 0, which_ = 0, result_ = 0;
};

#ifndef __SANITIZE_ADDRESS__
TEST(SmallStack, NoFunctionTakesMoreThanAHostFunctionMay) {
  test::Folder folder;
  folder.link("target", "link");
  int in[2], out[2], ends[2];
  ASSERT_TRUE(pipe(in) == 0 && pipe(out) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const std::string some(4096, 'x');
  ASSERT_EQ(write(in[1], some.data(), some.size()), 4096);
  ASSERT_EQ(write(ends[1], some.data(), some.size()), 4096);
  Builder builder;
  builder.folder(folder.path(), "/").standard_in(Input::descriptor(in[0])).standard_out(Output::descriptor(out[1]));
  builder.descriptor(ends[0]);
  Environment environment = builder.build().value();
  Engine engine = Engine::create().value();
  Linker linker(engine);
  define(linker, environment);
  Instance instance = linker.instantiate(Module::compile(engine, kGuest).value()).value();
  for (size_t stack_bytes : {size_t{64} << 10, size_t{96} << 10}) {
    OnSmallStack on_stack(instance, stack_bytes);
    for (int32_t which = 0; which < 6; which++) {
      int32_t deepest = 0;
      for (int32_t step = 1024; step > 0; step /= 2)
        if (on_stack.call(deepest + step, which) >= 0) deepest += step;
      EXPECT_GT(deepest, 100) << which;
      for (int32_t depth = deepest - 4; depth <= deepest + 4; depth++) {
        EXPECT_LE(on_stack.call(depth, which), 0) << which << ": it worked, or the stack was exhausted";
        ASSERT_TRUE(on_stack.is_untouched_below()) << which << " at " << depth << " of " << stack_bytes;
      }
    }
  }
  for (int fd : {in[1], out[0], ends[1]}) close(fd);
}
#endif

}  // namespace
}  // namespace rotor::wasi
