// Ways out of a folder that a guest is given, each tried by both ways of resolving paths: all end in an error, and
// nothing outside is read, made, changed or removed. ROTOR_ESCAPE_TRIES says how often races are tried.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include "hosts/wasi/testing/guest.h"

namespace rotor::wasi {
namespace {

using test::Folder;
using test::Guest;

int tries() {
  // With a sanitizer each takes many times as long, and one that goes wrong is seen by it at once.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  constexpr int kDefault = 4'000;
#else
  constexpr int kDefault = 20'000;
#endif
  const char* given = std::getenv("ROTOR_ESCAPE_TRIES");
  return given ? std::atoi(given) : kDefault;
}

class Escape : public testing::TestWithParam<Resolution> {
 protected:
  static constexpr uint32_t kInside = 3, kReadOnly = 4;
  /// Calls that each attempt of a race makes with paths that are changed under way, about.
  static constexpr int kCallsOfAttempt = 4;

  void SetUp() override {
    outside.file("secret", "secret");
    outside.folder("folder");
    outside.file("folder/secret", "secret");
    outside.file("victim", "victim");
    inside.folder("a/b");
    inside.file("file", "inside");
    inside.file("a/file", "inside");
    read_only.file("file", "read only");
    read_only.folder("folder");
    Builder builder;
    builder.folder(inside.path(), "/").folder(read_only.path(), "/ro", Access::read_only).resolution(GetParam());
    auto built = builder.build();
    if (!built) GTEST_SKIP() << built.error().to_string();
    environment.emplace(std::move(*built));
    guest.emplace(*environment);
  }

  void TearDown() override {
    EXPECT_EQ(outside.contents("secret"), "secret");
    EXPECT_EQ(outside.contents("folder/secret"), "secret");
    EXPECT_EQ(outside.contents("victim"), "victim");
    EXPECT_FALSE(outside.exists("new"));
    EXPECT_FALSE(outside.exists("folder/new"));
  }

  /// The path from `inside` to what is in `outside`, by way of their parent.
  std::string out(std::string_view name) const {
    return "../" + std::filesystem::path(outside.path()).filename().string() + "/" + std::string(name);
  }
  /// Tries every function that takes a path: none may do what it is asked for.
  void expect_no_way(const std::string& path) {
    SCOPED_TRACE(path);
    Guest& g = *guest;
    const auto refused = [&](Errno got) { EXPECT_NE(got, Errno::success); };
    for (uint32_t lookup : {0, 1}) {
      refused(g.open(kInside, path + "/secret", 0, kFdRead, 0, lookup));
      refused(g.open(kInside, path + "/new", kCreate, kFdWrite, 0, lookup));
      refused(g.open(kInside, path + "/secret", kTruncate, kFdWrite, 0, lookup));
      refused(g.stat(kInside, path + "/secret", lookup));
      refused(g.link(kInside, path + "/secret", kInside, "linked", lookup));
      const uint32_t at = g.put(path + "/secret");
      refused(g("path_filestat_set_times", kInside, lookup, at, path.size() + 7, 1, 1, kAtime | kMtime));
    }
    refused(g.path("path_create_directory", kInside, path + "/new"));
    refused(g.path("path_unlink_file", kInside, path + "/victim"));
    refused(g.path("path_remove_directory", kInside, path + "/folder"));
    refused(g.rename(kInside, path + "/secret", kInside, "taken"));
    refused(g.rename(kInside, "file", kInside, path + "/new"));
    refused(g.link(kInside, "file", kInside, path + "/new"));
    refused(g.symlink("file", kInside, path + "/new"));
    const uint32_t at = g.put(path + "/secret");
    refused(g("path_readlink", kInside, at, path.size() + 7, Guest::kBuffer, 64, Guest::kResult));
  }
  /// Reads a file by a path; empty: it can't be opened.
  std::string read(const std::string& path) {
    if (guest->open(kInside, path) != Errno::success) return {};
    const uint32_t fd = guest->result();
    EXPECT_EQ(guest->read(fd), Errno::success);
    std::string text = guest->text();
    EXPECT_EQ((*guest)("fd_close", fd), Errno::success);
    return text;
  }
  /// Runs `disturb` over and over on a thread while `attempt` is made many times.
  template <class Disturb, class Attempt>
  void race(Disturb disturb, Attempt attempt) {
    std::atomic<bool> over{false};
    std::thread other([&] {
      while (!over) disturb();
    });
    for (int i = 0; i < tries(); i += kCallsOfAttempt) attempt();
    over = true;
    other.join();
  }

