#include "memory/image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "memory/fault_injection.h"
#include "memory/linear_memory.h"

namespace rotor::memory {
namespace {

using Kind = LinearMemory::Kind;
constexpr uint64_t kPage = 65536;
constexpr uint64_t kReserved = (uint64_t{4} << 30) + (32 << 20);

uint8_t load(const uint8_t* address) { return *const_cast<const volatile uint8_t*>(address); }
void store(uint8_t* address, uint8_t value) { *const_cast<volatile uint8_t*>(address) = value; }

std::unique_ptr<LinearMemory> make(uint64_t pages, uint64_t max_pages, Kind kind = Kind::plain) {
  return LinearMemory::create(pages * kPage, max_pages * kPage, kReserved, kind).value();
}

/// A memory in the image's state.
std::unique_ptr<LinearMemory> stamp(const std::shared_ptr<const Image>& image, uint64_t max_pages,
                                    Kind kind = Kind::plain) {
  auto memory = make(0, max_pages, kind);
  EXPECT_TRUE(memory->restore(image));
  return memory;
}

std::vector<uint8_t> contents(const LinearMemory& memory) {
  return {memory.base(), memory.base() + memory.size_bytes()};
}

std::vector<uint8_t> contents(const Image& image) {
  std::vector<uint8_t> bytes(image.mapped_bytes());
  auto copy = [&](uint64_t offset, std::span<const uint8_t> pages) -> Result<void> {
    std::ranges::copy(pages, bytes.begin() + static_cast<ptrdiff_t>(offset));
    return {};
  };
  EXPECT_TRUE(image.visit(copy));
  bytes.resize(image.size_bytes());
  return bytes;
}

/// Mappings of files in memory, and reservations. (Not all mappings: the allocator's come and go.)
size_t mappings() {
  constexpr uint64_t kReservationBytes = 16 << 20;
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    uint64_t begin = 0, end = 0;
    char access[5] = {};
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s", &begin, &end, access) != 3) continue;
    bool reserved = std::string_view(access) == "---p" && end - begin >= kReservationBytes;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    reserved = false;  // the sanitizer's allocator reserves such, too, and splits them
#endif
    if (reserved || line.find("memfd:rotor-memory") != std::string::npos) ++count;
  }
  return count;
}

size_t descriptors() {
  os::finds_written_fast();  // the process keeps a descriptor for that
  auto files = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

class Images : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, Images, testing::Values(Kind::plain, Kind::imageable), [](const auto& param) {
  return param.param == Kind::plain ? std::string("plain") : std::string("imageable");
});

TEST_P(Images, HoldWhatTheMemoryHeldAndTheMemoryGoesOn) {
  auto memory = make(2, 10, GetParam());
  store(memory->base() + 5, 1);
  ASSERT_EQ(memory->grow(kPage), 2 * kPage);
  store(memory->base() + 3 * kPage - 1, 2);
  std::vector<uint8_t> before = contents(*memory);
  auto image = memory->seal_image().value();
  EXPECT_EQ(contents(*image), before);
  EXPECT_EQ(contents(*memory), before);

  store(memory->base() + 5, 9);
  store(memory->base() + 2 * kPage, 9);
  EXPECT_EQ(memory->grow(kPage), 3 * kPage);
  EXPECT_EQ(load(memory->base() + 3 * kPage), 0);
  store(memory->base() + 3 * kPage, 9);
  EXPECT_EQ(contents(*image), before);

  auto second = memory->seal_image().value();
  EXPECT_EQ(contents(*second), contents(*memory));
  EXPECT_EQ(contents(*image), before);
}

TEST_P(Images, EndWithinAPage) {
  auto memory = LinearMemory::create(5, 10 * kPage, kReserved, GetParam()).value();
  ASSERT_EQ(memory->grow(5000), 5u);
  store(memory->base() + 5004, 1);
  auto image = memory->seal_image().value();
  EXPECT_EQ(image->size_bytes(), 5005u);
  EXPECT_EQ(image->mapped_bytes(), 8192u);
  EXPECT_EQ(contents(*memory)[5004], 1);
  // It goes on in the page that it ended in, and so does what is made of the image.
  auto larger = LinearMemory::create(3 * kPage + 7, 10 * kPage, kReserved, GetParam()).value();
  std::memset(larger->base(), 0xee, 3 * kPage + 7);
  ASSERT_TRUE(larger->restore(image));
  auto second = memory->seal_image().value();
  for (LinearMemory* of : {memory.get(), larger.get()}) {
    EXPECT_EQ(of->size_bytes(), 5005u);
    EXPECT_EQ(load(of->base() + 5004), 1);
    EXPECT_DEATH(load(of->base() + 8192), "");
    EXPECT_EQ(of->grow(5000), 5005u);
    for (uint64_t at = 5005; at < 10005; ++at) ASSERT_EQ(load(of->base() + at), 0) << at;
    store(of->base() + 5005, 2);
  }
  EXPECT_EQ(contents(*image), contents(*second));
}

TEST_P(Images, RestoreContentsAndSizeCopyOnWrite) {
  auto source = make(3, 10);
  for (uint64_t at = 0; at < 3 * kPage; at += 4096) store(source->base() + at, 7);
  auto image = source->seal_image().value();
  std::vector<uint8_t> expected = contents(*image);

  for (uint64_t pages : {0, 3, 6}) {
    auto memory = make(pages, 10, GetParam());
    std::memset(memory->base(), 0xee, pages * kPage);
    std::atomic<uint64_t> size;
    memory->attach_size(&size);
    ASSERT_TRUE(memory->restore(image));
    EXPECT_EQ(size.load(), 3 * kPage);
    EXPECT_EQ(contents(*memory), expected);
    EXPECT_DEATH(load(memory->base() + 3 * kPage), "");
    store(memory->base() + 4096, 1);
    EXPECT_EQ(contents(*image), expected);
    // Growth reads zero, also where something was before, and right behind the image.
    EXPECT_EQ(memory->grow(4 * kPage), 3 * kPage);
    EXPECT_TRUE(
        std::ranges::all_of(std::span(memory->base() + 3 * kPage, 4 * kPage), [](uint8_t b) { return b == 0; }));
    store(memory->base() + 3 * kPage, 1);
    EXPECT_EQ(memory->grow(4 * kPage), UINT64_MAX);
  }
}

TEST_P(Images, OfNoBytes) {
  auto memory = make(0, 4, GetParam());
  auto image = memory->seal_image().value();
  EXPECT_EQ(image->size_bytes(), 0u);
  auto other = make(2, 4, GetParam());
  ASSERT_TRUE(other->restore(image));
  EXPECT_EQ(other->size_bytes(), 0u);
  EXPECT_DEATH(load(other->base()), "");
  EXPECT_EQ(other->grow(kPage), 0u);
  EXPECT_EQ(load(other->base()), 0);
}

TEST_P(Images, OfSparseMemoriesAreSparse) {
  constexpr uint64_t kPages = 16384;  // 1 GiB
  auto memory = make(kPages, kPages, GetParam());
  for (uint64_t at : {uint64_t{0}, uint64_t{100} << 20, (uint64_t{1} << 30) - 1}) store(memory->base() + at, 3);
  std::ignore = load(memory->base() + (500 << 20));  // read, not written
  uint64_t before = os::resident_bytes();
  auto image = memory->seal_image().value();
  EXPECT_LE(image->resident_bytes(), 8u * 4096);
  EXPECT_LT(os::resident_bytes(), before + (4 << 20));
  auto copy = stamp(image, kPages, GetParam());
  EXPECT_EQ(load(copy->base() + (1 << 30) - 1), 3);
  store(copy->base() + (700 << 20), 4);
  auto second = copy->seal_image().value();
  EXPECT_LE(second->resident_bytes(), 8u * 4096);
  auto third = stamp(second, kPages);
  EXPECT_EQ(load(third->base() + (700 << 20)), 4);
  EXPECT_EQ(load(third->base() + (100 << 20)), 3);
}

TEST(Image, OfAPageThatWasZeroedDoesNotHoldIt) {
  auto source = make(1, 1);
  std::memset(source->base(), 1, 3 * 4096);
  auto copy = stamp(source->seal_image().value(), 1);
  std::memset(copy->base() + 4096, 0, 4096);
  auto image = copy->seal_image().value();
  EXPECT_EQ(image->resident_bytes(), 2u * 4096);
  EXPECT_EQ(contents(*image), contents(*copy));
}

TEST(Image, OfHugePagesOfDataIsTheSame) {
  constexpr uint64_t kPages = 3 * os::kHugePageBytes / kPage;
  auto source = make(kPages, kPages);
  for (uint64_t at = 0; at < kPages * kPage; at += 8) std::memcpy(source->base() + at, &at, 8);
  std::memset(source->base() + os::kHugePageBytes, 0, 4096);  // a hole: not gathered
  auto image = source->seal_image().value();
  image->prepare();
  EXPECT_EQ(image->resident_bytes(), kPages * kPage - 4096);
  EXPECT_EQ(contents(*image), contents(*source));
  EXPECT_EQ(contents(*stamp(image, kPages)), contents(*source));
}

TEST(Image, OutlivesTheMemoryAndIsOutlivedByOthers) {
  auto source = make(1, 1, Kind::imageable);
  store(source->base(), 5);
  auto image = source->seal_image().value();
  source.reset();
  auto memory = stamp(image, 1);
  image.reset();
  EXPECT_EQ(load(memory->base()), 5);
}

// ---- images that lie over others ------------------------------------------------------------------------------------

constexpr auto kChanges = LinearMemory::Copy::changes;

std::shared_ptr<const Image> image_of_changes(LinearMemory& memory) {
  auto image = memory.seal_image(kChanges).value();
  EXPECT_EQ(contents(*image), contents(memory));
  return image;
}

/// A memory of `pages`, of which every byte is 7, on an image of itself.
std::unique_ptr<LinearMemory> on_image(uint64_t pages, uint64_t max_pages) {
  auto source = make(pages, max_pages);
  std::memset(source->base(), 7, pages * kPage);
  return stamp(source->seal_image().value(), max_pages);
}

TEST(ImageOfChanges, HoldsThePagesThatWereWritten) {
  auto memory = on_image(64, 70);
  auto first = image_of_changes(*memory);
  ASSERT_TRUE(first->base());
  EXPECT_TRUE(first->patches().empty());
  for (uint64_t page : {0, 20, 63}) store(memory->base() + page * kPage + 5000, 1);
  std::memset(memory->base() + 40 * kPage, 0, 4096);
  auto image = image_of_changes(*memory);
  EXPECT_EQ(image->base(), first->base());
  EXPECT_EQ(image->patches().size(), 4u);
  EXPECT_EQ(image->resident_bytes(), image->base()->resident_bytes() + 3 * 4096);
  EXPECT_EQ(image->mappings(), SlotContents::kMappings + 8);
  EXPECT_EQ(contents(*first), std::vector<uint8_t>(64 * kPage, 7));
  // What is stamped from it lies over the same image.
  auto copy = stamp(image, 70);
  memory.reset();
  store(copy->base() + 20 * kPage + 5000, 2);
  store(copy->base() + 30 * kPage, 2);
  auto second = image_of_changes(*copy);
  EXPECT_EQ(second->base(), image->base());
  EXPECT_EQ(second->patches().size(), 5u);
  EXPECT_NE(contents(*second), contents(*image));
  EXPECT_EQ(load(stamp(image, 70)->base() + 20 * kPage + 5000), 1);
}

TEST(ImageOfChanges, HoldsWhatTheMemoryGrewBy) {
  auto memory = LinearMemory::create(3 * kPage + 5, 20 * kPage, kReserved).value();
  std::memset(memory->base(), 7, 3 * kPage + 5);
  auto below = memory->seal_image().value();
  memory = stamp(below, 20);
  store(memory->base() + 3 * kPage + 4, 1);  // in the page that the image ends in
  ASSERT_EQ(memory->grow(4 * kPage), 3 * kPage + 5);
  store(memory->base() + 5 * kPage, 2);
  auto image = image_of_changes(*memory);
  ASSERT_EQ(image->base(), below);
  EXPECT_EQ(image->resident_bytes(), below->resident_bytes() + 2 * 4096);
  auto copy = stamp(image, 20);
  EXPECT_EQ(contents(*copy), contents(*memory));
  EXPECT_EQ(copy->grow(kPage), 7 * kPage + 5);
  EXPECT_EQ(load(copy->base() + 7 * kPage + 5), 0);
  EXPECT_DEATH(load(copy->base() + 9 * kPage), "");
  store(copy->base() + 8 * kPage, 3);
  auto second = image_of_changes(*copy);
  EXPECT_EQ(second->base(), below);
  EXPECT_EQ(contents(*second), contents(*copy));
}

TEST(ImageOfChanges, IsWholeIfMuchChanged) {
  auto memory = on_image(64, 64);
  std::memset(memory->base(), 1, 33 * kPage);
  auto image = image_of_changes(*memory);
  EXPECT_FALSE(image->base());
  EXPECT_EQ(image->mappings(), SlotContents::kMappings);
}

TEST(ImageOfChanges, JoinsPagesThatLieNearEachOtherOrAreMany) {
  auto memory = on_image(1024, 1024);
  // Pairs of pages 8 KiB apart, 1,250 of them: of the gaps between them the longest are left, and there each is alone.
  uint64_t at = 0;
  for (uint64_t i = 0; i < 1250; ++i, at += i % 8 == 0 ? 3 * kPage : kPage / 2) {
    store(memory->base() + at, 1);
    store(memory->base() + at + 8192, 1);
  }
  ASSERT_LT(at, 1024 * kPage);
  auto image = image_of_changes(*memory);
  ASSERT_TRUE(image->base());
  EXPECT_EQ(image->patches().size(), LinearMemory::kMostPatches - 1);
  // Between groups of eight pairs lie three pages.
  for (const Image::Range& patch : image->patches()) EXPECT_LE(patch.end - patch.begin, 4 * kPage);
  EXPECT_EQ(contents(*stamp(image, 1024)), contents(*memory));
}

TEST(ImageOfChanges, IsCountedByItsMappings) {
  const os::AddressSpaceUse before = os::address_space_use();
  {
    auto memory = on_image(64, 64);
    for (uint64_t page : {1, 20, 40}) store(memory->base() + page * kPage, 1);
    auto image = image_of_changes(*memory);
    auto plain = make(1, 64);
    const uint64_t mappings = os::address_space_use().mappings;
    auto stamped = LinearMemory::of(image, image->size_bytes(), 64 * kPage, kReserved).value();
    EXPECT_EQ(os::address_space_use().mappings, mappings + image->mappings());
    ASSERT_TRUE(plain->restore(image));
    EXPECT_EQ(os::address_space_use().mappings, mappings + image->mappings() + 6);
    ASSERT_TRUE(plain->restore(image));
    EXPECT_EQ(os::address_space_use().mappings, mappings + image->mappings() + 6);
    stamped.reset();  // its slot is kept, and cleaned by what the image holds
    stamped = LinearMemory::of(image, image->size_bytes(), 64 * kPage, kReserved).value();
    EXPECT_EQ(image->slots().counts().reused, 1u);
    EXPECT_EQ(contents(*stamped), contents(*memory));
  }
  EXPECT_EQ(os::address_space_use().mappings, before.mappings);
  EXPECT_EQ(os::address_space_use().reserved_bytes, before.reserved_bytes);
}

TEST(ImageOfChanges, SurvivesEachFailure) {
  auto memory = on_image(64, 70);
  for (uint64_t page : {0, 20, 63}) store(memory->base() + page * kPage, 1);
  auto image = image_of_changes(*memory);
  ASSERT_TRUE(image->base());
  const size_t mapped = mappings(), opened = descriptors();
  bool lost = false;
  for (uint64_t n = 1;; ++n) {
    bool failed = false;
    {
      auto other = on_image(40, 80);  // smaller than the image: nothing may be left behind its end
      store(other->base() + 7 * kPage, 2);
      const std::vector<uint8_t> before = contents(*other);
      fault_injection::fail_after(n);
      auto sealed = other->seal_image(kChanges);
      auto restored = other->restore(image);
      auto stamped = LinearMemory::of(image, image->size_bytes(), 70 * kPage, kReserved);
      fault_injection::off();
      failed = !sealed || !restored || !stamped;
      if (sealed) {
        EXPECT_EQ(contents(**sealed), before);
      }
      if (restored) {
        EXPECT_EQ(contents(*other), contents(*image));
      } else if (restored.error().kind == ErrorKind::stale_handle) {
        lost = true;
        EXPECT_EQ(other->size_bytes(), 0u);
        EXPECT_DEATH(load(other->base() + 63 * kPage), "") << "behind its old end, but not the image's";
      } else {
        EXPECT_EQ(contents(*other), before);
      }
      if (stamped) {
        EXPECT_EQ(contents(**stamped), contents(*image));
      }
    }
    ASSERT_TRUE(image->slots().keep(*image, 0, image->mapped_bytes(), kReserved));
    EXPECT_EQ(mappings(), mapped) << n;
    EXPECT_EQ(descriptors(), opened) << n;
    if (!failed && n > 20) break;
  }
  EXPECT_TRUE(lost) << "a restore that fails between the patches loses the memory";
}

/// Against a model: any sequence of writes, growths, seals and restores.
TEST(Image, IsAsAModelSays) {
  std::mt19937 random(1);
  int over_others = 0;
  struct Pair {
    std::unique_ptr<LinearMemory> memory;
    std::vector<uint8_t> model;
    bool imageable;
  };
  std::vector<Pair> memories;
  for (int i = 0; i < 4; ++i) {
    memories.push_back({make(1, 8, i % 2 ? Kind::imageable : Kind::plain), std::vector<uint8_t>(kPage), i % 2 != 0});
  }
  std::vector<std::pair<std::shared_ptr<const Image>, std::vector<uint8_t>>> images;
  for (int step = 0; step < 600; ++step) {
    Pair& pair = memories[random() % memories.size()];
    switch (random() % 8) {
      case 0:
        images.emplace_back(pair.memory->seal_image(random() % 2 ? kChanges : LinearMemory::Copy::whole).value(),
                            pair.model);
        over_others += images.back().first->base() != nullptr;
        if (images.size() > 6) images.erase(images.begin());
        break;
      case 1:
      case 2: {
        if (images.empty()) break;
        auto& [image, model] = images[random() % images.size()];
        if (pair.imageable || random() % 2) {
          ASSERT_TRUE(pair.memory->restore(image));
        } else {  // another one in its place: often on the same image's slot
          if (random() % 3 == 0) {
            ASSERT_TRUE(image->slots().keep(*image, random() % 3, image->mapped_bytes(), kReserved));
          }
          pair.memory.reset();
          pair.memory = LinearMemory::of(image, image->size_bytes(), 8 * kPage, kReserved).value();
        }
        pair.model = model;
        break;
      }
      case 3:
        if (pair.memory->grow(kPage) != UINT64_MAX) pair.model.resize(pair.model.size() + kPage);
        break;
      default: {
        size_t at = random() % pair.model.size();
        size_t count = std::min<size_t>(random() % 9000, pair.model.size() - at);
        auto value = static_cast<uint8_t>(random() % 3);
        std::memset(pair.memory->base() + at, value, count);
        std::memset(pair.model.data() + at, value, count);
      }
    }
    ASSERT_EQ(pair.memory->size_bytes(), pair.model.size());
    ASSERT_EQ(std::memcmp(pair.memory->base(), pair.model.data(), pair.model.size()), 0) << step;
  }
  for (auto& [image, model] : images) EXPECT_EQ(contents(*image), model);
  EXPECT_GT(over_others, 10);
}

TEST_P(Images, LeaveNothingBehind) {
  auto round = [] {
    auto memory = make(2, 4, GetParam());
    store(memory->base(), 1);
    auto image = memory->seal_image().value();
    stamp(image, 4, GetParam())->grow(kPage);
  };
  round();
  size_t mapped = mappings(), opened = descriptors();
  for (int i = 0; i < 100; ++i) round();
  EXPECT_EQ(mappings(), mapped);
  EXPECT_EQ(descriptors(), opened);
}

TEST_P(Images, SurviveEachFailure) {
  auto source = make(3, 8);
  std::memset(source->base(), 1, 3 * kPage);
  auto image = source->seal_image().value();
  ASSERT_TRUE(image->slots().keep(*image, 0, image->mapped_bytes(), kReserved));
  std::ignore = image->view();  // it stays mapped
  size_t mapped = mappings(), opened = descriptors();
  for (uint64_t n = 1;; ++n) {
    bool failed = false;
    {
      auto memory = make(5, 8, GetParam());
      std::memset(memory->base() + 100, 2, 5 * kPage - 100);
      std::vector<uint8_t> before = contents(*memory);
      fault_injection::fail_after(n);
      auto sealed = memory->seal_image();
      auto restored = memory->restore(image);
      fault_injection::off();
      EXPECT_TRUE(sealed || restored) << "one call fails, once";
      failed = !sealed || !restored;
      if (sealed) {
        EXPECT_EQ(contents(**sealed), before);
      }
      if (restored) {
        EXPECT_EQ(contents(*memory), contents(*image));
      } else if (restored.error().kind == ErrorKind::stale_handle) {
        EXPECT_EQ(memory->size_bytes(), 0u);
        EXPECT_DEATH(load(memory->base()), "");
      } else {
        EXPECT_EQ(restored.error().kind, ErrorKind::io);
        EXPECT_EQ(contents(*memory), before);
        store(memory->base(), 1);
        EXPECT_EQ(memory->grow(kPage), 5 * kPage);
        EXPECT_EQ(load(memory->base() + 5 * kPage), 0);
      }
      if (!sealed) {
        EXPECT_EQ(sealed.error().kind, ErrorKind::io);
        EXPECT_TRUE(memory->seal_image());
      }
    }
    EXPECT_EQ(mappings(), mapped) << n;
    EXPECT_EQ(descriptors(), opened) << n;
    // The search for written pages may fail and nothing come of it.
    if (!failed && n > 8) break;
  }
}

TEST_P(Images, AreMadeAndGrownOrNot) {
  size_t mapped = mappings(), opened = descriptors();
  for (uint64_t n = 1;; ++n) {
    fault_injection::fail_after(n);
    auto memory = LinearMemory::create(kPage, 4 * kPage, kReserved, GetParam());
    uint64_t grown = memory ? (*memory)->grow(kPage) : UINT64_MAX;
    fault_injection::off();
    if (memory && grown == UINT64_MAX) {
      store((*memory)->base() + kPage - 1, 1);
      EXPECT_EQ((*memory)->grow(2 * kPage), kPage);
      EXPECT_EQ(load((*memory)->base() + 3 * kPage - 1), 0);
    }
    bool failed = grown == UINT64_MAX;
    if (memory) memory->reset();
    EXPECT_EQ(mappings(), mapped);
    EXPECT_EQ(descriptors(), opened);
    if (!failed) break;
  }
}

}  // namespace
}  // namespace rotor::memory
