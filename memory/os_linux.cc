#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "memory/fault_injection.h"
#include "memory/os.h"
#include "rotor/detail/made_once.h"

namespace rotor::memory::os {
namespace {

/// The kernel keeps this much free below a stack that grows (stack_guard_gap, 256 pages by default); a fault there
/// kills the process although the rlimit is not reached.
constexpr size_t kKernelStackGapBytes = size_t{1} << 20;
/// Bytes that a main stack without limit is taken to have.
constexpr size_t kUnlimitedStackBytes = size_t{1} << 30;

[[maybe_unused]] bool is_page_multiple(uintptr_t value) { return value % page_bytes() == 0; }

[[maybe_unused]] bool is_page_range(const void* address, size_t bytes) {
  return is_page_multiple(reinterpret_cast<uintptr_t>(address)) && is_page_multiple(bytes);
}

std::unexpected<Error> system_error(const char* call, size_t bytes, const std::string& path = {}) {
  const char* words = strerrordesc_np(errno);
  std::string text = path.empty() ? std::string() : path + ": ";
  text += std::string(call) + " of " + std::to_string(bytes) + " bytes: " + (words ? words : "unknown error");
  return fail(ErrorKind::io, std::move(text));
}

/// A file descriptor that closes itself.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

/// Calls pread or pwrite until all is done. Returns false, with errno set, if that fails (0: the file ended).
template <class Call, class Byte>
bool transfer(Call call, int descriptor, Byte* bytes, size_t count, uint64_t offset) {
  while (count > 0) {
    ssize_t done = call(descriptor, bytes, count, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done == 0) errno = 0;
    if (done <= 0) return false;
    bytes += done;
    count -= static_cast<size_t>(done);
    offset += static_cast<uint64_t>(done);
  }
  return true;
}

bool map_executable(void* address, size_t bytes, int file, uint64_t offset) {
  return mmap(address, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file, static_cast<off_t>(offset)) !=
         MAP_FAILED;
}

Result<void> protect(const char* what, void* address, size_t bytes, int protection) {
  assert(is_page_range(address, bytes));
  if (bytes != 0 && mprotect(address, bytes, protection) != 0) return system_error(what, bytes);
  return {};
}

/// Maps something in place of a part of a reservation. Errors: io (nothing changed); stale_handle (every byte faults).
Result<void> map_over(const char* what, void* address, size_t bytes, int protection, int flags, int file,
                      uint64_t offset) {
  assert(is_page_range(address, bytes) && is_page_multiple(offset));
  if (bytes == 0) return {};
  if (fault_injection::fails_now()) return system_error(what, bytes);
  if (mmap(address, bytes, protection, flags | MAP_FIXED, file, static_cast<off_t>(offset)) != MAP_FAILED) return {};
  auto error = system_error(what, bytes);
  // The kernel may fail after it has unmapped what was there. No other mapping of the process may come to lie where a
  // guest can reach it; madvise tells whether there is a hole.
  if (madvise(address, bytes, MADV_NORMAL) == 0 || errno != ENOMEM) return error;
  constexpr int kReservation = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  [[maybe_unused]] void* covered = mmap(address, bytes, PROT_NONE, kReservation, -1, 0);
  assert(covered != MAP_FAILED);
  error.error().kind = ErrorKind::stale_handle;
  return error;
}

// What reserve and map_file have given out, counted for the process, as the kernel counts it.
constinit std::atomic<uint64_t> g_mappings{0};
constinit std::atomic<uint64_t> g_reserved_bytes{0};

/// The address space of x86-64 with page tables of four levels.
constexpr uint64_t kAddressSpaceBytes = uint64_t{1} << 47;

uint64_t mappings_limit() {
  static constinit std::atomic<uint64_t> known{0};
  if (uint64_t limit = known.load(std::memory_order_relaxed)) return limit;
  uint64_t most = 65530;  // the kernel's default
  if (std::FILE* file = std::fopen("/proc/sys/vm/max_map_count", "re")) {
    unsigned long long read = 0;
    if (std::fscanf(file, "%llu", &read) == 1 && read > 0) most = read;
    std::fclose(file);
  }
  const uint64_t limit = std::max<uint64_t>(most / 16 * 15, 1);
  known.store(limit, std::memory_order_relaxed);
  return limit;
}
constexpr uint64_t kReservedLimitBytes = kAddressSpaceBytes / 4 * 3;

void forget_reservation(uint64_t bytes, uint32_t mappings) {
  g_mappings.fetch_sub(mappings, std::memory_order_relaxed);
  g_reserved_bytes.fetch_sub(bytes, std::memory_order_relaxed);
}

/// Counts a reservation that is to be made. Errors: limit (nothing was counted).
Result<void> note_reservation(uint64_t bytes, uint32_t mappings) {
  const uint64_t have = g_mappings.fetch_add(mappings, std::memory_order_relaxed);
  const uint64_t reserved = g_reserved_bytes.fetch_add(bytes, std::memory_order_relaxed);
  if (have + mappings <= mappings_limit() && bytes <= kReservedLimitBytes && reserved <= kReservedLimitBytes - bytes)
    return {};
  forget_reservation(bytes, mappings);
  if (have + mappings > mappings_limit())
    return fail(ErrorKind::limit, "mappings of the process: " + std::to_string(have) + " are in use, of at most " +
                                      std::to_string(mappings_limit()) + ", fifteen sixteenths of vm.max_map_count");
  return fail(ErrorKind::limit, "address space of the process: " + std::to_string(reserved) +
                                    " bytes are reserved, of "
                                    "at most " +
                                    std::to_string(kReservedLimitBytes) + "; another " + std::to_string(bytes) +
                                    " are too many");
}

void unmap(void* address, size_t bytes) {
  assert(is_page_range(address, bytes));
  if (bytes == 0) return;
  [[maybe_unused]] int failed = munmap(address, bytes);
  assert(!failed);
}

/// Returns the end of the highest mapping in [address - kKernelStackGapBytes, address), or that range's low end if
/// there is none.
uintptr_t end_of_mapping_below(uintptr_t address) {
  uintptr_t end = address - kKernelStackGapBytes;
  for (uintptr_t page = address; page > end; page -= page_bytes()) {
    unsigned char resident = 0;
    bool is_mapped = mincore(reinterpret_cast<void*>(page - page_bytes()), page_bytes(), &resident) == 0;
    if (is_mapped) return page;
  }
  return end;
}

}  // namespace

size_t page_bytes() {
  static constinit std::atomic<size_t> known{0};
  size_t bytes = known.load(std::memory_order_relaxed);
  if (bytes == 0) known.store(bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE)), std::memory_order_relaxed);
  return bytes;
}

