// Bounds on what a guest can have the host do or keep, each with its name. Where one is reached, the guest gets an
// errno.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rotor::wasi {

/// Bytes of a path, as the guest passes it and while its links are resolved (ENAMETOOLONG). Linux's PATH_MAX.
inline constexpr size_t kMaxPathBytes = 4095;
/// Symbolic links followed in one path (ELOOP). As Linux has it.
inline constexpr int kMaxLinks = 40;
/// Folders below the root that a walk without openat2 goes down, each an open descriptor meanwhile (ENAMETOOLONG).
inline constexpr size_t kMaxWalkDepth = 128;
/// How often a path is resolved anew because others rename what it leads through (EAGAIN).
inline constexpr int kMaxRaceTries = 128;
/// Pieces of one read or write (EINVAL). Linux's IOV_MAX.
inline constexpr uint32_t kMaxIovecs = 1024;
/// Bytes of one read or write: more are left for the next one.
inline constexpr uint64_t kMaxTransferBytes = 64 << 20;
/// Bytes of one write to a pipe or terminal that can't be told not to wait: so many fit where poll says that some do.
inline constexpr uint64_t kMaxWaitingWriteBytes = 4096;
/// Random bytes between two looks at whether the call has to stop.
inline constexpr uint64_t kRandomStepBytes = 1 << 20;
/// Bytes of one name in a folder in memory (ENAMETOOLONG). Linux's NAME_MAX.
inline constexpr size_t kMaxNameBytes = 255;
/// What each file, folder or link in memory counts for beside its contents, so that many empty ones have a bound, too:
/// more than the host keeps of it.
inline constexpr uint64_t kMemoryNodeBytes = 512;
/// The same for each name in a folder, beside its bytes.
inline constexpr uint64_t kMemoryNameBytes = 192;
/// Bytes of directory entries that are read from the system at once.
inline constexpr size_t kDirectoryBufferBytes = 16 << 10;
/// Subscriptions of one poll_oneoff (EINVAL).
inline constexpr uint32_t kMaxSubscriptions = 1024;
/// Bytes of all arguments together, and of all variables of the environment: what `build` lets through.
inline constexpr uint64_t kMaxStringsBytes = 64 << 20;

}  // namespace rotor::wasi