  Folder outside, inside, read_only;
  std::optional<Environment> environment;
  std::optional<Guest> guest;
};

TEST_P(Escape, ByDotDot) {
  const std::string there = out("");
  for (const std::string& path :
       {there, "./" + there, "a/../" + there, "a/b/../../" + there, "a/..//./" + there, "a/b/../b/../../" + there})
    expect_no_way(path);
  EXPECT_EQ(guest->open(kInside, ".."), Errno::perm);
  EXPECT_EQ(guest->open(kInside, "a/../.."), Errno::perm);
  EXPECT_EQ(guest->stat(kInside, "a/../../"), Errno::perm);
  EXPECT_EQ(guest->open(kInside, "no/../../x"), Errno::noent);
  EXPECT_EQ(read("a/../file"), "inside");
  EXPECT_EQ(read("a/b/../../a/./file"), "inside");
}

TEST_P(Escape, ByAbsolutePaths) {
  expect_no_way(outside.path());
  EXPECT_EQ(guest->open(kInside, "/"), Errno::perm);
  EXPECT_EQ(guest->open(kInside, inside.path("file")), Errno::perm);
}

TEST_P(Escape, ByLinks) {
  inside.link(outside.path(), "absolute");
  inside.link(out(""), "relative");
  inside.link("absolute", "indirect");
  inside.link("../" + out(""), "a/deeper");
  inside.link("..", "a/b/up");
  inside.link("/", "root");
  inside.link(outside.path("secret"), "to_secret");
  inside.link(out("secret"), "a/to_secret");
  inside.link(outside.path("new"), "to_new");
  for (const char* path :
       {"absolute", "relative", "indirect", "a/deeper", "a/b/up/b/up/../../..", "absolute/folder", "a/deeper/folder"})
    expect_no_way(path);
  expect_no_way("root" + outside.path());
  for (const char* path : {"to_secret", "a/to_secret", "to_new", "to_secret/", "absolute/", "absolute/."}) {
    SCOPED_TRACE(path);
    EXPECT_NE(guest->open(kInside, path), Errno::success);
    EXPECT_NE(guest->open(kInside, path, kCreate, kFdWrite), Errno::success);
    EXPECT_NE(guest->open(kInside, path, kTruncate, kFdWrite), Errno::success);
    EXPECT_NE(guest->stat(kInside, path), Errno::success);
    EXPECT_NE(guest->link(kInside, path, kInside, "linked", kSymlinkFollow), Errno::success);
    EXPECT_NE(guest->path("path_create_directory", kInside, path), Errno::success);
  }
  // A link itself is the guest's to look at and to remove.
  EXPECT_EQ(guest->stat(kInside, "to_secret", 0), Errno::success);
  EXPECT_EQ(guest->load<FileStat>(Guest::kBuffer).type, FileType::symbolic_link);
  EXPECT_EQ(guest->path("path_unlink_file", kInside, "to_secret"), Errno::success);
}

TEST_P(Escape, LinksThatStayInsideAreFollowed) {
  inside.link("../file", "a/up");
  inside.link("a/b", "down");
  inside.link("a/up", "twice");
  inside.link("a/made", "to_new");
  EXPECT_EQ(read("a/up"), "inside");
  EXPECT_EQ(read("twice"), "inside");
  EXPECT_EQ(read("down/../file"), "inside") << "the folder above a/b is a";
  EXPECT_EQ(guest->open(kInside, "to_new", kCreate, kFdWrite), Errno::success);
  EXPECT_TRUE(inside.exists("a/made"));
  EXPECT_EQ(guest->open(kInside, "twice", 0, kFdRead, 0, 0), Errno::loop);
  EXPECT_EQ(guest->open(kInside, "down/", 0, kFdRead, 0, 0), Errno::success);
  // Through a link for every call that follows.
  EXPECT_EQ(guest->link(kInside, "twice", kInside, "hard", kSymlinkFollow), Errno::success);
  EXPECT_EQ(inside.contents("hard"), "inside");
  const uint32_t path = guest->put("twice");
  EXPECT_EQ((*guest)("path_filestat_set_times", kInside, kSymlinkFollow, path, 5, 1, 5'000'000'000, kMtime),
            Errno::success);
  EXPECT_EQ(guest->stat(kInside, "file"), Errno::success);
  EXPECT_EQ(guest->load<FileStat>(Guest::kBuffer).mtime_ns, 5'000'000'000u);
}

TEST_P(Escape, LoopsEnd) {
  inside.link("y", "x");
  inside.link("x", "y");
  inside.link("self/self", "self");
  EXPECT_EQ(guest->open(kInside, "x"), Errno::loop);
  EXPECT_EQ(guest->open(kInside, "x/file"), Errno::loop);
  EXPECT_EQ(guest->stat(kInside, "self"), Errno::loop);
  EXPECT_EQ(guest->link(kInside, "x", kInside, "z", kSymlinkFollow), Errno::loop);
  inside.link("file", "l0");
  for (int i = 1; i <= 41; ++i) inside.link("l" + std::to_string(i - 1), "l" + std::to_string(i));
  EXPECT_EQ(read("l39"), "inside");
  EXPECT_EQ(guest->open(kInside, "l41"), Errno::loop);
  EXPECT_EQ(guest->link(kInside, "l41", kInside, "z", kSymlinkFollow), Errno::loop);
}

TEST_P(Escape, LongPaths) {
  EXPECT_EQ(guest->open(kInside, std::string(kMaxPathBytes + 1, 'x')), Errno::nametoolong);
  EXPECT_EQ(guest->open(kInside, std::string(256, 'x')), Errno::nametoolong);
  EXPECT_EQ((*guest)("path_open", kInside, 0, 0, 0xFFFFFFFF, 0, 0, 0, 0, Guest::kResult), Errno::nametoolong);
  std::string round;
  while (round.size() + 9 < kMaxPathBytes) round += "a/../";
  EXPECT_EQ(read(round + "file"), "inside");
  expect_no_way(round.substr(0, kMaxPathBytes - 200) + out(""));
  // Links that grow as they are followed.
  std::string grows = "grows";
  while (grows.size() < 4000) grows += "/a/..";
  inside.link(grows, "grows");
  EXPECT_NE(guest->open(kInside, "grows/file"), Errno::success);
  EXPECT_NE(guest->link(kInside, "grows", kInside, "z", kSymlinkFollow), Errno::success);
}

TEST_P(Escape, PathsThatAreNoText) {
  inside.file("\xFF", "x");
  using namespace std::string_view_literals;
  for (std::string_view path : {"a\0/file"sv, "\0"sv, "file\0"sv, "\xFF"sv, "\xC0\xAE\xC0\xAE/x"sv, "a/\xED\xA0\x80"sv,
                                "\xF5\x80\x80\x80"sv, "\xE2\x82"sv, "\xC0\xAF"sv}) {
    EXPECT_EQ(guest->open(kInside, path), Errno::ilseq);
    EXPECT_EQ(guest->path("path_create_directory", kInside, path), Errno::ilseq);
    EXPECT_EQ(guest->symlink(path, kInside, "l"), Errno::ilseq);
  }
  EXPECT_EQ(guest->open(kInside, "é€😀", kCreate, kFdWrite), Errno::success);
}

TEST_P(Escape, ByProc) {
  Builder builder;
  const int open_outside = ::open(outside.path().c_str(), O_RDONLY);
  const std::string number = std::to_string(open_outside);
  Guest g(builder.folder("/proc", "/proc").folder("/proc/self/fd", "/fd").resolution(GetParam()));
  const std::string folder = "self/fd/" + number;
  for (const std::string& path : {std::string("self/root"), std::string("self/cwd"), folder, std::string("self/exe"),
                                  std::string("self/root/etc/passwd"), folder + "/secret", std::string("self/fd/0")}) {
    EXPECT_NE(g.open(3, path), Errno::success) << path;
    EXPECT_NE(g.open(3, path, kDirectory), Errno::success) << path;
    EXPECT_NE(g.link(3, path, 3, "x", kSymlinkFollow), Errno::success) << path;
  }
  EXPECT_NE(g.open(4, number), Errno::success);
  EXPECT_NE(g.open(4, number + "/secret"), Errno::success);
  EXPECT_EQ(g.open(3, "self/status"), Errno::success) << "a plain link in /proc leads on";
  close(open_outside);
}

TEST_P(Escape, WhatIsNoFile) {
  ASSERT_EQ(mkfifo(inside.path("fifo").c_str(), 0666), 0);
  const int listening = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{AF_UNIX, {}};
  std::strncpy(address.sun_path, inside.path("socket").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  // Each would wait for the other end, if it were not for O_NONBLOCK.
  EXPECT_EQ(guest->open(kInside, "fifo"), Errno::acces);
  EXPECT_NE(guest->open(kInside, "fifo", 0, kFdWrite), Errno::success);
  EXPECT_EQ(guest->open(kInside, "fifo", 0, kFdRead | kFdWrite), Errno::acces);
  EXPECT_NE(guest->open(kInside, "socket"), Errno::success);
  close(listening);
  Builder builder;
  Guest devices(builder.folder("/dev", "/dev").resolution(GetParam()));
  for (const char* device : {"null", "zero", "tty"})
    for (Rights rights : {kFdRead, kFdWrite, kFdRead | kFdWrite})
      EXPECT_NE(devices.open(3, device, 0, rights), Errno::success) << device;
}

/// Who waits for somebody to read from a pipe does not take a guest for one.
TEST_P(Escape, ARefusedPipeIsNotOpened) {
  ASSERT_EQ(mkfifo(inside.path("fifo").c_str(), 0666), 0);
  std::atomic<bool> went_on{false};
  std::jthread writer([&] {
    const int fd = ::open(inside.path("fifo").c_str(), O_WRONLY);
    went_on = true;
    close(fd);
  });
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(guest->open(kInside, "fifo"), Errno::acces);
    EXPECT_EQ(guest->open(kInside, "fifo", kCreate, kFdRead | kFdWrite), Errno::acces);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_FALSE(went_on);
  const int reader = ::open(inside.path("fifo").c_str(), O_RDONLY);
  writer.join();
  close(reader);
}

TEST_P(Escape, AcrossFoldersWithoutTheRight) {
  Guest& g = *guest;
  EXPECT_EQ(g.link(kReadOnly, "file", kInside, "linked"), Errno::notcapable);
  EXPECT_EQ(g.link(kInside, "file", kReadOnly, "linked"), Errno::notcapable);
  EXPECT_EQ(g.rename(kReadOnly, "file", kInside, "taken"), Errno::notcapable);
  EXPECT_EQ(g.rename(kInside, "file", kReadOnly, "put"), Errno::notcapable);
  EXPECT_EQ(g.rename(kReadOnly, "folder", kInside, "taken"), Errno::notcapable);
  EXPECT_EQ(g.symlink("file", kReadOnly, "l"), Errno::notcapable);
  // A folder below one that a guest may write to, opened without that, gives nothing away to it either.
  ASSERT_EQ(g.open(kInside, "a", kDirectory, ~kFdWrite, kFdRead | kFdReaddir), Errno::success);
  const uint32_t lesser = g.result();
  EXPECT_EQ(g.open(lesser, "file", 0, kFdWrite), Errno::notcapable);
  EXPECT_EQ(g.link(lesser, "file", kInside, "linked"), Errno::notcapable);
  EXPECT_EQ(g.rename(lesser, "file", kInside, "taken"), Errno::notcapable);
  EXPECT_EQ(g.rename(kInside, "file", lesser, "put"), Errno::success) << "the other way nothing is gained";
  EXPECT_EQ(read_only.contents("file"), "read only");
}

TEST_P(Escape, ReadOnlyIsReadOnly) {
  Guest& g = *guest;
  ASSERT_EQ(g("fd_fdstat_get", kReadOnly, Guest::kBuffer), Errno::success);
  const auto stat = g.load<FdStat>(Guest::kBuffer);
  constexpr Rights kLooks = kPathOpen | kFdReaddir | kPathReadlink | kPathFilestatGet | kFdFilestatGet;
  constexpr Rights kHarmless =
      kFdRead | kFdSeek | kFdTell | kFdAdvise | kFdSync | kFdDatasync | kFdFdstatSetFlags | kPollFdReadwrite;
  EXPECT_EQ(stat.rights & ~(kLooks | kHarmless), 0u);
  EXPECT_EQ(stat.inheriting, kLooks | kHarmless);
  EXPECT_EQ(g.open(kReadOnly, "file", 0, kFdWrite), Errno::notcapable);
  EXPECT_EQ(g.open(kReadOnly, "file", kTruncate, kFdRead), Errno::notcapable);
  EXPECT_EQ(g.open(kReadOnly, "made", kCreate, kFdRead), Errno::notcapable);
  EXPECT_EQ(g.path("path_create_directory", kReadOnly, "made"), Errno::notcapable);
  EXPECT_EQ(g.path("path_unlink_file", kReadOnly, "file"), Errno::notcapable);
  EXPECT_EQ(g.path("path_remove_directory", kReadOnly, "folder"), Errno::notcapable);
  const uint32_t path = g.put("file");
  EXPECT_EQ(g("path_filestat_set_times", kReadOnly, 0, path, 4, 1, 1, kMtime), Errno::notcapable);
  ASSERT_EQ(g.open(kReadOnly, "file", 0, ~kFileWrites), Errno::success);
  const uint32_t fd = g.result();
  EXPECT_EQ(g("fd_filestat_set_size", fd, 0), Errno::notcapable);
  EXPECT_EQ(g("fd_filestat_set_times", fd, 1, 1, kMtime), Errno::notcapable);
  EXPECT_EQ(g("fd_allocate", fd, 0, 100), Errno::notcapable);
  EXPECT_EQ(g.write(fd, "x"), Errno::notcapable);
  EXPECT_EQ(g.read(fd), Errno::success);
  // Nor by a folder in it.
  ASSERT_EQ(g.open(kReadOnly, "folder", kDirectory, ~kFdWrite), Errno::success);
  const uint32_t folder = g.result();
  EXPECT_EQ(g.open(folder, "made", kCreate, kFdRead), Errno::notcapable);
  EXPECT_EQ(g.open(folder, "../file", 0, kFdRead), Errno::perm);
}

TEST_P(Escape, AFolderThatWasMovedOut) {
  ASSERT_EQ(guest->open(kInside, "a/b", kDirectory, ~kFdWrite), Errno::success);
  const uint32_t fd = guest->result();
  std::filesystem::rename(inside.path("a/b"), outside.path("folder/b"));
  EXPECT_EQ(guest->open(fd, "../secret"), Errno::perm);
  EXPECT_EQ(guest->open(fd, "../../secret"), Errno::perm);
  EXPECT_EQ(guest->open(fd, ".."), Errno::perm);
}

TEST_P(Escape, ParentsRenamedUnderWay) {
  const std::string in = inside.path("a/b"), out_there = outside.path("folder/b");
  race(
      [&] {
        ::rename(in.c_str(), out_there.c_str());
        ::rename(out_there.c_str(), in.c_str());
      },
      [&] {
        EXPECT_NE(read("a/b/../secret"), "secret");
        EXPECT_NE(read("a/b/../../secret"), "secret");
        EXPECT_NE(guest->path("path_create_directory", kInside, "a/b/../../new"), Errno::io);
        (void)guest->path("path_remove_directory", kInside, "new");
        (void)guest->path("path_unlink_file", kInside, "a/b/../../victim");
      });
}

TEST_P(Escape, LinksSwappedUnderWay) {
  inside.folder("flip");
  inside.file("flip/secret", "inside");
  inside.link(outside.path("folder"), "flop");
  const std::string flip = inside.path("flip"), flop = inside.path("flop");
  int opened = 0, refused = 0;
  race([&] { syscall(SYS_renameat2, AT_FDCWD, flip.c_str(), AT_FDCWD, flop.c_str(), 2 /* RENAME_EXCHANGE */); },
       [&] {
         const std::string text = read("flip/secret");
         EXPECT_TRUE(text.empty() || text == "inside") << text;
         (text.empty() ? refused : opened) += 1;
         (void)guest->open(kInside, "flip/new", kCreate, kFdWrite);
         if (guest->result() > kReadOnly) (void)(*guest)("fd_close", guest->result());
         (void)guest->path("path_unlink_file", kInside, "flip/secret2");
         (void)guest->path("path_create_directory", kInside, "flip/new");
       });
  EXPECT_GT(opened, 0) << "nothing was tried";
  EXPECT_GT(refused, 0) << "nothing was swapped";
}

TEST_P(Escape, AFileSwappedForALinkUnderWay) {
  inside.file("flip", "inside");
  inside.link(outside.path("secret"), "flop");
  const std::string flip = inside.path("flip"), flop = inside.path("flop");
  int opened = 0, refused = 0;
  race([&] { syscall(SYS_renameat2, AT_FDCWD, flip.c_str(), AT_FDCWD, flop.c_str(), 2 /* RENAME_EXCHANGE */); },
       [&] {
         const std::string text = read("flip");
         EXPECT_TRUE(text.empty() || text == "inside") << text;
         (text.empty() ? refused : opened) += 1;
         const uint32_t path = guest->put("flip");
         (void)(*guest)("path_filestat_set_times", kInside, kSymlinkFollow, path, 4, 1, 1, kMtime);
         if (guest->link(kInside, "flip", kInside, "hard", kSymlinkFollow) == Errno::success) {
           const std::string hard = read("hard");
           EXPECT_NE(hard, "secret");
           (void)guest->path("path_unlink_file", kInside, "hard");
         }
       });
  EXPECT_GT(opened, 0);
  EXPECT_GT(refused, 0);
  struct stat stat;
  ASSERT_EQ(::stat(outside.path("secret").c_str(), &stat), 0);
  EXPECT_GT(stat.st_mtim.tv_sec, 0) << "its time was set through the link";
  EXPECT_EQ(stat.st_nlink, 1u);
}

TEST_P(Escape, ADescriptorClosedWhileItIsUsed) {
  Guest other(*environment);
  std::atomic<bool> over{false};
  // One thread opens and closes; the other one reads whatever has that number now.
  std::thread closing([&] {
    while (!over) {
      if (guest->open(kInside, "file") != Errno::success) continue;
      EXPECT_EQ((*guest)("fd_close", guest->result()), Errno::success);
    }
  });
  int reads = 0;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (reads < tries() / 100 && std::chrono::steady_clock::now() < give_up) {
    const Errno got = other.read(5);
    if (got == Errno::success) {
      EXPECT_TRUE(other.text() == "inside" || other.text().empty()) << "of a file that is not its own";
      ++reads;
    } else {
      EXPECT_EQ(got, Errno::badf);
      std::this_thread::yield();
    }
  }
  over = true;
  closing.join();
  EXPECT_EQ(environment->open_descriptors(), 5u);
  EXPECT_GT(reads, 0) << "nothing was tried";
}

std::string name_of(const testing::TestParamInfo<Resolution>& info) {
  return info.param == Resolution::walk ? "Walk" : "Openat2";
}
INSTANTIATE_TEST_SUITE_P(Each, Escape, testing::Values(Resolution::openat2, Resolution::walk), name_of);

/// Guests on threads of their own that share a folder in memory: each call is whole, and nothing is lost or counted
/// twice.
TEST(Memory, GuestsOnManyThreads) {
  constexpr int kThreads = 4, kRounds = 300;
  MemoryFolder folder(1 << 20);
  const size_t empty = folder.used_bytes();
  Builder builder;
  const Environment environment = builder.folder(folder, "/").build().value();
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      Guest guest(environment);
      for (int i = 0; i < kRounds; ++i) {
        const std::string name = "f" + std::to_string((t + i) % kThreads);
        ASSERT_EQ(guest.open(3, name, kCreate, ~Rights{0}, ~Rights{0}, kSymlinkFollow, kAppend), Errno::success);
        const uint32_t fd = guest.result();
        EXPECT_EQ(guest.write(fd, "12345"), Errno::success);
        (void)guest("fd_filestat_set_size", fd, 5000);
        (void)guest.rename(3, name, 3, "moved" + std::to_string(t));
        EXPECT_EQ(guest("fd_readdir", 3, Guest::kBuffer, 4096, 0, Guest::kResult), Errno::success);
        (void)guest.path("path_unlink_file", 3, "moved" + std::to_string(i % kThreads));
        EXPECT_EQ(guest("fd_close", fd), Errno::success);
        (void)folder.names();
      }
    });
  threads.clear();
  const std::vector<std::string> left = folder.names().value();
  for (const std::string& name : left) EXPECT_TRUE(folder.remove(name));
  EXPECT_EQ(folder.used_bytes(), empty);
}

}  // namespace
}  // namespace rotor::wasi
