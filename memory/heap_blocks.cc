#include "memory/heap_blocks.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "memory/image.h"
#include "memory/os.h"

namespace rotor::memory {

namespace {

constexpr uint32_t kMagic = 0x31706568;  // changes with the layout of a region

/// 2^32 / bytes, rounded up: (offset * it) >> 32 is offset / bytes for every offset in a block.
constexpr auto kReciprocals = [] {
  std::array<uint64_t, kHeapClasses> all{};
  for (uint32_t i = 0; i < kHeapClasses; ++i)
    all[i] = ((UINT64_C(1) << 32) + kHeapClassBytes[i] - 1) / kHeapClassBytes[i];
  return all;
}();
/// Returns the number of the cell that an offset in a block lies in.
constexpr uint32_t cell_of(uint32_t size_class, uint32_t offset) {
  return static_cast<uint32_t>((offset * kReciprocals[size_class]) >> 32);
}
constexpr uint32_t cells_in_block(uint32_t size_class) { return kHeapBlockBytes / kHeapClassBytes[size_class]; }

/// Checks cell_of where it is nearest to being wrong: at both ends of each cell.
constexpr bool divides_exactly() {
  for (uint32_t i = 0; i < kHeapClasses; ++i)
    for (uint32_t cell = 0; cell < cells_in_block(i); ++cell)
      if (cell_of(i, cell * kHeapClassBytes[i]) != cell || cell_of(i, (cell + 1) * kHeapClassBytes[i] - 1) != cell)
        return false;
  return true;
}
static_assert(divides_exactly());
static_assert(std::ranges::all_of(kHeapClassBytes, [](uint32_t bytes) { return bytes % 8 == 0; }));
static_assert(kHeapClassBytes.front() >= HeapBlocks::kMarkedBytes, "two objects never share a mark");

constexpr uint64_t marks_at(uint64_t blocks) {
  return (HeapBlocks::kTableAt + blocks * sizeof(HeapBlock) + 4095) / 4096 * 4096;
}
/// Returns the blocks that state, table and marks take in a region of so many blocks.
constexpr uint32_t table_blocks(uint64_t blocks) {
  const uint64_t bytes = marks_at(blocks) + blocks * HeapBlocks::kMarkWordsPerBlock * sizeof(uint64_t);
  return static_cast<uint32_t>((bytes + kHeapBlockBytes - 1) / kHeapBlockBytes);
}

}  // namespace

uint32_t HeapBlocks::most_blocks() {
  constexpr uint32_t kAll = kMostHeapEnd >> kHeapBlockLog2;
  return kAll - table_blocks(kAll);
}

Result<std::unique_ptr<HeapBlocks>> HeapBlocks::create(uint32_t limit_blocks, std::shared_ptr<const Image> image,
                                                       std::shared_ptr<const SlotContents> nothing) {
  assert(limit_blocks > 0 && limit_blocks <= most_blocks());
  uint32_t first = 1;
  while (table_blocks(uint64_t{first} + limit_blocks) > first) ++first;
  const uint32_t blocks = first + limit_blocks;
  const uint64_t most = uint64_t{blocks} << kHeapBlockLog2, least = uint64_t{first} << kHeapBlockLog2;
  const bool is_new = !image;
  if (!is_new && (image->size_bytes() < least || image->size_bytes() > most))
    return fail(ErrorKind::invalid_argument, "the image is not of a heap with this limit");
  auto make = [&]() -> Result<std::unique_ptr<LinearMemory>> {
    if (!is_new) return LinearMemory::of(image, image->size_bytes(), most, most);
    return nothing ? LinearMemory::of(std::move(nothing), least, most, most) : LinearMemory::create(least, most, most);
  };
  ROTOR_TRY(auto memory, make());
  std::unique_ptr<HeapBlocks> heap(new HeapBlocks(std::move(memory), blocks, first));
  HeapState& state = heap->state();
  if (is_new) {
    state.magic = kMagic;
    state.blocks = blocks;
    state.end_block = first;
    for (uint32_t i = 0; i < std::size(state.allocator.class_of); ++i) {
      const uint32_t size_class = heap_class_of(i * 8);
      state.allocator.class_of[i] = static_cast<uint8_t>(size_class);
      state.allocator.cell_of[i] = static_cast<uint8_t>(kHeapClassBytes[size_class] / 8);
    }
  } else if (state.magic != kMagic || state.blocks != blocks) {
    return fail(ErrorKind::invalid_argument, "the image is not of a heap with this limit");
  } else {
    heap->image_end_ = static_cast<uint32_t>((image->mapped_bytes() + kHeapBlockBytes - 1) >> kHeapBlockLog2);
  }
  heap->recount();
  return heap;
}

HeapBlocks::HeapBlocks(std::unique_ptr<LinearMemory> memory, uint32_t blocks, uint32_t first_block)
    : memory_(std::move(memory)),
      base_(memory_->base()),
      marks_(reinterpret_cast<uint64_t*>(base_ + marks_at(blocks))),
      blocks_(blocks),
      first_block_(first_block),
      free_((blocks + 63) / 64) {}

void HeapBlocks::recount() {
  lowest_free_ = first_block_;
  // Of a new heap all are free: by words, for there may be thousands.
  std::ranges::fill(free_, UINT64_MAX);
  auto take = [this](uint32_t i) { free_[i / 64] &= ~(uint64_t{1} << (i % 64)); };
  for (uint32_t i = 0; i < first_block_; ++i) take(i);
  for (uint32_t i = blocks_; i % 64 != 0; ++i) take(i);
  for (uint32_t i = first_block_; i < state().end_block; ++i) {
    if (block(i).kind != HeapBlock::Kind::free) {
      ++used_blocks_;
      take(i);
    } else if (block(i).resident) {
      ++resident_blocks_;
    }
  }
}

void HeapBlocks::clear_marks() const {
  for (uint32_t i = first_block_; i < state().end_block; ++i) {
    const HeapBlock::Kind kind = block(i).kind;
    if (kind == HeapBlock::Kind::cells)
      std::fill_n(marks_of(i), kMarkWordsPerBlock, 0);
    else if (kind == HeapBlock::Kind::large)
      marks_of(i)[0] = 0;
  }
}

uint32_t HeapBlocks::next_marked(uint32_t index, uint32_t from) const {
  if (from >= kHeapBlockBytes) return kHeapBlockBytes;
  const uint64_t* marks = marks_of(index);
  uint32_t at = from / kMarkedBytes;
  uint64_t word = marks[at / 64] & (UINT64_MAX << (at % 64));
  for (at /= 64; word == 0; word = marks[at])
    if (++at == kMarkWordsPerBlock) return kHeapBlockBytes;
  const uint32_t marked = (at * 64 + static_cast<uint32_t>(std::countr_zero(word))) * kMarkedBytes;
  if (block(index).kind != HeapBlock::Kind::cells) return marked;
  // The object begins at the first multiple of its cell's bytes in these kMarkedBytes.
  const uint32_t size_class = block(index).size_class, bytes = kHeapClassBytes[size_class];
  return cell_of(size_class, marked + bytes - 1) * bytes;
}

// --- Blocks -------------------------------------------------------------------------------------------------------

uint32_t HeapBlocks::find_free(uint32_t count) const {
  // Returns the first block at or behind `at` whose bit in free_ is `wanted`.
  const auto next = [&](uint32_t at, bool wanted) {
    const uint64_t flip = wanted ? 0 : UINT64_MAX;
    while (at < blocks_) {
      const uint64_t word = (free_[at / 64] ^ flip) >> (at % 64);
      if (word != 0) return std::min(at + static_cast<uint32_t>(std::countr_zero(word)), blocks_);
      at = (at / 64 + 1) * 64;
    }
    return blocks_;
  };
  for (uint32_t at = lowest_free_; at < blocks_;) {
    const uint32_t begin = next(at, true), end = next(begin, false);
    if (end - begin >= count) return begin;
    at = end;
  }
  return 0;
}

bool HeapBlocks::commit(uint32_t end) {
  const uint64_t size = memory_->size_bytes(), needed = uint64_t{end} << kHeapBlockLog2;
  if (needed <= size) return true;
  // A step is a system call.
  constexpr uint64_t kLeastStepBytes = uint64_t{1} << 20;
  const uint64_t step = std::max(kLeastStepBytes, size / 8) / kHeapBlockBytes * kHeapBlockBytes;
  const uint64_t wanted = std::min(std::max(needed, size + step), memory_->max_bytes());
  return memory_->grow(wanted - size) != UINT64_MAX || memory_->grow(needed - size) != UINT64_MAX;
}

uint32_t HeapBlocks::take(uint32_t count) {
  const uint32_t index = find_free(count);
  refused_ = index != 0 && !commit(index + count);
  if (index == 0 || refused_) return 0;
  for (uint32_t i = index; i < index + count; ++i) {
    free_[i / 64] &= ~(uint64_t{1} << (i % 64));
    if (block(i).resident) --resident_blocks_;
    block(i).resident = 1;
  }
  used_blocks_ += count;
  state().end_block = std::max(state().end_block, index + count);
  if (index == lowest_free_) lowest_free_ += count;
  return index;
}

void HeapBlocks::free(uint32_t index, uint32_t count) {
  for (uint32_t i = index; i < index + count; ++i) {
    free_[i / 64] |= uint64_t{1} << (i % 64);
    block(i) = HeapBlock{};
    block(i).dirty = block(i).resident = 1;
  }
  used_blocks_ -= count;
  resident_blocks_ += count;
  lowest_free_ = std::min(lowest_free_, index);
}

void HeapBlocks::give_back(uint64_t keep_bytes) {
  const auto takes_memory = [&](uint32_t i) { return is_free(i) && block(i).resident; };
  for (uint32_t end = state().end_block; end > first_block_ && resident_bytes() > keep_bytes;) {
    uint32_t begin = end;
    uint64_t left = resident_bytes() - keep_bytes;
    while (begin > first_block_ && left > 0 && takes_memory(begin - 1)) {
      --begin;
      left -= std::min<uint64_t>(left, kHeapBlockBytes);
    }
    const uint32_t count = end - begin;
    if (count == 0) {
      --end;
      continue;
    }
    // Where the system refuses, the rest stays as it is.
    if (!os::discard(base_ + (uint64_t{begin} << kHeapBlockLog2), uint64_t{count} << kHeapBlockLog2)) return;
    for (uint32_t i = begin; i < end; ++i) {
      block(i) = HeapBlock{};
      block(i).dirty = i < image_end_;
    }
    resident_blocks_ -= count;
    returned_blocks_ += count;
    end = begin;
  }
}

void HeapBlocks::zero(uint32_t begin, uint64_t bytes) const { std::memset(base_ + begin, 0, bytes); }

// --- Taking -------------------------------------------------------------------------------------------------------

bool HeapBlocks::next_run(uint32_t index, bool single) {
  HeapBlock& block = this->block(index);
  const uint32_t bytes = kHeapClassBytes[block.size_class], begin_of_block = index << kHeapBlockLog2;
  const uint32_t all = cells_in_block(block.size_class) * bytes;
  uint32_t begin = block.taken_bytes;
  while (begin < all && is_marked(begin_of_block + begin)) begin += bytes;
  block.taken_bytes = begin;
  if (begin >= all) return false;
  const uint32_t most = single ? bytes : std::max(bytes, kMostRunBytes / bytes * bytes);
  const uint32_t end = std::min({next_marked(index, begin), all, begin + most});
  block.taken_bytes = end;
  if (block.dirty) zero(begin_of_block + begin, end - begin);
  state().allocator.runs[block.size_class] = {begin_of_block + begin, begin_of_block + end};
  taken_bytes_ += end - begin;
  return true;
}

bool HeapBlocks::refill(uint32_t size_class, bool single) {
  assert(state().allocator.runs[size_class].cursor == state().allocator.runs[size_class].end);
  refused_ = false;
  uint32_t& current = state().current[size_class];
  uint32_t& pending = state().pending[size_class];
  while (true) {
    if (current != 0 && next_run(current, single)) return true;
    current = pending;
    if (current != 0) {
      pending = block(current).next;
      continue;
    }
    current = take(1);
    if (current == 0) return false;
    HeapBlock& fresh = block(current);
    fresh.kind = HeapBlock::Kind::cells;
    fresh.size_class = static_cast<uint8_t>(size_class);
  }
}

uint32_t HeapBlocks::take_large(uint32_t count) {
  const uint32_t index = take(count);
  if (index == 0) return 0;
  for (uint32_t i = index; i < index + count; ++i) {
    HeapBlock& block = this->block(i);
    if (block.dirty) zero(i << kHeapBlockLog2, kHeapBlockBytes);
    block.dirty = 1;
    block.kind = i == index ? HeapBlock::Kind::large : HeapBlock::Kind::tail;
    block.count = i == index ? count : i - index;
  }
  taken_bytes_ += uint64_t{count} << kHeapBlockLog2;
  return index << kHeapBlockLog2;
}

uint64_t HeapBlocks::unused_run_bytes() const {
  uint64_t bytes = 0;
  for (const HeapRun& run : state().allocator.runs) bytes += run.end - run.cursor;
  return bytes;
}

// --- Sweeping -----------------------------------------------------------------------------------------------------

void HeapBlocks::poison_cells(uint32_t index) const {
  const uint32_t bytes = kHeapClassBytes[block(index).size_class], all = kHeapBlockBytes / bytes * bytes;
  const uint32_t begin = index << kHeapBlockLog2;
  for (uint32_t at = begin; at < begin + all; at += bytes) {
    const uint32_t type = header(at).type;
    if (type != 0 && type != kPoisonType && !is_marked(at)) std::memset(base_ + at, kPoison, bytes);
  }
}

uint64_t HeapBlocks::sweep_cells(uint32_t index, bool poison) {
  HeapBlock& block = this->block(index);
  if (poison) poison_cells(index);
  uint32_t live = 0;
  for (uint32_t i = 0; i < kMarkWordsPerBlock; ++i) live += static_cast<uint32_t>(std::popcount(marks_of(index)[i]));
  if (live == 0) {
    free(index, 1);
    return 0;
  }
  const uint32_t size_class = block.size_class, bytes = kHeapClassBytes[size_class];
  block.dirty = 1;
  block.taken_bytes = 0;
  block.count = live;
  block.next = 0;
  if (live < cells_in_block(size_class)) {
    block.next = std::exchange(state().pending[size_class], index);
    free_cell_bytes_[size_class] += uint64_t{cells_in_block(size_class) - live} * bytes;
  }
  return uint64_t{live} * bytes;
}

uint64_t HeapBlocks::sweep(bool poison) {
  taken_bytes_ -= unused_run_bytes();
  std::ranges::fill(state().allocator.runs, HeapRun{});
  std::ranges::fill(state().current, 0);
  std::ranges::fill(state().pending, 0);
  std::ranges::fill(free_cell_bytes_, 0);
  uint64_t live_bytes = 0;
  // From the end on, so that the lists of blocks begin with the lowest.
  for (uint32_t i = state().end_block; i-- > first_block_;) {
    const HeapBlock& block = this->block(i);
    if (block.kind == HeapBlock::Kind::cells) live_bytes += sweep_cells(i, poison);
    if (block.kind != HeapBlock::Kind::large) continue;
    const uint32_t count = block.count;
    const uint64_t bytes = uint64_t{count} << kHeapBlockLog2;
    if (is_marked(i << kHeapBlockLog2)) {
      live_bytes += bytes;
      continue;
    }
    if (poison) std::memset(base_ + (uint64_t{i} << kHeapBlockLog2), kPoison, bytes);
    free(i, count);
  }
  return live_bytes;
}

HeapRef HeapBlocks::resolve_offset(uint64_t offset) const {
  if (offset >= uint64_t{state().end_block} << kHeapBlockLog2) return 0;
  uint32_t index = static_cast<uint32_t>(offset >> kHeapBlockLog2);
  const HeapBlock& block = this->block(index);
  switch (block.kind) {
    case HeapBlock::Kind::free: return 0;
    case HeapBlock::Kind::tail: return (index - block.count) << kHeapBlockLog2;
    case HeapBlock::Kind::large: return index << kHeapBlockLog2;
    case HeapBlock::Kind::cells: break;
  }
  const uint32_t cell = cell_of(block.size_class, static_cast<uint32_t>(offset % kHeapBlockBytes));
  // Behind the last cell nothing is taken or marked.
  const uint32_t begin = cell * kHeapClassBytes[block.size_class];
  const uint32_t object = (index << kHeapBlockLog2) + begin;
  const bool is_there = begin < block.taken_bytes ? header(object).type != 0 : is_marked(object);
  return is_there ? object : 0;
}

}  // namespace rotor::memory
