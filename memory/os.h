// The operating system's address-space calls, and the only place they are made (with runtime/enter/trap_linux.cc).
// Every size and address is a multiple of page_bytes() unless said otherwise. Nothing here throws or prints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "rotor/result.h"

namespace rotor::memory::os {

/// Returns the bytes of a page of the system.
size_t page_bytes();
/// Rounds up to a multiple of page_bytes(). Pre: below UINT64_MAX - page_bytes().
inline uint64_t round_up_to_page(uint64_t bytes) { return (bytes + page_bytes() - 1) / page_bytes() * page_bytes(); }

/// What the process has reserved and mapped through the functions below. The kernel gives a process a limited number of
/// mappings, and a process that has none left can't start a thread: so a sixteenth of them (4,096 of the kernel's
/// default) is left to the rest of the process, and a quarter of the address space.
struct AddressSpaceUse {
  uint64_t mappings = 0;        ///< that exist, or may come to exist, in what is reserved
  uint64_t mappings_limit = 0;  ///< fifteen sixteenths of vm.max_map_count, as it was when it was first asked for
  uint64_t reserved_bytes = 0;
  uint64_t reserved_limit_bytes = 0;
};
/// Returns what the process uses now. Thread-safe.
AddressSpaceUse address_space_use();

/// Mappings that a reservation can be divided into: the part with access, and the rest.
inline constexpr uint32_t kReservationMappings = 2;
/// Reserves address space that no access may touch, and which the caller will divide into at most `mappings` parts with
/// different access or of different files. Post: every byte faults. Errors: limit, one of AddressSpaceUse's; io, with
/// the system's words.
Result<uint8_t*> reserve(size_t bytes, uint32_t mappings = kReservationMappings);
/// Gives a whole reservation back, with its `mappings`. Pre: `address` and `bytes` of a reserve or map_*. Post: the
/// range is unmapped.
void release(void* address, size_t bytes, uint32_t mappings = kReservationMappings);
/// Counts mappings that a reservation will be divided into beside those that it was made for. Whoever releases it says
/// their sum. Errors: limit (nothing was counted).
Result<void> add_mappings(uint32_t mappings);
/// Makes a part of a reservation readable and writable. Post: it reads as zero where it was never committed.
Result<void> commit(void* address, size_t bytes);
/// Lets parts of a reservation that are committed, written and protected later share one mapping where they are
/// adjacent and have equal access, in whatever order that is done: without it, 2,000 functions compiled by several
/// threads took 600 mappings. (Where memory may not be overcommitted they may still take many.) Pre: nothing of it was
/// ever committed. Errors: io.
Result<void> unite_parts(void* address, size_t bytes);
/// Takes the access to a committed part away, and keeps what it holds: `commit` gives both back.
Result<void> deny(void* address, size_t bytes);
/// Gives the pages of a committed part back. Post: it reads as zero (private mappings) and stays accessible.
Result<void> discard(void* address, size_t bytes);
/// Takes access away. Post: every byte faults; the contents are gone. Errors: those of map_private, below.
Result<void> decommit(void* address, size_t bytes);

/// Replaces [address, address + bytes) of a reservation with readable and executable code that holds `code` and then
/// zeroes. Never writable and executable at once, in any mapping.
Result<void> map_code(void* address, size_t bytes, std::span<const uint8_t> code);
/// A regular file, open for reading. What is mapped through it is of one file, whatever its path names by then.
class InputFile {
 public:
  /// Errors: io, naming the path.
  static Result<InputFile> open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();
  /// Returns the size that the file had when it was opened.
  size_t size_bytes() const { return size_bytes_; }
  const std::string& path() const { return path_; }
  int descriptor() const { return descriptor_; }

 private:
  InputFile(int descriptor, size_t size_bytes, std::string path);
  int descriptor_;
  size_t size_bytes_;
  std::string path_;
};
/// Does the same as map_code straight from a file: by a private mapping of [file_offset, + bytes). Errors: io (the file
/// is too short).
Result<void> map_code_file(void* address, size_t bytes, const InputFile& file, uint64_t file_offset);
/// Does the same as map_code for code that joins other code in a region: through a private writable mapping that only
/// the caller knows of, which then becomes executable. Adjacent pieces share one mapping of the kernel's.
Result<void> add_code(void* address, size_t bytes, std::span<const uint8_t> code);
/// Maps a whole file read-only; to be given back with `release`, as one mapping. Errors: as of reserve.
Result<std::span<const uint8_t>> map_file(const InputFile& file);

/// Bytes of a mapping or file, from `begin` on.
struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// A file that no path names and that lies in memory. Parts that were never written take none. Or a part of a regular
/// file, which is as if sealed: its contents are the file's, as long as nobody changes that in place.
class MemoryFile {
 public:
  using Range = os::Range;
  /// Makes a file of that size, all zero. Errors: io.
  static Result<MemoryFile> create(uint64_t bytes);
  /// Returns [begin, + bytes) of a file, which this keeps open. Errors: io (it is too short now, or no descriptor is
  /// left).
  static Result<MemoryFile> part_of(const InputFile& file, uint64_t begin, uint64_t bytes);
  MemoryFile(MemoryFile&& other) noexcept;
  MemoryFile& operator=(MemoryFile&& other) noexcept;
  ~MemoryFile();
  uint64_t size_bytes() const { return size_bytes_; }
  /// Changes the size: bytes that are added are zero, bytes that are cut off are gone. Pre: nothing maps what is cut
  /// off. Errors: io (nothing changed).
  Result<void> resize(uint64_t bytes);
  /// Writes those of the pages that are not zero at `offset`. Pre: the file is zero there, and that long. Errors: io.
  Result<void> write_nonzero(uint64_t offset, std::span<const uint8_t> pages);
  /// Makes the file immutable: neither contents nor size ever change. Pre: no shared mapping of it is left. Errors: io.
  /// Nothing has to be done for a part of a regular file.
  Result<void> seal();
  /// Returns the first range at or behind `offset` that was written, in whole pages; an empty one at the file's end.
  /// Errors: io.
  Result<Range> next_data(uint64_t offset) const;
  /// Returns the bytes of the system's memory that it takes.
  uint64_t allocated_bytes() const;

