// What the garbage-collected heap costs, by itself: `build/release/bench/heap_bench`. Objects are allocated as compiled
// code does (memory/heap_layout.h). A timed test is never a ctest: run it on a quiet machine and read medians
// (--benchmark_repetitions=9 --benchmark_report_aggregates_only=true).
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "memory/heap.h"

namespace {

using namespace rotor::memory;

enum : uint32_t { kTree = 1, kList, kSmall, kMiddle, kBig, kReferences };
constexpr uint32_t kFirst = 8, kSecond = 12;

/// A heap whose roots are a stack of references, as a shadow stack would have them.
class BenchHeap final : public HeapRoots {
 public:
  explicit BenchHeap(HeapOptions options = {}) {
    auto made = Heap::create(options, *this);
    if (!made) std::abort();
    heap_ = std::move(*made);
    base_ = heap_->base();
    define(kTree, {.bytes = 16, .reference_offsets = {kFirst, kSecond}});
    define(kList, {.bytes = 32, .reference_offsets = {kFirst}});
    define(kSmall, {.bytes = 16});
    define(kMiddle, {.bytes = 32});
    define(kBig, {.bytes = 64});
    define(kReferences, {.kind = HeapShape::Kind::array, .bytes = 4, .reference_elements = true});
  }
  void visit_ambiguous(AmbiguousRoots& roots) override {
    roots.add_range(stack_.data(), stack_.data() + stack_.size());
  }
  void visit_exact(ExactRoots& roots) override {
    for (HeapRef root : roots_) roots.add(root);
  }

  /// What compiled code does for a structure of constant size.
  template <uint32_t kType, uint32_t kBytes>
  HeapRef allocate() {
    constexpr uint32_t kClass = heap_class_of(kBytes);
    HeapRun& run = reinterpret_cast<HeapAllocator*>(base_ + kHeapAllocatorAt)->runs[kClass];
    const HeapRef object = run.cursor;
    const uint32_t next = object + kHeapClassBytes[kClass];
    if (next > run.end) [[unlikely]]
      return allocate_slow(kBytes, {kType, 0});
    run.cursor = next;
    constexpr uint64_t kHeader = kType;
    std::memcpy(base_ + object, &kHeader, sizeof(kHeader));
    return object;
  }
  [[gnu::noinline]] HeapRef allocate_slow(uint64_t bytes, HeapHeader header) {
    auto object = heap_->allocate(bytes, header);
    if (!object) std::abort();
    return *object;
  }
  HeapRef& field(HeapRef object, uint32_t offset) { return *reinterpret_cast<HeapRef*>(base_ + object + offset); }
  Heap& heap() { return *heap_; }
  std::vector<HeapRef>& roots() { return roots_; }
  std::vector<uint64_t>& stack() { return stack_; }

  /// Makes a full tree of this depth.
  HeapRef tree(uint32_t depth) {
    if (depth == 0) return allocate<kTree, 16>();
    roots_.push_back(tree(depth - 1));
    roots_.push_back(tree(depth - 1));
    const HeapRef node = allocate<kTree, 16>();
    field(node, kSecond) = roots_.back();
    roots_.pop_back();
    field(node, kFirst) = roots_.back();
    roots_.pop_back();
    return node;
  }
  uint64_t count(HeapRef node) {
    const HeapRef first = field(node, kFirst);
    return first == 0 ? 1 : 1 + count(first) + count(field(node, kSecond));
  }

