// Files and folders: bounds, bad pointers, rights, and the functions that the suite does not touch.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>
#include <string>

#include "hosts/wasi/testing/guest.h"

namespace rotor::wasi {
namespace {

using test::Folder;
using test::Guest;

class Files : public testing::Test {
 protected:
  static constexpr uint32_t kRoot = 3;
  static constexpr Rights kAll = ~Rights{0};
  uint32_t open(std::string_view path, uint32_t flags = 0, Rights rights = kAll, uint32_t fd_flags = 0) {
    EXPECT_EQ(guest.open(kRoot, path, flags, rights, kAll, kSymlinkFollow, fd_flags), Errno::success) << path;
    return guest.result();
  }
  Folder folder;
  Builder builder;
  Guest guest{builder.folder(folder.path(), "/").max_descriptors(10)};
};

TEST_F(Files, ReadWriteSeek) {
  const uint32_t fd = open("file", kCreate);
  EXPECT_EQ(guest.write(fd, "hello world"), Errno::success);
  EXPECT_EQ(guest.result(), 11u);
  EXPECT_EQ(guest("fd_seek", fd, -5, 1, Guest::kResult), Errno::success);
  EXPECT_EQ(guest.load<uint64_t>(Guest::kResult), 6u);
  EXPECT_EQ(guest.read(fd), Errno::success);
  EXPECT_EQ(guest.text(), "world");
  EXPECT_EQ(guest("fd_tell", fd, Guest::kResult), Errno::success);
  EXPECT_EQ(guest.load<uint64_t>(Guest::kResult), 11u);
  EXPECT_EQ(guest("fd_seek", fd, -1, 0, Guest::kResult), Errno::inval);
  EXPECT_EQ(guest("fd_seek", fd, 0, 3, Guest::kResult), Errno::inval);
  EXPECT_EQ(folder.contents("file"), "hello world");
}

TEST_F(Files, SyncAndDatasync) {
  const uint32_t fd = open("file", kCreate);
  EXPECT_EQ(guest.write(fd, "x"), Errno::success);
  EXPECT_EQ(guest("fd_sync", fd), Errno::success);
  EXPECT_EQ(guest("fd_datasync", fd), Errno::success);
  EXPECT_EQ(guest("fd_sync", kRoot), Errno::success);
  EXPECT_EQ(guest("fd_sync", 9), Errno::badf);
  EXPECT_EQ(guest("fd_datasync", 9), Errno::badf);
  EXPECT_EQ(guest("fd_sync", 1), Errno::notcapable);
  guest.drop_rights(fd, kFdSync, 0);
  EXPECT_EQ(guest("fd_sync", fd), Errno::notcapable);
  EXPECT_EQ(guest("fd_datasync", fd), Errno::success);
  guest.drop_rights(fd, kFdDatasync, 0);
  EXPECT_EQ(guest("fd_datasync", fd), Errno::notcapable);
}

TEST_F(Files, FlagsHoldForEachWrite) {
  folder.file("file", "12345");
  const uint32_t fd = open("file", 0, kAll, kAppend);
  EXPECT_EQ(guest.write(fd, "6"), Errno::success);
  EXPECT_EQ(folder.contents("file"), "123456");
  EXPECT_EQ(guest("fd_seek", fd, 0, 0, Guest::kResult), Errno::success);
  EXPECT_EQ(guest("fd_fdstat_set_flags", fd, 0), Errno::success);
  EXPECT_EQ(guest.write(fd, "x"), Errno::success);
  EXPECT_EQ(folder.contents("file"), "x23456");
  EXPECT_EQ(guest("fd_fdstat_set_flags", fd, kAppend | kDsync | kRsync | kSync | kNonblock), Errno::success);
  EXPECT_EQ(guest.write(fd, "7"), Errno::success);
  EXPECT_EQ(folder.contents("file"), "x234567");
  EXPECT_EQ(guest("fd_fdstat_set_flags", fd, 32), Errno::inval);
}

TEST_F(Files, EveryRightIsAsked) {
  folder.file("file", "x");
  const uint32_t fd = open("file");
  struct {
    const char* name;
    Rights right;
    std::function<Errno(uint32_t)> call;
  } const calls[] = {
      {"fd_read", kFdRead, [&](uint32_t f) { return guest.read(f); }},
      {"fd_pread", kFdRead, [&](uint32_t f) { return guest("fd_pread", f, Guest::kPieces, 0, 0, Guest::kResult); }},
      {"fd_pread", kFdSeek, [&](uint32_t f) { return guest("fd_pread", f, Guest::kPieces, 0, 0, Guest::kResult); }},
      {"fd_write", kFdWrite, [&](uint32_t f) { return guest.write(f, "y"); }},
      {"fd_pwrite", kFdWrite, [&](uint32_t f) { return guest("fd_pwrite", f, Guest::kPieces, 0, 0, Guest::kResult); }},
      {"fd_pwrite", kFdSeek, [&](uint32_t f) { return guest("fd_pwrite", f, Guest::kPieces, 0, 0, Guest::kResult); }},
      {"fd_seek", kFdSeek, [&](uint32_t f) { return guest("fd_seek", f, 1, 0, Guest::kResult); }},
      {"fd_seek that tells", kFdTell | kFdSeek, [&](uint32_t f) { return guest("fd_seek", f, 0, 1, Guest::kResult); }},
      {"fd_tell", kFdTell | kFdSeek, [&](uint32_t f) { return guest("fd_tell", f, Guest::kResult); }},
      {"fd_advise", kFdAdvise, [&](uint32_t f) { return guest("fd_advise", f, 0, 1, 0); }},
      {"fd_allocate", kFdAllocate, [&](uint32_t f) { return guest("fd_allocate", f, 0, 1); }},
      {"fd_fdstat_set_flags", kFdFdstatSetFlags, [&](uint32_t f) { return guest("fd_fdstat_set_flags", f, 0); }},
      {"fd_filestat_get", kFdFilestatGet, [&](uint32_t f) { return guest("fd_filestat_get", f, Guest::kBuffer); }},
      {"fd_filestat_set_size", kFdFilestatSetSize, [&](uint32_t f) { return guest("fd_filestat_set_size", f, 1); }},
      {"fd_filestat_set_times", kFdFilestatSetTimes,
       [&](uint32_t f) { return guest("fd_filestat_set_times", f, 1, 1, kMtime); }},
  };
  for (const auto& call : calls) {
    SCOPED_TRACE(call.name);
    EXPECT_EQ(call.call(fd), Errno::success);
    const uint32_t lesser = open("file");
    guest.drop_rights(lesser, call.right, 0);
    EXPECT_EQ(call.call(lesser), Errno::notcapable);
    EXPECT_EQ(guest("fd_fdstat_set_rights", lesser, call.right, 0), Errno::notcapable) << "no right comes back";
    EXPECT_EQ(guest("fd_close", lesser), Errno::success);
  }
}

TEST_F(Files, EitherRightTellsThePosition) {
  folder.file("file", "x");
  for (Rights dropped : {kFdSeek, kFdTell}) {
    const uint32_t fd = open("file");
    guest.drop_rights(fd, dropped, 0);
    EXPECT_EQ(guest("fd_tell", fd, Guest::kResult), Errno::success);
    EXPECT_EQ(guest("fd_seek", fd, 0, 1, Guest::kResult), Errno::success);
  }
}

TEST_F(Files, EveryRightOfAFolderIsAsked) {
  folder.file("file", "x");
  const auto at = [&](const char* name, uint32_t fd, std::string_view path) { return guest.path(name, fd, path); };
  const auto open_and_close = [&](uint32_t fd, std::string_view path, uint32_t flags, Rights rights) {
    const Errno got = guest.open(fd, path, flags, rights);
    return got == Errno::success ? guest("fd_close", guest.result()) : got;
  };
  struct {
    const char* name;
    Rights right;
    std::function<Errno(uint32_t)> call;
  } const calls[] = {
      {"path_create_directory", kPathCreateDirectory,
       [&](uint32_t f) { return at("path_create_directory", f, "made"); }},
      {"path_remove_directory", kPathRemoveDirectory,
       [&](uint32_t f) { return at("path_remove_directory", f, "made"); }},
      {"path_symlink", kPathSymlink, [&](uint32_t f) { return guest.symlink("file", f, "link"); }},
      {"path_readlink", kPathReadlink,
       [&](uint32_t f) { return guest("path_readlink", f, guest.put("link"), 4, Guest::kBuffer, 10, Guest::kResult); }},
      {"path_unlink_file", kPathUnlinkFile, [&](uint32_t f) { return at("path_unlink_file", f, "link"); }},
      {"path_link from", kPathLinkSource, [&](uint32_t f) { return guest.link(f, "file", kRoot, "hard1"); }},
      {"path_link to", kPathLinkTarget, [&](uint32_t f) { return guest.link(kRoot, "file", f, "hard2"); }},
      {"path_rename from", kPathRenameSource, [&](uint32_t f) { return guest.rename(f, "hard1", kRoot, "hard3"); }},
      {"path_rename to", kPathRenameTarget, [&](uint32_t f) { return guest.rename(kRoot, "hard2", f, "hard4"); }},
      {"path_filestat_get", kPathFilestatGet, [&](uint32_t f) { return guest.stat(f, "file"); }},
      {"path_filestat_set_times", kPathFilestatSetTimes,
       [&](uint32_t f) { return guest("path_filestat_set_times", f, 0, guest.put("file"), 4, 1, 1, kMtime); }},
      {"fd_readdir", kFdReaddir,
       [&](uint32_t f) { return guest("fd_readdir", f, Guest::kBuffer, 100, 0, Guest::kResult); }},
      {"path_open", kPathOpen, [&](uint32_t f) { return open_and_close(f, "file", 0, kFdRead); }},
      {"path_open that makes", kPathCreateFile, [&](uint32_t f) { return open_and_close(f, "new", kCreate, kFdRead); }},
      {"path_open that truncates", kPathFilestatSetSize,
       [&](uint32_t f) { return open_and_close(f, "file", kTruncate, kFdWrite); }},
  };
  for (const auto& call : calls) {
    SCOPED_TRACE(call.name);
    ASSERT_EQ(guest.open(kRoot, ".", kDirectory, ~kFdWrite, kAll), Errno::success);
    const uint32_t lesser = guest.result();
    guest.drop_rights(lesser, call.right, 0);
    EXPECT_EQ(call.call(lesser), Errno::notcapable);
    EXPECT_EQ(call.call(kRoot), Errno::success);
    EXPECT_EQ(guest("fd_close", lesser), Errno::success);
  }
}

TEST_F(Files, WhatIsOpenedInheritsNoMore) {
  folder.file("file", "x");
  ASSERT_EQ(guest.open(kRoot, ".", kDirectory, ~kFdWrite, kFdRead | kFdSeek | kFdReaddir), Errno::success);
  const uint32_t lesser = guest.result();
  EXPECT_EQ(guest.open(lesser, "file", 0, kFdWrite), Errno::notcapable);
  EXPECT_EQ(guest.open(lesser, "file", 0, kFdRead | kFdAllocate), Errno::notcapable);
  EXPECT_EQ(guest.open(lesser, "file", 0, kFdRead, 0, 0, kSync), Errno::notcapable);
  EXPECT_EQ(guest.open(lesser, "file", 0, kFdRead, 0, 0, kDsync), Errno::notcapable);
  // What does not change the file is just not there: programs ask for all that they might want.
  ASSERT_EQ(guest.open(lesser, "file", 0, kFdRead | kFdTell | kFdAdvise), Errno::success);
  ASSERT_EQ(guest("fd_fdstat_get", guest.result(), Guest::kBuffer), Errno::success);
  EXPECT_EQ(guest.load<FdStat>(Guest::kBuffer).rights, kFdRead);
}

TEST_F(Files, BadPointersAreFaults) {
  folder.file("file", "0123456789");
  const uint32_t fd = open("file");
  const auto end = static_cast<uint32_t>(guest.memory().size_bytes());
  guest.store(Guest::kPieces, GuestIovec{end - 4, 5});
  EXPECT_EQ(guest("fd_read", fd, Guest::kPieces, 1, Guest::kResult), Errno::fault);
  EXPECT_EQ(guest("fd_write", fd, Guest::kPieces, 1, Guest::kResult), Errno::fault);
  guest.store(Guest::kPieces, GuestIovec{0xFFFFFFFF, 0xFFFFFFFF});
  EXPECT_EQ(guest("fd_read", fd, Guest::kPieces, 1, Guest::kResult), Errno::fault);
  EXPECT_EQ(guest("fd_read", fd, end - 4, 1, Guest::kResult), Errno::fault);
  EXPECT_EQ(guest("fd_read", fd, 0xFFFFFFFC, 1, Guest::kResult), Errno::fault);
  EXPECT_EQ(guest("fd_fdstat_get", fd, end - 23), Errno::fault);
  EXPECT_EQ(guest("fd_fdstat_get", fd, end - 24), Errno::success);
  EXPECT_EQ(guest("fd_filestat_get", fd, end - 63), Errno::fault);
  EXPECT_EQ(guest("fd_seek", fd, 0, 0, 0xFFFFFFFF), Errno::fault);
  EXPECT_EQ(guest("fd_prestat_get", kRoot, end - 7), Errno::fault);
  EXPECT_EQ(guest("fd_prestat_dir_name", kRoot, end, 1), Errno::fault);
  EXPECT_EQ(guest("fd_readdir", kRoot, end - 10, 11, 0, Guest::kResult), Errno::fault);
  EXPECT_EQ(guest("path_create_directory", kRoot, end - 2, 3), Errno::fault);
  EXPECT_EQ(guest("path_filestat_get", kRoot, 0, guest.put("file"), 4, end - 63), Errno::fault);
  EXPECT_EQ(guest("path_readlink", kRoot, guest.put("file"), 4, end - 1, 2, Guest::kResult), Errno::fault);
  EXPECT_EQ(guest("poll_oneoff", end - 47, 0, 1, Guest::kResult), Errno::fault);
  EXPECT_EQ(guest("poll_oneoff", 0, end - 31, 1, Guest::kResult), Errno::fault);
  // Nothing is made whose number the guest would not learn.
  EXPECT_EQ(guest("path_open", kRoot, 0, guest.put("new"), 3, kCreate, kFdWrite, 0, 0, end - 3), Errno::fault);
  EXPECT_FALSE(folder.exists("new"));
}

TEST_F(Files, Bounds) {
  folder.file("file", "0123456789");
  const uint32_t fd = open("file");
  EXPECT_EQ(guest("fd_read", fd, Guest::kPieces, kMaxIovecs + 1, Guest::kResult), Errno::inval);
  EXPECT_EQ(guest("fd_write", fd, Guest::kPieces, 0xFFFFFFFF, Guest::kResult), Errno::inval);
  EXPECT_EQ(guest("poll_oneoff", 0, 0, kMaxSubscriptions + 1, Guest::kResult), Errno::inval);
  EXPECT_EQ(guest("poll_oneoff", 0, 0, 0, Guest::kResult), Errno::inval);
  EXPECT_EQ(guest("fd_readdir", kRoot, 0, 100, ~UINT64_C(0), Guest::kResult), Errno::inval);
  EXPECT_EQ(guest("fd_pread", fd, Guest::kPieces, 0, ~UINT64_C(0), Guest::kResult), Errno::inval);
  EXPECT_EQ(guest("fd_filestat_set_size", fd, ~UINT64_C(0)), Errno::inval);
  EXPECT_EQ(guest("fd_allocate", fd, INT64_MAX, INT64_MAX), Errno::fbig);
  EXPECT_EQ(guest("fd_allocate", fd, ~UINT64_C(0), 1), Errno::inval);
  // Pieces up to the bound.
  for (uint32_t i = 0; i < kMaxIovecs; ++i)
    guest.store(Guest::kBuffer + 8 * i, GuestIovec{Guest::kBuffer + 32768 + i, 1});
  EXPECT_EQ(guest("fd_read", fd, Guest::kBuffer, kMaxIovecs, Guest::kResult), Errno::success);
  EXPECT_EQ(guest.result(), 10u);
  EXPECT_EQ(guest.bytes(Guest::kBuffer + 32768, 10), "0123456789");
  // Descriptors: 10, five of which are open.
  for (int i = 5; i < 10; ++i) EXPECT_EQ(guest.open(kRoot, "file"), Errno::success) << i;
  EXPECT_EQ(guest.open(kRoot, "file"), Errno::mfile);
  EXPECT_EQ(guest("fd_close", 7), Errno::success);
  EXPECT_EQ(guest.open(kRoot, "file"), Errno::success);
  EXPECT_EQ(guest.result(), 7u);
}

TEST_F(Files, ReaddirGoesOnFromACookie) {
  std::set<std::string> wanted = {".", ".."};
  for (int i = 0; i < 300; ++i) {
    const std::string name = "file" + std::to_string(i) + std::string(static_cast<size_t>(i % 100), 'x');
    folder.file(name, "");
    wanted.insert(name);
  }
  std::set<std::string> found;
  uint64_t cookie = 0;
  constexpr uint32_t kSmall = 300;  // less than some entries take together
  for (;;) {
    ASSERT_EQ(guest("fd_readdir", kRoot, Guest::kBuffer, kSmall, cookie, Guest::kResult), Errno::success);
    const uint32_t used = guest.result();
    uint32_t at = 0;
    while (at + sizeof(DirectoryEntry) <= used) {
      const auto entry = guest.load<DirectoryEntry>(Guest::kBuffer + at);
      if (at + sizeof entry + entry.name_bytes > used) break;
      const std::string name = guest.bytes(Guest::kBuffer + at + sizeof entry, entry.name_bytes);
      EXPECT_TRUE(found.insert(name).second) << name << " twice";
      EXPECT_EQ(entry.type, name[0] == '.' ? FileType::directory : FileType::regular_file);
      at += sizeof entry + entry.name_bytes;
      cookie = entry.next;
    }
    if (used < kSmall) break;
    ASSERT_GT(at, 0u);
  }
  EXPECT_EQ(found, wanted);
}

TEST_F(Files, Renumber) {
  folder.file("a", "a");
  folder.file("b", "b");
  const uint32_t a = open("a"), b = open("b");
  EXPECT_EQ(guest("fd_renumber", a, 9), Errno::badf);
  EXPECT_EQ(guest("fd_renumber", 9, a), Errno::badf);
  EXPECT_EQ(guest("fd_renumber", a, a), Errno::success);
  EXPECT_EQ(guest("fd_renumber", a, b), Errno::success);
  EXPECT_EQ(guest.read(a), Errno::badf);
  EXPECT_EQ(guest.read(b), Errno::success);
  EXPECT_EQ(guest.text(), "a");
}

TEST_F(Files, TrailingSlashesNameDirectories) {
  folder.file("file", "x");
  folder.folder("dir");
  EXPECT_EQ(guest.open(kRoot, "file/"), Errno::notdir);
  EXPECT_EQ(guest.stat(kRoot, "file/"), Errno::notdir);
  EXPECT_EQ(guest.path("path_unlink_file", kRoot, "file/"), Errno::notdir);
  EXPECT_EQ(guest.path("path_unlink_file", kRoot, "dir/"), Errno::isdir);
  EXPECT_EQ(guest.rename(kRoot, "file/", kRoot, "x"), Errno::notdir);
  EXPECT_EQ(guest.rename(kRoot, "file", kRoot, "x/"), Errno::notdir);
  EXPECT_EQ(guest.link(kRoot, "file", kRoot, "x/"), Errno::noent);
  EXPECT_EQ(guest.symlink("file", kRoot, "x/"), Errno::noent);
  EXPECT_EQ(guest.symlink("file", kRoot, "dir/"), Errno::exist);
  EXPECT_EQ(guest.symlink("/file", kRoot, "x"), Errno::perm);
  EXPECT_EQ(guest.rename(kRoot, "dir/", kRoot, "dir2/"), Errno::success);
  EXPECT_EQ(guest.path("path_create_directory", kRoot, "dir3/"), Errno::success);
  EXPECT_EQ(guest.path("path_remove_directory", kRoot, "dir3///"), Errno::success);
}

TEST_F(Files, AFolderAsAStreamGivesNothingAway) {
  folder.file("file", "x");
  Builder with_folder;
  with_folder.standard_in(Input::descriptor(::open(folder.path().c_str(), O_RDONLY)));
  Guest g(with_folder.descriptor(::open(folder.path().c_str(), O_RDONLY)));
  for (uint32_t fd : {0, 3}) {
    EXPECT_EQ(g.open(fd, "file"), Errno::notcapable);
    EXPECT_EQ(g.stat(fd, "file"), Errno::notcapable);
    EXPECT_EQ(g.path("path_unlink_file", fd, "file"), Errno::notcapable);
    EXPECT_EQ(g.path("path_create_directory", fd, "made"), Errno::notcapable);
    EXPECT_EQ(g("fd_readdir", fd, Guest::kBuffer, 100, 0, Guest::kResult), Errno::notcapable);
    EXPECT_EQ(g.read(fd), Errno::notcapable);
  }
}

TEST_F(Files, StandardStreamsThatAreFilesKeepTheHostsFlags) {
  folder.file("out", "123");
  const int fd = ::open(folder.path("out").c_str(), O_RDWR);
  const int kept = dup(fd);
  Builder with_file;
  Guest g(with_file.standard_out(Output::descriptor(fd)));
  EXPECT_EQ(g("fd_fdstat_set_flags", 1, kAppend | kNonblock), Errno::success);
  EXPECT_EQ(g.write(1, "4"), Errno::success);
  EXPECT_EQ(folder.contents("out"), "1234");
  EXPECT_EQ(fcntl(kept, F_GETFL) & (O_APPEND | O_NONBLOCK), 0) << "who shares the file would notice";
  close(kept);
}

}  // namespace
}  // namespace rotor::wasi
