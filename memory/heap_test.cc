#include "memory/heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <random>

#include "memory/fault_injection.h"
#include "memory/image.h"
#include "memory/os.h"
#include "memory/testing/child.h"

namespace rotor::memory {
namespace {

using Kind = HeapShape::Kind;

/// Types of these tests.
enum : uint32_t { kEmpty = 1, kPair, kLeaf, kBytes, kReferences, kVectors, kLarge };
constexpr uint32_t kFirst = 8, kSecond = 12;  // the fields of a pair

/// A heap, and roots that a test sets.
struct TestHeap final : HeapRoots {
  explicit TestHeap(HeapOptions options = {}, std::shared_ptr<const Image> image = nullptr) {
    auto made = Heap::create(options, *this, std::move(image));
    EXPECT_TRUE(made) << made.error().message;
    if (!made) return;
    heap = std::move(*made);
    EXPECT_TRUE(heap->define(kEmpty, {.bytes = 8}));
    EXPECT_TRUE(heap->define(kPair, {.bytes = 16, .reference_offsets = {kFirst, kSecond}}));
    EXPECT_TRUE(heap->define(kLeaf, {.bytes = 32}));
    EXPECT_TRUE(heap->define(kBytes, {.kind = Kind::array, .bytes = 1}));
    EXPECT_TRUE(heap->define(kReferences, {.kind = Kind::array, .bytes = 4, .reference_elements = true}));
    EXPECT_TRUE(heap->define(kVectors, {.kind = Kind::array, .bytes = 16}));
    EXPECT_TRUE(heap->define(kLarge, {.bytes = 100'000, .reference_offsets = {99'996}}));
  }
  void visit_ambiguous(AmbiguousRoots& roots) override {
    for (uint64_t word : ambiguous) roots.add(word);
    roots.add_range(stack.data(), stack.data() + stack.size());
  }
  void visit_exact(ExactRoots& roots) override {
    for (HeapRef reference : exact) roots.add(reference);
  }
  HeapRef pair(HeapRef first = 0, HeapRef second = 0) {
    const HeapRef object = must(heap->allocate_structure(kPair));
    field(object, kFirst) = first;
    field(object, kSecond) = second;
    return object;
  }
  HeapRef leaf() { return must(heap->allocate_structure(kLeaf)); }
  HeapRef array(uint32_t type, uint32_t length) { return must(heap->allocate_array(type, length)); }
  HeapRef must(Result<HeapRef> object) {
    EXPECT_TRUE(object) << object.error().message;
    return object.value_or(0);
  }
  HeapRef& field(HeapRef object, uint32_t offset) { return *reinterpret_cast<HeapRef*>(heap->bytes(object) + offset); }
  HeapRef& element(HeapRef array, uint32_t index) { return field(array, kHeapHeaderBytes + index * kHeapRefBytes); }
  uint64_t live_bytes() {
    heap->collect();
    return heap->counters().live_bytes;
  }

