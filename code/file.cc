#include "code/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>

namespace rotor::code {

namespace {

constexpr size_t kTemporaryTail = 1 + 16 + 4;  // .<16 digits>.tmp

struct PlainPath {
  std::string folder, name;
};

PlainPath split(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, std::max<size_t>(slash, 1)), path.substr(slash + 1)};
}

std::unexpected<Error> cant_write(const std::string& path) { return io_error("can't write", path); }

/// The file that a path leads to when it is written to.
struct Target {
  std::string path;
  std::optional<struct stat> info;  // nullopt: no file is there yet
  bool is_descriptor = false;       // a process's descriptor, in /proc: no path can replace it
  Descriptor ours;                  // a copy, if it is one of this process
};

bool is_in_proc(const std::string& folder) {
  struct statfs info;
  return statfs(folder.c_str(), &info) == 0 && info.f_type == PROC_SUPER_MAGIC;
}

/// Returns a copy of the descriptor that a path in /proc names, if it is one of this process: writing continues where
/// that one stands, and nothing is truncated.
Descriptor own_descriptor(const PlainPath& path) {
  char folder[PATH_MAX];
  int number = -1;
  const char* end = path.name.data() + path.name.size();
  if (auto [at, failed] = std::from_chars(path.name.data(), end, number); failed != std::errc() || at != end)
    return Descriptor();
  if (!realpath(path.folder.c_str(), folder) || folder != fmt::format("/proc/{}/fd", getpid())) return Descriptor();
  return Descriptor(fcntl(number, F_DUPFD_CLOEXEC, 0));
}