AddressSpaceUse address_space_use() {
  return {g_mappings.load(std::memory_order_relaxed), mappings_limit(),
          g_reserved_bytes.load(std::memory_order_relaxed), kReservedLimitBytes};
}

namespace {

std::atomic<bool (*)()> g_reclaim{nullptr};

Result<uint8_t*> try_to_reserve(size_t bytes, uint32_t mappings) {
  ROTOR_CHECK(note_reservation(bytes, mappings));
  void* address = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address != MAP_FAILED) return static_cast<uint8_t*>(address);
  auto error = system_error("reservation", bytes);
  forget_reservation(bytes, mappings);
  return error;
}

}  // namespace

void set_reclaim(bool (*reclaim)()) { g_reclaim.store(reclaim, std::memory_order_relaxed); }

Result<uint8_t*> reserve(size_t bytes, uint32_t mappings) {
  assert(is_page_multiple(bytes));
  if (fault_injection::fails_now()) return system_error("reservation", bytes);
  auto reserved = try_to_reserve(bytes, mappings);
  bool (*reclaim)() = g_reclaim.load(std::memory_order_relaxed);
  if (!reserved && reclaim && reclaim()) return try_to_reserve(bytes, mappings);
  return reserved;
}

Result<void> add_mappings(uint32_t mappings) { return note_reservation(0, mappings); }

