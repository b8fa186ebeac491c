#include "code/cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>
#include <vector>

namespace rotor::code {
namespace {

namespace fs = std::filesystem;
constexpr uid_t kNobody = 65534;

CacheKey key_of(int number) { return CacheKey::of({}, std::to_string(number)); }

CodeCache::Write writes(std::string text) {
  return [text = std::move(text)](OutputFile& file) { return file.write(text.data(), text.size()); };
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// What find gives, read through the path that readers are given; "(miss)" if it is none.
std::string found(const CodeCache& cache, const CacheKey& key) {
  auto entry = cache.find(key);
  return entry ? read_file(entry->pinned_path()) : "(miss)";
}

void set_age(const std::string& path, int64_t seconds) {
  timespec times[2];
  clock_gettime(CLOCK_REALTIME, &times[0]);
  times[0].tv_sec -= seconds;
  times[1] = times[0];
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
}

pid_t start_child(const std::function<int()>& body) {
  pid_t child = fork();
  if (child == 0) _exit(body());
  return child;
}

/// The child's exit code; 128 and the signal if one killed it.
int end_of(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

class Cache : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/rotor-cache-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    ASSERT_EQ(chmod(root_.c_str(), 0755), 0);  // a child that gave up its rights gets in
    folder_ = root_ + "/cache";
  }
  void TearDown() override { fs::remove_all(root_); }

  std::unique_ptr<CodeCache> open(uint64_t limit_bytes = 1 << 20) {
    auto cache = CodeCache::open({.folder = folder_, .limit_bytes = limit_bytes});
    EXPECT_TRUE(cache) << cache.error().message;
    return cache ? std::move(*cache) : nullptr;
  }
  std::string path_of(const CacheKey& key) const { return folder_ + "/" + key.hex() + ".rotor"; }
  std::vector<std::string> names(const std::string& ending = "") const {
    std::vector<std::string> list;
    for (const auto& item : fs::directory_iterator(folder_))
      if (std::string name = item.path().filename(); name.ends_with(ending)) list.push_back(name);
    return list;
  }
  /// Expects that `folder` is refused with these words.
  static void expect_refused(const std::string& folder, ErrorKind kind, const std::string& words) {
    auto cache = CodeCache::open({.folder = folder, .limit_bytes = 1});
    ASSERT_FALSE(cache) << folder;
    EXPECT_EQ(cache.error().kind, kind) << cache.error().message;
    EXPECT_NE(cache.error().message.find(folder), std::string::npos) << cache.error().message;
    EXPECT_NE(cache.error().message.find(words), std::string::npos) << cache.error().message;
  }

  std::string root_, folder_;
};

TEST(CacheKeys, SettingsDoNotRunIntoTheModule) {
  const uint8_t ab[] = {'a', 'b'}, b[] = {'b'};
  EXPECT_NE(CacheKey::of(ab, ""), CacheKey::of(b, "a"));
  EXPECT_NE(CacheKey::of(ab, "1"), CacheKey::of(ab, "2"));
  EXPECT_EQ(CacheKey::of(ab, "1"), CacheKey::of(ab, "1"));
  EXPECT_EQ(CacheKey::of(ab, "1").hex().size(), 32u);
}

TEST(CacheFolder, DefaultIsOfTheEnvironment) {
  std::string home = std::getenv("HOME") ? std::getenv("HOME") : "";
  std::string xdg = std::getenv("XDG_CACHE_HOME") ? std::getenv("XDG_CACHE_HOME") : "";
  setenv("HOME", "/home/x", 1);
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(default_cache_folder().value(), "/xdg/rotor/code");
  setenv("XDG_CACHE_HOME", "relative", 1);
  EXPECT_EQ(default_cache_folder().value(), "/home/x/.cache/rotor/code");
  unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(default_cache_folder().value(), "/home/x/.cache/rotor/code");
  unsetenv("HOME");
  EXPECT_EQ(default_cache_folder().error().kind, ErrorKind::not_found);
  auto cache = CodeCache::open();
  ASSERT_FALSE(cache);
  EXPECT_NE(cache.error().message.find("HOME"), std::string::npos) << cache.error().message;
  if (!home.empty()) setenv("HOME", home.c_str(), 1);
  if (!xdg.empty()) setenv("XDG_CACHE_HOME", xdg.c_str(), 1);
}

TEST_F(Cache, MissHitReplaceRemove) {
  auto cache = open();
  EXPECT_FALSE(cache->find(key_of(1)));
  ASSERT_TRUE(cache->put(key_of(1), writes("one")));
  EXPECT_EQ(found(*cache, key_of(1)), "one");
  EXPECT_EQ(cache->find(key_of(1))->path(), path_of(key_of(1)));
  EXPECT_EQ(found(*cache, key_of(2)), "(miss)");
  EXPECT_EQ(found(*open(), key_of(1)), "one");  // it outlives the object

  ASSERT_TRUE(cache->put(key_of(1), writes("another")));
  EXPECT_EQ(found(*cache, key_of(1)), "another");
  EXPECT_EQ(names().size(), 1u);

  cache->remove(key_of(1));
  cache->remove(key_of(1));
  EXPECT_EQ(found(*cache, key_of(1)), "(miss)");
  EXPECT_TRUE(names().empty());
}

TEST_F(Cache, AFoundEntryStaysAsItWasFound) {
  auto cache = open();
  ASSERT_TRUE(cache->put(key_of(1), writes("old")));
  auto entry = cache->find(key_of(1));
  ASSERT_TRUE(entry);
  ASSERT_TRUE(cache->put(key_of(1), writes("new")));
  EXPECT_EQ(read_file(entry->pinned_path()), "old");
  cache->remove(key_of(1));
  EXPECT_EQ(read_file(entry->pinned_path()), "old");
  char buffer[8] = {};
  EXPECT_EQ(read(entry->descriptor(), buffer, sizeof buffer), 3);
}

TEST_F(Cache, NothingIsPutIfTheWriterFails) {
  auto cache = open();
  ASSERT_TRUE(cache->put(key_of(1), writes("old")));
  auto done = cache->put(key_of(1), [](OutputFile& file) -> Result<void> {
    ROTOR_CHECK(file.write("new", 3));
    return fail(ErrorKind::internal, "changed my mind");
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "changed my mind");
  EXPECT_EQ(found(*cache, key_of(1)), "old");
  EXPECT_EQ(names().size(), 1u);
}

TEST_F(Cache, WritersOfOnePathDoNotMeet) {
  std::string path = root_ + "/file";
  auto one = OutputFile::create(path);
  auto two = OutputFile::create(path);
  ASSERT_TRUE(one && two);
  ASSERT_TRUE(one->write("one", 3) && two->write("second", 6));
  ASSERT_TRUE(two->keep(Durability::disk));
  EXPECT_EQ(read_file(path), "second");
  ASSERT_TRUE(one->keep(Durability::none));
  EXPECT_EQ(read_file(path), "one");
}

TEST_F(Cache, FoldersAreMadeForTheUserAlone) {
  mode_t before = umask(0);
  folder_ = root_ + "/a/b/c";
  auto cache = open();
  ASSERT_TRUE(cache->put(key_of(1), writes("one")));
  umask(before);
  auto mode = [](const std::string& path) {
    struct stat info{};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  };
  EXPECT_EQ(mode(root_ + "/a"), 0700u);
  EXPECT_EQ(mode(folder_), 0700u);
  EXPECT_EQ(mode(path_of(key_of(1))), 0600u);
}

TEST_F(Cache, FoldersThatOthersCanWriteToAreRefused) {
  fs::create_directory(folder_);
  for (mode_t mode : {0777, 01777, 0720, 0702}) {
    ASSERT_EQ(chmod(folder_.c_str(), mode), 0);
    expect_refused(folder_, ErrorKind::invalid_argument, "written to by others");
  }
  ASSERT_EQ(chmod(folder_.c_str(), 0755), 0);
  EXPECT_TRUE(CodeCache::open({.folder = folder_, .limit_bytes = 1}));
}

TEST_F(Cache, FoldersOfAnotherUserAreRefused) {
  std::string foreign = "/usr";
  if (geteuid() == 0) {
    foreign = root_ + "/foreign";
    ASSERT_EQ(mkdir(foreign.c_str(), 0700), 0);
    ASSERT_EQ(chown(foreign.c_str(), kNobody, kNobody), 0);
  }
  expect_refused(foreign, ErrorKind::invalid_argument, "belongs to user");
  fs::create_directory_symlink(foreign, folder_);
  expect_refused(folder_, ErrorKind::invalid_argument, "belongs to user");
}

TEST_F(Cache, ASymlinkToAFolderOfOursWillDo) {
  fs::create_directory(root_ + "/elsewhere");
  fs::create_directory_symlink(root_ + "/elsewhere", folder_);
  auto cache = open();
  ASSERT_TRUE(cache->put(key_of(1), writes("one")));
  EXPECT_EQ(found(*cache, key_of(1)), "one");
}

TEST_F(Cache, FoldersThatCanNotBeSayWhy) {
  std::ofstream(root_ + "/file") << "x";
  expect_refused(root_ + "/file", ErrorKind::io, "Not a directory");
  expect_refused(root_ + "/file/sub", ErrorKind::io, "Not a directory");
  expect_refused("/proc/rotor-cache", ErrorKind::io, "No such file or directory");
  fs::create_symlink(root_ + "/nowhere", root_ + "/dangling");
  expect_refused(root_ + "/dangling", ErrorKind::io, "No such file or directory");
}

TEST_F(Cache, AReadOnlyFolderIsAnErrorThatNamesThePath) {
  auto try_to_put = [this] {
    if (geteuid() == 0 && setuid(kNobody) != 0) return 2;
    auto cache = CodeCache::open({.folder = folder_, .limit_bytes = 100});
    if (!cache) return 3;
    auto done = (*cache)->put(key_of(1), writes("one"));
    if (done || done.error().kind != ErrorKind::io) return 4;
    if (done.error().message.find(path_of(key_of(1)) + ": Permission denied") == std::string::npos) return 5;
    return found(**cache, key_of(2)) == "two" ? 0 : 6;
  };
  ASSERT_TRUE(open()->put(key_of(2), writes("two")));
  ASSERT_EQ(chmod(folder_.c_str(), 0500), 0);
  if (geteuid() == 0) {
    ASSERT_EQ(chown(folder_.c_str(), kNobody, kNobody), 0);
    ASSERT_EQ(chown(path_of(key_of(2)).c_str(), kNobody, kNobody), 0);
  }
  EXPECT_EQ(end_of(start_child(try_to_put)), 0);
  EXPECT_EQ(names().size(), 1u);
  ASSERT_EQ(chmod(folder_.c_str(), 0700), 0);
}

TEST_F(Cache, AFullDiskLeavesNothingHalfWritten) {
  // A limit on file sizes refuses a write as a full disk does: after some of it is done. The writer that overlooks the
  // error has no entry either.
  for (bool overlooks : {false, true}) {
    auto try_to_put = [&] {
      std::signal(SIGXFSZ, SIG_IGN);
      rlimit limit{.rlim_cur = 1000, .rlim_max = 1000};
      auto cache = CodeCache::open({.folder = folder_, .limit_bytes = 1 << 20});
      if (!cache || setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
      auto done = (*cache)->put(key_of(1), [&](OutputFile& file) -> Result<void> {
        std::string text(1500, 'x');
        auto written = file.write(text.data(), text.size());
        return overlooks ? Result<void>() : written;
      });
      if (done || done.error().kind != ErrorKind::io) return 3;
      if (done.error().message.find(path_of(key_of(1)) + ": File too large") == std::string::npos) return 4;
      return (*cache)->put(key_of(2), writes("fits")) ? 0 : 5;
    };
    EXPECT_EQ(end_of(start_child(try_to_put)), 0);
    EXPECT_EQ(names().size(), 1u);
    EXPECT_EQ(found(*open(), key_of(1)), "(miss)");
  }
}

TEST_F(Cache, WhatIsNoFileOfOursIsAMiss) {
  auto cache = open();
  std::ofstream(root_ + "/target") << "secret";
  fs::create_symlink(root_ + "/target", path_of(key_of(1)));
  fs::create_directory(path_of(key_of(2)));
  ASSERT_EQ(mkfifo(path_of(key_of(3)).c_str(), 0600), 0);
  for (int i = 1; i <= 3; ++i) EXPECT_FALSE(cache->find(key_of(i))) << i;
  ASSERT_TRUE(cache->put(key_of(4), writes("four")));
  for (mode_t mode : {0620, 0602}) {
    ASSERT_EQ(chmod(path_of(key_of(4)).c_str(), mode), 0);
    EXPECT_FALSE(cache->find(key_of(4)));
  }
  ASSERT_EQ(chmod(path_of(key_of(4)).c_str(), 0644), 0);
  EXPECT_TRUE(cache->find(key_of(4)));
  if (geteuid() == 0) {
    ASSERT_EQ(chown(path_of(key_of(4)).c_str(), kNobody, kNobody), 0);
    EXPECT_FALSE(cache->find(key_of(4)));
  }

  // A put replaces the symlink, not what it leads to; a folder is in the way.
  ASSERT_TRUE(cache->put(key_of(1), writes("one")));
  EXPECT_EQ(found(*cache, key_of(1)), "one");
  EXPECT_EQ(read_file(root_ + "/target"), "secret");
  auto done = cache->put(key_of(2), writes("two"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::io);
  EXPECT_TRUE(names(".tmp").empty());
}

TEST_F(Cache, EvictsTheLeastRecentlyUsed) {
  const std::string text(100, 'x');
  auto cache = open(350);
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(cache->put(key_of(i), writes(text)));
    set_age(path_of(key_of(i)), 1000 - i);
  }
  EXPECT_TRUE(cache->find(key_of(1)));  // now 2 is the oldest
  ASSERT_TRUE(cache->put(key_of(4), writes(text)));
  EXPECT_FALSE(cache->find(key_of(2)));
  for (int i : {1, 3, 4}) EXPECT_TRUE(cache->find(key_of(i))) << i;

  // One that needs the room of two.
  set_age(path_of(key_of(3)), 900);
  set_age(path_of(key_of(4)), 800);
  ASSERT_TRUE(cache->put(key_of(5), writes(std::string(200, 'y'))));
  EXPECT_EQ(names().size(), 2u);
  EXPECT_TRUE(cache->find(key_of(1)));
  EXPECT_TRUE(cache->find(key_of(5)));

  // A clock that was set back does not make the newest one the oldest.
  set_age(path_of(key_of(1)), -1000);
  ASSERT_TRUE(cache->put(key_of(6), writes(std::string(350, 'z'))));
  EXPECT_EQ(names().size(), 1u);
  EXPECT_TRUE(cache->find(key_of(6)));
}

TEST_F(Cache, UsesAreOrderedWithinAClockTick) {
  auto cache = open(1000);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(cache->put(key_of(i), writes(std::string(100, 'x'))));
  for (int i = 9; i >= 0; --i) ASSERT_TRUE(cache->find(key_of(i)));
  ASSERT_TRUE(cache->put(key_of(10), writes(std::string(500, 'x'))));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(cache->find(key_of(i))) << i;
  for (int i = 5; i < 10; ++i) EXPECT_FALSE(cache->find(key_of(i))) << i;
}

TEST_F(Cache, AnEntryOverTheLimitIsNotKept) {
  auto cache = open(100);
  ASSERT_TRUE(cache->put(key_of(1), writes(std::string(100, 'x'))));
  auto done = cache->put(key_of(2), writes(std::string(101, 'x')));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::limit);
  EXPECT_NE(done.error().message.find(path_of(key_of(2))), std::string::npos) << done.error().message;
  EXPECT_EQ(names().size(), 1u);
  EXPECT_TRUE(cache->find(key_of(1)));
}

TEST_F(Cache, OtherFilesAreNeverTouched) {
  auto cache = open(100);
  std::string hex = key_of(1).hex();
  const std::string others[] = {"notes.txt",
                                "short.rotor",
                                hex,
                                hex + ".tmp",
                                hex + ".rotor.tmp",
                                hex + ".rotor.0123.tmp",
                                "x" + hex.substr(1) + ".rotor",
                                "x.0123456789abcdef.tmp"};
  for (const std::string& name : others) {
    std::ofstream(folder_ + "/" + name) << std::string(1000, 'x');
    set_age(folder_ + "/" + name, 100'000);
  }
  fs::create_symlink(folder_ + "/notes.txt", path_of(key_of(2)));
  fs::create_directory(path_of(key_of(3)));
  for (int i = 10; i < 13; ++i) ASSERT_TRUE(cache->put(key_of(i), writes(std::string(60, 'x'))));
  EXPECT_EQ(names().size(), std::size(others) + 3);
  for (const std::string& name : others) EXPECT_EQ(fs::file_size(folder_ + "/" + name), 1000u) << name;
}

TEST_F(Cache, EvictionIsLeftToWhoIsAtIt) {
  auto cache = open(100);
  ASSERT_TRUE(cache->put(key_of(1), writes(std::string(60, 'x'))));
  int ready[2], go[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(go), 0);
  pid_t child = start_child([&] {
    int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY);
    char byte = 0;
    if (flock(folder, LOCK_EX) != 0 || write(ready[1], &byte, 1) != 1) return 2;
    return read(go[0], &byte, 1) == 1 ? 0 : 3;
  });
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  ASSERT_TRUE(cache->put(key_of(2), writes(std::string(60, 'x'))));  // does not wait
  EXPECT_EQ(names().size(), 2u);
  ASSERT_EQ(write(go[1], &byte, 1), 1);
  EXPECT_EQ(end_of(child), 0);
  for (int fd : {ready[0], ready[1], go[0], go[1]}) close(fd);
  ASSERT_TRUE(cache->put(key_of(3), writes(std::string(60, 'x'))));
  EXPECT_EQ(names().size(), 1u);
}

TEST_F(Cache, AKilledWriterLeavesNoEntryAndIsSweptUp) {
  auto cache = open();
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  pid_t child = start_child([&] {
    auto done = cache->put(key_of(1), [&](OutputFile& file) -> Result<void> {
      ROTOR_CHECK(file.write("half", 4));
      char byte = 0;
      if (write(ready[1], &byte, 1) == 1)
        for (;;) pause();
      return {};
    });
    return 2;
  });
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  auto temporaries = names(".tmp");
  ASSERT_EQ(temporaries.size(), 1u);
  std::string temporary = folder_ + "/" + temporaries[0];

  // Alive: however old.
  set_age(temporary, 100'000);
  ASSERT_TRUE(cache->put(key_of(2), writes("two")));
  EXPECT_TRUE(fs::exists(temporary));

  ASSERT_EQ(kill(child, SIGKILL), 0);
  EXPECT_EQ(end_of(child), 128 + SIGKILL);
  close(ready[0]);
  close(ready[1]);
  EXPECT_FALSE(cache->find(key_of(1)));
  // Dead, but so young that it could be one that was not locked yet.
  set_age(temporary, 0);
  ASSERT_TRUE(cache->put(key_of(2), writes("two")));
  EXPECT_TRUE(fs::exists(temporary));
  // Also by a put that fails, as that may be for want of room.
  set_age(temporary, 100);
  EXPECT_FALSE(cache->put(key_of(2), [](OutputFile&) -> Result<void> { return fail(ErrorKind::io, "full"); }));
  EXPECT_FALSE(fs::exists(temporary));
  EXPECT_EQ(names().size(), 1u);
}

/// An entry's whole contents tell its key, its length, and that all of it is of one writing.
std::string self_describing(int key, unsigned writing) {
  std::string line = std::to_string(key) + ':' + std::to_string(writing) + '\n', text;
  for (unsigned i = 0; i < 500 + writing % 500; ++i) text += line;
  return text;
}
bool is_whole(int key, const std::string& text) {
  std::string mine = std::to_string(key) + ':';
  if (!text.starts_with(mine)) return false;
  return text == self_describing(key, static_cast<unsigned>(std::stoul(text.substr(mine.size()))));
}

/// Puts, finds and removes as others do the same. 0: every entry that it found was whole.
int take_part(const std::string& folder, uint64_t limit_bytes, unsigned seed, int rounds) {
  auto cache = CodeCache::open({.folder = folder, .limit_bytes = limit_bytes});
  if (!cache) return 2;
  for (int i = 0; i < rounds; ++i) {
    seed = seed * 1664525 + 1013904223;
    int key = static_cast<int>(seed >> 16) % 8;
    unsigned action = (seed >> 24) % 16;
    if (action < 6) {
      if (!(*cache)->put(key_of(key), writes(self_describing(key, seed)))) return 3;
    } else if (action == 6) {
      (*cache)->remove(key_of(key));
    } else if (auto entry = (*cache)->find(key_of(key))) {
      // Twice, as a loader does: to check it, then to map it.
      std::string text = read_file(entry->pinned_path());
      if (!is_whole(key, text) || read_file(entry->pinned_path()) != text) return 4;
    }
  }
  return 0;
}

TEST_F(Cache, ProcessesAndThreadsShareAFolder) {
  constexpr uint64_t kLimitBytes = 40'000;  // some five of the eight entries
  constexpr int kRounds = 4000;             // a second or so
  std::vector<pid_t> children;
  for (unsigned seed = 1; seed <= 3; ++seed)
    children.push_back(start_child([&] { return take_part(folder_, kLimitBytes, seed, kRounds); }));
  std::vector<int> results(2);
  {
    std::jthread one([&] { results[0] = take_part(folder_, kLimitBytes, 11, kRounds); });
    std::jthread two([&] { results[1] = take_part(folder_, kLimitBytes, 12, kRounds); });
  }
  for (pid_t child : children) EXPECT_EQ(end_of(child), 0);
  EXPECT_EQ(results, std::vector<int>(2));
  EXPECT_TRUE(names(".tmp").empty());

  auto cache = open(kLimitBytes);
  ASSERT_TRUE(cache->put(key_of(8), writes("last")));
  uint64_t total_bytes = 0;
  for (const std::string& name : names()) total_bytes += fs::file_size(folder_ + "/" + name);
  EXPECT_LE(total_bytes, kLimitBytes);
  EXPECT_EQ(found(*cache, key_of(8)), "last");
}

}  // namespace
}  // namespace rotor::code
