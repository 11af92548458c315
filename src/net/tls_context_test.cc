#include "net/tls_context.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/support_test.h"

namespace stoker::net {
namespace {

using namespace testing;

struct Visit {
  bool resumed = false;
  std::string peer;
  std::shared_ptr<SSL_SESSION> session;
};

/// One request over a blocking socket, resuming `session` if there is one.
Visit visit(uint16_t port, SSL_CTX* context, SSL_SESSION* session) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context), SSL_free);
  SSL_set_fd(ssl.get(), fd);
  if (session) SSL_set_session(ssl.get(), session);
  EXPECT_EQ(SSL_connect(ssl.get()), 1);
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  EXPECT_GT(SSL_write(ssl.get(), request.data(), static_cast<int>(request.size())), 0);
  std::string answer;
  char buffer[4096];
  for (int got; (got = SSL_read(ssl.get(), buffer, sizeof buffer)) > 0;)
    answer.append(buffer, static_cast<size_t>(got));
  Visit result;
  result.resumed = SSL_session_reused(ssl.get()) == 1;
  result.peer = answer.substr(answer.find("\r\n\r\n") + 4);
  result.session.reset(SSL_get1_session(ssl.get()), SSL_SESSION_free);
  SSL_shutdown(ssl.get());
  ::close(fd);
  return result;
}

struct ResumeCase {
  const char* name;
  const KeyPair Pki::*identity;
  int version;
  std::string peer;
};
void PrintTo(const ResumeCase& test, std::ostream* out) { *out << test.name; }

class Resumption : public ::testing::TestWithParam<ResumeCase> {};

// A resumed session shows no certificate again: the verdict of the first handshake must come along, the bad one above
// all.
TEST_P(Resumption, keepsTheVerdictOnTheClient) {
  auto server = startServer(serverOptions(), [](const std::shared_ptr<Exchange>& exchange) {
    exchange->respond(textResponse(200, exchange->request().peer ? exchange->request().peer->commonName : "nobody"));
  });
  ClientOptions options = clientOptions(*server);
  options.certificatePem = (pki().*GetParam().identity).certificatePem;
  options.keyPem = (pki().*GetParam().identity).keyPem;
  auto context = clientTls(options);
  ASSERT_TRUE(context.ok());
  SSL_CTX_set_max_proto_version(context->get(), GetParam().version);
  Visit first = visit(server->port(), context->get(), nullptr);
  Visit second = visit(server->port(), context->get(), first.session.get());
  EXPECT_FALSE(first.resumed);
  EXPECT_TRUE(second.resumed);
  EXPECT_EQ(first.peer, GetParam().peer);
  EXPECT_EQ(second.peer, GetParam().peer);
}

INSTANTIATE_TEST_SUITE_P(Cases, Resumption,
                         ::testing::Values(ResumeCase{"trusted, 1.2", &Pki::client, TLS1_2_VERSION, "admin"},
                                           ResumeCase{"trusted, 1.3", &Pki::client, TLS1_3_VERSION, "admin"},
                                           ResumeCase{"foreign, 1.2", &Pki::foreignClient, TLS1_2_VERSION, "nobody"},
                                           ResumeCase{"foreign, 1.3", &Pki::foreignClient, TLS1_3_VERSION, "nobody"}));

TEST(TlsContext, oldProtocolsAreRefused) {
  auto server = startServer(serverOptions(), [](const std::shared_ptr<Exchange>&) {});
  auto context = clientTls(clientOptions(*server));
  ASSERT_TRUE(context.ok());
  SSL_CTX_set_min_proto_version(context->get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(context->get(), TLS1_1_VERSION);
  SSL_CTX_set_security_level(context->get(), 0);
  RawSocket raw(server->port());
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context->get()), SSL_free);
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), in, out);
  EXPECT_LE(SSL_connect(ssl.get()), 0);
  char* hello = nullptr;
  long size = BIO_get_mem_data(out, &hello);
  ASSERT_GT(size, 0);
  raw.send({hello, static_cast<size_t>(size)});
  EXPECT_EQ(raw.readAll()[0], 21) << "an alert and no server hello";
}

}  // namespace
}  // namespace stoker::net
