// WASI preview 1: what a program sees of the outside, and the functions by which it does. Link rotor::wasi.
//
//     auto environment = wasi::Builder().args({"prog", "-v"}).folder("data", "/data", wasi::Access::read_only)
//                            .standard_out(wasi::Output::inherit()).build();
//     Linker linker(engine);
//     wasi::define(linker, *environment);
//     auto instance = linker.instantiate(module);
//     Result<uint32_t> code = wasi::run_command(*instance, **environment);
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rotor/instance.h"
#include "rotor/linker.h"
#include "rotor/module.h"
#include "rotor/proxy/guest.h"
#include "rotor/result.h"

namespace rotor::wasi {

/// The module name of the imports that `define` defines.
inline constexpr std::string_view kModuleName = "wasi_snapshot_preview1";

/// What a guest may do below a folder that it is given.
enum class Access : uint8_t {
  read_only,  ///< look and read; nothing that changes a file, a folder or its times, and no hard link to elsewhere
  read_write  ///< all of it, as far as the process may
};

/// How paths are kept below their folder.
enum class Resolution : uint8_t {
  automatic,  ///< by openat2, or by `walk` where the kernel or a filter of system calls has none
  openat2,    ///< by the kernel (Linux 5.6): one call a path
  walk        ///< component by component, with a descriptor for each
};

/// Reads into the bytes and returns how many it read; 0: the end. An error, or what it throws, is EIO for the guest.
/// Called on threads that run guests of the environment, several at once if these do.
using ReadFunction = std::function<Result<size_t>(std::span<uint8_t>)>;
/// Takes bytes and returns how many it took. Otherwise as ReadFunction.
using WriteFunction = std::function<Result<size_t>(std::span<const uint8_t>)>;

/// What a guest wrote, in the host's memory. Thread-safe.
class Buffer {
 public:
  /// Makes a buffer that takes no more than that many bytes: what is written then fails with ENOSPC.
  explicit Buffer(size_t limit_bytes = 64 << 20) : limit_bytes_(limit_bytes) {}
  /// Appends what there is room for, and returns how many bytes that is.
  size_t append(std::span<const uint8_t> bytes);
  std::string contents() const;  ///< a copy of all that was written

 private:
  mutable std::mutex mutex_;
  const size_t limit_bytes_;
  std::string bytes_;
};

class MemoryTree;

/// A folder in the host's memory, for guests (Builder::folder) and the embedder, who puts files in and takes them out,
/// before, while and after guests use it. A handle, copies of which are one folder; environments may share it.
/// Thread-safe. Paths are relative, and lead nowhere but below it; folders on the way of what is added are made. What
/// the embedder adds is dated 1970, so that it is the same in each run. Errors of all: not_found; invalid_argument (no
/// such path, or not of what is asked for); limit (no room).
class MemoryFolder {
 public:
  /// Makes an empty folder. Files' contents, names and what is kept of each together take no more than that many bytes:
  /// a guest that wants more gets ENOSPC. Contents count in blocks of 4 KiB.
  explicit MemoryFolder(size_t limit_bytes = 64 << 20);
  /// Adds a file, or gives one other contents.
  Result<void> add_file(const std::string& path, std::string_view contents);
  /// Adds a folder, if there is none.
  Result<void> add_folder(const std::string& path);
  /// Removes a file, a link, or a folder that is empty.
  Result<void> remove(const std::string& path);
  /// Returns a copy of what is in a file.
  Result<std::string> contents(const std::string& path) const;
  /// Returns the names in a folder, sorted; of the whole: ".".
  Result<std::vector<std::string>> names(const std::string& path = ".") const;
  /// Returns how many bytes of the limit are taken.
  size_t used_bytes() const;

 private:
  friend class Builder;
  std::shared_ptr<MemoryTree> tree_;
};

/// Where standard input comes from.
class Input {
 public:
  static Input none() { return bytes({}); }          ///< nowhere: it is at its end
  static Input inherit() { return {-1, true, {}}; }  ///< the process's own, which stays open
  static Input bytes(std::string contents);          ///< these bytes, then the end
  static Input function(ReadFunction read) { return {-1, false, std::move(read)}; }  ///< what the function reads
  /// A file, pipe, terminal or socket that is open. The environment takes it over.
  static Input descriptor(int fd) { return {fd, false, {}}; }

