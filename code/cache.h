// The store behind the automatic code cache: opaque files in one folder, by key, up to a size. It knows nothing of what
// a file holds; whoever reads a file finds damage (code files have a checksum) and removes it.
//
// Files are *trusted* as code is, so the folder is refused unless only the effective user can write to it. All work
// after that goes through the folder's descriptor: swapping the path for another folder changes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "code/file.h"
#include "rotor/result.h"

namespace rotor::code {

/// The name of an entry: it depends on all that the entry's contents depend on. XXH3 with 128 bits: it tells modules
/// apart, but the author of one could make it share the key of another. So whoever reads an entry compares the module
/// in it with the one that is wanted, byte for byte, which takes a third of the time of a cryptographic digest.
struct CacheKey {
  std::array<uint8_t, 16> bytes{};

  /// Returns the key of a module; `settings` states all else that the code depends on: version, options, CPU features.
  static CacheKey of(std::span<const uint8_t> module_bytes, std::string_view settings);
  /// Returns the key as 32 lower-case hex digits.
  std::string hex() const;
  friend bool operator==(const CacheKey&, const CacheKey&) = default;
};

struct CacheOptions {
  /// Made with mode 0700 if it is not there, as are its parents. Empty: default_cache_folder().
  std::string folder;
  /// Limit of the file sizes of all entries together, in bytes.
  uint64_t limit_bytes = UINT64_C(1) << 30;
};

/// Returns a number that tells this start of the machine from others, never 0: what was written since its start is read
/// as it was written. (What was written before may have holes: CodeCache::put.) 0: it is not known.
uint64_t boot_number();

/// Returns `$XDG_CACHE_HOME/rotor/code`, or `$HOME/.cache/rotor/code` (a variable that is no absolute path is as good
/// as none, and a setuid program has none). It is not the folder above it, in which scripts/setup.sh keeps other
/// things. Errors: not_found, neither is set.
Result<std::string> default_cache_folder();

/// An entry, held open: it stays as it was found while others replace, evict or remove it.
class CacheEntry {
 public:
  /// Returns the path, for messages. Do not open it: by now it may be another file, so two readings may not fit each
  /// other.
  const std::string& path() const { return path_; }
  /// Returns a path that leads to the same file each time it is opened, while this object lives (`/proc/self/fd/…`).
  std::string pinned_path() const;
  /// Returns a descriptor that is open for reading, at offset 0; it is owned by this object.
  int descriptor() const { return file_.get(); }

 private:
  friend class CodeCache;
  CacheEntry(Descriptor file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  Descriptor file_;
  std::string path_;
};

/// Thread-safe, and safe between processes: readers take no lock, an entry appears whole by a rename, and whoever loses
/// a race has a miss. Its files are `<key>.rotor` and the temporaries of OutputFile; it touches no other.
class CodeCache {
 public:
  using Write = std::function<Result<void>(OutputFile&)>;

  /// Errors: not_found (no folder is given, and HOME is missing), io, invalid_argument (a folder, or what a symlink
  /// leads to, that is not the effective user's or that others may write to); all name the folder.
  static Result<std::unique_ptr<CodeCache>> open(CacheOptions options = {});
  CodeCache(const CodeCache&) = delete;

  /// Returns the folder's path; absolute if the options' was.
  const std::string& folder() const { return path_; }

  /// Returns the entry, if it is there: a regular file, no symlink, the effective user's, not for others to write to.
  /// It becomes the most recently used one. Whatever keeps it from being read is a miss.
  std::optional<CacheEntry> find(const CacheKey& key) const;

  /// Has `write` write a new entry, then puts it in place, instead of what has the key: whole or not at all. Then the
  /// least recently used entries are deleted until limit_bytes holds; never this one. While another process or thread
  /// is doing that, the limit is left to it, and to the next put. What dead writers left is swept, too. Not synced to
  /// the disk, which takes longer than it saves: after a crash of the machine an entry may have holes, and its reader's
  /// checksum finds them. Errors: io, naming the path; limit, it alone is over limit_bytes and is not kept; those of
  /// `write`.
  Result<void> put(const CacheKey& key, const Write& write) const;

  /// Deletes an entry, for one that is damaged.
  void remove(const CacheKey& key) const;

 private:
  CodeCache(Descriptor folder, std::string path, uint64_t limit_bytes)
      : folder_(std::move(folder)), path_(std::move(path)), limit_bytes_(limit_bytes) {}
  Result<void> write_entry(const std::string& name, const Write& write) const;
  void tidy(const std::string& newest) const;

  Descriptor folder_;
  std::string path_;
  uint64_t limit_bytes_;
};

}  // namespace rotor::code
