#include "memory/os.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "memory/testing/child.h"

namespace rotor::memory::os {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

/// A reservation that gives itself back.
struct Reservation {
  explicit Reservation(size_t size) : bytes(size), base(reserve(size).value()) {}
  ~Reservation() { release(base, bytes); }
  size_t bytes;
  uint8_t* base;
};

uint8_t load(const uint8_t* address) { return *const_cast<const volatile uint8_t*>(address); }
void store(uint8_t* address, uint8_t value) { *const_cast<volatile uint8_t*>(address) = value; }

/// mov eax, `value`; ret
std::array<uint8_t, 6> returning(uint32_t value) {
  std::array<uint8_t, 6> code{0xb8, 0, 0, 0, 0, 0xc3};
  std::memcpy(&code[1], &value, sizeof value);
  return code;
}

uint32_t run(const uint8_t* code) { return reinterpret_cast<uint32_t (*)()>(reinterpret_cast<uintptr_t>(code))(); }

/// The permissions of the mapping of `address`, as /proc/self/maps writes them.
std::string permissions(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long low = 0, high = 0;
    char words[8] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &low, &high, words) != 3) continue;
    auto at = reinterpret_cast<uintptr_t>(address);
    if (low <= at && at < high) return words;
  }
  return "none";
}

TEST(Os, ReservationFaultsUntilCommitted) {
  Reservation area(4 * page_bytes());
  EXPECT_DEATH(load(area.base), "");
  EXPECT_DEATH(store(area.base + area.bytes - 1, 1), "");
  ASSERT_TRUE(commit(area.base + page_bytes(), page_bytes()));
  EXPECT_EQ(load(area.base + page_bytes()), 0);
  store(area.base + 2 * page_bytes() - 1, 7);
  EXPECT_EQ(load(area.base + 2 * page_bytes() - 1), 7);
  EXPECT_DEATH(load(area.base), "");
  EXPECT_DEATH(load(area.base + 2 * page_bytes()), "");
}

TEST(Os, ReservesMoreThanThereIsMemory) {
  constexpr size_t kBytes = size_t{256} << 30;
  Reservation area(kBytes);
  ASSERT_TRUE(commit(area.base + kBytes / 2, page_bytes()));
  store(area.base + kBytes / 2, 1);
}

TEST(Os, ImpossibleReservationIsAnError) {
  const AddressSpaceUse before = address_space_use();
  auto result = reserve(size_t{1} << 60);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::limit);
  EXPECT_NE(result.error().message.find("address space"), std::string::npos) << result.error().message;
  EXPECT_EQ(address_space_use().mappings, before.mappings);
  EXPECT_EQ(address_space_use().reserved_bytes, before.reserved_bytes);
}