/// Returns the path in a link; nullopt, with errno set, if it can't be read, or the kernel would not follow it. The
/// latter is the rule of fs.protected_symlinks, which is applied here even where that is off: in a folder like /tmp
/// another user's link leads nowhere.
std::optional<std::string> read_link(const PlainPath& path) {
  Descriptor folder(open(path.folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Descriptor link(folder ? openat(folder.get(), path.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1);
  struct stat folder_info, link_info;
  if (!link || fstat(folder.get(), &folder_info) != 0 || fstat(link.get(), &link_info) != 0) return std::nullopt;
  constexpr mode_t kEverybodys = S_ISVTX | S_IWOTH;
  if ((folder_info.st_mode & kEverybodys) == kEverybodys && link_info.st_uid != geteuid() &&
      link_info.st_uid != folder_info.st_uid) {
    errno = EACCES;
    return std::nullopt;
  }
  char text[PATH_MAX];
  const ssize_t size = readlinkat(link.get(), "", text, sizeof text);
  if (size < 0) return std::nullopt;
  if (static_cast<size_t>(size) == sizeof text) {
    errno = ENAMETOOLONG;
    return std::nullopt;
  }
  return std::string(text, static_cast<size_t>(size));
}

/// Follows links, also one that leads to no file yet. Returns nullopt, with errno set, if it fails.
std::optional<Target> follow(const std::string& path) {
  constexpr int kMaxLinks = 40;  // as many as the kernel follows
  Target target{.path = path, .info = {}, .is_descriptor = false, .ours = Descriptor()};
  for (int links = 0; links <= kMaxLinks; ++links) {
    struct stat info;
    if (lstat(target.path.c_str(), &info) != 0)
      return errno == ENOENT ? std::optional(std::move(target)) : std::nullopt;
    if (!S_ISLNK(info.st_mode)) {
      target.info = info;
      return target;
    }
    const PlainPath link = split(target.path);
    if (is_in_proc(link.folder)) {
      target.is_descriptor = true;
      target.ours = own_descriptor(link);
      return target;
    }
    std::optional<std::string> text = read_link(link);
    if (!text) return std::nullopt;
    target.path = text->starts_with('/') ? *text : link.folder + '/' + *text;
  }
  errno = ELOOP;
  return std::nullopt;
}

/// Gives a file the owner, group and mode of another, as far as the process may. Returns false, with errno set, if it
/// fails.
bool take_after(int file, const struct stat& old) {
  struct stat now;
  if (fstat(file, &now) != 0) return false;
  mode_t mode = old.st_mode & 0777;
  const bool has_both =
      (now.st_uid == old.st_uid && now.st_gid == old.st_gid) || fchown(file, old.st_uid, old.st_gid) == 0;
  // A group other than the old one must not get the old group's rights.
  if (!has_both && now.st_gid != old.st_gid && fchown(file, static_cast<uid_t>(-1), old.st_gid) != 0)
    mode &= ~static_cast<mode_t>(S_IRWXG) | (mode & S_IRWXO) << 3;
  return fchmod(file, mode) == 0;
}

}  // namespace

std::unexpected<Error> io_error(const char* what, const std::string& path) {
  const char* words = strerrordesc_np(errno);
  return fail(ErrorKind::io, fmt::format("{} {}: {}", what, path, words ? words : "unknown error"));
}

bool write_all(int descriptor, const void* data, size_t size_bytes) {
  auto* at = static_cast<const char*>(data);
  while (size_bytes) {
    const ssize_t n = ::write(descriptor, at, size_bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      pollfd ready{.fd = descriptor, .events = POLLOUT, .revents = 0};
      if (poll(&ready, 1, -1) >= 0 || errno == EINTR) continue;
    }
    if (n < 0) return false;
    at += n;
    size_bytes -= static_cast<size_t>(n);
  }
  return true;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

bool OutputFile::choose_temporary() {
  uint64_t random = 0;
  if (getrandom(&random, sizeof random, 0) != sizeof random) return false;
  temporary_ = fmt::format("{}.{:016x}.tmp", name_.substr(0, NAME_MAX - kTemporaryTail), random);
  return true;
}

bool OutputFile::make_named(mode_t mode) {
  if (!choose_temporary()) return false;
  file_ = Descriptor(openat(folder_, temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  has_name_ = static_cast<bool>(file_);
  // A file system without locks is no reason to fail: whoever looks for dead writers has to allow for it.
  if (has_name_) (void)flock(file_.get(), LOCK_EX | LOCK_NB);
  return has_name_;
}

bool OutputFile::make_unnamed(mode_t mode) {
  if (!choose_temporary() || access("/proc/self/fd", X_OK) != 0) return false;
  file_ = Descriptor(openat(folder_, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode));
  return static_cast<bool>(file_);
}

bool OutputFile::give_name() {
  if (!has_name_) {
    const std::string ours = fmt::format("/proc/self/fd/{}", file_.get());
    has_name_ = linkat(AT_FDCWD, ours.c_str(), folder_, temporary_.c_str(), AT_SYMLINK_FOLLOW) == 0;
  }
  return has_name_ && renameat(folder_, temporary_.c_str(), folder_, name_.c_str()) == 0;
}

Result<OutputFile> OutputFile::create_in(int folder, const std::string& name, std::string shown_path, mode_t mode) {
  OutputFile file(std::move(shown_path));
  file.folder_ = folder;
  file.name_ = name;
  if (!file.make_named(mode)) return cant_write(file.shown_path_);
  return file;
}

Result<OutputFile> OutputFile::create(const std::string& path, mode_t mode) {
  OutputFile file(path);
  std::optional<Target> target = follow(path);
  if (!target) return cant_write(path);
  if (target->is_descriptor || (target->info && !S_ISREG(target->info->st_mode))) {
    file.file_ = target->ours ? std::move(target->ours)
                              : Descriptor(open(target->path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC));
    if (!file.file_) return cant_write(path);
    return file;
  }
  PlainPath place = split(target->path);
  file.name_ = std::move(place.name);
  if (file.name_.empty()) errno = path.empty() ? ENOENT : EISDIR;
  if (file.name_.empty() || (target->info && faccessat(AT_FDCWD, target->path.c_str(), W_OK, AT_EACCESS) != 0))
    return cant_write(path);
  file.own_folder_ = Descriptor(open(place.folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  file.folder_ = file.own_folder_.get();
  // A file that is replaced may be secret, so nobody else may open the temporary before it has its final mode.
  const mode_t first_mode = target->info ? 0600 : mode;
  if (!file.own_folder_ || (!file.make_unnamed(first_mode) && !file.make_named(first_mode)))
    return cant_write(fmt::format("{}: folder {}", path, place.folder));
  if (target->info && !take_after(file.file_.get(), *target->info)) return cant_write(path);
  return file;
}

Result<void> OutputFile::check(const std::string& path) {
  std::optional<Target> target = follow(path);
  if (!target) return cant_write(path);
  if (target->is_descriptor || (target->info && !S_ISREG(target->info->st_mode) && !S_ISDIR(target->info->st_mode))) {
    // Opening a pipe would wait for its reader.
    if (!target->ours && faccessat(AT_FDCWD, target->path.c_str(), W_OK, AT_EACCESS) != 0) return cant_write(path);
    return {};
  }
  ROTOR_CHECK(create(path));
  return {};
}

OutputFile::~OutputFile() {
  // Unlinks it while it is still locked, so that nobody takes it for a dead writer's.
  if (file_ && has_name_) unlinkat(folder_, temporary_.c_str(), 0);
}

Result<void> OutputFile::write(const void* data, size_t size_bytes) {
  if (error_) return std::unexpected(*error_);
  if (!write_all(file_.get(), data, size_bytes)) {
    error_ = cant_write(shown_path_).error();
    return std::unexpected(*error_);
  }
  size_bytes_ += static_cast<uint64_t>(size_bytes);
  return {};
}

Result<void> OutputFile::flush(Durability durability) const {
  // EINVAL means a pipe or a device, which has nothing to sync.
  if (durability == Durability::disk && fsync(file_.get()) != 0 && errno != EINVAL && errno != EROFS)
    return cant_write(shown_path_);
  // A network file system reports only on close that it had no room. A copy of the descriptor is closed, since closing
  // the file's own would end the lock.
  int copy = fcntl(file_.get(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0 || close(copy) != 0) return cant_write(shown_path_);
  return {};
}

Result<void> OutputFile::keep(Durability durability) {
  if (error_) return std::unexpected(*error_);
  ROTOR_CHECK(flush(durability));
  if (!temporary_.empty() && !give_name()) return cant_write(shown_path_);
  file_ = Descriptor();
  return {};
}

}  // namespace rotor::code
