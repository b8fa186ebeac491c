// The types of wasi_snapshot_preview1 as they lie in a guest's memory, and its numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

namespace rotor::wasi {

enum class Errno : uint16_t {
  success,
  toobig,
  acces,
  addrinuse,
  addrnotavail,
  afnosupport,
  again,
  already,
  badf,
  badmsg,
  busy,
  canceled,
  child,
  connaborted,
  connrefused,
  connreset,
  deadlk,
  destaddrreq,
  dom,
  dquot,
  exist,
  fault,
  fbig,
  hostunreach,
  idrm,
  ilseq,
  inprogress,
  intr,
  inval,
  io,
  isconn,
  isdir,
  loop,
  mfile,
  mlink,
  msgsize,
  multihop,
  nametoolong,
  netdown,
  netreset,
  netunreach,
  nfile,
  nobufs,
  nodev,
  noent,
  noexec,
  nolck,
  nolink,
  nomem,
  nomsg,
  noprotoopt,
  nospc,
  nosys,
  notconn,
  notdir,
  notempty,
  notrecoverable,
  notsock,
  notsup,
  notty,
  nxio,
  overflow,
  ownerdead,
  perm,
  pipe,
  proto,
  protonosupport,
  prototype,
  range,
  rofs,
  spipe,
  srch,
  stale,
  timedout,
  txtbsy,
  xdev,
  notcapable,
};

/// A value, or the errno that the guest is given.
template <class T>
using Outcome = std::expected<T, Errno>;
inline std::unexpected<Errno> fail(Errno why) { return std::unexpected<Errno>(why); }

/// Returns the guest's number for one of the system's.
Errno errno_of(int system_errno);
/// Returns that of the call that just failed.
std::unexpected<Errno> fail_of_system();

enum class FileType : uint8_t {
  unknown,  ///< a pipe, too
  block_device,
  character_device,
  directory,
  regular_file,
  socket_dgram,
  socket_stream,
  symbolic_link,
};

enum FdFlags : uint16_t { kAppend = 1, kDsync = 2, kNonblock = 4, kRsync = 8, kSync = 16, kAllFdFlags = 31 };
enum OpenFlags : uint16_t { kCreate = 1, kDirectory = 2, kExclusive = 4, kTruncate = 8, kAllOpenFlags = 15 };
enum LookupFlags : uint32_t { kSymlinkFollow = 1 };
enum TimeFlags : uint16_t { kAtime = 1, kAtimeNow = 2, kMtime = 4, kMtimeNow = 8, kAllTimeFlags = 15 };
enum ReceiveFlags : uint16_t { kReceivePeek = 1, kReceiveWaitAll = 2 };
enum ReceivedFlags : uint16_t { kReceivedTruncated = 1 };
enum ShutdownFlags : uint8_t { kShutdownRead = 1, kShutdownWrite = 2 };
enum class Whence : uint8_t { set, current, end };
inline constexpr uint32_t kWhenceCount = 3, kAdviceCount = 6;
enum class EventType : uint8_t { clock, fd_read, fd_write };
enum ClockFlags : uint16_t { kClockAbsolute = 1 };
enum EventFlags : uint16_t { kHangup = 1 };

struct GuestIovec {
  uint32_t address;
  uint32_t size_bytes;
};
static_assert(sizeof(GuestIovec) == 8);

struct FdStat {
  FileType type;
  uint8_t padding0;
  uint16_t flags;
  uint32_t padding1;
  uint64_t rights;
  uint64_t inheriting;
};
static_assert(sizeof(FdStat) == 24 && offsetof(FdStat, rights) == 8);

struct FileStat {
  uint64_t device;
  uint64_t inode;
  FileType type;
  uint8_t padding[7];
  uint64_t links;
  uint64_t size_bytes;
  uint64_t atime_ns;
  uint64_t mtime_ns;
  uint64_t ctime_ns;
};
static_assert(sizeof(FileStat) == 64 && offsetof(FileStat, links) == 24);

struct Prestat {
  uint8_t tag;  ///< 0: a directory
  uint8_t padding[3];
  uint32_t name_bytes;
};
static_assert(sizeof(Prestat) == 8);

struct DirectoryEntry {
  uint64_t next;
  uint64_t inode;
  uint32_t name_bytes;
  FileType type;
  uint8_t padding[3];
};
static_assert(sizeof(DirectoryEntry) == 24);

struct Subscription {
  uint64_t user_data;
  EventType type;
  uint8_t padding0[7];
  union {
    struct {
      uint32_t id;
      uint32_t padding1;
      uint64_t timeout_ns;
      uint64_t precision_ns;
      uint16_t flags;
    } clock;
    struct {
      uint32_t fd;
    } file;
  };
};
static_assert(sizeof(Subscription) == 48 && offsetof(Subscription, clock) == 16);

struct Event {
  uint64_t user_data;
  uint16_t error;
  EventType type;
  uint8_t padding0[5];
  uint64_t bytes;
  uint16_t flags;
  uint8_t padding1[6];
};
static_assert(sizeof(Event) == 32 && offsetof(Event, bytes) == 16);

}  // namespace rotor::wasi