TEST(Os, ReservationsAreCounted) {
  const AddressSpaceUse before = address_space_use();
  EXPECT_GT(before.mappings_limit, 1000u);
  {
    Reservation area(4 * page_bytes());
    uint8_t* three = reserve(page_bytes(), 3).value();
    EXPECT_EQ(address_space_use().mappings, before.mappings + kReservationMappings + 3);
    EXPECT_EQ(address_space_use().reserved_bytes, before.reserved_bytes + 5 * page_bytes());
    release(three, page_bytes(), 3);
  }
  EXPECT_EQ(address_space_use().mappings, before.mappings);
  EXPECT_EQ(address_space_use().reserved_bytes, before.reserved_bytes);
  auto refused = reserve(page_bytes(), static_cast<uint32_t>(before.mappings_limit - before.mappings + 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::limit);
  EXPECT_NE(refused.error().message.find("vm.max_map_count"), std::string::npos) << refused.error().message;
}

TEST(Os, PartsThatComeInAnyOrderAreOneMapping) {
  // Some come before what lies between them and the code before: without unite_parts they keep to themselves.
  constexpr size_t kParts = 256;
  const size_t page = page_bytes();
  Reservation area(2 * kParts * page);
  ASSERT_TRUE(unite_parts(area.base, area.bytes));
  EXPECT_DEATH(load(area.base), "");
  auto add = [&](size_t part) { ASSERT_TRUE(add_code(area.base + part * page, page, returning(7))); };
  for (size_t i = 0; i < kParts; i += 4) {
    for (size_t part : {i, i + 2, i + 3, i + 1}) add(part);
  }
  for (size_t i = 0; i < kParts; ++i) ASSERT_EQ(run(area.base + i * page), 7u);
  std::ifstream maps("/proc/self/maps");
  size_t mappings = 0;
  for (std::string line; std::getline(maps, line);) {
    const auto low = std::strtoul(line.c_str(), nullptr, 16), begin = reinterpret_cast<uintptr_t>(area.base);
    mappings += low >= begin && low < begin + area.bytes;
  }
  EXPECT_LE(mappings, 2u);
}

TEST(Os, CommitOfCommittedKeepsContents) {
  Reservation area(2 * page_bytes());
  ASSERT_TRUE(commit(area.base, page_bytes()));
  store(area.base, 9);
  ASSERT_TRUE(commit(area.base, 2 * page_bytes()));
  EXPECT_EQ(load(area.base), 9);
}

TEST(Os, DiscardZeroesAndStaysAccessible) {
  Reservation area(2 * page_bytes());
  ASSERT_TRUE(commit(area.base, area.bytes));
  std::memset(area.base, 0xab, area.bytes);
  ASSERT_TRUE(discard(area.base, page_bytes()));
  EXPECT_EQ(load(area.base), 0);
  EXPECT_EQ(load(area.base + page_bytes()), 0xab);
  store(area.base, 1);
}

TEST(Os, DecommitFaultsAndForgets) {
  Reservation area(2 * page_bytes());
  ASSERT_TRUE(commit(area.base, area.bytes));
  std::memset(area.base, 0xab, area.bytes);
  ASSERT_TRUE(decommit(area.base, page_bytes()));
  EXPECT_DEATH(load(area.base), "");
  ASSERT_TRUE(commit(area.base, page_bytes()));
  EXPECT_EQ(load(area.base), 0);
  EXPECT_EQ(load(area.base + page_bytes()), 0xab);
}

TEST(Os, ResidentBytesFallAfterDiscard) {
  if (kSanitized) GTEST_SKIP() << "sanitizers keep books on each page";
  constexpr size_t kBytes = size_t{64} << 20;
  constexpr uint64_t kSlackBytes = uint64_t{8} << 20;  // the kernel counts per CPU, in batches
  Reservation area(kBytes);
  ASSERT_TRUE(commit(area.base, kBytes));
  uint64_t before = resident_bytes();
  ASSERT_NE(before, 0u);
  std::memset(area.base, 1, kBytes);
  uint64_t filled = resident_bytes();
  EXPECT_GE(filled + kSlackBytes, before + kBytes);
  ASSERT_TRUE(discard(area.base, kBytes));
  EXPECT_LE(resident_bytes(), before + kSlackBytes);
  std::memset(area.base, 1, kBytes);
  ASSERT_TRUE(decommit(area.base, kBytes));
  EXPECT_LE(resident_bytes(), before + kSlackBytes);
}

TEST(Os, CodeRunsAndIsNotWritable) {
  Reservation area(4 * page_bytes());
  auto code = returning(41);
  ASSERT_TRUE(map_code(area.base + page_bytes(), 2 * page_bytes(), code));
  uint8_t* text = area.base + page_bytes();
  EXPECT_EQ(run(text), 41u);
  EXPECT_EQ(permissions(text), "r-xp");
  EXPECT_EQ(permissions(text + page_bytes()), "r-xp");
  EXPECT_DEATH(store(text, 0x90), "");
  EXPECT_TRUE(std::all_of(text + code.size(), text + 2 * page_bytes(), [](uint8_t byte) { return byte == 0; }));
  EXPECT_DEATH(load(area.base), "");
  EXPECT_DEATH(load(area.base + 3 * page_bytes()), "");
}

TEST(Os, CodeCannotBeReachedForWriting) {
  // Not even by a new mapping of what lies behind it: the file is sealed.
  Reservation area(page_bytes());
  ASSERT_TRUE(map_code(area.base, page_bytes(), returning(1)));
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", reinterpret_cast<unsigned long>(area.base),
                reinterpret_cast<unsigned long>(area.base) + page_bytes());
  FILE* file = std::fopen(path, "r+");
  if (!file) return;  // this kernel or user may not even open it
  void* mapped = mmap(nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
  EXPECT_EQ(mapped, MAP_FAILED);
  std::fclose(file);
}

TEST(Os, DataIsNotExecutable) {
  Reservation area(page_bytes());
  ASSERT_TRUE(commit(area.base, page_bytes()));
  auto code = returning(1);
  std::memcpy(area.base, code.data(), code.size());
  EXPECT_EQ(permissions(area.base), "rw-p");
  EXPECT_DEATH(run(area.base), "");
}

TEST(Os, ReadOnlyDataAndRunPage) {
  // The parts of a code region: text, read-only data in the same mapping, and a run page.
  size_t page = page_bytes();
  Reservation area(3 * page);
  std::vector<uint8_t> code(2 * page, 0xcc);
  ASSERT_TRUE(map_code(area.base, 2 * page, code));
  ASSERT_TRUE(protect_read(area.base + page, page));
  ASSERT_TRUE(commit(area.base + 2 * page, page));
  EXPECT_EQ(permissions(area.base), "r-xp");
  EXPECT_EQ(permissions(area.base + page), "r--p");
  EXPECT_EQ(permissions(area.base + 2 * page), "rw-p");
  EXPECT_EQ(load(area.base + page), 0xcc);
  EXPECT_DEATH(store(area.base + page, 1), "");
  store(area.base + 2 * page, 5);
  ASSERT_TRUE(protect_read(area.base + 2 * page, page));
  EXPECT_DEATH(store(area.base + 2 * page, 6), "");
  ASSERT_TRUE(protect_read_write(area.base + 2 * page, page));
  store(area.base + 2 * page, 6);
  EXPECT_EQ(load(area.base + 2 * page), 6);
}

class CodeFile : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "rotor_os_test_" + std::to_string(getpid());
    std::vector<uint8_t> bytes(2 * page_bytes());
    auto code = returning(17);
    std::copy(code.begin(), code.end(), bytes.begin() + static_cast<ptrdiff_t>(page_bytes()));
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  void TearDown() override { std::remove(path_.c_str()); }
  std::string path_;
};