 private:
  friend class Builder;
  Input(int fd, bool inherits, ReadFunction read) : fd_(fd), inherits_(inherits), read_(std::move(read)) {}
  int fd_;
  bool inherits_;
  ReadFunction read_;
};

/// Where standard output or errors go.
class Output {
 public:
  static Output none();                               ///< nowhere: it is taken and forgotten
  static Output inherit() { return {-1, true, {}}; }  ///< the process's own, which stays open
  static Output buffer(std::shared_ptr<Buffer> to);   ///< into memory
  static Output function(WriteFunction write) { return {-1, false, std::move(write)}; }  ///< to the function
  /// A file, pipe, terminal or socket that is open. The environment takes it over.
  static Output descriptor(int fd) { return {fd, false, {}}; }

 private:
  friend class Builder;
  Output(int fd, bool inherits, WriteFunction write) : fd_(fd), inherits_(inherits), write_(std::move(write)) {}
  int fd_;
  bool inherits_;
  WriteFunction write_;
};

/// The clocks that a guest can ask, in place of the system's. Thread-safe.
class Clock {
 public:
  /// Which clock, by WASI's numbers.
  enum class Id : uint32_t { realtime, monotonic, process_cpu, thread_cpu };
  virtual ~Clock() = default;
  /// Returns the time in nanoseconds: of realtime since 1970, of the others since whenever.
  virtual uint64_t now_ns(Id id) = 0;
  /// Returns the resolution in nanoseconds, at least 1.
  virtual uint64_t resolution_ns(Id) { return 1; }
  /// Goes on to a time that a guest waits for, without waiting. Returns false if it can't: then the host waits.
  virtual bool skip_to(Id, uint64_t /*time_ns*/) { return false; }
};

/// A clock that is the same in each run: it goes on by `step_ns` each time that it is asked, and skips what a guest
/// waits for. All of its clocks are one, but that realtime began at `start_ns`.
class SteppedClock final : public Clock {
 public:
  /// Makes a clock. Units: nanoseconds.
  explicit SteppedClock(uint64_t start_ns = 0, uint64_t step_ns = 1000) : start_ns_(start_ns), step_ns_(step_ns) {}
  uint64_t now_ns(Id id) override;
  uint64_t resolution_ns(Id) override { return step_ns_ ? step_ns_ : 1; }
  bool skip_to(Id id, uint64_t time_ns) override;

 private:
  std::mutex mutex_;
  const uint64_t start_ns_, step_ns_;
  uint64_t elapsed_ns_ = 0;
};

/// Fills the bytes with random ones. An error is EIO for the guest.
using RandomFunction = std::function<Result<void>(std::span<uint8_t>)>;
/// Returns a source that gives the same bytes for the same seed, which are no secret. Thread-safe.
RandomFunction seeded_random(uint64_t seed);

struct EnvironmentImpl;

/// The outside of one program: arguments, variables, descriptors, clocks. Instances that are linked with it share it,
/// at once or one after another: what one opened the next one has. A handle, copies of which share one environment; it
/// is there as long as a handle or a linker that knows it. Thread-safe.
class Environment {
 public:
  /// Returns the code that the guest gave proc_exit last, or 128 and the signal's number if it raised one; nullopt: it
  /// did neither. The call in which it did so ended with an error of kind `host`.
  std::optional<uint32_t> exit_code() const;
  /// Forgets the exit code.
  void clear_exit_code();
  /// Returns the number of descriptors that are open now.
  size_t open_descriptors() const;
  /// Returns how paths are resolved: never `automatic`.
  Resolution resolution() const;

