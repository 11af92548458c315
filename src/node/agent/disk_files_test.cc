#include "node/agent/disk_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"

namespace stoker::node {
namespace {

namespace fs = std::filesystem;

class DiskFilesTest : public ::testing::Test {
 protected:
  DiskFilesTest() : root_(fs::temp_directory_path() / ("stoker-files-" + std::to_string(::getpid()))) {
    fs::create_directories(root_);
  }
  ~DiskFilesTest() override {
    files_.unmountBelow(root_.string());
    fs::remove_all(root_);
  }
  std::string at(const std::string& name) const { return (root_ / name).string(); }
  std::string content(const std::string& name) const {
    auto text = readFile(at(name));
    return text.ok() ? *text : "error: " + text.error().message;
  }
  fs::path root_;
  DiskFiles files_;
};

TEST_F(DiskFilesTest, volumesAreSwappedAtOnce) {
  std::string volume = at("v");
  ASSERT_TRUE(files_.writeVolume(volume, {{"a", "1", 0644}, {"d/b", "2", 0400}}, {}).ok());
  EXPECT_EQ(content("v/a"), "1");
  EXPECT_EQ(content("v/d/b"), "2");
  EXPECT_EQ(fs::read_symlink(volume + "/a"), "..data/a");
  fs::path first = fs::read_symlink(volume + "/..data");
  ASSERT_TRUE(files_.writeVolume(volume, {{"a", "1", 0644}, {"d/b", "2", 0400}}, {}).ok());
  EXPECT_EQ(fs::read_symlink(volume + "/..data"), first) << "nothing changed, nothing is written";
  ASSERT_TRUE(files_.writeVolume(volume, {{"a", "9", 0600}, {"c", "3", 0644}}, {}).ok());
  EXPECT_EQ(content("v/a"), "9");
  EXPECT_EQ(content("v/c"), "3");
  EXPECT_FALSE(fs::exists(fs::symlink_status(volume + "/d")));
  EXPECT_EQ(fs::status(volume + "/a").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  auto names = files_.entries(volume);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names.size(), 4u) << "..data, its directory, a, c";
}

TEST_F(DiskFilesTest, hostPathTypes) {
  EXPECT_EQ(files_.prepareHostPath(at("no"), "Directory").error().message,
            "hostPath type check failed: " + at("no") + " is not a directory");
  EXPECT_TRUE(files_.prepareHostPath(at("d"), "DirectoryOrCreate").ok());
  EXPECT_TRUE(files_.isDirectory(at("d")));
  EXPECT_TRUE(files_.prepareHostPath(at("f"), "FileOrCreate").ok());
  EXPECT_TRUE(files_.prepareHostPath(at("f"), "File").ok());
  EXPECT_FALSE(files_.prepareHostPath(at("f"), "Directory").ok());
  EXPECT_TRUE(files_.prepareHostPath("/dev/null", "CharDevice").ok());
  EXPECT_FALSE(files_.prepareHostPath("/dev/null", "Socket").ok());
}

TEST_F(DiskFilesTest, subPathsStayInside) {
  fs::create_directories(at("v"));
  EXPECT_EQ(*files_.subPath(at("v"), "a/b"), fs::canonical(root_).string() + "/v/a/b");
  EXPECT_TRUE(files_.isDirectory(at("v/a/b")));
  fs::create_symlink("/etc", at("v/out"));
  EXPECT_FALSE(files_.subPath(at("v"), "out").ok());
  EXPECT_FALSE(files_.subPath(at("v"), "out/x").ok());
}

TEST_F(DiskFilesTest, memoryVolumes) {
  ASSERT_TRUE(files_.makeMemoryDirectory(at("m"), 1 << 20, {}).ok());
  ASSERT_TRUE(files_.makeMemoryDirectory(at("m"), 1 << 20, {}).ok()) << "again";
  files_.unmountBelow(at("m"));
  struct stat own {
  }, parent{};
  ::stat(at("m").c_str(), &own);
  ::stat(root_.c_str(), &parent);
  EXPECT_EQ(own.st_dev, parent.st_dev);
}

TEST(MountInfo, theMountThatHoldsAPathDecides) {
  std::string info =
      "1 0 8:1 / / rw shared:1 - ext4 /dev/a rw\n2 1 0:5 / /data rw - ext4 /dev/b rw\n3 1 0:6 / /data/x rw master:4 "
      "shared:9 - tmpfs t rw\n";
  EXPECT_TRUE(mountIsShared(info, "/var/lib"));
  EXPECT_FALSE(mountIsShared(info, "/data/pods"));
  EXPECT_TRUE(mountIsShared(info, "/data/x/y"));
  EXPECT_TRUE(mountIsShared(info, "/database"));
}

TEST_F(DiskFilesTest, filesByPrefix) {
  for (const char* name : {"0.log", "0.log.1", "10.log"}) ASSERT_TRUE(writeFileAtomic(at(name), "x").ok());
  files_.removeFiles(root_.string(), "0.log");
  EXPECT_EQ(files_.entries(root_.string()), std::vector<std::string>{"10.log"});
}

}  // namespace
}  // namespace stoker::node
