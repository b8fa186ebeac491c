// Slots: that memories find what they should in them, whoever had them before, and that no more is kept than is said.
#include "memory/slot_pool.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

#include "memory/fault_injection.h"
#include "memory/image.h"
#include "memory/linear_memory.h"

namespace rotor::memory {
namespace {

constexpr uint64_t kPage = 65536, kSystemPage = 4096;
constexpr uint64_t kReserved = (uint64_t{4} << 30) + (32 << 20);
constexpr uint64_t kMax = uint64_t{64} << 20;

uint8_t load(const uint8_t* address) { return *const_cast<const volatile uint8_t*>(address); }
void store(uint8_t* address, uint8_t value) { *const_cast<volatile uint8_t*>(address) = value; }

std::shared_ptr<const SlotContents> copied(size_t bytes, uint8_t value = 7) {
  return std::make_shared<CopiedContents>(std::vector<uint8_t>(bytes, value));
}

/// An image of that many pages of the system, every other of which was written.
std::shared_ptr<const SlotContents> imaged(uint64_t system_pages) {
  const uint64_t bytes = system_pages * kSystemPage;
  auto source = LinearMemory::create(bytes, bytes, bytes).value();
  for (uint64_t at = 0; at < bytes; at += 2 * kSystemPage) std::memset(source->base() + at, 7, kSystemPage);
  return source->seal_image().value();
}

std::unique_ptr<LinearMemory> memory_of(const std::shared_ptr<const SlotContents>& contents, uint64_t size_bytes,
                                        uint64_t reserved_bytes = kReserved) {
  return LinearMemory::of(contents, size_bytes, kMax, reserved_bytes).value();
}

/// Contents, and the memories of them.
struct Form {
  std::string name;
  std::shared_ptr<const SlotContents> contents;
  uint64_t size_bytes;
  Place place = Place::reservation;
};
Result<std::unique_ptr<LinearMemory>> make(const Form& form) {
  if (form.place == Place::reservation) return LinearMemory::of(form.contents, form.size_bytes, kMax, kReserved);
  constexpr uint64_t kMost = Slab::kMostPartBytes;
  return LinearMemory::of(form.contents, form.size_bytes, kMost, kMost, Place::slab);
}
std::unique_ptr<LinearMemory> memory_of(const Form& form) { return make(form).value(); }

/// What a new memory of `size_bytes` holds.
std::vector<uint8_t> initial(const SlotContents& contents, uint64_t size_bytes) {
  auto view = contents.view().value();
  std::vector<uint8_t> bytes(view.begin(), view.end());
  bytes.resize(size_bytes);
  return bytes;
}

void expect_initial(const LinearMemory& memory, const SlotContents& contents, const std::string& where = {}) {
  const std::vector<uint8_t> wanted = initial(contents, memory.size_bytes());
  EXPECT_TRUE(wanted.empty() || std::memcmp(memory.base(), wanted.data(), wanted.size()) == 0) << where;
}

std::shared_ptr<const SlotContents> with_huge_pages() {
  const uint64_t bytes = 600 * kSystemPage;
  auto source = LinearMemory::create(bytes, bytes, bytes).value();
  std::memset(source->base(), 7, bytes);
  auto image = source->seal_image().value();
  image->prepare();
  return image;
}
std::vector<Form> forms() {
  return {
      {"nothing", copied(0), kPage},
      {"nothing, of no bytes", copied(0), 0},
      {"a large nothing", copied(0), 20 * kPage},
      {"copied", copied(5000), kPage},
      {"copied, large", copied(60000), 20 * kPage},
      {"copied, of odd size", copied(5000), 5000},
      {"image", imaged(100), 100 * kSystemPage},
      {"image of a small memory", imaged(4), kPage},
      {"image, zeroes behind", imaged(50), 20 * kPage},
      {"image with huge pages", with_huge_pages(), 600 * kSystemPage + kPage},
      {"nothing, on a slab", copied(0), kPage, Place::slab},
      {"copied, on a slab", copied(5000), 5000, Place::slab},
      {"copied, large, on a slab", copied(60000), 10 * kPage, Place::slab},
  };
}

constexpr int kAutomatic = -1;
class Cleanings : public testing::TestWithParam<int> {
 protected:
  static void force(const SlotContents& contents) {
    if (GetParam() != kAutomatic) contents.slots().force(static_cast<Cleaning>(GetParam()));
  }
};
std::string cleaning_name(const testing::TestParamInfo<int>& param) {
  const char* names[] = {"automatic", "compare", "scan", "discard"};
  return names[param.param + 1];
}
INSTANTIATE_TEST_SUITE_P(By, Cleanings, testing::Range(kAutomatic, static_cast<int>(Cleaning::discard) + 1),
                         cleaning_name);

/// Fills memories with secrets in every way, and looks for these in the memories that come after.
TEST_P(Cleanings, LeaveNothingOfTheOwnerBefore) {
  std::mt19937 random(2);
  for (const Form& form : forms()) {
    force(*form.contents);
    for (int owner = 0; owner < 40; ++owner) {
      auto memory = memory_of(form);
      ASSERT_EQ(memory->size_bytes(), form.size_bytes);
      expect_initial(*memory, *form.contents, form.name + ", owner " + std::to_string(owner));
      if (random() % 3 == 0) {
        const uint64_t old = memory->grow(random() % 3 * kPage);
        ASSERT_EQ(old, form.size_bytes);
        for (uint64_t at = old; at < memory->size_bytes(); at += 2048) ASSERT_EQ(load(memory->base() + at), 0);
      }
      const uint64_t size = memory->size_bytes();
      if (size == 0) continue;
      switch (random() % 4) {
        case 0: break;
        case 1: std::memset(memory->base(), 0xa5, size); break;
        case 2:  // the last byte of a page of the system that belongs to no page of the memory, too
          store(memory->base() + os::round_up_to_page(size) - 1, 0xa5);
          break;
        default:
          for (size_t i = random() % 60; i > 0; --i) store(memory->base() + random() % size, 0xa5);
      }
    }
    const MemorySlots counts = form.contents->slots().counts();
    EXPECT_EQ(counts.made, 1u) << form.name;
    EXPECT_EQ(counts.reused, 39u) << form.name;
    if (GetParam() != kAutomatic) {
      const uint64_t by[] = {counts.compared, counts.scanned, counts.discarded};
      // A search may find more than may be kept, and the system may have no way to search.
      if (GetParam() == static_cast<int>(Cleaning::scan)) {
        EXPECT_EQ(counts.scanned + counts.discarded, 40u) << form.name;
      } else {
        EXPECT_EQ(by[GetParam()], 40u) << form.name;
      }
    }
  }
}

TEST_P(Cleanings, TakeAwayWhatTheMemoryHadGrownBy) {
  for (const Form& form : forms()) {
    force(*form.contents);
    {
      auto memory = memory_of(form);
      memory->grow(3 * kPage);
      std::memset(memory->base(), 0xa5, memory->size_bytes());
    }
    auto memory = memory_of(form);
    if (form.place == Place::reservation) {
      EXPECT_DEATH(load(memory->base() + os::round_up_to_page(form.size_bytes)), "") << form.name;
    } else {
      EXPECT_EQ(load(memory->base() + os::round_up_to_page(form.size_bytes)), 0) << form.name;
    }
    EXPECT_EQ(memory->grow(3 * kPage), form.size_bytes);
    for (uint64_t at = form.size_bytes; at < memory->size_bytes(); at += 256) ASSERT_EQ(load(memory->base() + at), 0);
  }
}

/// A fork's child has copies of what its parent had, and its own pages: cleaning there must look at those.
TEST_P(Cleanings, InTheChildOfAForkLookAtTheChildsPages) {
  auto contents = imaged(64);
  force(*contents);
  auto memory = memory_of(contents, 64 * kSystemPage);
  store(memory->base() + 5000, 1);
  memory.reset();  // so the process has looked already
  memory = memory_of(contents, 64 * kSystemPage);
  for (const bool raw : {false, true}) {
    // A fork that runs no handlers, too.
    const auto child =
        raw ? static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr)) : fork();
    if (child == 0) {
      std::memset(memory->base() + 10 * kSystemPage, 0xa5, 20 * kSystemPage);
      memory.reset();
      auto next = memory_of(contents, 64 * kSystemPage);
      const std::vector<uint8_t> wanted = initial(*contents, 64 * kSystemPage);
      _exit(std::memcmp(next->base(), wanted.data(), wanted.size()) == 0 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << raw;
  }
}

TEST(Slots, AreUsedAgain) {
  for (const Form& form : forms()) {
    uint8_t* base = memory_of(form)->base();
    auto memory = memory_of(form);
    EXPECT_EQ(memory->base(), base) << form.name;
    EXPECT_NE(memory_of(form)->base(), base) << form.name;
  }
}

TEST(Slots, FitTheSizeAndTheReservation) {
  auto contents = copied(100);
  memory_of(contents, kPage).reset();
  memory_of(contents, 2 * kPage).reset();
  memory_of(contents, kPage, kReserved + kPage).reset();
  EXPECT_EQ(contents->slots().counts().made, 3u);
  EXPECT_EQ(contents->slots().counts().kept, 3u);
  EXPECT_EQ(memory_of(contents, kPage)->reserved_bytes(), kReserved);
  EXPECT_EQ(memory_of(contents, 2 * kPage)->size_bytes(), 2 * kPage);
  EXPECT_EQ(memory_of(contents, kPage, kReserved + kPage)->reserved_bytes(), kReserved + kPage);
  EXPECT_EQ(contents->slots().counts().reused, 3u);
}

TEST(Slots, AreSixteenAtMostOrAsManyAsWanted) {
  auto contents = copied(100);
  auto with = [&](size_t live) {
    std::vector<std::unique_ptr<LinearMemory>> memories;
    for (size_t i = 0; i < live; ++i) memories.push_back(memory_of(contents, kPage));
    memories.clear();
    return contents->slots().counts().kept;
  };
  const uint64_t mappings = os::address_space_use().mappings;
  EXPECT_EQ(with(3), 3u);
  EXPECT_EQ(with(20), SlotPool::kMostKept);
  ASSERT_TRUE(contents->slots().keep(*contents, 2, kPage, kReserved));
  EXPECT_EQ(contents->slots().counts().kept, 2u);
  EXPECT_EQ(with(20), 2u);
  ASSERT_TRUE(contents->slots().keep(*contents, 4, kPage, kReserved));
  EXPECT_EQ(contents->slots().counts().kept, 4u);
  EXPECT_EQ(os::address_space_use().mappings, mappings + 4 * SlotContents::kMappings);
  ASSERT_TRUE(contents->slots().keep(*contents, 0, kPage, kReserved));
  EXPECT_EQ(with(20), 0u);
  ASSERT_TRUE(contents->slots().keep(*contents, 1, kPage, kReserved));
  contents.reset();
  EXPECT_EQ(os::address_space_use().mappings, mappings);
}

TEST(Slots, AreGivenBackIfTheSystemHasNoMore) {
  auto contents = copied(100);
  memory_of(contents, kPage).reset();
  ASSERT_EQ(contents->slots().counts().kept, 1u);
  EXPECT_FALSE(os::reserve(uint64_t{1} << 50));
  EXPECT_EQ(contents->slots().counts().kept, 0u);
  memory_of(contents, kPage).reset();
  EXPECT_TRUE(SlotPool::release_all());
  EXPECT_FALSE(SlotPool::release_all());
  expect_initial(*memory_of(contents, kPage), *contents);
}

TEST(Slots, KeepPagesUpToABound) {
  auto contents = copied(0);
  const uint64_t size = SlotPool::kMostResidentBytes / 4;
  auto dirty = [&](size_t live, uint64_t bytes) {
    std::vector<std::unique_ptr<LinearMemory>> memories;
    for (size_t i = 0; i < live; ++i) {
      memories.push_back(memory_of(contents, 2 * SlotPool::kMostResidentBytes));
      std::memset(memories.back()->base(), 1, bytes);
    }
  };
  dirty(8, size);
  const MemorySlots some = contents->slots().counts();
  EXPECT_EQ(some.kept, 8u);
  EXPECT_LE(some.resident_bytes, SlotPool::kMostResidentBytes);
  dirty(1, size);
  EXPECT_EQ(contents->slots().counts().discarded, some.discarded + 1) << "others have all that may be kept";
  EXPECT_LE(contents->slots().counts().resident_bytes, SlotPool::kMostResidentBytes);
  if (os::finds_written_fast()) {
    EXPECT_EQ(some.scanned, 4u) << "each of these keeps a quarter of the bound";
  }
}

/// Of a memory that writes more than may be kept, the first pages stay.
TEST(Slots, KeepTheFirstPagesThatWereWritten) {
  if (!os::finds_written_fast()) GTEST_SKIP() << "PAGEMAP_SCAN: Linux 6.7";
  constexpr uint64_t kLarge = SlotPool::kMostResidentBytes + 40 * kPage;
  for (const auto& contents : {copied(0), copied(70000), imaged(kLarge / kSystemPage), imaged(300)}) {
    for (const bool ready : {false, true}) {
      if (ready) {
        ASSERT_TRUE(contents->slots().keep(*contents, 1, kLarge, kReserved));
      }
      for (int owner = 0; owner < 3; ++owner) {
        auto memory = memory_of(contents, kLarge);
        expect_initial(*memory, *contents, std::to_string(owner));
        memory->grow(kPage);
        std::memset(memory->base(), 0xa5, memory->size_bytes());
      }
      EXPECT_EQ(contents->slots().counts().resident_bytes, SlotPool::kMostResidentBytes);
    }
    EXPECT_EQ(contents->slots().counts().discarded, 0u);
    EXPECT_EQ(contents->slots().counts().scanned, 6u);
    expect_initial(*memory_of(contents, kLarge), *contents);
  }
}

TEST(Slots, KeepNoMoreThanOthersLeaveRoomFor) {
  if (!os::finds_written_fast()) GTEST_SKIP() << "PAGEMAP_SCAN: Linux 6.7";
  auto contents = copied(70000);
  constexpr uint64_t kLarge = 2 * SlotPool::kMostResidentBytes;
  auto first = memory_of(contents, kLarge), second = memory_of(contents, kLarge);
  std::memset(first->base(), 0xa5, SlotPool::kMostResidentBytes - 4 * kSystemPage);
  std::memset(second->base(), 0xa5, kLarge);
  first.reset();
  second.reset();
  EXPECT_EQ(contents->slots().counts().resident_bytes, SlotPool::kMostResidentBytes);
  EXPECT_EQ(contents->slots().counts().scanned, 2u);
  first = memory_of(contents, kLarge);
  expect_initial(*first, *contents);
  expect_initial(*memory_of(contents, kLarge), *contents);
}

class Heirlooms : public testing::Test {
 protected:
  void SetUp() override {
    if (!os::finds_written_fast()) GTEST_SKIP() << "PAGEMAP_SCAN: Linux 6.7";
  }
  static void keep(const SlotContents& contents, size_t count) {
    ASSERT_TRUE(contents.slots().keep(contents, count, kBytes, kReserved));
  }
  static uint64_t resident(const SlotContents& contents) { return contents.slots().counts().resident_bytes; }
  static void write(LinearMemory& memory, std::initializer_list<uint64_t> pages, uint8_t value = 200) {
    for (uint64_t page : pages) store(memory.base() + page * kSystemPage, value);
  }
  static std::shared_ptr<const SlotContents> changes(LinearMemory& memory) {
    return memory.seal_image(LinearMemory::Copy::changes).value();
  }
  static constexpr uint64_t kBytes = 1000 * kSystemPage;
  std::shared_ptr<const SlotContents> first_ = imaged(kBytes / kSystemPage);
};

TEST_F(Heirlooms, ANewImagesSlotHasThePagesThatMemoriesWroteBefore) {
  keep(*first_, 1);
  EXPECT_EQ(resident(*first_), 0u) << "nobody wrote yet";
  auto active = memory_of(first_, kBytes);
  write(*active, {3, 4, 500});
  const auto second = changes(*active);
  keep(*first_, 0);
  write(*active, {7});
  active.reset();  // nobody wants its slot, but what it wrote
  keep(*second, 1);
  EXPECT_EQ(resident(*second), 4 * kSystemPage);
  auto memory = memory_of(second, kBytes);
  expect_initial(*memory, *second);
  // Those pages count as written, and the image of the next one has only what was.
  write(*memory, {4, 900});
  const auto third = changes(*memory);
  const auto* image = third->image();
  uint64_t patched = 0;
  for (const os::Range& patch : image->patches()) patched += patch.end - patch.begin;
  EXPECT_LE(patched, 5 * kSystemPage) << "2, and those of the image that it lies over";
  auto next = memory_of(third, kBytes);
  EXPECT_TRUE(std::memcmp(next->base(), memory->base(), kBytes) == 0);
}

TEST_F(Heirlooms, AreAsManyAsThereIsRoomFor) {
  const uint64_t most = SlotPool::kMostOwnedBytes;
  const auto large = imaged(2 * most / kSystemPage);
  ASSERT_TRUE(large->slots().keep(*large, 1, 2 * most, kReserved));
  {
    auto memory = memory_of(large, 2 * most);
    std::memset(memory->base(), 1, most / 2);
    std::memset(memory->base() + most, 1, most);
  }
  EXPECT_EQ(resident(*large), most * 3 / 2);
  ASSERT_TRUE(large->slots().keep(*large, 0, 2 * most, kReserved));
  ASSERT_TRUE(large->slots().keep(*large, 2, 2 * most, kReserved));
  EXPECT_EQ(resident(*large), 2 * most) << "of two slots";
  for (int i = 0; i < 2; ++i) expect_initial(*memory_of(large, 2 * most), *large);
}

TEST_F(Heirlooms, AreOfMemoriesThatSomebodyKeepsSlotsReadyFor) {
  auto active = memory_of(first_, kBytes);
  write(*active, {3, 4, 500});
  const auto second = changes(*active);
  active.reset();
  keep(*second, 1);
  write(*memory_of(first_, kBytes), {9});
  keep(*second, 2);
  EXPECT_EQ(resident(*second), 0u);
}

TEST(Slots, ThatAreKeptReadyHaveThePagesThatAreWritten) {
  if (!os::finds_written_fast()) GTEST_SKIP() << "PAGEMAP_SCAN: Linux 6.7";
  auto contents = imaged(64 * kPage / kSystemPage);
  ASSERT_TRUE(contents->slots().keep(*contents, 1, 64 * kPage, kReserved));
  for (int round = 0; round < 3; ++round) {
    auto memory = memory_of(contents, 64 * kPage);
    expect_initial(*memory, *contents);
    for (uint64_t page : {0, 20, 63}) store(memory->base() + page * kPage, 200);
    memory.reset();
    EXPECT_EQ(contents->slots().counts().resident_bytes, 3 * kSystemPage);
  }
  EXPECT_EQ(contents->slots().counts().scanned, 3u);
  EXPECT_EQ(contents->slots().counts().discarded, 0u);
}

/// Returns whether a byte can be read.
bool is_accessible(const uint8_t* address) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  const bool written = write(ends[1], address, 1) == 1;
  close(ends[0]);
  close(ends[1]);
  return written;
}

TEST(Slots, ThatAreKeptReadyHaveZeroesToGrowInto) {
  if (!os::finds_written_fast()) GTEST_SKIP() << "PAGEMAP_SCAN: Linux 6.7";
  constexpr uint64_t kSize = 64 * kPage, kGrown = SlotPool::kMostOwnedBytes;
  for (const auto& contents : {imaged(kSize / kSystemPage), imaged(3)}) {
    auto keep = [&](size_t count) { ASSERT_TRUE(contents->slots().keep(*contents, count, kSize, kReserved)); };
    auto resident = [&] { return contents->slots().counts().resident_bytes; };
    keep(1);
    for (uint64_t grown : {4 * kPage, kGrown, kGrown + 7 * kPage, kPage}) {
      auto memory = memory_of(contents, kSize);
      EXPECT_FALSE(is_accessible(memory->base() + kSize)) << grown;
      ASSERT_EQ(memory->grow(grown), kSize);
      expect_initial(*memory, *contents, "grown by " + std::to_string(grown));
      EXPECT_FALSE(is_accessible(memory->base() + kSize + grown)) << grown;
      std::memset(memory->base() + kSize, 0xa5, grown);
      memory.reset();
      EXPECT_EQ(resident(), std::min(grown, kGrown)) << grown;
    }
    // A new slot has as much as the last memory grew by.
    keep(0);
    keep(1);
    EXPECT_GE(resident(), kPage);
    {
      auto memory = memory_of(contents, kSize);
      EXPECT_FALSE(is_accessible(memory->base() + kSize));
      // It grows by less than is ready, then by the rest and more.
      for (uint64_t grown : {kSystemPage, 2 * kPage}) {
        memory->grow(grown);
        expect_initial(*memory, *contents);
        EXPECT_FALSE(is_accessible(memory->base() + memory->size_bytes()));
      }
    }
    EXPECT_LE(resident(), kPage) << "what it did not write is not kept, as far as the system tells";
    {
      auto memory = memory_of(contents, kSize);
    }
    EXPECT_EQ(resident(), 0u) << "of one that does not grow nothing is kept";
    EXPECT_FALSE(is_accessible(memory_of(contents, kSize)->base() + kSize));
  }
}

/// A page that gets zeroes holds what it began with: that it was written shows in that it is the memory's own.
TEST(Slots, ThatAreKeptReadyHavePagesForZeroes) {
  if (!os::finds_written_fast()) GTEST_SKIP() << "PAGEMAP_SCAN: Linux 6.7";
  auto contents = imaged(3);
  auto keep = [&](size_t count) { ASSERT_TRUE(contents->slots().keep(*contents, count, 64 * kPage, kReserved)); };
  auto resident = [&] { return contents->slots().counts().resident_bytes; };
  keep(1);
  bool believed = false;
  for (uint32_t round = 0; round < 2 * WrittenPages::kDoubt; ++round) {
    {
      auto memory = memory_of(contents, 64 * kPage);
      std::memset(memory->base() + 5 * kPage, 0, kPage);
      memory->base()[20 * kPage] = 1;
    }
    keep(0);
    keep(1);
    EXPECT_TRUE(resident() == kPage + kSystemPage || resident() == kSystemPage) << round << ": " << resident();
    believed |= resident() == kPage + kSystemPage;
    expect_initial(*memory_of(contents, 64 * kPage), *contents);
  }
  EXPECT_TRUE(believed);
  // What nobody writes any more is doubted in the end.
  bool forgotten = false;
  for (uint32_t round = 0; round < 2 * WrittenPages::kDoubt && !forgotten; ++round) {
    {
      memory_of(contents, 64 * kPage)->base()[20 * kPage] = 1;
    }
    keep(0);
    keep(1);
    forgotten = resident() == kSystemPage;
  }
  EXPECT_TRUE(forgotten);
}

TEST(Slots, ForgetWhatOneMemoryWroteAndNoneSince) {
  if (!os::finds_written_fast()) GTEST_SKIP() << "PAGEMAP_SCAN: Linux 6.7";
  auto contents = copied(0);
  {
    auto memory = memory_of(contents, 64 * kPage);
    std::memset(memory->base(), 1, 8 * kPage);
  }
  EXPECT_EQ(contents->slots().counts().resident_bytes, 8 * kPage);
  for (uint32_t i = 0; i < SlotPool::kMostIdleCleanings; ++i) {
    EXPECT_EQ(contents->slots().counts().discarded, 0u) << i;
    store(memory_of(contents, 64 * kPage)->base(), 1);
  }
  EXPECT_EQ(contents->slots().counts().discarded, 1u);
  EXPECT_EQ(contents->slots().counts().resident_bytes, 0u);
}

TEST(Slots, SurviveEachFailure) {
  for (const Form& form : forms()) {
    for (uint64_t n = 1; n < 40; ++n) {
      fault_injection::fail_after(n);
      const bool kept =
          form.place == Place::slab ||  // nobody has such slots made in advance
          form.contents->slots().keep(*form.contents, 1, os::round_up_to_page(form.size_bytes), kReserved).has_value();
      auto memory = make(form);
      if (memory && form.place == Place::reservation) {
        EXPECT_FALSE(is_accessible((*memory)->base() + os::round_up_to_page(form.size_bytes))) << form.name << n;
      }
      const bool grown = memory && (*memory)->grow(kPage) != UINT64_MAX;
      if (memory) {
        std::memset((*memory)->base(), 3, (*memory)->size_bytes());
        memory->reset();
      }
      fault_injection::off();
      {
        auto next = memory_of(form);
        expect_initial(*next, *form.contents, form.name + std::to_string(n));
        if (form.place == Place::reservation) {
          EXPECT_FALSE(is_accessible(next->base() + os::round_up_to_page(form.size_bytes))) << form.name << n;
        }
        next->grow(kPage);  // so that the next slot begins with pages to grow into
        std::memset(next->base(), 3, next->size_bytes());
      }
      ASSERT_TRUE(form.contents->slots().keep(*form.contents, 0, kPage, kReserved));
      if (n > 12) {
        EXPECT_TRUE(kept && grown) << form.name << n;
        break;
      }
    }
  }
}

TEST(Slots, OfSeveralThreads) {
  auto contents = imaged(40);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<uint32_t>(t));
      const std::vector<uint8_t> wanted = initial(*contents, kPage * 4);
      for (int i = 0; i < 300; ++i) {
        auto memory = memory_of(contents, kPage * 4);
        wrong += std::memcmp(memory->base(), wanted.data(), wanted.size()) != 0;
        std::memset(memory->base() + random() % 4 * kPage, t, random() % kPage);
        if (random() % 50 == 0) SlotPool::release_all();
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(WrittenPages, AreFoundByEachSearch) {
  auto contents = imaged(300);
  auto memory = memory_of(contents, 600 * kSystemPage);
  for (uint64_t page = 0; page < 600; page += 3) load(memory->base() + page * kSystemPage);
  std::vector<uint64_t> written = {0, 1, 2, 17, 299, 300, 301, 400, 599};
  for (uint64_t page : written) store(memory->base() + page * kSystemPage + 9, 1);
  for (auto search : {os::Search::any, os::Search::scan, os::Search::entries}) {
    if (search == os::Search::scan && !os::finds_written_fast()) continue;
    for (size_t at_once : {1, 2, 64}) {
      std::vector<os::Range> ranges(at_once);
      std::vector<uint64_t> found;
      for (uint64_t at = 0; at < 600 * kSystemPage;) {
        auto some = os::find_written(memory->base() + at, 600 * kSystemPage - at, ranges, search);
        ASSERT_TRUE(some) << some.error().message;
        ASSERT_GT(some->end, 0u);
        for (size_t i = 0; i < some->ranges; ++i)
          for (uint64_t page = (at + ranges[i].begin) / kSystemPage; page < (at + ranges[i].end) / kSystemPage; ++page)
            found.push_back(page);
        at += some->end;
      }
      // Reads of zeroes behind the image may count as written, by the slow way: those are not exact.
      std::vector<uint64_t> exact;
      std::ranges::copy_if(found, std::back_inserter(exact), [&](uint64_t page) {
        return search != os::Search::entries || page < 300 || std::ranges::binary_search(written, page);
      });
      EXPECT_EQ(exact, written) << static_cast<int>(search) << " " << at_once;
    }
  }
}

}  // namespace
}  // namespace rotor::memory