TEST_F(CodeFile, IsMappedPrivately) {
  Reservation area(page_bytes());
  ASSERT_TRUE(map_code_file(area.base, page_bytes(), *InputFile::open(path_), page_bytes()));
  EXPECT_EQ(run(area.base), 17u);
  EXPECT_EQ(permissions(area.base), "r-xp");
  EXPECT_DEATH(store(area.base, 1), "");
}

TEST_F(CodeFile, TooShortIsAnError) {
  Reservation area(2 * page_bytes());
  auto result = map_code_file(area.base, 2 * page_bytes(), *InputFile::open(path_), page_bytes());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::io);
  EXPECT_NE(result.error().message.find(path_), std::string::npos);
  EXPECT_DEATH(load(area.base), "");  // the reservation is as it was
}

TEST_F(CodeFile, MissingIsAnErrorThatNamesIt) {
  auto result = InputFile::open(path_ + ".missing");
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find(path_ + ".missing"), std::string::npos);
  EXPECT_NE(result.error().message.find("No such file"), std::string::npos);
}

TEST_F(CodeFile, IsOneFileWhateverHappensToItsPath) {
  auto file = InputFile::open(path_);
  ASSERT_TRUE(file);
  std::ofstream(path_ + ".new") << "something else";
  ASSERT_EQ(std::rename((path_ + ".new").c_str(), path_.c_str()), 0);
  Reservation area(page_bytes());
  ASSERT_TRUE(map_code_file(area.base, page_bytes(), *file, page_bytes()));
  EXPECT_EQ(run(area.base), 17u);
}

TEST_F(CodeFile, AFolderIsNone) {
  auto folder = InputFile::open(testing::TempDir());
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().message.find("not a regular file"), std::string::npos);
}

uintptr_t here() {
  volatile char local = 0;
  return reinterpret_cast<uintptr_t>(&local);
}

