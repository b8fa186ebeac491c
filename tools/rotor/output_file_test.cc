#include "tools/rotor/output_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace rotor::cli {
namespace {

class OutputFile : public testing::Test {
 protected:
  OutputFile() {
    std::string name = (std::filesystem::temp_directory_path() / "rotor_output.XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~OutputFile() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  static std::string contents(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  size_t files() const { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {})); }
  std::filesystem::path folder_;
};

TEST_F(OutputFile, IsReplacedWhole) {
  const std::string file = path("out");
  ASSERT_TRUE(check_output_file(file));
  EXPECT_EQ(files(), 0u);
  ASSERT_TRUE(write_output_file(file, "one"));
  ASSERT_TRUE(check_output_file(file));
  EXPECT_EQ(contents(file), "one");
  ASSERT_TRUE(write_output_file(file, "two"));
  EXPECT_EQ(contents(file), "two");
  EXPECT_EQ(files(), 1u);
}

TEST_F(OutputFile, FolderThatIsNotThere) {
  const std::string file = path("no/such/out");
  auto checked = check_output_file(file);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::io);
  EXPECT_EQ(checked.error().message, "can't write " + file + ": No such file or directory");
  EXPECT_EQ(write_output_file(file, "x").error().message, checked.error().message);
  EXPECT_EQ(check_output_file(folder_.string()).error().message,
            "can't write " + folder_.string() + ": Is a directory");
}

TEST_F(OutputFile, FullDevice) {
  ASSERT_TRUE(check_output_file("/dev/full"));
  auto written = write_output_file("/dev/full", "x");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message, "can't write /dev/full: No space left on device");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
  EXPECT_TRUE(write_output_file("/dev/null", "x"));
}

TEST_F(OutputFile, NothingHalfWrittenIsLeft) {
  const std::string file = path("out");
  ASSERT_TRUE(write_output_file(file, "one"));
  // As a disk does that is full.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{10, before.rlim_max};
  auto* handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  auto written = write_output_file(file, std::string(1000, 'x'));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message, "can't write " + file + ": File too large");
  EXPECT_EQ(contents(file), "one");
  EXPECT_EQ(files(), 1u);
}

TEST_F(OutputFile, LinksLeadToTheirFile) {
  ASSERT_TRUE(write_output_file(path("file"), "one"));
  std::filesystem::create_symlink("file", path("link"));
  ASSERT_TRUE(write_output_file(path("link"), "two"));
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_EQ(contents(path("file")), "two");
}

}  // namespace
}  // namespace rotor::cli
