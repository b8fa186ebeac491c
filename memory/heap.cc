#include "memory/heap.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace rotor::memory {

Result<std::unique_ptr<Heap>> Heap::create(const HeapOptions& options, HeapRoots& roots,
                                           std::shared_ptr<const Image> image) {
  const uint64_t limit_blocks = std::min(options.limit_bytes >> kHeapBlockLog2, uint64_t{HeapBlocks::most_blocks()});
  if (limit_blocks == 0)
    return fail(ErrorKind::invalid_argument,
                "a heap's limit is at least " + std::to_string(kHeapBlockBytes) + " bytes");
  ROTOR_TRY(auto blocks, HeapBlocks::create(static_cast<uint32_t>(limit_blocks), std::move(image), options.nothing));
  return std::unique_ptr<Heap>(new Heap(options, roots, std::move(blocks)));
}

Heap::Heap(const HeapOptions& options, HeapRoots& roots, std::unique_ptr<HeapBlocks> blocks)
    : options_(options),
      roots_(roots),
      blocks_(std::move(blocks)),
      marker_(*blocks_, types_, roots, options.mark_stack_entries) {
  counters_.limit_bytes = blocks_->used_bytes() + (uint64_t{blocks_->free_blocks()} << kHeapBlockLog2);
  // Of an image nothing more exact is known.
  counters_.live_bytes = blocks_->used_bytes();
  set_budget();
}

void Heap::set_budget() {
  taken_before_ = blocks_->taken_bytes();
  budget_bytes_ = std::max(counters_.live_bytes / 100 * options_.growth_percent, options_.least_growth_bytes);
}

HeapRef Heap::take(uint32_t size_class, uint64_t bytes) {
  if (size_class == kHeapClasses)
    return blocks_->take_large(static_cast<uint32_t>((bytes + kHeapBlockBytes - 1) >> kHeapBlockLog2));
  if (!blocks_->refill(size_class, options_.stress)) return 0;
  HeapRun& run = blocks_->state().allocator.runs[size_class];
  return std::exchange(run.cursor, run.cursor + kHeapClassBytes[size_class]);
}

Result<HeapRef> Heap::allocate_slow(uint64_t bytes, HeapHeader header) {
  assert(!collecting_);
  const auto no_memory = [&] {
    ++counters_.failed_allocations;
    if (blocks_->refused()) return fail(ErrorKind::io, "the system has no memory for the heap");
    return fail(ErrorKind::limit, "no memory for an object of " + std::to_string(bytes) +
                                      " bytes in a heap of at most " + std::to_string(counters_.limit_bytes));
  };
  if (bytes > counters_.limit_bytes) return no_memory();
  const uint32_t size_class = class_of(bytes);
  const bool is_due = this->is_due();
  if (is_due) collect();
  HeapRef object = take(size_class, bytes);
  if (object == 0 && !is_due) {
    collect();
    ++counters_.limit_collections;
    const uint64_t there = size_class < kHeapClasses ? blocks_->free_bytes(size_class)
                                                     : uint64_t{blocks_->free_blocks()} << kHeapBlockLog2;
    if (there >= counters_.limit_bytes / kHeadroomDivisor) object = take(size_class, bytes);
  }
  if (object == 0) return no_memory();
  blocks_->header(object) = header;
  return object;
}

void Heap::collect() {
  assert(!collecting_);
  if (!roots_.are_known()) return;
  collecting_ = true;
  const auto begin = std::chrono::steady_clock::now();
  // Words are resolved while the marks of the last collection still say what is there.
  ambiguous_.clear();
  AmbiguousRoots ambiguous(*blocks_, ambiguous_);
  roots_.visit_ambiguous(ambiguous);
  blocks_->clear_marks();
  for (HeapRef object : ambiguous_) marker_.add(object);
  ExactRoots exact(marker_);
  roots_.visit_exact(exact);
  do marker_.finish();
  while (roots_.visit_pending(exact));
  counters_.live_bytes = blocks_->sweep(options_.stress);
  set_budget();
  give_back(budget_bytes_);
  ++counters_.collections;
  if (!ambiguous_.empty()) ++counters_.imprecise_collections;
  const auto pause = std::chrono::steady_clock::now() - begin;
  counters_.last_pause_ns = static_cast<uint64_t>(std::chrono::nanoseconds(pause).count());
  counters_.max_pause_ns = std::max(counters_.max_pause_ns, counters_.last_pause_ns);
  counters_.total_pause_ns += counters_.last_pause_ns;
  collecting_ = false;
}

void Heap::give_back(uint64_t keep_bytes) {
  // In stress mode the poison stays: over an image there would be what was there before.
  if (!options_.stress) blocks_->give_back(keep_bytes);
}

Result<std::shared_ptr<const Image>> Heap::seal(LinearMemory::Copy copy) {
  assert(!collecting_);
  give_back(0);
  return blocks_->seal(copy);
}

HeapCounters Heap::counters() const {
  HeapCounters counters = counters_;
  counters.allocated_bytes = blocks_->taken_bytes() - blocks_->unused_run_bytes();
  counters.used_bytes = blocks_->used_bytes();
  counters.free_resident_bytes = blocks_->resident_bytes();
  counters.returned_bytes = blocks_->returned_bytes();
  counters.rescans = marker_.rescans();
  return counters;
}

}  // namespace rotor::memory
