// Slots of memories that the host makes and instances import: when one is taken, what its next owner finds, and that a
// memory which somebody holds keeps its own.
#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <random>
#include <thread>

#include "memory/fault_injection.h"
#include "memory/slot_pool.h"
#include "rotor/rotor.h"
#include "runtime/access.h"
#include "runtime/engine.h"
#include "runtime/store/snapshot.h"
#include "runtime/testing/support.h"
#include "wasm/testing/assemble.h"

namespace rotor::runtime {
namespace {

using namespace test;
using memory::Cleaning;

constexpr uint64_t kPage = Memory::kPageBytes;
constexpr uint64_t kPages = 20;

/// `prepare` makes a state, of which `check` says that it is so, and that all else is zero; `spoil` leaves secrets.
constexpr std::string_view kGuest = R"((module
  (import "env" "memory" (memory 20 40))
  (import "env" "next" (func $next (param i32) (result i32)))
  (func (export "prepare")
    (memory.fill (i32.const 500000) (i32.const 7) (i32.const 100000)))
  (func (export "spoil") (param $at i32) (param $bytes i32)
    (memory.fill (local.get $at) (i32.const 0xa5) (local.get $bytes)))
  (func (export "call") (param i32) (result i32) (call $next (local.get 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "sum") (result i64) (local $at i32) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.load8_u (local.get $at))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1)))
                             (i32.mul (memory.size) (i32.const 65536)))))
    (local.get $sum)))
)";

class ImportedSlotsTest : public testing::Test {
 protected:
  ImportedSlotsTest() {
    auto make = [this](const InstanceOptions& options) -> Result<Extern> {
      ROTOR_TRY(Memory made, Memory::create(engine_, type(), options.limits.memory));
      if (on_memory_) on_memory_(made);
      return made;
    };
    linker_.define_per_instance("env", "memory", type(), make);
    linker_.define("env", "next", [](int32_t v) -> int32_t { return v + 1; });
    pre_ = must(linker_.instantiate_pre(module_));
  }
  static MemoryType type() {
    MemoryType type;
    type.limits = {kPages, 2 * kPages};
    return type;
  }
  Instance make() { return must(pre_->instantiate()); }
  Instance stamp(const Snapshot& snapshot) { return must(pre_->instantiate(snapshot)); }
  Snapshot prepared() {
    Instance source = make();
    must(typed<void()>(source, "prepare")());
    return must(source.snapshot());
  }
  static void spoil(const Instance& instance, uint64_t at, uint64_t bytes) {
    must(typed<void(uint32_t, uint32_t)>(instance, "spoil")(static_cast<uint32_t>(at), static_cast<uint32_t>(bytes)));
  }
  static int64_t sum(const Instance& instance) { return must(typed<int64_t()>(instance, "sum")()); }
  static const uint8_t* base(const Instance& instance) { return must(instance.memory0()).data(); }
  MemorySlots of_engine() const { return engine_.usage().memory_slots; }

  Engine engine_ = engine();
  Linker linker_{engine_};
  std::function<void(const Memory&)> on_memory_;
  Module module_ = compile(engine_, wasm::test::assemble(kGuest));
  std::optional<InstancePre> pre_;
};

