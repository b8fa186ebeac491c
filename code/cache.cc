#include "code/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <vector>

namespace rotor::code {

namespace {

constexpr std::string_view kEntryEnding = ".rotor";
constexpr std::string_view kTemporaryEnding = ".tmp";
constexpr size_t kRandomDigits = 16;  // of OutputFile
constexpr mode_t kOthersMayWrite = S_IWGRP | S_IWOTH;
constexpr int64_t kSecond_ns = 1'000'000'000;
/// A temporary is locked an instant after it is made, so one that is younger than this is left alone.
constexpr int64_t kYoung_ns = 60 * kSecond_ns;
/// Where the file system knows no locks, a temporary older than this is abandoned: no writer takes that long.
constexpr int64_t kAbandoned_ns = 3600 * kSecond_ns;

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string entry_name(const CacheKey& key) { return key.hex() + std::string(kEntryEnding); }

bool is_entry_name(std::string_view name) {
  constexpr size_t digits = sizeof(CacheKey) * 2;
  return name.size() == digits + kEntryEnding.size() && name.ends_with(kEntryEnding) && is_hex(name.substr(0, digits));
}

bool is_temporary_name(std::string_view name) {
  constexpr size_t tail = 1 + kRandomDigits + kTemporaryEnding.size();
  if (name.size() < tail || !is_entry_name(name.substr(0, name.size() - tail))) return false;
  name.remove_prefix(name.size() - tail);
  return name[0] == '.' && is_hex(name.substr(1, kRandomDigits)) && name.ends_with(kTemporaryEnding);
}

int64_t to_ns(const timespec& time) { return int64_t{time.tv_sec} * kSecond_ns + time.tv_nsec; }

/// Returns the current time. The kernel's own "now" for files advances by milliseconds, which would not keep the order
/// of uses.
timespec now() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return time;
}

/// Times for futimens: keep the access time, set the modification time to now. Reading an entry never changes the
/// latter.
struct UsedNow {
  timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, now()};
};

bool is_ours(const struct stat& info) { return info.st_uid == geteuid() && (info.st_mode & kOthersMayWrite) == 0; }

/// Makes a folder and what leads to it.
Result<void> make_folder(const std::string& path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    std::string part = path.substr(0, end);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return io_error("making the cache folder", part);
    if (end == std::string::npos) return {};
  }
}

Result<Descriptor> open_folder(const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  Descriptor folder(::open(path.c_str(), kFlags));
  if (!folder && errno == ENOENT) {
    ROTOR_CHECK(make_folder(path));
    folder = Descriptor(::open(path.c_str(), kFlags));
  }
  if (!folder) return io_error("opening the cache folder", path);
  return folder;
}

/// Refuses a folder in which another user could put code for us to run.
Result<void> check_folder(const Descriptor& folder, const std::string& path) {
  struct stat info;
  if (fstat(folder.get(), &info) != 0) return io_error("opening the cache folder", path);
  if (info.st_uid != geteuid())
    return fail(
        ErrorKind::invalid_argument,
        fmt::format("the cache folder {} belongs to user {}, this process to user {}", path, info.st_uid, geteuid()));
  if (info.st_mode & kOthersMayWrite)
    return fail(
        ErrorKind::invalid_argument,
        fmt::format("the cache folder {} can be written to by others (mode {:04o})", path, info.st_mode & 07777));
  return {};
}

/// Returns whether a temporary's writer is dead.
bool is_abandoned(int folder, const std::string& name) {
  Descriptor file(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info;
  if (!file || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) || !is_ours(info)) return false;
  int64_t age_ns = to_ns(now()) - to_ns(info.st_mtim);
  if (age_ns >= 0 && age_ns < kYoung_ns) return false;
  if (flock(file.get(), LOCK_SH | LOCK_NB) == 0) return true;
  return errno != EWOULDBLOCK && age_ns >= kAbandoned_ns;
}

struct Listed {
  std::string name;
  int64_t used_ns;
  uint64_t bytes;
};

/// Returns the entries by last use, oldest first.
std::vector<Listed> list_entries(int folder, const std::vector<std::string>& names) {
  std::vector<Listed> entries;
  for (const std::string& name : names) {
    struct stat info;
    if (!is_entry_name(name) || fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISREG(info.st_mode)) entries.push_back({name, to_ns(info.st_mtim), static_cast<uint64_t>(info.st_size)});
  }
  std::ranges::sort(entries, {}, &Listed::used_ns);
  return entries;
}

}  // namespace

