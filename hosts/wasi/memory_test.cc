// Folders in memory: what the embedder puts in and takes out, what a guest may do, and that it stays within its bytes.
// model_test.cc compares them with a model, and the suite runs on them, too.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "hosts/wasi/testing/guest.h"

namespace rotor::wasi {
namespace {

using test::Guest;

constexpr uint32_t kRoot = 3;
constexpr Rights kAll = ~Rights{0};

/// Reads all names of a folder, in pieces of so many bytes. `between` is called between two of them.
std::vector<std::string> list(Guest& guest, uint32_t fd, uint32_t size_bytes,
                              const std::function<void()>& between = {}) {
  std::vector<std::string> names;
  for (uint64_t cookie = 0;;) {
    EXPECT_EQ(guest("fd_readdir", fd, Guest::kBuffer, size_bytes, cookie, Guest::kResult), Errno::success);
    const uint32_t used = guest.result();
    uint32_t at = 0;
    while (at + sizeof(DirectoryEntry) <= used) {
      const auto entry = guest.load<DirectoryEntry>(Guest::kBuffer + at);
      at += static_cast<uint32_t>(sizeof entry) + entry.name_bytes;
      if (at > used) break;
      names.push_back(guest.bytes(Guest::kBuffer + at - entry.name_bytes, entry.name_bytes));
      cookie = entry.next;
    }
    if (used < size_bytes) return names;
    if (between) between();
  }
}

class WasiMemory : public testing::Test {
 protected:
  uint32_t open(std::string_view path, uint32_t flags = 0, uint32_t fd_flags = 0) {
    const Rights rights = flags & kDirectory ? kDirectoryRights : kAll;
    EXPECT_EQ(guest.open(kRoot, path, flags, rights, kAll, kSymlinkFollow, fd_flags), Errno::success) << path;
    return guest.result();
  }
  Errno open_error(std::string_view path, uint32_t flags = 0, Rights rights = kFdRead) {
    return guest.open(kRoot, path, flags, rights);
  }
  FileStat stat(std::string_view path) {
    EXPECT_EQ(guest.stat(kRoot, path, 0), Errno::success) << path;
    return guest.load<FileStat>(Guest::kBuffer);
  }
  MemoryFolder folder{1 << 20};
  Builder builder;
  Guest guest{builder.folder(folder, "/").max_descriptors(10)};
};

TEST(MemoryFolder, WhatTheEmbedderPutsInAndTakesOut) {
  MemoryFolder folder;
  const size_t empty = folder.used_bytes();
  ASSERT_TRUE(folder.add_file("a/b/c.txt", "hello"));
  ASSERT_TRUE(folder.add_file("a/b/c.txt", "hi"));
  ASSERT_TRUE(folder.add_folder("a/empty"));
  ASSERT_TRUE(folder.add_folder("a/empty"));
  EXPECT_EQ(folder.contents("a/b/../b/./c.txt").value(), "hi");
  EXPECT_EQ(folder.names().value(), std::vector<std::string>{"a"});
  EXPECT_EQ(folder.names("a").value(), (std::vector<std::string>{"b", "empty"}));
  auto error = [](const auto& result) {
    return result ? "none" : std::string(to_string(result.error().kind)) + ": " + result.error().message;
  };
  EXPECT_EQ(error(folder.contents("a/no")), "not found: there is nothing at \"a/no\" in memory");
  EXPECT_EQ(error(folder.contents("a")), "invalid argument: a folder, not a file, is \"a\" in memory");
  EXPECT_EQ(error(folder.names("a/b/c.txt")),
            "invalid argument: a part of the path is no folder: \"a/b/c.txt\" in memory");
  EXPECT_EQ(error(folder.add_file("a", "x")), "invalid argument: a folder, not a file, is \"a\" in memory");
  EXPECT_EQ(error(folder.add_file("a/b/c.txt/d", "x")),
            "invalid argument: a part of the path is no folder: \"a/b/c.txt/d\" in memory");
  EXPECT_EQ(error(folder.add_file("/a", "x")), "invalid argument: no path leads to \"/a\" in memory");
  EXPECT_EQ(error(folder.add_file("../a", "x")), "invalid argument: no path leads to \"../a\" in memory");
  EXPECT_EQ(error(folder.add_folder("")), "not found: there is nothing at \"\" in memory");
  EXPECT_EQ(error(folder.remove("a")), "invalid argument: it is not empty: the folder \"a\" in memory");
  for (const char* path : {"a/b/c.txt", "a/b", "a/empty", "a"}) EXPECT_TRUE(folder.remove(path)) << path;
  EXPECT_EQ(folder.used_bytes(), empty);
  EXPECT_EQ(error(MemoryFolder(10'000).add_file("f", std::string(10'000, 'x'))),
            "limit: there is no room for \"f\" in memory");
}

TEST_F(WasiMemory, ReadsWritesAndSeeks) {
  const uint32_t fd = open("file", kCreate);
  EXPECT_EQ(guest.write(fd, "hello world"), Errno::success);
  EXPECT_EQ(guest("fd_seek", fd, -5, 1, Guest::kResult), Errno::success);
  EXPECT_EQ(guest.load<uint64_t>(Guest::kResult), 6u);
  EXPECT_EQ(guest.read(fd), Errno::success);
  EXPECT_EQ(guest.text(), "world");
  EXPECT_EQ(guest("fd_seek", fd, -1, 0, Guest::kResult), Errno::inval);
  EXPECT_EQ(guest("fd_seek", fd, INT64_MAX, 1, Guest::kResult), Errno::inval);
  EXPECT_EQ(guest("fd_seek", fd, 9000, 0, Guest::kResult), Errno::success);
  EXPECT_EQ(guest.write(fd, "end"), Errno::success);
  EXPECT_EQ(folder.contents("file").value(), "hello world" + std::string(8989, '\0') + "end");
  // What was cut off does not come back.
  EXPECT_EQ(guest("fd_filestat_set_size", fd, 4), Errno::success);
  EXPECT_EQ(guest("fd_allocate", fd, 5, 2), Errno::success);
  EXPECT_EQ(folder.contents("file").value(), std::string("hell\0\0\0", 7));
  EXPECT_EQ(guest("fd_allocate", fd, 0, 1), Errno::success);
  EXPECT_EQ(stat("file").size_bytes, 7u) << "to allocate makes no file smaller";
  EXPECT_EQ(guest("fd_allocate", fd, 0, 0), Errno::inval);
  EXPECT_EQ(guest("fd_allocate", fd, INT64_MAX, 1), Errno::fbig);
  EXPECT_EQ(guest("fd_sync", fd), Errno::success);
  EXPECT_EQ(guest("fd_datasync", fd), Errno::success);
  EXPECT_EQ(guest("fd_sync", kRoot), Errno::success);
  EXPECT_EQ(guest("fd_advise", fd, 0, 1, 5), Errno::success);
  EXPECT_EQ(guest("fd_advise", fd, 0, 1, 6), Errno::inval);
  // By place, and at the end.
  guest.store(Guest::kPieces, GuestIovec{guest.put("XY"), 2});
  EXPECT_EQ(guest("fd_pwrite", fd, Guest::kPieces, 1, 1, Guest::kResult), Errno::success);
  const uint32_t appends = open("file", 0, kAppend);
  EXPECT_EQ(guest.write(appends, "!"), Errno::success);
  EXPECT_EQ(folder.contents("file").value(), std::string("hXYl\0\0\0!", 8));
  guest.store(Guest::kPieces, GuestIovec{Guest::kBuffer, 3});
  EXPECT_EQ(guest("fd_pread", fd, Guest::kPieces, 1, 1, Guest::kResult), Errno::success);
  EXPECT_EQ(guest.text(), "XYl");
}

TEST_F(WasiMemory, NothingLeadsOut) {
  ASSERT_TRUE(folder.add_file("sub/file", "x"));
  for (const char* path : {"..", "../x", "sub/../..", "sub/../../x", "./../x", "/", "/sub", "sub/../sub/../../sub"}) {
    SCOPED_TRACE(path);
    EXPECT_EQ(open_error(path), Errno::perm);
    EXPECT_EQ(guest.stat(kRoot, path), Errno::perm);
    EXPECT_EQ(guest.path("path_create_directory", kRoot, path), Errno::perm);
    EXPECT_EQ(guest.path("path_remove_directory", kRoot, path), Errno::perm);
    EXPECT_EQ(guest.path("path_unlink_file", kRoot, path), Errno::perm);
    EXPECT_EQ(guest.rename(kRoot, "sub", kRoot, path), Errno::perm);
    EXPECT_EQ(guest.link(kRoot, "sub/file", kRoot, path), Errno::perm);
    EXPECT_EQ(guest.symlink("x", kRoot, path), Errno::perm);
  }
  // A folder that was opened is a root of its own, wherever it is moved.
  ASSERT_EQ(guest.open(kRoot, "sub", kDirectory, kDirectoryRights, kAll), Errno::success);
  const uint32_t sub = guest.result();
  EXPECT_EQ(guest.stat(sub, "../sub"), Errno::perm);
  EXPECT_EQ(guest.symlink("../sub/file", sub, "out"), Errno::success);
  EXPECT_EQ(guest.stat(sub, "out"), Errno::perm);
  EXPECT_EQ(guest.stat(kRoot, "sub/out"), Errno::success) << "from here it leads to what is below";
  EXPECT_EQ(guest.symlink("/sub", sub, "absolute"), Errno::perm);
  EXPECT_EQ(guest.symlink("loop", kRoot, "loop"), Errno::success);
  EXPECT_EQ(guest.stat(kRoot, "loop"), Errno::loop);
  EXPECT_EQ(open_error(std::string(256, 'x')), Errno::nametoolong);
  EXPECT_EQ(open_error(std::string("a\0b", 3)), Errno::ilseq);
}

TEST_F(WasiMemory, ReadOnlyIsReadOnly) {
  ASSERT_TRUE(folder.add_file("file", "x"));
  Builder b;
  Guest reader(b.folder(folder, "/ro", Access::read_only).folder(folder, "/rw"));
  constexpr uint32_t kWritable = 4;
  EXPECT_EQ(reader.open(kRoot, "file", 0, kFdRead), Errno::success);
  EXPECT_EQ(reader.open(kRoot, "file", 0, kFdWrite), Errno::notcapable);
  EXPECT_EQ(reader.open(kRoot, "new", kCreate), Errno::notcapable);
  EXPECT_EQ(reader.open(kRoot, "file", kTruncate), Errno::notcapable);
  EXPECT_EQ(reader.path("path_unlink_file", kRoot, "file"), Errno::notcapable);
  EXPECT_EQ(reader.link(kRoot, "file", kWritable, "writable"), Errno::notcapable);
  EXPECT_EQ(reader.rename(kRoot, "file", kWritable, "writable"), Errno::notcapable);
  EXPECT_EQ(folder.contents("file").value(), "x");
  // It is one folder all the same, and the guest can tell.
  EXPECT_EQ(reader.open(kWritable, "file", 0, kAll), Errno::success);
  EXPECT_EQ(reader.write(reader.result(), "y"), Errno::success);
  EXPECT_EQ(folder.contents("file").value(), "y");
  ASSERT_EQ(reader.stat(kRoot, "file"), Errno::success);
  const auto first = reader.load<FileStat>(Guest::kBuffer);
  ASSERT_EQ(reader.stat(kWritable, "file"), Errno::success);
  EXPECT_EQ(reader.load<FileStat>(Guest::kBuffer).device, first.device);
}

TEST_F(WasiMemory, NothingIsMovedOrLinkedElsewhere) {
  test::Folder host;
  host.file("file", "host");
  ASSERT_TRUE(folder.add_file("file", "memory"));
  Builder b;
  Guest g(b.folder(folder, "/memory").folder(host.path(), "/host").folder(MemoryFolder(), "/other"));
  for (auto [from, to] : {std::pair(3u, 4u), {4u, 3u}, {3u, 5u}}) {
    EXPECT_EQ(g.rename(from, "file", to, "moved"), Errno::xdev);
    EXPECT_EQ(g.link(from, "file", to, "linked"), Errno::xdev);
  }
  std::set<uint64_t> devices;
  for (uint32_t fd : {3u, 4u, 5u}) {
    ASSERT_EQ(g.stat(fd, "."), Errno::success);
    devices.insert(g.load<FileStat>(Guest::kBuffer).device);
  }
  EXPECT_EQ(devices.size(), 3u);
}

TEST_F(WasiMemory, WhatIsRemovedStaysUntilItIsClosed) {
  const size_t empty = folder.used_bytes();
  const uint32_t fd = open("file", kCreate);
  EXPECT_EQ(guest.write(fd, "still here"), Errno::success);
  EXPECT_EQ(guest.path("path_create_directory", kRoot, "folder"), Errno::success);
  const uint32_t removed = open("folder", kDirectory);
  EXPECT_EQ(guest.path("path_unlink_file", kRoot, "file"), Errno::success);
  EXPECT_EQ(guest.path("path_remove_directory", kRoot, "folder"), Errno::success);
  EXPECT_EQ(guest("fd_seek", fd, 0, 0, Guest::kResult), Errno::success);
  EXPECT_EQ(guest.read(fd), Errno::success);
  EXPECT_EQ(guest.text(), "still here");
  EXPECT_EQ(guest.open(removed, "new", kCreate), Errno::noent);
  EXPECT_EQ(guest.path("path_create_directory", removed, "new"), Errno::noent);
  EXPECT_EQ(list(guest, removed, 1000), (std::vector<std::string>{".", ".."}));
  EXPECT_GT(folder.used_bytes(), empty);
  EXPECT_EQ(guest("fd_close", fd), Errno::success);
  EXPECT_EQ(guest("fd_close", removed), Errno::success);
  EXPECT_EQ(folder.used_bytes(), empty);
}

TEST_F(WasiMemory, ListingGoesOnWhateverIsMadeAndRemoved) {
  std::vector<std::string> names = {".", ".."};
  for (int i = 0; i < 50; ++i) {
    names.push_back("n" + std::to_string(i));
    ASSERT_TRUE(folder.add_file(names.back(), ""));
  }
  EXPECT_EQ(list(guest, kRoot, 60), names) << "in the order in which they were made";
  int removed = 0;
  const auto found = list(guest, kRoot, 60, [&] {
    // Behind each two that are told, one of the last is removed, and one that was told long ago.
    if (removed < 10) {
      EXPECT_TRUE(folder.remove("n" + std::to_string(49 - removed)));
      if (removed > 0) {
        EXPECT_TRUE(folder.remove("n" + std::to_string(removed - 1)));
      }
      ++removed;
    }
  });
  EXPECT_EQ(found, std::vector<std::string>(names.begin(), names.begin() + 42)) << "each once, but for the last ten";
}

TEST_F(WasiMemory, NoMoreBytesThanItsBound) {
  const size_t empty = folder.used_bytes(), limit = 1 << 20;
  const uint32_t fd = open("file", kCreate);
  const std::string block(40'000, 'x');
  uint64_t written = 0;
  Errno last;
  while ((last = guest.write(fd, block)) == Errno::success) written += guest.result();
  EXPECT_EQ(last, Errno::nospc);
  EXPECT_GT(written, limit - 3 * 4096) << "as much as there is room for";
  EXPECT_LE(folder.used_bytes(), limit);
  EXPECT_EQ(folder.contents("file")->size(), written);
  EXPECT_EQ(guest("fd_filestat_set_size", fd, 4 << 20), Errno::nospc);
  EXPECT_EQ(guest("fd_filestat_set_size", fd, INT64_MAX), Errno::nospc);
  EXPECT_EQ(guest("fd_allocate", fd, INT64_MAX - 1, 1), Errno::nospc);
  EXPECT_EQ(guest("fd_seek", fd, INT64_MAX, 0, Guest::kResult), Errno::success);
  EXPECT_EQ(guest.write(fd, "x"), Errno::fbig);
  EXPECT_EQ(folder.contents("file")->size(), written);
  EXPECT_EQ(guest.symlink(std::string(4000, 'x'), kRoot, "link"), Errno::nospc);
  EXPECT_EQ(guest.path("path_unlink_file", kRoot, "file"), Errno::success);
  EXPECT_EQ(guest("fd_close", fd), Errno::success);
  EXPECT_EQ(folder.used_bytes(), empty);
  // Files with nothing in them, folders and names count, too.
  int count = 0;
  while ((last = guest.path("path_create_directory", kRoot, "d" + std::to_string(count))) == Errno::success) ++count;
  EXPECT_EQ(last, Errno::nospc);
  EXPECT_GT(count, 1000);
  EXPECT_LT(count, 2000);
  EXPECT_EQ(open_error("new", kCreate), Errno::nospc);
  EXPECT_EQ(guest.path("path_remove_directory", kRoot, "d0"), Errno::success);
  EXPECT_EQ(open_error("new", kCreate), Errno::success);
}

/// To take them apart would take more stack than there is, one in the other.
TEST(MemoryFolder, FoldersInFoldersWithoutEnd) {
  MemoryFolder folder(256 << 20);
  Builder builder;
  Guest guest(builder.folder(folder, "/"));
  uint32_t fd = kRoot;
  for (int depth = 0; depth < 60'000; ++depth) {
    ASSERT_EQ(guest.path("path_create_directory", fd, "d"), Errno::success);
    ASSERT_EQ(guest.open(fd, "d", kDirectory, kDirectoryRights, kAll), Errno::success);
    const uint32_t below = guest.result();
    if (fd != kRoot) {
      ASSERT_EQ(guest("fd_close", fd), Errno::success);
    }
    fd = below;
  }
}

/// Asks for all that a folder of the host's would say differently each time.
std::string run_deterministic(uint64_t seed) {
  MemoryFolder folder;
  EXPECT_TRUE(folder.add_file("given/b", "1"));
  EXPECT_TRUE(folder.add_file("given/a", "2"));
  auto output = std::make_shared<Buffer>();
  Builder builder;
  builder.deterministic(seed).folder(folder, "/").folder(MemoryFolder(), "/tmp");
  Guest guest(builder.standard_in(Input::bytes("input")).standard_out(Output::buffer(output)));
  std::string all;
  EXPECT_EQ(guest("random_get", Guest::kBuffer, 8), Errno::success);
  const std::string name = "made-" + std::to_string(guest.load<uint64_t>(Guest::kBuffer));
  EXPECT_EQ(guest.open(4, name, kCreate, kAll), Errno::success);
  EXPECT_EQ(guest.write(guest.result(), "x"), Errno::success);
  for (auto [fd, path] : {std::pair(3u, "given/a"), {3u, "given"}, {4u, name.c_str()}, {4u, "."}}) {
    EXPECT_EQ(guest.stat(fd, path), Errno::success);
    all += guest.bytes(Guest::kBuffer, sizeof(FileStat));
  }
  for (uint32_t fd : {3u, 4u}) {
    EXPECT_EQ(guest("fd_readdir", fd, Guest::kBuffer, 1000, 0, Guest::kResult), Errno::success);
    all += guest.text();
  }
  EXPECT_EQ(guest.read(0), Errno::success);
  EXPECT_EQ(guest.write(1, guest.text()), Errno::success);
  return all + output->contents();
}

TEST(MemoryFolder, DeterministicRunsAreTheSame) {
  const std::string once = run_deterministic(1);
  EXPECT_EQ(once, run_deterministic(1));
  EXPECT_NE(once, run_deterministic(2));
}

TEST_F(WasiMemory, TimesAreThoseOfTheClock) {
  Builder b;
  Guest g(b.folder(folder, "/").clock(std::make_shared<SteppedClock>(1'000'000, 10)));
  auto times = [&](std::string_view path) {
    EXPECT_EQ(g.stat(kRoot, path), Errno::success);
    return g.load<FileStat>(Guest::kBuffer);
  };
  ASSERT_TRUE(folder.add_file("old", "x"));
  EXPECT_EQ(times("old").mtime_ns, 0u) << "what the embedder makes has no time of its own";
  EXPECT_EQ(g.open(kRoot, "new", kCreate, kAll), Errno::success);
  const uint32_t fd = g.result();
  const FileStat made = times("new");
  EXPECT_GT(made.mtime_ns, 1'000'000u);
  EXPECT_EQ(times(".").mtime_ns, made.mtime_ns);
  EXPECT_EQ(g.write(fd, "x"), Errno::success);
  EXPECT_GT(times("new").mtime_ns, made.mtime_ns);
  EXPECT_EQ(times("new").atime_ns, made.atime_ns);
  EXPECT_EQ(g("fd_filestat_set_times", fd, 5, 6, kAtime | kMtime), Errno::success);
  EXPECT_EQ(times("new").atime_ns, 5u);
  EXPECT_EQ(times("new").mtime_ns, 6u);
  EXPECT_EQ(g("path_filestat_set_times", kRoot, 0, g.put("new"), 3, 7, 0, kAtime), Errno::success);
  EXPECT_EQ(times("new").atime_ns, 7u);
  EXPECT_EQ(times("new").mtime_ns, 6u) << "it was not asked for";
  EXPECT_EQ(g("fd_filestat_set_times", fd, 0, 0, kMtimeNow), Errno::success);
  EXPECT_GT(times("new").mtime_ns, made.mtime_ns);
}

TEST_F(WasiMemory, PollSaysWhatIsLeft) {
  ASSERT_TRUE(folder.add_file("file", "12345"));
  const uint32_t fd = open("file");
  EXPECT_EQ(guest.read(fd, 2), Errno::success);
  Subscription subscription{};
  subscription.type = EventType::fd_read;
  subscription.file.fd = fd;
  guest.store(2048, subscription);
  EXPECT_EQ(guest("poll_oneoff", 2048, 4096, 1, Guest::kResult), Errno::success);
  EXPECT_EQ(guest.load<Event>(4096).bytes, 3u);
}

}  // namespace
}  // namespace rotor::wasi