void release(void* address, size_t bytes, uint32_t mappings) {
  unmap(address, bytes);
  if (bytes != 0) forget_reservation(bytes, mappings);
}

Result<void> commit(void* address, size_t bytes) {
  if (bytes != 0 && fault_injection::fails_now()) return system_error("commit", bytes);
  return protect("commit", address, bytes, PROT_READ | PROT_WRITE);
}

Result<void> deny(void* address, size_t bytes) {
  if (bytes != 0 && fault_injection::fails_now()) return system_error("protection", bytes);
  return protect("protection", address, bytes, PROT_NONE);
}

Result<void> unite_parts(void* address, size_t bytes) {
  // The kernel joins adjacent mappings that share an anon_vma. One that exists before the mapping is split is inherited
  // by all parts.
  if (bytes == 0 || !commit(address, bytes)) return {};
  *static_cast<volatile uint8_t*>(address) = 0;
  return protect("reservation", address, bytes, PROT_NONE);
}

Result<void> discard(void* address, size_t bytes) {
  assert(is_page_range(address, bytes));
  if (bytes == 0) return {};
  if (fault_injection::fails_now() || madvise(address, bytes, MADV_DONTNEED) != 0)
    return system_error("discard", bytes);
  return {};
}

Result<void> decommit(void* address, size_t bytes) {
  assert(is_page_range(address, bytes));
  // A new mapping in its place drops the contents, the access and any file behind it in one step.
  return map_over("decommit", address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

Result<void> map_code(void* address, size_t bytes, std::span<const uint8_t> code) {
  assert(is_page_range(address, bytes) && code.size() <= bytes);
  if (bytes == 0) return {};
  // The code is written through a descriptor, never through a mapping: the only mapping there will ever be is the
  // executable one.
  File file(memfd_create("rotor-code", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return system_error("code file", bytes);
  if (ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) return system_error("code file", bytes);
  if (!transfer(pwrite, file.get(), code.data(), code.size(), 0)) return system_error("code file", bytes);
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return system_error("code file", bytes);
  if (!map_executable(address, bytes, file.get(), 0)) return system_error("code mapping", bytes);
  return {};
}

InputFile::InputFile(int descriptor, size_t size_bytes, std::string path)
    : descriptor_(descriptor), size_bytes_(size_bytes), path_(std::move(path)) {}

InputFile::InputFile(InputFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      size_bytes_(other.size_bytes_),
      path_(std::move(other.path_)) {}

InputFile::~InputFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<InputFile> InputFile::open(const std::string& path) {
  InputFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC), 0, path);
  if (file.descriptor_ < 0) return system_error("opening", 0, path);
  struct stat status;
  if (fstat(file.descriptor_, &status) != 0) return system_error("look at", 0, path);
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::io, path + ": not a regular file");
  file.size_bytes_ = static_cast<size_t>(status.st_size);
  return file;
}

Result<void> map_code_file(void* address, size_t bytes, const InputFile& file, uint64_t file_offset) {
  assert(is_page_range(address, bytes) && is_page_multiple(file_offset));
  if (bytes == 0) return {};
  // A mapping past the end of its file would be accepted and fault (SIGBUS) when it runs.
  if (file.size_bytes() < file_offset || file.size_bytes() - file_offset < bytes)
    return fail(ErrorKind::io, file.path() + ": the file is too short for the code it should hold");
  if (map_executable(address, bytes, file.descriptor(), file_offset)) return {};
  if (errno != EPERM && errno != ENODEV) return system_error("code mapping", bytes, file.path());
  // On a file system that is mounted noexec, or can't map, the code is copied instead.
  std::vector<uint8_t> code(bytes);
  if (!transfer(pread, file.descriptor(), code.data(), bytes, file_offset))
    return system_error("read", bytes, file.path());
  return map_code(address, bytes, code);
}

Result<void> add_code(void* address, size_t bytes, std::span<const uint8_t> code) {
  assert(is_page_range(address, bytes) && code.size() <= bytes);
  if (bytes == 0) return {};
  ROTOR_CHECK(commit(address, bytes));
  std::memcpy(address, code.data(), code.size());
  return protect("code protection", address, bytes, PROT_READ | PROT_EXEC);
}

Result<std::span<const uint8_t>> map_file(const InputFile& file) {
  size_t bytes = file.size_bytes();
  if (bytes == 0) return std::span<const uint8_t>();
  const uint64_t counted = round_up_to_page(bytes);
  ROTOR_CHECK(note_reservation(counted, 1));
  void* address = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (address != MAP_FAILED) return std::span(static_cast<const uint8_t*>(address), bytes);
  auto error = system_error("mapping", bytes, file.path());
  forget_reservation(counted, 1);
  return error;
}

MemoryFile::MemoryFile(MemoryFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      size_bytes_(other.size_bytes_),
      begin_(other.begin_),
      is_part_(other.is_part_) {}

MemoryFile& MemoryFile::operator=(MemoryFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_bytes_, other.size_bytes_);
  std::swap(begin_, other.begin_);
  std::swap(is_part_, other.is_part_);
  return *this;
}

MemoryFile::~MemoryFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<MemoryFile> MemoryFile::create(uint64_t bytes) {
  if (fault_injection::fails_now()) return system_error("file in memory", bytes);
  MemoryFile file(memfd_create("rotor-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING), 0);
  if (file.descriptor_ < 0) return system_error("file in memory", bytes);
  ROTOR_CHECK(file.resize(bytes));
  return file;
}

Result<MemoryFile> MemoryFile::part_of(const InputFile& file, uint64_t begin, uint64_t bytes) {
  assert(is_page_multiple(begin) && is_page_multiple(bytes));
  if (fault_injection::fails_now()) return system_error("part of a file", bytes, file.path());
  MemoryFile part(fcntl(file.descriptor(), F_DUPFD_CLOEXEC, 0), bytes);
  struct stat status;
  if (part.descriptor_ < 0 || fstat(part.descriptor_, &status) != 0)
    return system_error("part of a file", bytes, file.path());
  // A mapping past the end of its file would be accepted and fault when it is read.
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size < begin || size - begin < bytes)
    return fail(ErrorKind::io, file.path() + ": the file is too short for the data it should hold");
  part.begin_ = begin;
  part.is_part_ = true;
  return part;
}

Result<void> MemoryFile::resize(uint64_t bytes) {
  assert(is_page_multiple(bytes) && !is_part_);
  if (bytes == size_bytes_) return {};
  if (fault_injection::fails_now() || ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0)
    return system_error("size of a file in memory", bytes);
  size_bytes_ = bytes;
  return {};
}

Result<void> MemoryFile::write_nonzero(uint64_t offset, std::span<const uint8_t> pages) {
  assert(is_page_multiple(offset) && is_page_multiple(pages.size()) && offset + pages.size() <= size_bytes_);
  assert(!is_part_);
  const size_t page = page_bytes();
  for (size_t begin = 0; begin < pages.size();) {
    if (is_zero(pages.subspan(begin, page))) {
      begin += page;
      continue;
    }
    size_t end = begin + page;
    while (end < pages.size() && !is_zero(pages.subspan(end, page))) end += page;
    if (fault_injection::fails_now() ||
        !transfer(pwrite, descriptor_, pages.data() + begin, end - begin, offset + begin))
      return system_error("writing", end - begin);
    begin = end;
  }
  return {};
}

Result<void> MemoryFile::seal() {
  if (is_part_) return {};
  if (fault_injection::fails_now() ||
      fcntl(descriptor_, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return system_error("sealing", size_bytes_);
  return {};
}

Result<MemoryFile::Range> MemoryFile::next_data(uint64_t offset) const {
  if (is_part_) return Range{std::min(offset, size_bytes_), size_bytes_};
  off_t begin = offset < size_bytes_ ? lseek(descriptor_, static_cast<off_t>(offset), SEEK_DATA) : -1;
  if (begin < 0) {
    if (offset >= size_bytes_ || errno == ENXIO) return Range{size_bytes_, size_bytes_};
    return system_error("search for data", size_bytes_);
  }
  off_t end = lseek(descriptor_, begin, SEEK_HOLE);
  if (end < 0) return system_error("search for data", size_bytes_);
  return Range{static_cast<uint64_t>(begin), static_cast<uint64_t>(end)};
}

uint64_t MemoryFile::allocated_bytes() const {
  if (is_part_) return size_bytes_;  // of the page cache, at most
  struct stat status;
  if (fstat(descriptor_, &status) != 0) return 0;
  return static_cast<uint64_t>(status.st_blocks) * 512;  // the unit of st_blocks, whatever the file system's
}

Result<void> map_shared(void* address, size_t bytes, const MemoryFile& file, uint64_t offset) {
  assert(offset + bytes <= file.size_bytes() && !file.is_part_);
  return map_over("shared mapping", address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor_, offset);
}

Result<void> map_private(void* address, size_t bytes, const MemoryFile& file, uint64_t offset) {
  assert(offset + bytes <= file.size_bytes());
  // MAP_NORESERVE, so that no swap is set aside for pages that may never be written: an image of 1 GiB costs what is
  // written of it.
  return map_over("private mapping", address, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
                  file.descriptor_, file.begin_ + offset);
}

Result<std::span<const uint8_t>> map_file(const MemoryFile& file) {
  size_t bytes = file.size_bytes();
  if (bytes == 0) return std::span<const uint8_t>();
  // The kernel aligns only mappings that are a multiple of a huge page (and only from 6.7 on), so room is reserved to
  // align here.
  ROTOR_TRY(uint8_t* room, reserve(bytes + kHugePageBytes, 1));
  const size_t before = (kHugePageBytes - reinterpret_cast<uintptr_t>(room) % kHugePageBytes) % kHugePageBytes;
  uint8_t* address = room + before;
  unmap(room, before);
  unmap(address + bytes, kHugePageBytes - before);
  forget_reservation(kHugePageBytes, 0);
  auto mapped = map_over("mapping", address, bytes, PROT_READ, MAP_PRIVATE, file.descriptor_, file.begin_);
  if (!mapped) {
    release(address, bytes, 1);
    return fail(ErrorKind::io, std::move(mapped).error().message);
  }
  return std::span<const uint8_t>(address, bytes);
}

void gather_huge_pages(const void* address, size_t bytes) {
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1
  // The result does not matter: the contents are as they were.
  if (reinterpret_cast<uintptr_t>(address) % kHugePageBytes == 0 && bytes != 0)
    (void)madvise(const_cast<void*>(address), bytes, kCollapse);
}

void keep_pages_small(void* address, size_t bytes) {
  assert(is_page_range(address, bytes));
  // A kernel without huge pages refuses it.
  if (bytes != 0) (void)madvise(address, bytes, MADV_NOHUGEPAGE);
}

void own_pages(void* address, size_t bytes) {
  assert(is_page_range(address, bytes));
  constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14
  if (bytes == 0 || madvise(address, bytes, kPopulateWrite) == 0) return;
  for (size_t at = 0; at < bytes; at += page_bytes()) {
    volatile uint8_t* byte = static_cast<uint8_t*>(address) + at;
    *byte = *byte;
  }
}

void fault_in(const void* address, size_t bytes) {
  assert(is_page_range(address, bytes));
  constexpr int kPopulateRead = 22;  // MADV_POPULATE_READ, Linux 5.14
  if (bytes != 0) (void)madvise(const_cast<void*>(address), bytes, kPopulateRead);
}

namespace {

/// What PAGEMAP_SCAN takes and gives (linux/fs.h has it from 6.7 on).
struct PageRegion {
  uint64_t start, end, categories;
};
struct ScanArgument {
  uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages;
  uint64_t category_inverted, category_mask, category_any_of_mask, return_mask;
};
constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArgument);
constexpr uint64_t kPageOfFile = 1 << 2, kPagePresent = 1 << 3, kPageSwapped = 1 << 4, kPageOfZeroes = 1 << 5;

/// The descriptor of /proc/self/pagemap, which belongs to the process that opened it: the child of a fork opens its
/// own. So it stands in a page that the kernel wipes in the child, however that was made.
class PageMap {
 public:
  /// Returns the descriptor, or -1.
  static int descriptor() {
    static constinit std::atomic<WipedCell*> made{nullptr};
    std::atomic<int>* cell = rotor::detail::made_once(made, [] { return std::make_unique<WipedCell>(); }).get();
    if (!cell) return -1;
    const int known = cell->load(std::memory_order_acquire);
    return known > 0 ? known - 1 : known == kNone ? -1 : open_now(*cell);
  }

 private:
  static constexpr int kNone = -1;

  class WipedCell {
   public:
    WipedCell() {
      void* page = mmap(nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (page == MAP_FAILED) return;
      if (madvise(page, page_bytes(), MADV_WIPEONFORK) == 0)
        cell_ = new (page) std::atomic<int>(0);
      else
        munmap(page, page_bytes());
    }
    WipedCell(const WipedCell&) = delete;
    ~WipedCell() {
      if (cell_) munmap(cell_, page_bytes());
    }
    /// Returns null where the system gave no such page.
    std::atomic<int>* get() const { return cell_; }

   private:
    std::atomic<int>* cell_ = nullptr;
  };
  static int open_now(std::atomic<int>& cell) {
    const int opened = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    int known = 0;
    if (cell.compare_exchange_strong(known, opened < 0 ? kNone : opened + 1, std::memory_order_acq_rel)) return opened;
    if (opened >= 0) close(opened);
    return known > 0 ? known - 1 : -1;
  }
};

std::optional<Found> scan_written(uintptr_t begin, size_t bytes, std::span<Range> ranges) {
  const int map = PageMap::descriptor();
  if (map < 0) return std::nullopt;
  constexpr size_t kRegions = 64;
  PageRegion regions[kRegions];
  Found found;
  while (found.ranges < ranges.size() && found.end < bytes) {
    ScanArgument scan = {};
    scan.size = sizeof scan;
    scan.start = begin + found.end;
    scan.end = begin + bytes;
    scan.regions = reinterpret_cast<uintptr_t>(regions);
    scan.region_count = std::min(kRegions, ranges.size() - found.ranges);
    // A page that is there and neither of a file nor the page of zeroes is a copy that the process wrote.
    scan.category_inverted = kPageOfFile | kPageOfZeroes;
    scan.category_mask = kPageOfFile | kPageOfZeroes;
    scan.category_any_of_mask = kPagePresent | kPageSwapped;
    scan.return_mask = kPageOfFile;
    const int count = ioctl(map, kPagemapScan, &scan);
    if (count < 0) return std::nullopt;
    for (int i = 0; i < count; ++i) ranges[found.ranges++] = {regions[i].start - begin, regions[i].end - begin};
    found.end = scan.walk_end - begin;
  }
  return found;
}

std::optional<Found> read_written(uintptr_t begin, size_t bytes, std::span<Range> ranges) {
  File map(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!map) return std::nullopt;
  constexpr uint64_t kPresentOrSwapped = UINT64_C(3) << 62;
  constexpr uint64_t kOfFile = UINT64_C(1) << 61;
  constexpr size_t kEntries = 512;
  uint64_t entries[kEntries];
  const size_t page = page_bytes();
  Found found;
  while (found.end < bytes) {
    const size_t count = std::min<uint64_t>(kEntries, (bytes - found.end) / page);
    if (!transfer(pread, map.get(), reinterpret_cast<uint8_t*>(entries), count * sizeof(uint64_t),
                  (begin + found.end) / page * sizeof(uint64_t)))
      return std::nullopt;
    for (size_t i = 0; i < count; ++i, found.end += page) {
      if (!(entries[i] & kPresentOrSwapped) || entries[i] & kOfFile) continue;
      if (found.ranges > 0 && ranges[found.ranges - 1].end == found.end) {
        ranges[found.ranges - 1].end += page;
        continue;
      }
      if (found.ranges == ranges.size()) return found;
      ranges[found.ranges++] = {found.end, found.end + page};
    }
  }
  return found;
}

}  // namespace

Result<Found> find_written(const void* address, size_t bytes, std::span<Range> ranges, Search search) {
  assert(is_page_range(address, bytes) && !ranges.empty());
  const auto begin = reinterpret_cast<uintptr_t>(address);
  std::optional<Found> found;
  if (!fault_injection::fails_now()) {
    if (search != Search::entries) found = scan_written(begin, bytes, ranges);
    if (!found && search != Search::scan) found = read_written(begin, bytes, ranges);
  }
  if (found) return *found;
  return system_error("search for written pages", bytes);
}

bool finds_written_fast() {
  Range none[1];
  alignas(4096) static const uint8_t page[4096] = {};
  return scan_written(reinterpret_cast<uintptr_t>(page), sizeof page, none).has_value();
}

bool is_zero(std::span<const uint8_t> bytes) {
  assert(bytes.size() % 64 == 0);
  for (size_t at = 0; at < bytes.size(); at += 64) {
    uint64_t words[8];
    std::memcpy(words, bytes.data() + at, 64);
    if (words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) return false;
  }
  return true;
}

Result<void> protect_read(void* address, size_t bytes) { return protect("protection", address, bytes, PROT_READ); }

Result<void> protect_read_write(void* address, size_t bytes) {
  return protect("protection", address, bytes, PROT_READ | PROT_WRITE);
}

namespace {

/// Returns the stack that the process began on, as far as its limit lets it grow; nullopt if that can't be had, or the
/// calling thread runs on another one. For where there is no /proc, which glibc reads for it.
std::optional<StackRange> first_stack() {
  // The kernel puts the program's name at the stack's high end.
  const auto name = static_cast<uintptr_t>(getauxval(AT_EXECFN));
  rlimit limit;
  if (name == 0 || getrlimit(RLIMIT_STACK, &limit) != 0) return std::nullopt;
  const uintptr_t high = round_up_to_page(name + std::strlen(reinterpret_cast<const char*>(name)) + 1);
  const uintptr_t low = high - round_up_to_page(std::min<uint64_t>(limit.rlim_cur, kUnlimitedStackBytes));
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (here < low || here >= high) return std::nullopt;
  return StackRange{low, high};
}

/// Returns the stack as glibc knows it.
Result<StackRange> known_stack() {
  pthread_attr_t attributes;
  if (int code = pthread_getattr_np(pthread_self(), &attributes); code != 0) {
    errno = code;
    return system_error("look-up of the stack", 0);
  }
  void* low = nullptr;
  size_t size = 0;
  int code = pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  if (code != 0) {
    errno = code;
    return system_error("look-up of the stack", 0);
  }
  return StackRange{reinterpret_cast<uintptr_t>(low), reinterpret_cast<uintptr_t>(low) + size};
}

}  // namespace

Result<StackRange> thread_stack() {
  auto known = known_stack();
  const bool is_main = getpid() == gettid();
  if (!known && is_main) {
    if (auto first = first_stack()) known = *first;
  }
  if (!known || !is_main) return known;  // glibc leaves the guard out already
  StackRange range = *known;
  // The main stack is mapped as it grows. glibc gives [high - rlimit, high), cut where the next mapping below ends, and
  // without a limit everything down to that mapping; it does not know the gap that the kernel keeps to it.
  if (range.high - range.low > kUnlimitedStackBytes) range.low = range.high - kUnlimitedStackBytes;
  range.low = std::max(range.low, end_of_mapping_below(range.low) + kKernelStackGapBytes);
  if (range.low >= range.high) return fail(ErrorKind::io, "the main stack has no room to grow");
  return range;
}

uint64_t resident_bytes() {
  FILE* file = std::fopen("/proc/self/statm", "re");
  if (!file) return 0;
  unsigned long long total_pages = 0;
  unsigned long long resident_pages = 0;
  int fields = std::fscanf(file, "%llu %llu", &total_pages, &resident_pages);
  std::fclose(file);
  return fields == 2 ? resident_pages * page_bytes() : 0;
}

}  // namespace rotor::memory::os