CacheKey CacheKey::of(std::span<const uint8_t> module_bytes, std::string_view settings) {
  // Settings and module are hashed separately, so that no end of the settings can pass for the beginning of the module.
  const XXH128_hash_t parts[] = {XXH3_128bits(settings.data(), settings.size()),
                                 XXH3_128bits(module_bytes.data(), module_bytes.size())};
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits(parts, sizeof parts));
  CacheKey key;
  static_assert(sizeof key.bytes == sizeof digest.digest);
  std::copy_n(digest.digest, sizeof digest.digest, key.bytes.begin());
  return key;
}

std::string CacheKey::hex() const {
  std::string text;
  for (uint8_t byte : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

uint64_t boot_number() {
  Descriptor file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  char text[64];
  const ssize_t size = file ? read(file.get(), text, sizeof text) : -1;
  return size > 0 ? XXH3_64bits(text, static_cast<size_t>(size)) | 1 : 0;
}

Result<std::string> default_cache_folder() {
  auto folder_in = [](const char* variable) {
    const char* value = secure_getenv(variable);
    return value && value[0] == '/' ? std::string(value) : std::string();
  };
  if (std::string cache = folder_in("XDG_CACHE_HOME"); !cache.empty()) return cache + "/rotor/code";
  if (std::string home = folder_in("HOME"); !home.empty()) return home + "/.cache/rotor/code";
  return fail(ErrorKind::not_found, "no cache folder: neither XDG_CACHE_HOME nor HOME is set to an absolute path");
}

std::string CacheEntry::pinned_path() const { return fmt::format("/proc/self/fd/{}", file_.get()); }

Result<std::unique_ptr<CodeCache>> CodeCache::open(CacheOptions options) {
  if (options.folder.empty()) {
    ROTOR_TRY(options.folder, default_cache_folder());
  }
  ROTOR_TRY(Descriptor folder, open_folder(options.folder));
  ROTOR_CHECK(check_folder(folder, options.folder));
  return std::unique_ptr<CodeCache>(new CodeCache(std::move(folder), std::move(options.folder), options.limit_bytes));
}

std::optional<CacheEntry> CodeCache::find(const CacheKey& key) const {
  std::string name = entry_name(key);
  // O_NONBLOCK, since opening a pipe of that name would wait for its writer.
  Descriptor file(openat(folder_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info;
  if (!file || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) || !is_ours(info)) return std::nullopt;
  (void)futimens(file.get(), UsedNow().times);  // on a read-only file system the order stays as it is
  return CacheEntry(std::move(file), path_ + '/' + name);
}

Result<void> CodeCache::put(const CacheKey& key, const Write& write) const {
  std::string name = entry_name(key);
  Result<void> written = write_entry(name, write);
  // Tidies also if the write failed: the disk may be full of what dead writers left.
  tidy(name);
  return written;
}

Result<void> CodeCache::write_entry(const std::string& name, const Write& write) const {
  std::string shown_path = path_ + '/' + name;
  ROTOR_TRY(OutputFile file, OutputFile::create_in(folder_.get(), name, shown_path, 0600));
  ROTOR_CHECK(write(file));
  if (file.size_bytes() > limit_bytes_)
    return fail(ErrorKind::limit, fmt::format("{} would have {} bytes, the cache's limit_bytes is {}", shown_path,
                                              file.size_bytes(), limit_bytes_));
  ROTOR_CHECK(file.keep(Durability::none));
  (void)utimensat(folder_.get(), name.c_str(), UsedNow().times, AT_SYMLINK_NOFOLLOW);
  return {};
}

void CodeCache::remove(const CacheKey& key) const { (void)unlinkat(folder_.get(), entry_name(key).c_str(), 0); }

/// Deletes abandoned temporaries, then evicts entries. Failures are left to the next put.
void CodeCache::tidy(const std::string& newest) const {
  // Opens a descriptor of its own, since the lock and the reading position belong to the open file. Closing it ends the
  // lock.
  int fd = openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(fd), closedir);
  if (!listing) {
    close(fd);
    return;
  }
  // Two processes tidying at once would delete more than needed, but nothing worse: so a lock that can't be had is no
  // reason to stop, unless another holds it.
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return;

  std::vector<std::string> names;
  while (const dirent* item = readdir(listing.get())) names.emplace_back(item->d_name);
  for (const std::string& name : names)
    if (is_temporary_name(name) && is_abandoned(fd, name)) (void)unlinkat(fd, name.c_str(), 0);

  std::vector<Listed> entries = list_entries(fd, names);
  uint64_t total_bytes = 0;
  for (const Listed& entry : entries) total_bytes += entry.bytes;
  for (const Listed& entry : entries) {
    if (total_bytes <= limit_bytes_) break;
    if (entry.name == newest) continue;
    if (unlinkat(fd, entry.name.c_str(), 0) == 0 || errno == ENOENT) total_bytes -= entry.bytes;
  }
}

}  // namespace rotor::code