 private:
  friend Result<void> map_shared(void*, size_t, const MemoryFile&, uint64_t);
  friend Result<void> map_private(void*, size_t, const MemoryFile&, uint64_t);
  friend Result<std::span<const uint8_t>> map_file(const MemoryFile&);
  MemoryFile(int descriptor, uint64_t size_bytes) : descriptor_(descriptor), size_bytes_(size_bytes) {}
  int descriptor_;
  uint64_t size_bytes_;
  uint64_t begin_ = 0;    ///< of the part
  bool is_part_ = false;  ///< of a regular file
};
/// Replaces [address, address + bytes) of a reservation with [offset, + bytes) of a file, readable and writable.
/// Shared: what is written goes into the file. Private: a page is copied when it is first written. Errors: io: nothing
/// changed; stale_handle: the contents are gone and every byte faults.
Result<void> map_shared(void* address, size_t bytes, const MemoryFile& file, uint64_t offset);
Result<void> map_private(void* address, size_t bytes, const MemoryFile& file, uint64_t offset);
/// Maps the whole file read-only; to be given back with `release`, as one mapping. The address is aligned so that huge
/// pages can be used. Errors: as of reserve.
Result<std::span<const uint8_t>> map_file(const MemoryFile& file);

/// Bytes of a huge page.
inline constexpr size_t kHugePageBytes = size_t{2} << 20;
/// Gathers the pages of a mapped file into huge ones, where the system can: a fault then maps kHugePageBytes. Takes
/// 0.3 ms a MiB. Pre: multiples of kHugePageBytes.
void gather_huge_pages(const void* address, size_t bytes);

/// Has a part of a reservation, of which nothing was touched yet, consist of single pages, whatever the system does
/// with other memory.
void keep_pages_small(void* address, size_t bytes);

/// Fills the page tables for what is mapped, as reading every page would. Where the system can't do that, nothing
/// happens.
void fault_in(const void* address, size_t bytes);

/// Gives each page of a private mapping a page of its own, as writing to it would, with the contents that it has.
void own_pages(void* address, size_t bytes);

/// How find_written looks: `scan` is the call for it (PAGEMAP_SCAN, Linux 6.7), `entries` reads what /proc says of each
/// page.
enum class Search : uint8_t { any, scan, entries };
struct Found {
  size_t ranges = 0;  ///< of those that were given
  uint64_t end = 0;   ///< all before this offset was searched
};
/// Finds the pages of [address, + bytes) of private mappings that may differ from what is mapped there, a file or
/// zero: those that were written since the mapping was made or they were last discarded. Writes their offsets from
/// `address` to `ranges`, in order, until those are full. Errors: io (the system doesn't say it, by that way).
Result<Found> find_written(const void* address, size_t bytes, std::span<Range> ranges, Search search = Search::any);
/// Returns whether find_written takes some microseconds, and does not look at every page by itself.
bool finds_written_fast();

/// Sets what `reserve` calls where the system or a limit refuses, before it tries once more: it returns whether it gave
/// address space back.
void set_reclaim(bool (*reclaim)());

/// Returns whether every byte is zero. Pre: the size is a multiple of 64 bytes.
bool is_zero(std::span<const uint8_t> bytes);
/// Makes a mapped part read-only and not executable (read-only data), or read-write (the run page).
Result<void> protect_read(void* address, size_t bytes);
Result<void> protect_read_write(void* address, size_t bytes);

/// The lowest and highest address of the calling thread's stack, without its guard. For the main thread, what its
/// rlimit allows.
struct StackRange {
  uintptr_t low = 0;
  uintptr_t high = 0;
};
Result<StackRange> thread_stack();

/// Returns the bytes of this process's resident set; 0 if they can't be had.
uint64_t resident_bytes();

}  // namespace rotor::memory::os