/// Touches the stack from here down to `low`, in steps that make the kernel extend it each time.
[[gnu::noinline]] void touch_down_to(uintptr_t low) {
  constexpr uintptr_t kStepBytes = 1 << 18;
  for (uintptr_t at = here() - page_bytes(); at > low + kStepBytes; at -= kStepBytes)
    *reinterpret_cast<volatile char*>(at) = 0;
  *reinterpret_cast<volatile char*>(low) = 0;
}

TEST(ThreadStack, OfAThreadIsAllAccessible) {
  std::thread([] {
    auto stack = thread_stack().value();
    EXPECT_LT(stack.low, here());
    EXPECT_GT(stack.high, here());
    EXPECT_GE(stack.high - stack.low, 64u << 10);
    EXPECT_EQ(permissions(reinterpret_cast<void*>(stack.low)), "rw-p");
  }).join();
}

TEST(ThreadStack, OfTheMainThreadIsWithinItsLimit) {
  ASSERT_EQ(getpid(), gettid());
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_STACK, &limit), 0);
  auto stack = thread_stack().value();
  EXPECT_LT(stack.low, here());
  EXPECT_GT(stack.high, here());
  EXPECT_LE(stack.high - stack.low, limit.rlim_cur);
  EXPECT_GE(stack.high - stack.low, std::min<uint64_t>(limit.rlim_cur / 2, 4 << 20));
}

TEST(ThreadStack, OfTheMainThreadIsAllUsable) {
  if (kSanitized) GTEST_SKIP() << "sanitizers keep books on the stack";
  auto limited = [](rlim_t bytes) {
    rlimit limit{};
    getrlimit(RLIMIT_STACK, &limit);
    limit.rlim_cur = std::min<rlim_t>(bytes, limit.rlim_max);
    if (setrlimit(RLIMIT_STACK, &limit) != 0) std::_Exit(2);
    auto stack = thread_stack();
    if (!stack) std::_Exit(3);
    touch_down_to(stack->low);
    std::_Exit(0);
  };
  for (rlim_t bytes : {rlim_t{1} << 20, rlim_t{8} << 20, rlim_t{64} << 20, rlim_t{400} << 20})
    EXPECT_EXIT(limited(bytes), testing::ExitedWithCode(0), "") << bytes;
  // Raised after the start, "unlimited" ends at the mapping below; the kernel's gap to it must be left out.
  EXPECT_EXIT(limited(RLIM_INFINITY), testing::ExitedWithCode(0), "");
}

TEST(ThreadStack, OfTheMainThreadIsKnownWithoutProc) {
  if (const char* why = test::why_no_child()) GTEST_SKIP() << why;
  auto child = [] {
    const StackRange known = thread_stack().value();
    test::deny({SYS_openat, SYS_open});
    const auto found = thread_stack();
    // The C library leaves out the pages of arguments and environment.
    if (!found || found->low != known.low || found->high < known.high) return false;
    touch_down_to(found->low);
    return true;
  };
  EXPECT_TRUE(test::in_child(child));
  // Of another thread than the first one the C library knows it.
  auto on_thread = [] {
    bool known = false;
    test::deny({SYS_openat, SYS_open});
    std::thread([&] {
      auto stack = thread_stack();
      known = stack && here() > stack->low && here() < stack->high;
    }).join();
    return known;
  };
  EXPECT_TRUE(test::in_child(on_thread));
}

TEST(MemoryFiles, AreMappedWhereHugePagesCanBeUsedWhateverTheirSize) {
  for (uint64_t bytes : {uint64_t{65536}, kHugePageBytes, 3 * kHugePageBytes + 65536, 7 * kHugePageBytes - 4096}) {
    auto file = MemoryFile::create(bytes);
    ASSERT_TRUE(file) << file.error().message;
    auto view = map_file(*file);
    ASSERT_TRUE(view) << view.error().message;
    EXPECT_EQ(view->size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(view->data()) % kHugePageBytes, 0u) << bytes;
    EXPECT_EQ(view->back(), 0);
    release(const_cast<uint8_t*>(view->data()), view->size(), 1);
  }
}

}  // namespace
}  // namespace rotor::memory::os