TEST_F(ImportedSlotsTest, ComeFromTheSnapshotAndGoBackToIt) {
  const Snapshot snapshot = prepared();
  const uint64_t made = of_engine().made;
  const uint8_t* where = nullptr;
  for (int owner = 0; owner < 20; ++owner) {
    Instance instance = stamp(snapshot);
    EXPECT_EQ(sum(instance), 700'000);
    EXPECT_EQ(must(instance.memory0()).size_pages(), kPages);
    const uint8_t* here = base(instance);
    EXPECT_EQ(std::exchange(where, here) == here, owner > 0) << owner;
    spoil(instance, 0, kPage);
  }
  EXPECT_EQ(snapshot.memory_slots().made, 1u);
  EXPECT_EQ(snapshot.memory_slots().reused, 19u);
  EXPECT_LE(of_engine().made, made + 1) << "what the host made was given back as it came";
}

TEST_F(ImportedSlotsTest, AreKeptReady) {
  const Snapshot snapshot = prepared();
  must(snapshot.keep_ready(1));
  EXPECT_EQ(snapshot.memory_slots().kept, 1u);
  memory::fault_injection::fail_after(UINT64_MAX);
  Instance instance = stamp(snapshot);
  EXPECT_EQ(memory::fault_injection::calls(), 0u) << "calls of the system, where the host's memory finds a slot, too";
  memory::fault_injection::off();
  EXPECT_EQ(snapshot.memory_slots().reused, 1u);
  EXPECT_EQ(snapshot.memory_slots().made, 0u);
}

TEST_F(ImportedSlotsTest, AMemoryWhoseBaseIsKnownKeepsIt) {
  const Snapshot snapshot = prepared();
  const uint8_t secret[] = {1};
  const std::vector<std::function<void(const Memory&)>> uses = {
      [](const Memory& memory) { memory.data(); },
      [&](const Memory& memory) { must(memory.write(9, secret)); },
      [](const Memory& memory) { must(memory.grow(1)); },
      [&](const Memory& memory) {
        Linker linker(linker_);
        linker.define("env", "memory", memory);
        must(linker.instantiate(module_));
      },
  };
  for (size_t i = 0; i < uses.size(); ++i) {
    Memory seen;
    on_memory_ = [&](const Memory& memory) {
      uses[i](memory);
      seen = memory;
    };
    EXPECT_EQ(sum(stamp(snapshot)), 700'000) << i;
    EXPECT_EQ(snapshot.memory_slots().made, 0u) << i;
    EXPECT_EQ(seen.size_pages(), kPages) << i;
  }
  on_memory_ = nullptr;
  stamp(snapshot);
  EXPECT_EQ(snapshot.memory_slots().made, 1u);
}

TEST_F(ImportedSlotsTest, AMemoryThatSomebodyHoldsIsNobodyElses) {
  const Snapshot snapshot = prepared();
  for (const bool of_snapshot : {true, false}) {
    std::optional<Memory> held;
    on_memory_ = [&](const Memory& memory) { held = memory; };
    {
      of_snapshot ? spoil(stamp(snapshot), 0, 100) : spoil(make(), 0, 100);
    }
    const uint8_t* where = held->data();
    on_memory_ = nullptr;
    for (int owner = 0; owner < 3; ++owner) {
      Instance instance = of_snapshot ? stamp(snapshot) : make();
      EXPECT_NE(base(instance), where);
      EXPECT_EQ(sum(instance), of_snapshot ? 700'000 : 0);
    }
    EXPECT_EQ(where[99], 0xa5);
    held.reset();
    Instance next = of_snapshot ? stamp(snapshot) : make();
    Instance another = of_snapshot ? stamp(snapshot) : make();
    EXPECT_TRUE(base(next) == where || base(another) == where) << "of all that were made, two are there";
  }
}

TEST_F(ImportedSlotsTest, WithoutASlotTheMemoryIsMappedOver) {
  const Snapshot snapshot = prepared();
  {
    Memory::create(engine_, type()).value();
  }  // leaves its slot
  // The system refuses the reservation, twice: the second time there is nothing left to give back.
  for (uint64_t n = 1; n < 6; ++n) {
    memory::fault_injection::fail_after(n);
    Result<Instance> instance = pre_->instantiate(snapshot);
    memory::fault_injection::off();
    if (instance) {
      EXPECT_EQ(sum(*instance), 700'000) << n;
    } else {
      EXPECT_EQ(instance.error().kind, ErrorKind::io) << n;
    }
  }
  EXPECT_EQ(sum(stamp(snapshot)), 700'000);
}

TEST_F(ImportedSlotsTest, LimitsHoldBeforeAndAfter) {
  Instance source = make();
  EXPECT_EQ(must(typed<int32_t(int32_t)>(source, "grow")(5)), static_cast<int32_t>(kPages));
  const Snapshot snapshot = must(source.snapshot());
  InstanceOptions options;
  options.limits.memory.limit_bytes = (kPages + 4) * kPage;
  EXPECT_EQ(kind_of(pre_->instantiate(snapshot, options)), ErrorKind::limit);
  options.limits.memory.limit_bytes += 2 * kPage;
  Instance instance = must(pre_->instantiate(snapshot, options));
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "grow")(1)), static_cast<int32_t>(kPages + 5));
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "grow")(1)), -1);
}