 private:
  void define(uint32_t type, const HeapShape& shape) {
    if (!heap_->define(type, shape)) std::abort();
  }
  std::unique_ptr<Heap> heap_;
  uint8_t* base_ = nullptr;
  std::vector<HeapRef> roots_;
  std::vector<uint64_t> stack_;
};

void report(benchmark::State& state, const HeapCounters& counters) {
  state.counters["collections"] = static_cast<double>(counters.collections);
  state.counters["max_pause_us"] = static_cast<double>(counters.max_pause_ns) / 1e3;
  state.counters["pauses_ms"] = static_cast<double>(counters.total_pause_ns) / 1e6;
}

/// Allocates objects of which nothing is kept.
template <uint32_t kType, uint32_t kBytes>
void allocate_garbage(benchmark::State& state) {
  BenchHeap bench;
  for (auto _ : state) benchmark::DoNotOptimize(bench.allocate<kType, kBytes>());
  report(state, bench.heap().counters());
}

/// The same where every other cell lives: a run is one cell.
template <uint32_t kType, uint32_t kBytes>
void allocate_between(benchmark::State& state) {
  BenchHeap bench;
  for (uint32_t i = 0; i < (uint32_t{16} << 20) / kBytes; ++i) {
    const HeapRef object = bench.allocate<kType, kBytes>();
    if (i % 2 == 0) bench.roots().push_back(object);
  }
  for (auto _ : state) benchmark::DoNotOptimize(bench.allocate<kType, kBytes>());
  report(state, bench.heap().counters());
}

/// The kernel of binary-trees: a long-lived tree, and ever new ones of each depth.
void binary_trees(benchmark::State& state) {
  const auto depth = static_cast<uint32_t>(state.range(0));
  uint64_t nodes = 0;
  HeapCounters counters;
  for (auto _ : state) {
    BenchHeap bench;
    bench.roots().push_back(bench.tree(depth));
    for (uint32_t d = 4; d <= depth; d += 4) {
      for (uint32_t i = 0; i < uint32_t{1} << (depth - d + 4); ++i) {
        const uint64_t made = bench.count(bench.tree(d));
        benchmark::DoNotOptimize(made);
        nodes += made;
      }
    }
    counters = bench.heap().counters();
  }
  state.counters["ns_a_node"] =
      benchmark::Counter(static_cast<double>(nodes), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  report(state, counters);
}

/// Collects a heap in which `keep` made all: nothing is freed, so the time is that of marking, mostly.
template <class Keep>
void mark(benchmark::State& state, Keep keep) {
  BenchHeap bench({.limit_bytes = uint64_t{2} << 30, .least_growth_bytes = uint64_t{2} << 30});
  keep(bench);
  for (auto _ : state) bench.heap().collect();
  const HeapCounters counters = bench.heap().counters();
  state.SetBytesProcessed(static_cast<int64_t>(counters.live_bytes) * state.iterations());
  state.counters["rescans"] = static_cast<double>(counters.rescans);
}

void mark_tree(benchmark::State& state) {
  mark(state, [](BenchHeap& bench) { bench.roots().push_back(bench.tree(20)); });
}
void mark_list(benchmark::State& state) {
  mark(state, [](BenchHeap& bench) {
    bench.roots().push_back(0);
    for (uint32_t i = 0; i < 1'000'000; ++i) {
      const HeapRef node = bench.allocate<kList, 32>();
      bench.field(node, kFirst) = std::exchange(bench.roots()[0], node);
    }
  });
}
/// A list of ten million nodes, each with a leaf that waits until the end is found: deeper than the mark stack.
void mark_deep_list(benchmark::State& state) {
  mark(state, [](BenchHeap& bench) {
    bench.roots().push_back(0);
    for (uint32_t i = 0; i < 10'000'000; ++i) {
      const HeapRef node = bench.allocate<kTree, 16>();
      bench.field(node, kSecond) = std::exchange(bench.roots()[0], node);
      bench.field(node, kFirst) = bench.allocate<kSmall, 16>();
    }
  });
}
/// An array of a million objects, in no order.
void mark_array(benchmark::State& state) {
  mark(state, [](BenchHeap& bench) {
    constexpr uint32_t kLength = 1'000'000;
    auto array = bench.heap().allocate_array(kReferences, kLength);
    if (!array) std::abort();
    bench.roots().push_back(*array);
    for (uint32_t i = 0; i < kLength; ++i)
      bench.field(*array, kHeapHeaderBytes + static_cast<uint32_t>(i * UINT64_C(7919) % kLength) * 4) =
          bench.allocate<kMiddle, 32>();
  });
}

/// Collects a heap of 64 MiB in which nothing lives, and fills it again outside of the time.
void sweep(benchmark::State& state) {
  BenchHeap bench({.least_growth_bytes = uint64_t{2} << 30});
  for (auto _ : state) {
    state.PauseTiming();
    for (uint32_t i = 0; i < (uint32_t{64} << 20) / 32; ++i) benchmark::DoNotOptimize(bench.allocate<kMiddle, 32>());
    state.ResumeTiming();
    bench.heap().collect();
  }
  state.SetBytesProcessed((int64_t{64} << 20) * state.iterations());
}

/// Collects a heap of two thousand objects with a stack of 64 KiB: every fourth word is a reference, the others are
/// small numbers, addresses elsewhere and anything.
void scan_stack(benchmark::State& state) {
  BenchHeap bench;
  uint64_t anything = 88172645463325252;
  for (uint32_t i = 0; i < (uint32_t{64} << 10) / 32; ++i) {
    anything ^= anything << 13, anything ^= anything >> 7, anything ^= anything << 17;
    const auto address = reinterpret_cast<uintptr_t>(&state) + i;
    const HeapRef object = bench.allocate<kMiddle, 32>();
    bench.stack().insert(bench.stack().end(), {object, i, address, anything});
  }
  for (auto _ : state) bench.heap().collect();
  state.SetBytesProcessed((int64_t{64} << 10) * state.iterations());
}

/// Resolves words that point to anywhere in a heap of small objects.
void resolve(benchmark::State& state) {
  BenchHeap bench;
  for (uint32_t i = 0; i < 100'000; ++i) bench.roots().push_back(bench.allocate<kMiddle, 32>());
  uint64_t word = 0;
  for (auto _ : state) {
    word = (word + 9973 * 8) % 4'000'000;
    benchmark::DoNotOptimize(bench.heap().resolve(word));
  }
}

BENCHMARK(allocate_garbage<kSmall, 16>);
BENCHMARK(allocate_garbage<kMiddle, 32>);
BENCHMARK(allocate_garbage<kBig, 64>);
BENCHMARK(allocate_between<kSmall, 16>);
BENCHMARK(allocate_between<kBig, 64>);
BENCHMARK(binary_trees)->Arg(16)->Arg(20)->Unit(benchmark::kMillisecond);
BENCHMARK(mark_tree)->Unit(benchmark::kMillisecond);
BENCHMARK(mark_list)->Unit(benchmark::kMillisecond);
BENCHMARK(mark_deep_list)->Unit(benchmark::kMillisecond);
BENCHMARK(mark_array)->Unit(benchmark::kMillisecond);
BENCHMARK(sweep)->Unit(benchmark::kMicrosecond);
BENCHMARK(scan_stack)->Unit(benchmark::kMicrosecond);
BENCHMARK(resolve);

}  // namespace

BENCHMARK_MAIN();
