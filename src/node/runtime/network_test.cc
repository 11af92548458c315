#include "node/runtime/network.h"

#include <gtest/gtest.h>

namespace stoker::node {
namespace {

Ipv4Prefix prefix(std::string_view text) {
  Ipv4Prefix out;
  EXPECT_TRUE(parseIpv4Prefix(text, out)) << text;
  return out;
}

TEST(Ipv4, PrefixesAreParsedAndRefused) {
  EXPECT_EQ(formatIpv4Prefix(prefix("10.1.2.3/20")), "10.1.2.3/20");
  EXPECT_EQ(formatIpv4(prefix("10.1.18.3/20").first()), "10.1.16.0");
  Ipv4Prefix out;
  for (const char* bad :
       {"", "10.1.2.3", "10.1.2/20", "10.1.2.3/33", "10.1.2.3/", "10.1.2.3/2x", "10.1.2.300/8", "x/8"})
    EXPECT_FALSE(parseIpv4Prefix(bad, out)) << bad;
}

TEST(Ipv4, OverlapIsSymmetric) {
  struct Case {
    const char* a;
    const char* b;
    bool overlap;
  };
  for (const Case& c : std::vector<Case>{{"10.0.0.0/8", "10.9.0.0/20", true},
                                         {"10.9.0.0/20", "10.9.15.255/32", true},
                                         {"10.9.0.0/20", "10.9.16.0/32", false},
                                         {"192.168.0.0/16", "10.0.0.0/8", false},
                                         {"0.0.0.0/0", "10.0.0.0/8", true}}) {
    EXPECT_EQ(prefix(c.a).overlaps(prefix(c.b)), c.overlap) << c.a << " " << c.b;
    EXPECT_EQ(prefix(c.b).overlaps(prefix(c.a)), c.overlap) << c.a << " " << c.b;
  }
}

TEST(Subnet, IsFreeOfWhatIsRouted) {
  struct Case {
    const char* name;
    std::vector<std::string> routes;
    uint64_t seed;
    const char* expected;
  };
  for (const Case& c : std::vector<Case>{
           {"an empty machine", {}, 0, "10.0.0.0/20"},
           {"the seed picks the place", {}, 17, "10.1.16.0/20"},
           {"taken places are passed over", {"10.0.0.0/16"}, 3, "10.1.0.0/20"},
           {"a single routed host counts", {"10.0.0.77/32"}, 0, "10.0.16.0/20"},
           {"all of 10/8 is a company network", {"10.0.0.0/8"}, 0, "172.16.0.0/20"},
           {"a VPN's halves of the default route claim nothing", {"0.0.0.0/1", "128.0.0.0/1"}, 0, "10.0.0.0/20"},
           {"everything is routed by something wide",
            {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"},
            0,
            "10.0.0.0/20"}}) {
    std::vector<Ipv4Prefix> routes;
    for (const std::string& route : c.routes) routes.push_back(prefix(route));
    const Result<Ipv4Prefix> subnet = chooseSubnet(routes, c.seed);
    ASSERT_TRUE(subnet.ok()) << c.name;
    EXPECT_EQ(formatIpv4Prefix(*subnet), c.expected) << c.name;
  }
}

class Addresses : public ::testing::Test {
 protected:
  std::string take(const std::string& owner, std::optional<std::string> wish = {}) {
    std::optional<uint32_t> ip;
    uint32_t wanted = 0;
    if (wish && parseIpv4(*wish, wanted)) ip = wanted;
    const Result<uint32_t> got = allocator_.allocate(owner, ip);
    return got ? formatIpv4(*got) : got.error().message;
  }
  IpAllocator allocator_{Ipv4Prefix{10U << 24, 29}};  // .0 to .7: five pods
};

TEST_F(Addresses, AreGivenInTurnAndNeverTheEdgesOrTheGateway) {
  for (const char* expected : {"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"})
    EXPECT_EQ(take(expected), expected);
  EXPECT_EQ(take("one more").rfind("no free pod address in 10.0.0.0/29: 5 pods have one", 0), 0U);
}

TEST_F(Addresses, APodKeepsItsOwn) {
  EXPECT_EQ(take("a"), "10.0.0.2");
  EXPECT_EQ(take("a"), "10.0.0.2");
  EXPECT_EQ(take("a", "10.0.0.5"), "10.0.0.2");
}

TEST_F(Addresses, AFreedOneRests) {
  EXPECT_EQ(take("a"), "10.0.0.2");
  allocator_.release("a");
  allocator_.release("a");
  EXPECT_EQ(take("b"), "10.0.0.3");
  EXPECT_EQ(allocator_.used(), 1U);
}

TEST_F(Addresses, AWishIsGrantedWhenItCanBe) {
  EXPECT_EQ(take("a", "10.0.0.5"), "10.0.0.5");
  EXPECT_EQ(take("b", "10.0.0.5"), "10.0.0.2");
  EXPECT_EQ(take("c", "10.0.0.1"), "10.0.0.3") << "the gateway's";
  EXPECT_EQ(take("d", "10.9.9.9"), "10.0.0.4") << "another subnet's";
}

TEST_F(Addresses, WhatRecoveryFoundIsNotGivenAgain) {
  uint32_t ip = 0;
  ASSERT_TRUE(parseIpv4("10.0.0.2", ip));
  EXPECT_TRUE(allocator_.reserve("old", ip));
  EXPECT_FALSE(allocator_.reserve("other", ip));
  EXPECT_EQ(take("new"), "10.0.0.3");
  EXPECT_EQ(take("old"), "10.0.0.2");
}

}  // namespace
}  // namespace stoker::node
