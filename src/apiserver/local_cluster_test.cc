#include "apiserver/local_cluster.h"

#include <gtest/gtest.h>

#include "base/ids.h"

namespace stoker::apiserver {
namespace {

class LocalClusterTest : public testing::Test {
 protected:
  LocalClusterTest() : clock_(*parseTime("2026-11-26T10:00:00Z")), ids_(1) {
    store_ = std::move(*store::Store::open(std::shared_ptr<store::Log>(store::makeMemoryLog()), {.synchronous = true}));
    registry_ = std::make_unique<Registry>(*store_, ids_, clock_);
    registry_->addCall("configmaps", "echo", [](const StrategyContext&, json::Value parent, json::Value body) {
      return body["fail"].asBool() ? Result<json::Value>(Error(Reason::BadRequest, "asked to fail")) : parent;
    });
    EXPECT_TRUE(registry_->start().ok());
    cluster_ = std::make_unique<LocalCluster>(*registry_, User{.name = "tester"});
    EXPECT_EQ(outcome({make("namespaces", "", "ns")}, client::Mode::Each), "ok");
    EXPECT_EQ(outcome({make("configmaps", "ns", "a")}, client::Mode::Each), "ok");
  }

  static client::Write make(const char* resource, const char* ns, const std::string& name) {
    return {.verb = client::Write::Verb::Create,
            .resource = {"", "v1", resource},
            .namespace_ = ns,
            .name = name,
            .body = R"({"metadata":{"name":")" + name + R"("}})"};
  }
  static client::Write echo(bool fail) {
    return {.verb = client::Write::Verb::Create,
            .resource = {"", "v1", "configmaps"},
            .namespace_ = "ns",
            .name = "a",
            .subresource = "echo",
            .body = fail ? R"({"fail":true})" : "{}"};
  }
  static client::Write broken() {
    client::Write write = make("configmaps", "ns", "broken");
    write.body = "{";
    return write;
  }
  std::string outcome(std::vector<client::Write> writes, client::Mode mode) {
    std::string out;
    cluster_->write(std::move(writes), mode, [&](std::vector<Result<client::Object>> results) {
      for (const auto& result : results) {
        if (!out.empty()) out += ", ";
        out += result.ok() ? "ok" : result.error().message == client::kAborted ? "aborted" : "error";
      }
    });
    return out;
  }

  ManualClock clock_;
  SeededIds ids_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<LocalCluster> cluster_;
};

TEST_F(LocalClusterTest, everyWriteOfABatchIsAnswered) {
  using client::Mode;
  struct Case {
    std::vector<client::Write> writes;
    Mode mode;
    const char* expected;
  };
  for (const Case& c : {
           Case{{}, Mode::Each, ""},
           Case{{make("configmaps", "ns", "b"), echo(false), make("configmaps", "ns", "c")}, Mode::Each, "ok, ok, ok"},
           Case{{echo(true), make("configmaps", "ns", "d")}, Mode::Each, "error, ok"},
           Case{{echo(false)}, Mode::Sequence, "ok"},
           Case{{make("configmaps", "ns", "e"), echo(true), make("configmaps", "ns", "f")},
                Mode::Sequence,
                "ok, error, aborted"},
           Case{{make("configmaps", "ns", "a"), echo(false)}, Mode::Sequence, "error, aborted"},
           Case{{echo(false), make("configmaps", "ns", "j")}, Mode::Sequence, "ok, ok"},
           Case{{make("nothings", "ns", "x"), broken(), make("configmaps", "ns", "g")}, Mode::Each, "error, error, ok"},
           Case{{make("configmaps", "ns", "h"), broken(), make("configmaps", "ns", "i")},
                Mode::Sequence,
                "ok, error, aborted"},
       })
    EXPECT_EQ(outcome(c.writes, c.mode), c.expected);
  for (const char* made : {"b", "c", "d", "e", "g", "h"})
    EXPECT_TRUE(registry_->find("configmaps", "ns", made)) << made;
  for (const char* missing : {"f", "i"}) EXPECT_FALSE(registry_->find("configmaps", "ns", missing)) << missing;
}

}  // namespace
}  // namespace stoker::apiserver
