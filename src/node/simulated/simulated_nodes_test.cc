#include "node/simulated/simulated_nodes.h"

#include <gtest/gtest.h>

#include "node/agent/agent_harness.h"

namespace stoker::node {
namespace {

Result<std::vector<NodeConfig>> parsed(const std::string& text) {
  return parseSimulatedNodes(json::parseDoc(text)->root);
}

TEST(SimulatedNodes, groupsAndDefaults) {
  auto nodes = parsed(
      R"([{"name":"a"},{"count":2,"prefix":"gpu","cpu":96,"gpus":"8xA100","resources":{"rdma/hca":"4"},"taints":[{"key":"g","effect":"NoSchedule"}]}])");
  ASSERT_TRUE(nodes.ok()) << nodes.error().message;
  ASSERT_EQ(nodes->size(), 3u);
  EXPECT_EQ((*nodes)[0].capacity.at("cpu"), "32");
  const NodeConfig& gpu = (*nodes)[2];
  EXPECT_EQ(gpu.name, "gpu-1");
  EXPECT_EQ(gpu.capacity.at("nvidia.com/gpu"), "8");
  EXPECT_EQ(gpu.labels.at("nvidia.com/gpu.product"), "A100");
  EXPECT_EQ(gpu.devices.at("rdma/hca"), 4);
  EXPECT_EQ(gpu.address, "198.18.0.3");
}

struct BadCase {
  std::string text, message;
};
class BadNodes : public ::testing::TestWithParam<BadCase> {};
TEST_P(BadNodes, sayWhere) {
  auto nodes = parsed(GetParam().text);
  ASSERT_FALSE(nodes.ok());
  EXPECT_EQ(nodes.error().message, GetParam().message);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, BadNodes,
    ::testing::Values(BadCase{R"({"nodes":3})", "nodes: must be a list of nodes"},
                      BadCase{R"([{"nme":"a"}])", "nodes[0]: unknown field \"nme\"; did you mean \"name\"?"},
                      BadCase{R"([{"name":"a","cpu":"-1"}])",
                              "nodes[0].cpu: \"-1\" must be a quantity of at least 0, such as 8, 500m or 32Gi"},
                      BadCase{R"([{"name":"a","gpus":"many"}])",
                              "nodes[0].gpus: \"many\" must read COUNT or COUNTxMODEL, such as 8xA100"},
                      BadCase{R"([{"name":"a"},{"name":"a"}])",
                              "nodes[1]: there is a node \"a\" already; give this group another name or prefix"},
                      BadCase{R"([{"name":"a","count":2}])",
                              "nodes[0]: give a name for one node, or count and prefix for several"}));

TEST(SimulatedNodes, oneAgentServesAll) {
  using namespace testing;
  Harness h(false);
  h.options.nodes = *parsed(R"([{"count":200,"prefix":"n"}])");
  h.startAgent();
  h.run(1s);
  for (int i = 0; i < 200; ++i)
    h.cluster.put(kPods, fmt::format(R"({{"metadata":{{"name":"p{}","namespace":"default","uid":"u{}","annotations":{{
        "stoker.dev/simulate-duration":"5s","stoker.dev/simulate-exit-code":"{}"}}}},"spec":{{"restartPolicy":"Never","nodeName":"n-{}",
        "containers":[{{"name":"c","image":"i"}}]}}}})",
                                     i, i, i % 2, i));
  h.run(20s);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(h.phase(fmt::format("p{}", i)), i % 2 ? "Failed" : "Succeeded");
  auto before = h.cluster.get(kLeases, "kube-node-lease", "n-7");
  h.agent->setDown("n-7", true);
  h.run(30s);
  EXPECT_EQ(h.cluster.get(kLeases, "kube-node-lease", "n-7")["spec"]["renewTime"].asString(),
            before["spec"]["renewTime"].asString());
  EXPECT_NE(h.cluster.get(kLeases, "kube-node-lease", "n-8")["spec"]["renewTime"].asString(),
            before["spec"]["renewTime"].asString());
}

TEST(SimulatedNodes, podsGoOnAfterARestartThatForgotThem) {
  using namespace testing;
  Harness h(false);
  h.startAgent();
  h.createPod("a", "", R"("restartPolicy":"Never",)", "", R"("annotations":{"stoker.dev/simulate-duration":"5s"},)");
  h.run(2s);
  ASSERT_EQ(h.phase("a"), "Running");
  h.crash();
  SimulatedRuntime fresh(h.runtimeLoop);
  h.agent = std::make_unique<NodeAgent>(h.cluster, h.loop, fresh, h.files, nullptr, h.ids, h.options);
  ASSERT_TRUE(h.agent->start().ok());
  h.run(10s);
  EXPECT_EQ(h.phase("a"), "Succeeded");
  EXPECT_EQ(h.pod("a").root.at({"status", "containerStatuses"})[0]["restartCount"].asInt(), 0);
  h.agent.reset();
}

}  // namespace
}  // namespace stoker::node
