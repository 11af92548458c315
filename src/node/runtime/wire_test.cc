#include "node/runtime/wire.h"

#include <gtest/gtest.h>

#include "node/runtime/codec.h"

namespace stoker::node {
namespace {

TEST(Wire, ARecordIsOneReadableLine) {
  Record record("stop");
  record.add("name", "main").add("grace", 30);
  EXPECT_EQ(encode(record), "stop name=main grace=30");
}

TEST(Wire, AnyBytesSurvive) {
  Record record("x");
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  record.add("all", all).add("empty", "").add("a b=c\n", "%20");
  const std::string line = encode(record);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(parseRecord(line), record);
}

TEST(Wire, WhatIsNoRecordIsRefused) {
  for (const char* line : {"", "=", "a=b", "x y", "x y=%", "x y=%4", "x y=%zz", "x  y=1", "x y=%0G"})
    EXPECT_FALSE(parseRecord(line)) << line;
}

TEST(Wire, NumbersThatAreNoneAreZero) {
  const Record record = *parseRecord("x a=12 b=-3 c=x");
  EXPECT_EQ(record.number("a"), 12);
  EXPECT_EQ(record.number("b"), -3);
  EXPECT_EQ(record.number("c"), 0);
  EXPECT_EQ(record.number("missing"), 0);
}

TEST(Wire, LinesAreCutAsTheyCome) {
  LineBuffer buffer;
  buffer.append("a\nb");
  EXPECT_EQ(buffer.next(), "a");
  EXPECT_EQ(buffer.next(), std::nullopt);
  buffer.append("c\n\n");
  EXPECT_EQ(buffer.next(), "bc");
  EXPECT_EQ(buffer.next(), "");
  EXPECT_EQ(buffer.next(), std::nullopt);
}

TEST(Wire, SpecsComeBackAsTheyWere) {
  SupervisorSpec spec;
  spec.pod.uid = "u";
  spec.pod.ip = "10.0.0.2";
  spec.pod.hostEntries = {{"10.0.0.9", {"a", "b c"}}, {"10.0.0.8", {}}};
  spec.pod.dnsOptions = {"ndots:5"};
  spec.pod.limits = {1, 2, 3, 4};
  spec.network = {"10.0.0.2", 20, "10.0.0.1", "br", "veth"};
  spec.cgroup.version = 1;
  spec.cgroup.supervisorProcs = {"/x y"};
  spec.masked = {"/a", "/home/*/.ssh"};
  EXPECT_EQ(fromRecord<SupervisorSpec>(*parseRecord(encode(toRecord("spec", spec)))), spec);

  ContainerSpec container;
  container.name = "main";
  container.attempt = 3;
  container.argv = {"sh", "-c", "echo \"a\nb\"; exit 3", ""};
  container.env = {"A=1=2", "B="};
  container.root = {RootFs::Kind::Directory, "/images/a b", true};
  container.mounts = {{Mount::Kind::Tmpfs, "", "/mem", false, 5}, {Mount::Kind::Bind, "/s", "/t", true, 0}};
  container.supplementaryGroups = {1, 4294967295U};
  container.uid = 4294967294U;
  container.oomScoreAdj = -997;
  container.terminationMessagePath = "";
  EXPECT_EQ(fromRecord<ContainerSpec>(*parseRecord(encode(toRecord("start", container)))), container);
}

TEST(Wire, FieldsOfAnotherReleaseAreIgnoredAndMissingOnesKeepTheirDefault) {
  const auto spec = fromRecord<ContainerSpec>(*parseRecord("start name=a fromTheFuture=1"));
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->name, "a");
  EXPECT_EQ(spec->logMaxFiles, 5);
  EXPECT_FALSE(fromRecord<ContainerSpec>(*parseRecord("start name=a root=%3d")));
}

}  // namespace
}  // namespace stoker::node