/// Fills memories with secrets, those of a snapshot's instances and new ones by turns and in several threads, and looks
/// for them in all that come after, by each means of making slots clean.
TEST_F(ImportedSlotsTest, NothingLeaksBetweenOwners) {
  for (int by = -1; by <= static_cast<int>(Cleaning::discard); ++by) {
    const Snapshot snapshot = prepared();
    const auto& image = impl_of(snapshot)->memories[0];
    if (by >= 0) {
      image->slots().force(static_cast<Cleaning>(by));
      impl_of(engine_).zeroes->slots().force(static_cast<Cleaning>(by));
    }
    std::atomic<int> wrong{0};
    auto owners = [&](uint32_t seed) {
      std::mt19937 random(seed);
      for (int owner = 0; owner < 25; ++owner) {
        const bool of_snapshot = random() % 3;
        const int64_t wanted = of_snapshot ? 700'000 : 0;
        Instance instance = of_snapshot ? stamp(snapshot) : make();
        wrong += sum(instance) != wanted || must(instance.memory0()).size_pages() != kPages;
        const Memory held = random() % 4 ? Memory() : must(instance.memory0()).pinned();
        if (random() % 3 == 0) must(typed<int32_t(int32_t)>(instance, "grow")(static_cast<int32_t>(random() % 5)));
        wrong += sum(instance) != wanted;
        const uint64_t bytes = must(instance.memory0()).size_bytes(), at = random() % bytes;
        spoil(instance, at, random() % 2 ? random() % (bytes - at) : random() % 100 % (bytes - at));
        if (random() % 10 == 0) memory::SlotPool::release_all();
        if (random() % 5 == 0) instance = Instance();  // before the handle
      }
    };
    std::thread other(owners, 1);
    owners(2);
    other.join();
    EXPECT_EQ(wrong, 0) << by;
    EXPECT_GT(snapshot.memory_slots().reused, 5u) << by;
  }
}

TEST_F(ImportedSlotsTest, InstancesAreUsedAgainWithTheirMemoriesAnew) {
  const Snapshot snapshot = prepared();
  const void* where = nullptr;
  for (int owner = 0; owner < 6; ++owner) {
    // What drops them is another thread, as a proxy's is.
    Instance instance = owner % 2 ? make() : stamp(snapshot);
    const void* here = impl_of(instance);
    EXPECT_EQ(std::exchange(where, here) == here, owner > 0) << owner;
    EXPECT_EQ(sum(instance), owner % 2 ? 0 : 700'000) << owner;
    EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "call")(owner)), owner + 1);
    spoil(instance, 0, 100);
    std::thread([dropped = std::move(instance)] {}).join();
  }
}

TEST_F(ImportedSlotsTest, HostMemoriesOfOtherSizesMakeRoom) {
  auto many = [&](uint64_t pages) {
    std::vector<Memory> memories;
    MemoryType type;
    type.limits = {pages, 2 * kPages};
    for (size_t i = 0; i < memory::SlotPool::kMostKept; ++i) memories.push_back(must(Memory::create(engine_, type)));
  };
  many(1);
  EXPECT_EQ(of_engine().kept, memory::SlotPool::kMostKept);
  const uint64_t reused = of_engine().reused;
  many(2);
  EXPECT_EQ(of_engine().kept, memory::SlotPool::kMostKept);
  EXPECT_EQ(of_engine().reused, reused);
  many(2);
  EXPECT_EQ(of_engine().reused, reused + memory::SlotPool::kMostKept);
}

}  // namespace
}  // namespace rotor::runtime
