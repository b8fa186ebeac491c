#include "code/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace rotor::code {
namespace {

namespace fs = std::filesystem;

class OutputFileTest : public testing::Test {
 protected:
  OutputFileTest() {
    std::string name = (fs::temp_directory_path() / "rotor_file.XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~OutputFileTest() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  static std::string contents(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  static struct stat info(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info;
  }
  static mode_t mode(const std::string& path) { return info(path).st_mode & 07777; }
  size_t files() const { return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {})); }
  /// "": it was written.
  static std::string write(const std::string& path, std::string_view text) {
    auto file = OutputFile::create(path);
    if (!file) return file.error().message;
    if (auto done = file->write(text.data(), text.size()); !done) return done.error().message;
    auto kept = file->keep(Durability::disk);
    return kept ? "" : kept.error().message;
  }
  static std::string check(const std::string& path) {
    auto checked = OutputFile::check(path);
    return checked ? "" : checked.error().message;
  }
  /// A device that is full, and ours: /dev/full itself is not for a test to risk. "": there is none to be had.
  std::string full_device() const {
    if (geteuid() != 0) return "/dev/full";  // which who is not root can't replace
    const std::string device = path("full");
    if (mknod(device.c_str(), S_IFCHR | 0666, makedev(1, 7)) != 0 || access(device.c_str(), W_OK) != 0) return "";
    const int opened = open(device.c_str(), O_WRONLY | O_CLOEXEC);  // not on a file system without devices
    if (opened < 0) return "";
    close(opened);
    return device;
  }
  std::string folder_;
};

/// What follows finds no room behind some bytes, as on a disk that is full.
class SmallDisk {
 public:
  explicit SmallDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

/// Who may do everything is somebody else for a while, to whom the folder belongs.
class NotRoot {
 public:
  explicit NotRoot(const std::string& folder) : was_root_(geteuid() == 0) {
    EXPECT_TRUE(!was_root_ || (chown(folder.c_str(), kId, kId) == 0 && setegid(kId) == 0 && seteuid(kId) == 0));
  }
  ~NotRoot() { EXPECT_TRUE(!was_root_ || (seteuid(0) == 0 && setegid(0) == 0)); }
  static constexpr uid_t kId = 12345;

