#include "client/kubeconfig.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strings.h"

namespace stoker::client {
namespace {

std::string config(const std::string& cluster, const std::string& user,
                   const std::string& context = "{cluster: c, user: u, namespace: team}") {
  return "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts: [{name: here, context: " + context +
         "}]\nclusters: [{name: c, cluster: " + cluster + "}]\nusers: [{name: u, user: " + user + "}]\n";
}

struct ServerCase {
  const char* server;
  const char* host;
  int port;
  bool tls;
  const char* path;
};
class Server : public ::testing::TestWithParam<ServerCase> {};
TEST_P(Server, isSplit) {
  const ServerCase& c = GetParam();
  auto access = readKubeconfig(config(std::string("{server: '") + c.server + "'}", "{}"), "", ".");
  ASSERT_TRUE(access.ok()) << access.error().message;
  EXPECT_EQ(access->host, c.host);
  EXPECT_EQ(access->port, c.port);
  EXPECT_EQ(access->tls, c.tls);
  EXPECT_EQ(access->path, c.path);
}
INSTANTIATE_TEST_SUITE_P(Cases, Server,
                         ::testing::Values(ServerCase{"https://10.0.0.1:6443", "10.0.0.1", 6443, true, ""},
                                           ServerCase{"https://host.example/", "host.example", 443, true, ""},
                                           ServerCase{"http://localhost", "localhost", 80, false, ""},
                                           ServerCase{"https://rancher/k8s/clusters/c-1/", "rancher", 443, true,
                                                      "/k8s/clusters/c-1"},
                                           ServerCase{"https://[::1]:8443/x", "::1", 8443, true, "/x"},
                                           ServerCase{"https://[fd00::1]", "fd00::1", 443, true, ""}));

TEST(Kubeconfig, inlineMaterialIsDecoded) {
  auto access = readKubeconfig(config("{server: 'https://a', certificate-authority-data: " + base64Encode("CA") +
                                          ", tls-server-name: other, insecure-skip-tls-verify: true}",
                                      "{client-certificate-data: " + base64Encode("CERT") +
                                          ", client-key-data: " + base64Encode("KEY") + ", token: t}"),
                               "", ".");
  ASSERT_TRUE(access.ok()) << access.error().message;
  EXPECT_EQ(access->caPem, "CA");
  EXPECT_EQ(access->certificatePem, "CERT");
  EXPECT_EQ(access->keyPem, "KEY");
  EXPECT_EQ(access->token, "t");
  EXPECT_EQ(access->serverName, "other");
  EXPECT_TRUE(access->insecureSkipVerify);
  EXPECT_EQ(access->namespace_, "team");
  EXPECT_EQ(access->user, "u");
  EXPECT_EQ(access->cluster, "c");
  EXPECT_EQ(access->context, "here");
}

TEST(Kubeconfig, filesAreRelativeToTheKubeconfig) {
  char pattern[] = "/tmp/stoker-kubeconfig-XXXXXX";
  std::string directory = ::mkdtemp(pattern);
  for (auto [name, text] : {std::pair("ca.crt", "CA"), std::pair("u.crt", "CERT"), std::pair("u.key", "KEY"),
                            std::pair("token", "secret\n")})
    ASSERT_TRUE(writeFileAtomic(directory + "/" + name, text).ok());
  std::string text = config("{server: 'https://a', certificate-authority: ca.crt}",
                            "{client-certificate: " + directory + "/u.crt, client-key: u.key, tokenFile: token}");
  auto access = readKubeconfig(text, "", directory);
  ASSERT_TRUE(access.ok()) << access.error().message;
  EXPECT_EQ(access->caPem, "CA");
  EXPECT_EQ(access->certificatePem, "CERT");
  EXPECT_EQ(access->keyPem, "KEY");
  EXPECT_EQ(access->token, "secret");
  EXPECT_EQ(access->tokenFile, directory + "/token");
  for (const char* name : {"ca.crt", "u.crt", "u.key", "token"}) ::unlink((directory + "/" + name).c_str());
  ::rmdir(directory.c_str());
  auto missing = readKubeconfig(text, "", directory);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find(directory + "/ca.crt"), std::string::npos) << missing.error().message;
}

TEST(Kubeconfig, anotherContextMayBeChosen) {
  std::string text =
      "contexts: [{name: a, context: {cluster: one}}, {name: b, context: {cluster: two}}]\n"
      "clusters: [{name: one, cluster: {server: 'https://one'}}, {name: two, cluster: {server: 'https://two'}}]\n"
      "current-context: a\n";
  EXPECT_EQ(readKubeconfig(text, "", ".")->host, "one");
  EXPECT_EQ(readKubeconfig(text, "b", ".")->host, "two");
}

struct BadCase {
  const char* name;
  std::string text;
  const char* says;
};
class Bad : public ::testing::TestWithParam<BadCase> {};
TEST_P(Bad, isSaidClearly) {
  auto access = readKubeconfig(GetParam().text, "", ".");
  ASSERT_FALSE(access.ok());
  EXPECT_NE(access.error().message.find(GetParam().says), std::string::npos) << access.error().message;
}
INSTANTIATE_TEST_SUITE_P(
    Cases, Bad,
    ::testing::Values(BadCase{"empty", "", "the kubeconfig is empty"},
                      BadCase{"noObject", "- a\n", "the kubeconfig is empty"}, BadCase{"malformed", "a: [\n", "line 2"},
                      BadCase{"noContext", "clusters: []\n", "no current-context"},
                      BadCase{"unknownContext", "current-context: x\n", "no entry named \"x\" under contexts"},
                      BadCase{"unknownCluster", config("{server: 'https://a'}", "{}", "{cluster: other, user: u}"),
                              "no entry named \"other\" under clusters"},
                      BadCase{"unknownUser", config("{server: 'https://a'}", "{}", "{cluster: c, user: other}"),
                              "no entry named \"other\" under users"},
                      BadCase{"noScheme", config("{server: 'host:6443'}", "{}"), "must start with https:// or http://"},
                      BadCase{"noHost", config("{server: 'https://:6443'}", "{}"), "names no host"},
                      BadCase{"badPort", config("{server: 'https://a:65536'}", "{}"), "no valid port"},
                      BadCase{"zeroPort", config("{server: 'https://a:0'}", "{}"), "no valid port"},
                      BadCase{"emptyPort", config("{server: 'https://a:'}", "{}"), "no valid port"},
                      BadCase{"badBase64", config("{server: 'https://a', certificate-authority-data: '%%'}", "{}"),
                              "certificate-authority-data in the kubeconfig is not valid base64"},
                      BadCase{"exec", config("{server: 'https://a'}", "{exec: {command: aws}}"), "credential plugin"},
                      BadCase{"password", config("{server: 'https://a'}", "{username: a, password: b}"), "password"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace stoker::client
