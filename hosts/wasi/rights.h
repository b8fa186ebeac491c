// Rights of descriptors, by the bits of wasi_snapshot_preview1.
#pragma once

#include <cstdint>

#include "hosts/wasi/types.h"

namespace rotor::wasi {

using Rights = uint64_t;

inline constexpr Rights kFdDatasync = 1 << 0, kFdRead = 1 << 1, kFdSeek = 1 << 2, kFdFdstatSetFlags = 1 << 3,
                        kFdSync = 1 << 4, kFdTell = 1 << 5, kFdWrite = 1 << 6, kFdAdvise = 1 << 7, kFdAllocate = 1 << 8,
                        kPathCreateDirectory = 1 << 9, kPathCreateFile = 1 << 10, kPathLinkSource = 1 << 11,
                        kPathLinkTarget = 1 << 12, kPathOpen = 1 << 13, kFdReaddir = 1 << 14, kPathReadlink = 1 << 15,
                        kPathRenameSource = 1 << 16, kPathRenameTarget = 1 << 17, kPathFilestatGet = 1 << 18,
                        kPathFilestatSetSize = 1 << 19, kPathFilestatSetTimes = 1 << 20, kFdFilestatGet = 1 << 21,
                        kFdFilestatSetSize = 1 << 22, kFdFilestatSetTimes = 1 << 23, kPathSymlink = 1 << 24,
                        kPathRemoveDirectory = 1 << 25, kPathUnlinkFile = 1 << 26, kPollFdReadwrite = 1 << 27,
                        kSockShutdown = 1 << 28, kSockAccept = 1 << 29;

/// What can be done with a regular file.
inline constexpr Rights kFileRights = kFdDatasync | kFdRead | kFdSeek | kFdFdstatSetFlags | kFdSync | kFdTell |
                                      kFdWrite | kFdAdvise | kFdAllocate | kFdFilestatGet | kFdFilestatSetSize |
                                      kFdFilestatSetTimes | kPollFdReadwrite;
/// What can be done with a directory.
inline constexpr Rights kDirectoryRights =
    kFdFdstatSetFlags | kFdSync | kFdDatasync | kFdAdvise | kFdReaddir | kFdFilestatGet | kFdFilestatSetTimes |
    kPathCreateDirectory | kPathCreateFile | kPathLinkSource | kPathLinkTarget | kPathOpen | kPathReadlink |
    kPathRenameSource | kPathRenameTarget | kPathFilestatGet | kPathFilestatSetSize | kPathFilestatSetTimes |
    kPathSymlink | kPathRemoveDirectory | kPathUnlinkFile;
/// What can be done with a pipe, a terminal or a stream of the embedder's.
inline constexpr Rights kStreamRights = kFdRead | kFdWrite | kFdFdstatSetFlags | kFdFilestatGet | kPollFdReadwrite;
inline constexpr Rights kSocketRights = kStreamRights | kSockShutdown | kSockAccept;

/// What changes a file. A file that is opened with one of these is opened for writing.
inline constexpr Rights kFileWrites = kFdWrite | kFdAllocate | kFdFilestatSetSize;
/// All that changes what lies in a folder, or gives a name to what does: a read-only folder has none of it. A hard link
/// into another folder would make a file writable there.
inline constexpr Rights kWrites = kFileWrites | kFdFilestatSetTimes | kPathCreateDirectory | kPathCreateFile |
                                  kPathLinkSource | kPathLinkTarget | kPathRenameSource | kPathRenameTarget |
                                  kPathFilestatSetSize | kPathFilestatSetTimes | kPathSymlink | kPathRemoveDirectory |
                                  kPathUnlinkFile;

}  // namespace rotor::wasi