 private:
  const bool was_root_;
};

TEST_F(OutputFileTest, IsReplacedWhole) {
  const std::string file = path("out");
  EXPECT_EQ(check(file), "");
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(write(file, "one"), "");
  EXPECT_EQ(check(file), "");
  EXPECT_EQ(contents(file), "one");
  EXPECT_EQ(write(file, "two"), "");
  EXPECT_EQ(contents(file), "two");
  EXPECT_EQ(files(), 1u);
}

TEST_F(OutputFileTest, UntilItIsKeptNothingShows) {
  const std::string file = path("out");
  EXPECT_EQ(write(file, "one"), "");
  {
    auto left = OutputFile::create(file);
    ASSERT_TRUE(left && left->write("two", 3));
    EXPECT_EQ(contents(file), "one");
  }
  EXPECT_EQ(contents(file), "one");
  EXPECT_EQ(files(), 1u);
}

TEST_F(OutputFileTest, NamesAreAsLongAsTheSystemHasThem) {
  const std::string file = path(std::string(NAME_MAX, 'n'));
  EXPECT_EQ(write(file, "one"), "");
  EXPECT_EQ(write(file, "two"), "");
  EXPECT_EQ(contents(file), "two");
  EXPECT_EQ(files(), 1u);
  const std::string longer = file + "n";
  EXPECT_EQ(write(longer, "x"), "can't write " + longer + ": File name too long");
}

TEST_F(OutputFileTest, FoldersThatCantBeWrittenAreNamed) {
  const std::string missing = path("no/such"), file = missing + "/out";
  const std::string words = "can't write " + file + ": folder " + missing + ": No such file or directory";
  EXPECT_EQ(check(file), words);
  EXPECT_EQ(write(file, "x"), words);
  EXPECT_EQ(OutputFile::create(file).error().kind, ErrorKind::io);
  // Root may write to any folder but these.
  EXPECT_EQ(write("/proc/rotor_out", "x"), "can't write /proc/rotor_out: folder /proc: No such file or directory");
  EXPECT_EQ(write(path("file"), "x"), "");
  EXPECT_EQ(write(path("file/out"), "x"), "can't write " + path("file/out") + ": Not a directory");
  EXPECT_EQ(write(folder_, "x"), "can't write " + folder_ + ": Is a directory");
  EXPECT_EQ(check(folder_), "can't write " + folder_ + ": Is a directory");
  EXPECT_EQ(write(folder_ + "/new/", "x"), "can't write " + folder_ + "/new/: Is a directory");
  EXPECT_EQ(write("", "x"), "can't write : No such file or directory");
  EXPECT_EQ(files(), 1u);
}

TEST_F(OutputFileTest, PermissionsHold) {
  ASSERT_EQ(write(path("file"), "old"), "");
  ASSERT_EQ(chmod(path("file").c_str(), 0444), 0);
  const NotRoot user(folder_);
  EXPECT_EQ(write(path("file"), "x"), "can't write " + path("file") + ": Permission denied");
  ASSERT_EQ(chmod(folder_.c_str(), 0555), 0);
  EXPECT_EQ(write(path("new"), "x"), "can't write " + path("new") + ": folder " + folder_ + ": Permission denied");
  ASSERT_EQ(chmod(folder_.c_str(), 0755), 0);
  EXPECT_EQ(contents(path("file")), "old");
}

TEST_F(OutputFileTest, DevicesAreWrittenTo) {
  const std::string device = full_device();
  if (device.empty()) GTEST_SKIP() << "no device can be made here, and root must not risk /dev/full";
  const dev_t before = info(device).st_rdev;
  EXPECT_EQ(check(device), "");
  EXPECT_EQ(write(device, "x"), "can't write " + device + ": No space left on device");
  EXPECT_EQ(write(device, ""), "");  // nothing to be refused
  fs::create_symlink(device, path("link"));
  EXPECT_EQ(write(path("link"), "x"), "can't write " + path("link") + ": No space left on device");
  EXPECT_TRUE(fs::is_character_file(device));
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(info(device).st_rdev, before);
}

TEST_F(OutputFileTest, PipesAreWrittenTo) {
  const std::string pipe = path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(check(pipe), "");  // without waiting for a reader
  // More than the pipe holds.
  const std::string text(1 << 20, 'x');
  std::string got;
  std::thread reader([&] { got = contents(pipe); });
  EXPECT_EQ(write(pipe, text), "");
  reader.join();
  EXPECT_EQ(got, text);
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST_F(OutputFileTest, DescriptorsInProcGoOnWhereTheyStand) {
  const int log = open(path("log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_TRUE(write_all(log, "before\n", 7));
  const std::string own = "/proc/self/fd/" + std::to_string(log);
  EXPECT_EQ(check(own), "");
  EXPECT_EQ(write(own, "one\n"), "");
  EXPECT_EQ(write("/dev/fd/" + std::to_string(log), "two\n"), "");
  ASSERT_TRUE(write_all(log, "after\n", 6));
  close(log);
  EXPECT_EQ(contents(path("log")), "before\none\ntwo\nafter\n");
  // A pipe has no path at all.
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  EXPECT_EQ(write("/proc/self/fd/" + std::to_string(ends[1]), "piped"), "");
  char got[8];
  EXPECT_EQ(read(ends[0], got, sizeof got), 5);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(OutputFileTest, AFullDiskLeavesWhatWasThere) {
  const std::string file = path("out");
  ASSERT_EQ(write(file, "one"), "");
  const SmallDisk disk(10);
  EXPECT_EQ(write(file, std::string(1000, 'x')), "can't write " + file + ": File too large");
  EXPECT_EQ(write(path("new"), std::string(1000, 'x')), "can't write " + path("new") + ": File too large");
  EXPECT_EQ(contents(file), "one");
  EXPECT_EQ(files(), 1u);
  // Also if the writer does not ask after each write.
  auto silent = OutputFile::create(file);
  ASSERT_TRUE(silent);
  EXPECT_FALSE(silent->write("0123456789abc", 13));
  EXPECT_FALSE(silent->write("d", 1));
  EXPECT_FALSE(silent->keep(Durability::none));
  EXPECT_EQ(contents(file), "one");
}

TEST_F(OutputFileTest, NamedTemporariesGo) {
  const int folder = open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  {
    auto file = OutputFile::create_in(folder, "out", "shown", 0640);
    ASSERT_TRUE(file && file->write("one", 3));
    EXPECT_EQ(files(), 1u);
    EXPECT_FALSE(fs::exists(path("out")));
  }
  EXPECT_EQ(files(), 0u);
  {
    const SmallDisk disk(2);
    auto file = OutputFile::create_in(folder, "out", "shown", 0640);
    ASSERT_TRUE(file);
    EXPECT_EQ(file->write("one", 3).error().message, "can't write shown: File too large");
  }
  EXPECT_EQ(files(), 0u);
  auto file = OutputFile::create_in(folder, "out", "shown", 0640);
  ASSERT_TRUE(file && file->write("one", 3) && file->keep(Durability::none));
  EXPECT_EQ(contents(path("out")), "one");
  EXPECT_EQ(files(), 1u);
  close(folder);
}

TEST_F(OutputFileTest, LinksLeadToTheirFile) {
  fs::create_directory(path("far"));
  ASSERT_EQ(write(path("far/file"), "one"), "");
  fs::create_symlink("far/file", path("relative"));
  fs::create_symlink(path("relative"), path("absolute"));
  fs::create_symlink("far", path("folder"));
  for (const char* link : {"relative", "absolute", "folder/file"}) {
    ASSERT_EQ(check(path(link)), "");
    ASSERT_EQ(write(path(link), link), "");
    EXPECT_EQ(contents(path("far/file")), link);
  }
  EXPECT_TRUE(fs::is_symlink(path("relative")) && fs::is_symlink(path("absolute")) && fs::is_symlink(path("folder")));
  EXPECT_EQ(std::distance(fs::directory_iterator(path("far")), {}), 1);
}

TEST_F(OutputFileTest, LinksThatLeadToNothingMakeTheirFile) {
  fs::create_symlink("far/file", path("link"));
  EXPECT_EQ(write(path("link"), "x"),
            "can't write " + path("link") + ": folder " + path("far") + ": No such file or directory");
  fs::create_directory(path("far"));
  EXPECT_EQ(check(path("link")), "");
  EXPECT_EQ(files(), 2u);
  EXPECT_EQ(write(path("link"), "x"), "");
  EXPECT_EQ(contents(path("far/file")), "x");
  EXPECT_TRUE(fs::is_symlink(path("link")));
  fs::create_symlink("loop", path("loop"));
  EXPECT_EQ(write(path("loop"), "x"), "can't write " + path("loop") + ": Too many levels of symbolic links");
}

TEST_F(OutputFileTest, AnothersLinkInAFolderForAllIsNotFollowed) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make another's link";
  ASSERT_EQ(write(path("secret"), "one"), "");
  fs::create_directory(path("tmp"));
  ASSERT_EQ(chmod(path("tmp").c_str(), 01777), 0);
  const std::string link = path("tmp/link"), nowhere = path("tmp/nowhere");
  fs::create_symlink(path("secret"), link);
  fs::create_symlink(path("new"), nowhere);
  for (const std::string& planted : {link, nowhere}) {
    ASSERT_EQ(lchown(planted.c_str(), 12345, 12345), 0);
    EXPECT_EQ(write(planted, "two"), "can't write " + planted + ": Permission denied");
  }
  EXPECT_EQ(contents(path("secret")), "one");
  EXPECT_FALSE(fs::exists(path("new")));
  ASSERT_EQ(lchown(link.c_str(), 0, 0), 0);
  EXPECT_EQ(write(link, "two"), "");
}

TEST_F(OutputFileTest, ModeAndOwnerStay) {
  const mode_t before = umask(027);
  ASSERT_EQ(write(path("new"), "x"), "");
  EXPECT_EQ(mode(path("new")), 0640u);
  umask(077);
  for (mode_t kept : {0640u, 0666u, 0600u, 0755u}) {
    ASSERT_EQ(chmod(path("new").c_str(), kept), 0);
    ASSERT_EQ(write(path("new"), "y"), "");
    EXPECT_EQ(mode(path("new")), kept);
  }
  umask(before);
  // Of another's program new contents must not run as that other.
  ASSERT_EQ(chmod(path("new").c_str(), 06755), 0);
  ASSERT_EQ(write(path("new"), "z"), "");
  EXPECT_EQ(mode(path("new")), 0755u);
  if (geteuid() != 0) return;
  ASSERT_EQ(chmod(path("new").c_str(), 0640), 0);
  ASSERT_EQ(chown(path("new").c_str(), 12345, 54321), 0);
  ASSERT_EQ(write(path("new"), "z"), "");
  EXPECT_EQ(info(path("new")).st_uid, 12345u);
  EXPECT_EQ(info(path("new")).st_gid, 54321u);
  EXPECT_EQ(mode(path("new")), 0640u);
}

TEST_F(OutputFileTest, AGroupThatCantBeKeptLeavesNoRightsToAnother) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can be another";
  ASSERT_EQ(write(path("file"), "x"), "");
  const NotRoot user(folder_);
  EXPECT_EQ(write(path("file"), "y"), "can't write " + path("file") + ": Permission denied");
  ASSERT_EQ(seteuid(0), 0);
  ASSERT_EQ(chown(path("file").c_str(), 12345, 54321), 0);
  ASSERT_EQ(chmod(path("file").c_str(), 0664), 0);
  ASSERT_EQ(seteuid(NotRoot::kId), 0);
  EXPECT_EQ(write(path("file"), "y"), "");
  EXPECT_EQ(info(path("file")).st_gid, NotRoot::kId);
  EXPECT_EQ(mode(path("file")), 0644u);
}

}  // namespace
}  // namespace rotor::code