  std::unique_ptr<Heap> heap;
  std::vector<HeapRef> exact;
  std::vector<uint64_t> ambiguous;
  std::vector<uint32_t> stack;
};

HeapOptions limited(uint32_t blocks) { return {.limit_bytes = uint64_t{blocks} * kHeapBlockBytes}; }

TEST(HeapTest, AnObjectIsZeroBehindItsHeader) {
  TestHeap test;
  const HeapRef array = test.array(kBytes, 1000);
  EXPECT_EQ(array % 8, 0U);
  EXPECT_EQ(test.heap->header(array).type, kBytes);
  EXPECT_EQ(test.heap->header(array).length, 1000U);
  const uint8_t* bytes = test.heap->bytes(array) + kHeapHeaderBytes;
  EXPECT_TRUE(std::all_of(bytes, bytes + 1000, [](uint8_t byte) { return byte == 0; }));
  EXPECT_EQ(test.heap->header(test.pair()).length, 0U);
}

/// Does what compiled code is to do, with nothing but the base and what memory/heap_layout.h says.
TEST(HeapTest, CompiledCodeAllocatesByTheAllocatorAlone) {
  TestHeap test;
  const uint32_t size_class = heap_class_of(16);
  std::vector<HeapRef> objects;
  for (int i = 0; i < 10'000; ++i) {
    uint8_t* base = test.heap->base();
    auto* run = reinterpret_cast<uint32_t*>(base + kHeapAllocatorAt + 8 * size_class);
    HeapRef object = run[0];
    const uint32_t next = object + kHeapClassBytes[size_class];
    const uint64_t header = kPair | UINT64_C(0) << 32;
    if (next > run[1]) {
      object = test.must(test.heap->allocate(16, {kPair, 0}));
    } else {
      run[0] = next;
      std::memcpy(base + object, &header, sizeof(header));
    }
    test.field(object, kFirst) = objects.empty() ? 0 : objects.back();
    objects.push_back(object);
  }
  test.exact = {objects.back()};
  EXPECT_EQ(test.live_bytes(), 160'000U);
  EXPECT_EQ(test.heap->counters().allocated_bytes, 160'000U);
  for (HeapRef object : objects) EXPECT_EQ(test.heap->resolve(object + 15), object);
}

TEST(HeapTest, TheTableOfClassesIsThatOfTheSizes) {
  TestHeap test;
  const auto& allocator = *reinterpret_cast<HeapAllocator*>(test.heap->base() + kHeapAllocatorAt);
  for (uint32_t bytes = 8; bytes <= kMostTabledBytes; ++bytes) {
    const uint32_t size_class = allocator.class_of[(bytes + 7) / 8];
    EXPECT_EQ(size_class, heap_class_of(bytes));
    EXPECT_EQ(allocator.cell_of[(bytes + 7) / 8] * 8U, kHeapClassBytes[size_class]);
    EXPECT_GE(kHeapClassBytes[size_class], bytes);
    EXPECT_TRUE(size_class == 0 || kHeapClassBytes[size_class - 1] < bytes);
  }
}

TEST(HeapTest, NullHasAHeaderOfNoTypeAndNoLength) {
  TestHeap test;
  test.exact = {test.pair(), 0};
  test.heap->collect();
  EXPECT_EQ(test.heap->header(0).type, 0U);
  EXPECT_EQ(test.heap->header(0).length, 0U);
  EXPECT_EQ(test.heap->resolve(0), 0U);
  EXPECT_EQ(test.heap->resolve(reinterpret_cast<uintptr_t>(test.heap->base())), 0U);
}

/// Resolves every byte of the heap's blocks, of objects that live, were freed, and were never allocated.
TEST(HeapTest, EveryWordResolvesToTheObjectThatItLiesIn) {
  TestHeap test(limited(60));
  std::map<HeapRef, uint64_t> cells;
  std::mt19937 random(1);
  for (uint32_t cell : kHeapClassBytes) {
    for (int i = 0; i < 5; ++i) {
      const HeapRef object = test.array(kBytes, cell - kHeapHeaderBytes);
      if (random() % 2 == 0) continue;
      test.exact.push_back(object);
      cells[object] = cell;
    }
  }
  const HeapRef large = test.array(kBytes, 3 * kHeapBlockBytes - kHeapHeaderBytes);
  test.exact.push_back(large);
  cells[large] = 3 * kHeapBlockBytes;
  test.heap->collect();
  const HeapRef fresh = test.array(kBytes, 100);
  cells[fresh] = 112;
  const uint64_t base = reinterpret_cast<uintptr_t>(test.heap->base());
  uint64_t found = 0;
  for (uint64_t word = 0; word < uint64_t{80} * kHeapBlockBytes; ++word) {
    auto behind = cells.upper_bound(static_cast<HeapRef>(word));
    HeapRef expected = 0;
    if (behind != cells.begin() && word - std::prev(behind)->first < std::prev(behind)->second)
      expected = std::prev(behind)->first;
    if (test.heap->resolve(word) != expected || test.heap->resolve(base + word) != expected)
      FAIL() << word << " is found to be of " << test.heap->resolve(word) << ", not of " << expected;
    found += expected != 0;
  }
  uint64_t all = 0;
  for (const auto& [object, bytes] : cells) all += bytes;
  EXPECT_EQ(found, all);
  for (uint64_t word : {UINT64_MAX, base - 1, base - 8, large + (UINT64_C(1) << 32), UINT64_C(1) << 63})
    EXPECT_EQ(test.heap->resolve(word), 0U) << word;
}

TEST(HeapTest, CyclesAreFreed) {
  TestHeap test;
  const HeapRef first = test.pair(), second = test.pair(first), alone = test.pair();
  test.field(first, kSecond) = second;
  test.field(alone, kFirst) = alone;
  test.exact = {second};
  EXPECT_EQ(test.live_bytes(), 32U);
  EXPECT_EQ(test.heap->resolve(alone), 0U);
  test.exact.clear();
  EXPECT_EQ(test.live_bytes(), 0U);
  EXPECT_EQ(test.heap->counters().used_bytes, 0U);
}

TEST(HeapTest, ValuesByThemselvesAreNoReferences) {
  TestHeap test;
  const HeapRef object = test.pair();
  test.exact = {test.pair(object | 1, object + 4), object + 2, object | 7};
  EXPECT_EQ(test.live_bytes(), 16U);
}

TEST(HeapTest, AmbiguousWordsKeepWhatTheyPointInto) {
  TestHeap test;
  const uint64_t base = reinterpret_cast<uintptr_t>(test.heap->base());
  const HeapRef by_offset = test.leaf(), by_address = test.leaf(), inside = test.leaf(), dropped = test.leaf();
  const HeapRef large = test.array(kBytes, 200'000), held = test.leaf();
  const HeapRef holder = test.pair(held);
  test.ambiguous = {by_offset, base + by_address, base + inside + 31, base + large + 199'999, base + holder + 3, 12};
  EXPECT_EQ(test.live_bytes(), 4 * 32 + 4 * uint64_t{kHeapBlockBytes} + 16);
  EXPECT_EQ(test.heap->resolve(dropped), 0U);
  EXPECT_EQ(test.heap->counters().imprecise_collections, 1U);
  test.ambiguous.clear();
  EXPECT_EQ(test.live_bytes(), 0U);
  EXPECT_EQ(test.heap->counters().imprecise_collections, 1U);
  EXPECT_EQ(test.heap->counters().collections, 2U);
}

/// Vectors that are spilled hold references at each 4 bytes, and addresses lie at any 4 bytes of memory.
TEST(HeapTest, MemoryIsReadAtEachFourBytes) {
  TestHeap test;
  const uint64_t address = reinterpret_cast<uintptr_t>(test.heap->base()) + test.leaf();
  test.stack = {
      0, 0, test.leaf(), 0, test.leaf(), static_cast<uint32_t>(address), static_cast<uint32_t>(address >> 32)};
  EXPECT_EQ(test.live_bytes(), 96U);
  test.stack.pop_back();  // half an address is none
  EXPECT_EQ(test.live_bytes(), 64U);
}

TEST(HeapTest, AnAmbiguousWordKeepsNothingThatWasFreed) {
  TestHeap test;
  std::vector<HeapRef> objects;
  for (int i = 0; i < 100; ++i) objects.push_back(test.leaf());
  test.exact = {objects[50]};
  test.heap->collect();
  test.ambiguous.assign(objects.begin(), objects.end());
  EXPECT_EQ(test.live_bytes(), 32U);
}

/// Builds a list of nodes, each with a leaf, which a depth-first search sees before or after the next node.
void deep_list(uint32_t nodes, uint32_t next_field, uint32_t leaf_field) {
  TestHeap test({.limit_bytes = uint64_t{2} << 30, .mark_stack_entries = 10'000});
  test.exact = {0};
  for (uint32_t i = 0; i < nodes; ++i) {
    const HeapRef node = test.pair();
    test.field(node, next_field) = std::exchange(test.exact[0], node);
    test.field(node, leaf_field) = test.must(test.heap->allocate_structure(kEmpty));
  }
  EXPECT_EQ(test.live_bytes(), uint64_t{nodes} * 32);
  test.exact.clear();
  EXPECT_EQ(test.live_bytes(), 0U);
}
TEST(HeapTest, DeepListBehindItsLeaves) { deep_list(1'000'000, kSecond, kFirst); }
TEST(HeapTest, DeepListBeforeItsLeaves) { deep_list(10'000'000, kFirst, kSecond); }

TEST(HeapTest, AMarkStackOfOneEntryIsEnough) {
  TestHeap test({.mark_stack_entries = 1});
  std::vector<HeapRef> objects = {test.array(kReferences, 50'000)};
  std::mt19937 random(1);
  for (uint32_t i = 0; i < 50'000; ++i) {
    objects.push_back(random() % 100 == 0 ? test.array(kReferences, random() % 3000) : test.pair());
    test.element(objects[0], i) = objects.back();
  }
  const uint64_t all = test.heap->counters().allocated_bytes;
  // Of the references of the first array one is left; what it leads to is a tree of random shape with cycles.
  std::fill_n(&test.element(objects[0], 0), 50'000, 0);
  std::shuffle(objects.begin() + 1, objects.end(), random);
  test.exact = {objects[0]};
  test.element(objects[0], 49'999) = objects[1];
  for (size_t i = 1; i < objects.size(); ++i) {
    for (size_t child : {2 * i, 2 * i + 1}) {
      if (child >= objects.size()) continue;
      // Through a pair or an array that may be too short, or else through the first array.
      const HeapRef object = objects[i];
      const uint32_t place = static_cast<uint32_t>(child % 2);
      if (test.heap->header(object).type == kPair)
        test.field(object, place == 0 ? kFirst : kSecond) = objects[child];
      else if (test.heap->header(object).length > 1)
        test.element(object, place == 0 ? 0 : test.heap->header(object).length - 1) = objects[child];
      else
        test.element(objects[0], static_cast<uint32_t>(child % 49'999)) = objects[child];
    }
  }
  EXPECT_EQ(test.live_bytes(), all);
  EXPECT_GT(test.heap->counters().rescans, 0U);
}

TEST(HeapTest, ArraysThatFitNowhereAreRefused) {
  TestHeap test(limited(16));
  for (uint32_t type : {kBytes, kReferences, kVectors}) {
    for (uint32_t length : {UINT32_MAX, UINT32_MAX - 8, uint32_t{1} << 31, uint32_t{1} << 28, uint32_t{17} << 16}) {
      auto array = test.heap->allocate_array(type, length);
      ASSERT_FALSE(array);
      EXPECT_EQ(array.error().kind, ErrorKind::limit);
    }
  }
  EXPECT_EQ(test.heap->counters().collections, 0U);
  EXPECT_EQ(test.heap->counters().failed_allocations, 15U);
  test.exact = {test.array(kBytes, 16 * kHeapBlockBytes - kHeapHeaderBytes)};
  EXPECT_EQ(test.heap->allocate_structure(kEmpty).error().kind, ErrorKind::limit);
  test.exact.clear();
  EXPECT_TRUE(test.heap->allocate_array(kBytes, 16 * kHeapBlockBytes - kHeapHeaderBytes));
}

TEST(HeapTest, AFullHeapRefusesAndThenServesAgain) {
  TestHeap test(limited(100));
  test.exact = {0};
  const auto fill = [&] {
    uint64_t count = 0;
    while (auto node = test.heap->allocate_structure(kPair)) {
      test.field(*node, kFirst) = std::exchange(test.exact[0], *node);
      ++count;
    }
    return count;
  };
  const uint64_t first = fill();
  EXPECT_EQ(first, 100 * kHeapBlockBytes / 16);
  EXPECT_EQ(test.heap->counters().failed_allocations, 1U);
  EXPECT_EQ(test.heap->counters().limit_collections, 1U);
  // What another class holds does not help.
  EXPECT_FALSE(test.heap->allocate_structure(kLeaf));
  test.exact = {0};
  EXPECT_EQ(fill(), first);
  test.exact = {0};
  EXPECT_TRUE(test.heap->allocate_structure(kLarge));
}

TEST(HeapTest, AHeapOfHalfEmptyBlocksServesObjectsOfTheirSize) {
  TestHeap test(limited(8));
  constexpr uint32_t kAll = 8 * kHeapBlockBytes / 16;
  for (uint32_t i = 0; i < kAll; ++i) {
    const HeapRef object = test.pair();
    if (i % 2 == 0) test.exact.push_back(object);
  }
  for (uint32_t i = 0; i < kAll / 2; ++i) test.exact.push_back(test.pair());
  EXPECT_EQ(test.live_bytes(), 8 * kHeapBlockBytes);
  EXPECT_FALSE(test.heap->allocate_structure(kPair));
}

/// A heap that is nearly full of what lives collects no more often than once for a part of the limit.
TEST(HeapTest, AHeapThatIsNearlyFullDoesNotCollectForEachObject) {
  constexpr uint32_t kBlocks = 256;
  TestHeap test(limited(kBlocks));
  for (uint32_t i = 0; i < kBlocks - 5; ++i) test.exact.push_back(test.array(kBytes, 60'000));
  uint64_t count = 0;
  for (; count < 100'000; ++count)
    if (!test.heap->allocate_structure(kPair)) break;
  const HeapCounters counters = test.heap->counters();
  EXPECT_EQ(count, 100'000U);  // 5 blocks are more than a 64th
  EXPECT_LE(counters.collections, 1 + 100'000 * 16 / (4 * kHeapBlockBytes));
  for (int i = 0; i < 2; ++i) test.exact.push_back(test.array(kBytes, 60'000));
  EXPECT_FALSE([&] {
    for (int i = 0; i < 100'000; ++i)
      if (!test.heap->allocate_structure(kPair)) return false;
    return true;
  }());
}

TEST(HeapTest, ACollectionComesWhenAPartOfWhatLivedWasAllocated) {
  for (uint32_t percent : {50, 100, 300}) {
    TestHeap test({.growth_percent = percent, .least_growth_bytes = 1 << 20});
    for (int i = 0; i < 100; ++i) test.exact.push_back(test.array(kBytes, 60'000));
    const uint64_t live = test.live_bytes(), before = test.heap->counters().collections;
    const uint64_t allocated = test.heap->counters().allocated_bytes;
    while (test.heap->counters().collections == before) test.pair();
    const uint64_t until = test.heap->counters().allocated_bytes - allocated;
    EXPECT_GE(until + 100, live * percent / 100);
    EXPECT_LE(until, live * percent / 100 + kHeapBlockBytes);
  }
  TestHeap test({.least_growth_bytes = 1 << 20});
  const uint64_t collections = test.heap->counters().collections;
  for (uint32_t i = 0; i < (10 << 20) / 16; ++i) test.pair();
  EXPECT_NEAR(static_cast<double>(test.heap->counters().collections - collections), 10, 1);
}

TEST(HeapTest, FreedBlocksGoBackToTheSystem) {
  TestHeap test({.least_growth_bytes = 1 << 20});
  for (int i = 0; i < 100; ++i) {
    const HeapRef array = test.array(kBytes, 1'000'000);
    std::memset(test.heap->bytes(array) + kHeapHeaderBytes, 1, 1'000'000);
    test.exact.push_back(array);
  }
  test.heap->collect();
  const uint64_t resident = os::resident_bytes();
  test.exact.resize(1);
  test.heap->collect();
  const HeapCounters counters = test.heap->counters();
  EXPECT_EQ(counters.free_resident_bytes, 1U << 20);
  EXPECT_EQ(counters.returned_bytes, 99 * 16 * uint64_t{kHeapBlockBytes} - (1 << 20));
  EXPECT_LT(os::resident_bytes() + 80'000'000, resident);
  // What is taken again is zero.
  const HeapRef array = test.array(kBytes, 3'000'000);
  const uint8_t* bytes = test.heap->bytes(array) + kHeapHeaderBytes;
  EXPECT_TRUE(std::all_of(bytes, bytes + 3'000'000, [](uint8_t byte) { return byte == 0; }));
}

TEST(HeapTest, StressFindsAReferenceThatIsNoRoot) {
  TestHeap test({.stress = true});
  test.exact = {test.leaf()};
  const HeapRef forgotten = test.leaf();
  std::memset(test.heap->bytes(forgotten) + kHeapHeaderBytes, 1, 24);
  EXPECT_EQ(test.heap->counters().collections, 2U);
  test.pair();  // of another class, so that the cell stays as it is
  const uint8_t* bytes = test.heap->bytes(forgotten);
  EXPECT_TRUE(std::all_of(bytes, bytes + 32, [](uint8_t byte) { return byte == HeapBlocks::kPoison; }));
  EXPECT_EQ(test.heap->header(test.exact[0]).type, kLeaf);
  const HeapRef large = test.array(kBytes, 100'000);
  test.heap->collect();
  EXPECT_EQ(test.heap->bytes(large)[70'000], HeapBlocks::kPoison);
  const HeapRef again = test.array(kBytes, 100'000);
  EXPECT_EQ(again, large);
  EXPECT_EQ(test.heap->bytes(again)[70'000], 0);
}

// --- Images -------------------------------------------------------------------------------------------------------

/// Makes a tree of pairs with leaves that hold its number.
HeapRef tree(TestHeap& test, uint32_t depth, uint32_t number) {
  if (depth == 0) {
    const HeapRef leaf = test.leaf();
    test.field(leaf, 16) = number;
    return leaf;
  }
  // No collection comes meanwhile: the trees are small.
  const HeapRef first = tree(test, depth - 1, number), second = tree(test, depth - 1, number);
  return test.pair(first, second);
}
uint64_t sum(TestHeap& test, HeapRef object) {
  if (test.heap->header(object).type == kLeaf) return test.field(object, 16);
  return sum(test, test.field(object, kFirst)) + sum(test, test.field(object, kSecond));
}

TEST(HeapImageTest, AnImageIsTheSameHeapElsewhere) {
  TestHeap test(limited(200));
  test.exact = {tree(test, 10, 3), test.array(kBytes, 300'000)};
  std::memset(test.heap->bytes(test.exact[1]) + kHeapHeaderBytes, 7, 300'000);
  const HeapRef dropped = tree(test, 8, 5);
  auto image = test.heap->seal();
  ASSERT_TRUE(image) << image.error().message;
  tree(test, 3, 1);
  test.field(test.exact[0], kFirst) = 0;

  TestHeap first(limited(200), *image), second(limited(200), *image);
  EXPECT_NE(first.heap->base(), second.heap->base());
  for (TestHeap* of_image : {&first, &second}) {
    of_image->exact = {test.exact[0], test.exact[1]};
    EXPECT_EQ(sum(*of_image, test.exact[0]), 3U * 1024);
    EXPECT_EQ(of_image->heap->resolve(dropped), dropped);
    EXPECT_EQ(of_image->live_bytes(), 1024 * 32 + 1023 * 16 + 5 * uint64_t{kHeapBlockBytes});
    EXPECT_EQ(of_image->heap->resolve(dropped), 0U);
    // What it allocates is its own.
    of_image->exact.push_back(tree(*of_image, 9, of_image == &first ? 11 : 13));
    of_image->heap->collect();
  }
  EXPECT_EQ(first.exact[2], second.exact[2]);
  EXPECT_EQ(sum(first, first.exact[2]), 512U * 11);
  EXPECT_EQ(sum(second, second.exact[2]), 512U * 13);
  EXPECT_EQ(second.heap->bytes(second.exact[1])[299'999], 7);
  // An image of what came of an image holds what differs.
  auto changed = first.heap->seal(LinearMemory::Copy::changes);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_TRUE((*changed)->base());
  TestHeap third(limited(200), *changed);
  EXPECT_EQ(sum(third, first.exact[2]), 512U * 11);
  EXPECT_EQ(sum(third, first.exact[0]), 3U * 1024);
}

/// Memory of an image that is freed and given back reads as the image again, not as zero.
TEST(HeapImageTest, WhatIsTakenAgainOverAnImageIsZero) {
  TestHeap test(limited(64));
  test.exact = {test.array(kBytes, 1'000'000)};
  std::memset(test.heap->bytes(test.exact[0]) + kHeapHeaderBytes, 7, 1'000'000);
  auto image = test.heap->seal();
  ASSERT_TRUE(image);
  HeapOptions options = limited(64);
  options.least_growth_bytes = 0;
  TestHeap of_image(options, *image);
  EXPECT_EQ(of_image.live_bytes(), 0U);
  EXPECT_EQ(of_image.heap->counters().free_resident_bytes, 0U);
  const HeapRef array = of_image.array(kBytes, 1'000'000);
  const uint8_t* bytes = of_image.heap->bytes(array) + kHeapHeaderBytes;
  EXPECT_TRUE(std::all_of(bytes, bytes + 1'000'000, [](uint8_t byte) { return byte == 0; }));
  EXPECT_EQ(test.heap->bytes(test.exact[0])[8], 7);
}

TEST(HeapImageTest, AnImageTakesNoMoreThanWhatLives) {
  TestHeap test;
  for (int i = 0; i < 50; ++i) std::memset(test.heap->bytes(test.array(kBytes, 1'000'000)) + 8, 1, 1'000'000);
  test.exact = {tree(test, 10, 1)};
  test.heap->collect();
  auto image = test.heap->seal();
  ASSERT_TRUE(image);
  EXPECT_LT((*image)->resident_bytes(), 2U << 20);
}

/// Poison is kept when a stressed heap is sealed; the next heap gives its memory back.
TEST(HeapImageTest, FreeMemoryInAnImageIsGivenBackToo) {
  HeapOptions options = limited(64);
  options.stress = true;
  TestHeap test(options);
  test.array(kBytes, 1'000'000);
  test.heap->collect();
  auto image = test.heap->seal();
  ASSERT_TRUE(image);
  options = limited(64);
  options.least_growth_bytes = 0;
  TestHeap of_image(options, *image);
  EXPECT_EQ(of_image.heap->counters().free_resident_bytes, 16U * kHeapBlockBytes);
  of_image.heap->collect();
  EXPECT_EQ(of_image.heap->counters().free_resident_bytes, 0U);
  EXPECT_EQ(of_image.heap->counters().returned_bytes, 16U * kHeapBlockBytes);
}

TEST(HeapImageTest, AnImageOfAnotherKindIsRefused) {
  TestHeap test(limited(64));
  auto image = test.heap->seal();
  ASSERT_TRUE(image);
  for (uint32_t blocks : {1U, 63U, 65U, 10'000U}) {
    auto made = Heap::create(limited(blocks), test, *image);
    ASSERT_FALSE(made) << blocks;
    EXPECT_EQ(made.error().kind, ErrorKind::invalid_argument);
  }
  auto memory = LinearMemory::create(1 << 20, 4 << 20, 4 << 20);
  ASSERT_TRUE(memory);
  auto other = (*memory)->seal_image();
  ASSERT_TRUE(other);
  EXPECT_EQ(Heap::create(limited(64), test, *other).error().kind, ErrorKind::invalid_argument);
  // The same but for one byte of what says that it is a heap.
  std::memcpy((*memory)->base(), test.heap->base(), sizeof(HeapState));
  auto copy = (*memory)->seal_image();
  ASSERT_TRUE(copy);
  EXPECT_TRUE(Heap::create(limited(64), test, *copy));
  reinterpret_cast<HeapState*>((*memory)->base())->magic ^= 1;
  copy = (*memory)->seal_image();
  ASSERT_TRUE(copy);
  EXPECT_EQ(Heap::create(limited(64), test, *copy).error().kind, ErrorKind::invalid_argument);
}

TEST(HeapImageTest, AForkCopiesTheHeap) {
  TestHeap test(limited(64));
  test.exact = {tree(test, 8, 2)};
  EXPECT_TRUE(test::in_child([&] {
    EXPECT_HERE(sum(test, test.exact[0]) == 512);
    test.exact[0] = tree(test, 8, 9);
    test.heap->collect();
    EXPECT_HERE(sum(test, test.exact[0]) == 9 * 256);
    return true;
  }));
  tree(test, 8, 1);
  test.heap->collect();
  EXPECT_EQ(sum(test, test.exact[0]), 512U);
}

// --- Errors -------------------------------------------------------------------------------------------------------

TEST(HeapTest, ShapesThatCannotBeAreRefused) {
  TestHeap test;
  const std::vector<HeapShape> wrong = {
      {.bytes = 0},
      {.bytes = 4},
      {.bytes = 16, .reference_elements = true},
      {.bytes = 16, .reference_offsets = {0}},
      {.bytes = 16, .reference_offsets = {8, 10}},
      {.bytes = 16, .reference_offsets = {16}},
      {.bytes = 15, .reference_offsets = {12}},
      {.bytes = 8, .reference_offsets = {UINT32_MAX - 3}},
      {.kind = Kind::array, .bytes = 0},
      {.kind = Kind::array, .bytes = 3},
      {.kind = Kind::array, .bytes = 32},
      {.kind = Kind::array, .bytes = 8, .reference_elements = true},
      {.kind = Kind::array, .bytes = 4, .reference_offsets = {8}},
  };
  for (size_t i = 0; i < wrong.size(); ++i) {
    auto defined = test.heap->define(100, wrong[i]);
    ASSERT_FALSE(defined) << i;
    EXPECT_EQ(defined.error().kind, ErrorKind::invalid_argument) << i;
  }
  EXPECT_TRUE(test.heap->define(100, {.bytes = 12, .reference_offsets = {8}}));
  EXPECT_EQ(test.heap->define(100, {.bytes = 12}).error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(test.heap->define(0, {.bytes = 12}).error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(test.heap->define(HeapTypes::kMost, {.bytes = 12}).error().kind, ErrorKind::limit);
  EXPECT_EQ(test.heap->define(UINT32_MAX, {.bytes = 12}).error().kind, ErrorKind::limit);
}

TEST(HeapTest, LimitsFromABlockToAllThatOffsetsReach) {
  TestHeap roots;
  EXPECT_EQ(Heap::create({.limit_bytes = kHeapBlockBytes - 1}, roots).error().kind, ErrorKind::invalid_argument);
  TestHeap least(limited(1));
  EXPECT_TRUE(least.heap->allocate_structure(kLeaf));
  EXPECT_FALSE(least.heap->allocate_structure(kLarge));
  TestHeap most({.limit_bytes = UINT64_MAX});
  EXPECT_EQ(most.heap->counters().limit_bytes, Heap::most_limit_bytes());
  EXPECT_GT(Heap::most_limit_bytes(), uint64_t{0xfd} << 24);
  // The last object ends where offsets do, with the guest's whole address space in one array.
  const auto length = static_cast<uint32_t>(Heap::most_limit_bytes() - kHeapHeaderBytes);
  const HeapRef all = most.array(kBytes, length);
  EXPECT_EQ(all + uint64_t{kHeapHeaderBytes} + length, kMostHeapEnd);
  EXPECT_EQ(most.heap->resolve(kMostHeapEnd - 1), all);
  EXPECT_EQ(most.heap->resolve(kMostHeapEnd), 0U);
  most.heap->bytes(all)[length] = 1;
  most.exact = {all};
  EXPECT_FALSE(most.heap->allocate_structure(kPair));
  EXPECT_EQ(most.heap->bytes(all)[length], 1);
}

/// Has each call of the system fail once: the heap is as it was, and the same is done the next time.
TEST(HeapTest, ASystemThatRefusesIsAnError) {
  for (uint64_t n = 1;; ++n) {
    TestHeap test(limited(200));
    fault_injection::fail_after(n);
    auto array = test.heap->allocate_array(kBytes, 5'000'000);
    const bool was_reached = fault_injection::calls() >= n;
    fault_injection::off();
    if (!array) {
      EXPECT_EQ(array.error().kind, ErrorKind::io);
      EXPECT_EQ(test.heap->counters().used_bytes, 0U);
    }
    const HeapRef again = test.array(kBytes, 5'000'000);
    test.heap->bytes(again)[5'000'007] = 1;
    if (!was_reached) break;
  }
  for (uint64_t n = 1;; ++n) {
    TestHeap roots;
    fault_injection::fail_after(n);
    auto heap = Heap::create(limited(10), roots);
    const bool was_reached = fault_injection::calls() >= n;
    fault_injection::off();
    EXPECT_EQ(!heap, was_reached);
    if (!was_reached) break;
    EXPECT_EQ(heap.error().kind, ErrorKind::io);
  }
}

}  // namespace
}  // namespace rotor::memory
