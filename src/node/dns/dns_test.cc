#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "node/dns/nslookup.h"
#include "node/dns/server.h"

namespace stoker::node::dns {
namespace {

Message sample() {
  Message message;
  message.id = 77;
  message.response = message.recursionDesired = true;
  message.questions = {{"_pg._tcp.db.ns.svc.cluster.local", kSrv, 1}};
  message.answers = {{.name = "_pg._tcp.db.ns.svc.cluster.local",
                      .type = kSrv,
                      .target = "a.db.ns.svc.cluster.local",
                      .weight = 100,
                      .port = 5432},
                     {.name = "x.cluster.local", .type = kA, .address = std::string("\x0a\x00\x00\x01", 4)},
                     {.name = "y.cluster.local", .type = kCname, .target = "x.cluster.local"}};
  message.additionals = {{.name = "t.local", .type = 16, .raw = std::string("\x02hi", 3)}};
  message.edns = Edns{.udpSize = 1400, .holdMilliseconds = 5000};
  return message;
}

TEST(DnsWire, comesBackAsItWent) {
  auto decoded = decode(encode(sample()));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(*decoded, sample());
}

TEST(DnsWire, whatDoesNotFitIsLeftOutAndSaid) {
  Message message;
  message.response = true;
  message.questions = {{"a.b", kA, 1}};
  for (int i = 0; i < 100; ++i)
    message.answers.push_back({.name = "a.b", .type = kA, .address = std::string(4, static_cast<char>(i))});
  std::string bytes = encode(message, 512);
  EXPECT_LE(bytes.size(), 512u);
  auto decoded = decode(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_TRUE(decoded->truncated);
  EXPECT_EQ(decoded->answers.size(), (512 - 21) / 16);
}

TEST(DnsWire, namesAreCaseless) {
  Message message;
  message.questions = {{"AbC.De", kA, 1}};
  EXPECT_EQ(decode(encode(message))->questions[0].name, "abc.de");
}

TEST(DnsWire, anyBytesAreSafe) {
  std::string good = encode(sample());
  for (size_t cut = 0; cut < good.size(); ++cut) (void)decode(std::string_view(good).substr(0, cut));
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (auto message = decode(bytes); message.ok()) (void)encode(*message);
  }
  // A pointer to itself and one that runs forward.
  std::string loop("\0\1\0\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", 18);
  EXPECT_FALSE(decode(loop).ok());
}

Records records() {
  Records out;
  api::Service headless;
  headless.spec.clusterIP = "None";
  headless.spec.ports = {{.name = "pg", .protocol = "TCP", .port = 5432}};
  out.setService("ns", "db", &headless);
  out.setService("ns", "empty", &headless);
  api::Service web;
  web.spec.clusterIP = "10.96.0.7";
  web.spec.ports = {{.name = "http", .protocol = "TCP", .port = 80}};
  out.setService("ns", "web", &web);
  api::EndpointSlice slice;
  slice.metadata.labels["kubernetes.io/service-name"] = "db";
  slice.endpoints = {{.addresses = {"10.1.0.5"}, .hostname = "db-0"},
                     {.addresses = {"10.1.0.6"}},
                     {.addresses = {"10.1.0.7"}, .conditions = {.ready = false}, .hostname = "db-2"}};
  slice.ports = {{.name = "pg", .port = 5432, .protocol = "TCP"}};
  out.setSlice("ns", "db-abc", &slice);
  out.setFixed("kubernetes.default.svc.cluster.local", "10.1.0.1");
  return out;
}

struct NameCase {
  const char* name;
  uint16_t type;
  std::string expected;  ///< addresses or targets joined, "NX", "NODATA" or "forward"
};
void PrintTo(const NameCase& c, std::ostream* out) { *out << c.name; }
class Names : public ::testing::TestWithParam<NameCase> {};
TEST_P(Names, asTheSpecificationSays) {
  Answer answer = records().resolve(GetParam().name, GetParam().type);
  std::string got;
  for (const Record& record : answer.records)
    got += (got.empty() ? "" : " ") +
           (record.type == kSrv ? record.target + ":" + std::to_string(record.port) : addressText(record.address));
  if (!answer.inZone)
    got = "forward";
  else if (answer.rcode == kNxDomain)
    got = "NX";
  else if (got.empty())
    got = "NODATA";
  EXPECT_EQ(got, GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, Names,
    ::testing::Values(
        NameCase{"web.ns.svc.cluster.local", kA, "10.96.0.7"}, NameCase{"WEB.ns.svc.cluster.local", kA, "10.96.0.7"},
        NameCase{"web.ns.svc.cluster.local", kAaaa, "NODATA"},
        NameCase{"db.ns.svc.cluster.local", kA, "10.1.0.5 10.1.0.6"},
        NameCase{"db-0.db.ns.svc.cluster.local", kA, "10.1.0.5"},
        NameCase{"10-1-0-6.db.ns.svc.cluster.local", kA, "10.1.0.6"},
        NameCase{"db-2.db.ns.svc.cluster.local", kA, "NX"}, NameCase{"empty.ns.svc.cluster.local", kA, "NX"},
        NameCase{"no.ns.svc.cluster.local", kA, "NX"}, NameCase{"ns.svc.cluster.local", kA, "NODATA"},
        NameCase{"no.svc.cluster.local", kA, "NX"},
        NameCase{"_http._tcp.web.ns.svc.cluster.local", kSrv, "web.ns.svc.cluster.local:80"},
        NameCase{"_pg._tcp.db.ns.svc.cluster.local", kSrv,
                 "db-0.db.ns.svc.cluster.local:5432 10-1-0-6.db.ns.svc.cluster.local:5432"},
        NameCase{"_pg._udp.db.ns.svc.cluster.local", kSrv, "NX"},
        NameCase{"10-1-0-9.ns.pod.cluster.local", kA, "10.1.0.9"}, NameCase{"10-1-0.ns.pod.cluster.local", kA, "NX"},
        NameCase{"kubernetes.default.svc.cluster.local", kA, "10.1.0.1"}, NameCase{"cluster.local", kA, "NODATA"},
        NameCase{"debian.org", kA, "forward"}, NameCase{"xcluster.local", kA, "forward"}));

TEST(Names, goWithTheirObjects) {
  Records all = records();
  all.setSlice("ns", "db-abc", nullptr);
  EXPECT_EQ(all.resolve("db.ns.svc.cluster.local", kA).rcode, kNxDomain);
  all.setService("ns", "web", nullptr);
  EXPECT_EQ(all.resolve("web.ns.svc.cluster.local", kA).rcode, kNxDomain);
}

TEST(Resolv, confAndCandidates) {
  ResolvConf conf = parseResolvConf(
      "# x\nnameserver 10.1.0.1\nsearch ns.svc.cluster.local svc.cluster.local ; more\noptions ndots:5 rotate\n");
  EXPECT_EQ(conf, (ResolvConf{{"10.1.0.1"}, {"ns.svc.cluster.local", "svc.cluster.local"}, 5}));
  EXPECT_EQ(candidates("m", conf), (std::vector<std::string>{"m.ns.svc.cluster.local", "m.svc.cluster.local", "m"}));
  EXPECT_EQ(candidates("m.", conf), std::vector<std::string>{"m"});
  EXPECT_EQ(candidates("a.b", {{}, {"x"}, 1}), (std::vector<std::string>{"a.b", "a.b.x"}));
  EXPECT_EQ(nameserversOf("nameserver 10.1.0.1\nnameserver 9.9.9.9\nnameserver ::1\n", "10.1.0.1"),
            std::vector<std::string>{"9.9.9.9"});
}

/// Sends one query and waits for the answer at most `milliseconds`.
std::optional<Message> ask(uint16_t port, const Message& query, int milliseconds, bool tcp = false) {
  int fd = ::socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::optional<Message> out;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    std::string bytes = encode(query);
    if (tcp) bytes.insert(0, {static_cast<char>(bytes.size() >> 8), static_cast<char>(bytes.size())});
    (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    pollfd wait{fd, POLLIN, 0};
    char buffer[4096];
    if (::poll(&wait, 1, milliseconds) > 0) {
      ssize_t count = ::recv(fd, buffer, sizeof buffer, 0);
      size_t skip = tcp ? 2 : 0;
      if (count > static_cast<ssize_t>(skip)) {
        auto answer = decode(std::string_view(buffer + skip, static_cast<size_t>(count) - skip));
        if (answer.ok()) out = *answer;
      }
    }
  }
  ::close(fd);
  return out;
}
Message query(const std::string& name, std::optional<uint16_t> hold = {}) {
  Message out;
  out.id = 9;
  out.questions = {{name, kA, 1}};
  if (hold) out.edns = Edns{.holdMilliseconds = hold};
  return out;
}

TEST(DnsServer, answersOverUdpAndTcpAndHoldsWhatIsAwaited) {
  auto server = Server::start({.address = "127.0.0.1", .port = 0});
  ASSERT_TRUE(server.ok()) << server.error().message;
  (*server)->update([](Records& all) { all.setFixed("a.cluster.local", "10.0.0.1"); });
  for (bool tcp : {false, true}) {
    auto answer = ask((*server)->port(), query("a.cluster.local"), 5000, tcp);
    ASSERT_TRUE(answer && answer->answers.size() == 1);
    EXPECT_EQ(addressText(answer->answers[0].address), "10.0.0.1");
    EXPECT_EQ(answer->id, 9);
  }
  auto missing = ask((*server)->port(), query("later.cluster.local"), 5000);
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->rcode, kNxDomain);
  EXPECT_EQ(missing->authorities.size(), 1u);
  EXPECT_EQ(ask((*server)->port(), query("debian.org"), 5000)->rcode, kNxDomain) << "no upstream";

  std::optional<Message> held;
  std::thread waiter([&] { held = ask((*server)->port(), query("later.cluster.local", 9000), 8000); });
  EXPECT_EQ(ask((*server)->port(), query("never.cluster.local", 50), 5000)->rcode, kNxDomain)
      << "held for its time only";
  (*server)->update([](Records& all) { all.setFixed("later.cluster.local", "10.0.0.2"); });
  waiter.join();
  ASSERT_TRUE(held && held->answers.size() == 1);
}

TEST(DnsServer, forwardsTheRest) {
  auto upstream = Server::start({.address = "127.0.0.1", .port = 0, .domain = "org"});
  ASSERT_TRUE(upstream.ok());
  (*upstream)->update([](Records& all) { all.setFixed("debian.org", "10.9.9.9"); });
  auto server = Server::start(
      {.address = "127.0.0.1", .port = 0, .upstreams = {"127.0.0.1"}, .upstreamPort = (*upstream)->port()});
  ASSERT_TRUE(server.ok());
  auto answer = ask((*server)->port(), query("debian.org"), 5000);
  ASSERT_TRUE(answer && answer->answers.size() == 1);
  EXPECT_EQ(addressText(answer->answers[0].address), "10.9.9.9");
}

}  // namespace
}  // namespace stoker::node::dns