 private:
  friend class Builder;
  friend void define(Linker& linker, const Environment& environment);
  friend GuestFactory guests(InstancePre pre, const Environment& environment, Limits limits);
  explicit Environment(std::shared_ptr<EnvironmentImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<EnvironmentImpl> impl_;
};

/// Says what an environment is to be. By default there is nothing: no arguments, variables or folders, an empty input,
/// outputs that are forgotten, the system's clocks and random bytes. Descriptors that were handed to a builder and not
/// taken over by `build` are closed with it.
class Builder {
 public:
  Builder();
  Builder(const Builder&) = delete;
  ~Builder();

  /// Sets the arguments, the first of which is the program's name.
  Builder& args(std::vector<std::string> all);
  /// Adds a variable, or sets it anew.
  Builder& env(std::string name, std::string value);
  /// Gives the guest a folder, as the descriptor after those before (the first is 3) and by a name of its own.
  Builder& folder(std::string host_path, std::string guest_name, Access access = Access::read_write);
  /// Does the same for a folder that is open for reading. The environment takes it over.
  Builder& folder(int fd, std::string guest_name, Access access = Access::read_write);
  /// Does the same for a folder in memory.
  Builder& folder(MemoryFolder folder, std::string guest_name, Access access = Access::read_write);
  /// Gives the guest a file, pipe or socket that is open, such as a socket that listens, as the next descriptor behind
  /// the folders. The environment takes it over, and sets sockets to O_NONBLOCK: a guest's calls wait all the same.
  Builder& descriptor(int fd);
  /// Set standard input, output and errors.
  Builder& standard_in(Input from);
  Builder& standard_out(Output to);    ///< as `standard_in`
  Builder& standard_error(Output to);  ///< as `standard_in`
  /// Sets the clocks in place of the system's.
  Builder& clock(std::shared_ptr<Clock> clock);
  /// Sets the source of random bytes in place of the system's.
  Builder& random(RandomFunction source);
  /// Sets clocks and random bytes that are the same in each run, so that a guest gives the same output for the same
  /// input. What folders of the host say of themselves (times, inode numbers, the order of entries) is what it is.
  Builder& deterministic(uint64_t seed = 1);
  /// Sets the number of descriptors that may be open at once; default 256.
  Builder& max_descriptors(uint32_t count);
  /// Sets how paths are resolved; default `automatic`.
  Builder& resolution(Resolution how);

  /// Makes the environment; a builder does so once. Errors: not_found, io (a folder can't be opened, which is named);
  /// invalid_argument (a NUL in an argument, variable or name; a name with `=`; a descriptor that is none; called
  /// again); limit (arguments or variables of more than 64 MiB; more descriptors than may be open); unsupported
  /// (Resolution::openat2 where there is none).
  Result<Environment> build();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// Defines all 46 functions of wasi_snapshot_preview1. They work on memory 0 of the instance that calls them. The
/// linker keeps the environment.
void define(Linker& linker, const Environment& environment);

/// Returns guests for a proxy that are linked with `pre`, of a linker that `environment` was defined in. They share it:
/// what the active has open, the instance that takes its place has. With RotationMode::checkpoint descriptors belong to
/// a checkpoint: it is stale while they are not what they were (numbers, files, positions, flags, rights; what was read
/// from a pipe, terminal, socket or stream never comes back), and a rewind, as after a trap, makes them so again: it
/// closes what was opened since. So the environment is the proxy's alone, and the factory one proxy's. Otherwise as
/// linked_guests.
GuestFactory guests(InstancePre pre, const Environment& environment, Limits limits = {});

/// Returns whether the module imports from wasi_snapshot_preview1. Errors: unsupported, which names a WASI that is not
/// this one: an older or newer preview, or a function that preview 1 does not have.
Result<bool> uses(const Module& module);

/// Runs a command: calls `_start`. Returns its exit code, 0 if it returned. Errors: those of Func::call but for an
/// exit; not_found (no such export).
Result<uint32_t> run_command(const Instance& instance, Environment& environment);
/// Makes a reactor ready: calls `_initialize` if it is exported. Errors: those of Func::call.
Result<void> initialize_reactor(const Instance& instance);

}  // namespace rotor::wasi
