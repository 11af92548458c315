#include "base/file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace stoker {
namespace {

class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    char pattern[] = "/tmp/stoker-file-XXXXXX";
    directory = ::mkdtemp(pattern);
  }
  ~FileTest() override { std::filesystem::remove_all(directory); }
  static unsigned modeOf(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }
  std::string directory;
};

TEST_F(FileTest, whatIsWrittenIsRead) {
  std::string path = directory + "/f";
  std::string large(200000, 'x');
  for (const std::string& text : {std::string(), std::string("a\0b", 3), large, std::string("short again")}) {
    ASSERT_TRUE(writeFileAtomic(path, text).ok());
    EXPECT_EQ(*readFile(path), text);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory), {}), 1) << "nothing is left beside it";
}

TEST_F(FileTest, theModeIsAsAskedWhateverTheUmaskOrTheOldFileWas) {
  mode_t before = ::umask(0077);
  ASSERT_TRUE(writeFileAtomic(directory + "/open", "x", 0644).ok());
  ::umask(0);
  ASSERT_TRUE(writeFileAtomic(directory + "/secret", "x", 0600).ok());
  ASSERT_TRUE(writeFileAtomic(directory + "/open", "y", 0600).ok());
  ::umask(before);
  EXPECT_EQ(modeOf(directory + "/secret"), 0600u);
  EXPECT_EQ(modeOf(directory + "/open"), 0600u);
}

TEST_F(FileTest, errorsNameThePathAndTheReason) {
  auto missing = readFile(directory + "/none");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().reason, Reason::NotFound);
  EXPECT_EQ(missing.error().message, "cannot open " + directory + "/none: No such file or directory");
  EXPECT_FALSE(readFile(directory).ok()) << "a directory is no file";
  EXPECT_FALSE(writeFileAtomic(directory + "/no/such", "x").ok());
  ASSERT_TRUE(makeDirectories(directory + "/taken").ok());
  EXPECT_FALSE(writeFileAtomic(directory + "/taken", "x").ok());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory), {}), 1) << "a failed write leaves nothing";
}

TEST_F(FileTest, directoriesAreMadeAllTheWayAndExistingOnesAreLeftAlone) {
  ASSERT_TRUE(makeDirectories(directory + "/a/b/c/", 0700).ok());
  EXPECT_EQ(modeOf(directory + "/a/b/c"), 0700u);
  ASSERT_TRUE(makeDirectories(directory + "/a/b/c", 0755).ok());
  EXPECT_EQ(modeOf(directory + "/a/b/c"), 0700u);
  ASSERT_TRUE(writeFileAtomic(directory + "/file", "").ok());
  EXPECT_FALSE(makeDirectories(directory + "/file/below").ok());
}

}  // namespace
}  // namespace stoker
