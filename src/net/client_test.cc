#include "net/client.h"

#include <gtest/gtest.h>

#include <thread>

#include "net/support_test.h"

namespace stoker::net {
namespace {

using namespace testing;

void hello(const std::shared_ptr<Exchange>& exchange) { exchange->respond(textResponse(200, "hello")); }

TEST(Client, saysWhenNobodyListens) {
  auto server = startServer(serverOptions(), hello);
  auto options = clientOptions(*server);
  server.reset();
  auto answer = startClient(options)->call({});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().reason, Reason::ServiceUnavailable);
  EXPECT_EQ(answer.error().message,
            "cannot reach https://127.0.0.1:" + std::to_string(options.port) + ": connection refused");
}

TEST(Client, saysWhenAHostIsUnknown) {
  ClientOptions options;
  options.host = "no-such-host.invalid";
  auto answer = startClient(options)->call({});
  ASSERT_FALSE(answer.ok());
  EXPECT_TRUE(answer.error().message.starts_with("cannot reach https://no-such-host.invalid:443: no address for"))
      << answer.error().message;
}

TEST(Client, refusesServersOfForeignSigners) {
  auto server = startServer(serverOptions(), hello);
  auto options = clientOptions(*server);
  options.caPem = pki().foreignCa.certificatePem;
  auto answer = startClient(options)->call({});
  ASSERT_FALSE(answer.ok());
  EXPECT_NE(answer.error().message.find("shows a certificate that is not trusted"), std::string::npos)
      << answer.error().message;
  options.insecureSkipVerify = true;
  EXPECT_TRUE(startClient(options)->call({}).ok());
}

TEST(Client, refusesServersOfAnotherName) {
  auto server = startServer(serverOptions(), hello);
  auto options = clientOptions(*server);
  options.serverName = "elsewhere";
  auto answer = startClient(options)->call({});
  ASSERT_FALSE(answer.ok());
  EXPECT_NE(answer.error().message.find("hostname mismatch"), std::string::npos) << answer.error().message;
  options.serverName = "127.0.0.9";
  EXPECT_NE(startClient(options)->call({}).error().message.find("IP address mismatch"), std::string::npos);
  options.serverName = "localhost";
  EXPECT_TRUE(startClient(options)->call({}).ok());
}

TEST(Client, connectsByNameAndOverIpv6) {
  auto server = startServer(serverOptions(), hello);
  auto options = clientOptions(*server);
  options.host = "localhost";
  EXPECT_TRUE(startClient(options)->call({}).ok());
  auto v6 = serverOptions();
  v6.host = "::1";
  auto second = Server::listen(v6, hello);
  if (!second.ok()) GTEST_SKIP() << "this machine has no IPv6: " << second.error().message;
  EXPECT_EQ((*second)->address(), "[::1]:" + std::to_string((*second)->port()));
  options = clientOptions(**second);
  options.host = "::1";
  auto answer = startClient(options)->call({});
  EXPECT_TRUE(answer.ok()) << answer.error().message;
}

TEST(Client, givesUpOnASilentServer) {
  std::shared_ptr<Exchange> held;
  auto server = startServer(serverOptions(), [&](std::shared_ptr<Exchange> exchange) { held = std::move(exchange); });
  auto options = clientOptions(*server);
  options.readTimeoutSeconds = 0.2;
  auto answer = startClient(options)->call({});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().reason, Reason::Timeout);
  EXPECT_NE(answer.error().message.find("gave no answer within 0.2 s"), std::string::npos) << answer.error().message;
}

TEST(Client, replacesADeadConnectionOnce) {
  auto options = serverOptions();
  options.idleTimeoutSeconds = 0.1;
  std::set<std::string> connections;
  std::mutex mutex;
  auto server = startServer(options, [&](const std::shared_ptr<Exchange>& exchange) {
    std::lock_guard lock(mutex);
    connections.insert(exchange->request().remoteAddress);
    hello(exchange);
  });
  auto client = startClient(clientOptions(*server));
  ASSERT_TRUE(client->call({}).ok());
  // The server closes the idle connection; until then the client goes on using it.
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  Signal later;
  server->after(0.5, [&] { later.set(); });
  ASSERT_TRUE(later.wait());
  while (std::chrono::steady_clock::now() < end) {
    auto answer = client->call({.method = "POST"});
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    std::lock_guard lock(mutex);
    if (connections.size() > 1) break;
  }
  EXPECT_EQ(connections.size(), 2u);
}

TEST(Client, survivesARestartOfTheServer) {
  auto first = startServer(serverOptions(), hello);
  auto client = startClient(clientOptions(*first));
  ASSERT_TRUE(client->call({}).ok());
  auto options = serverOptions();
  options.port = first->port();
  first.reset();
  EXPECT_FALSE(client->call({}).ok());
  auto second = startServer(options, hello);
  auto answer = client->call({});
  EXPECT_TRUE(answer.ok()) << answer.error().message;
}

TEST(Client, readsAnswersOfOtherServers) {
  // A server of few words: no length, the end of the connection ends the body; and an interim answer before.
  ServerOptions options;
  options.plaintext = true;
  auto server = startServer(options, [](const std::shared_ptr<Exchange>& exchange) {
    auto stream = exchange->stream(200, {});
    stream->write(shared("by "));
    stream->write(shared("chunks"));
    stream->finish();
  });
  ClientOptions clientSide;
  clientSide.host = "127.0.0.1";
  clientSide.port = server->port();
  clientSide.tls = false;
  auto client = startClient(clientSide);
  EXPECT_EQ(client->call({})->body, "by chunks");
  auto continued = client->call({.method = "POST", .headers = {{"Expect", "100-continue"}}, .body = "abc"});
  ASSERT_TRUE(continued.ok()) << continued.error().message;
  EXPECT_EQ(continued->status, 200);
  EXPECT_EQ(client->call({.method = "HEAD"})->body, "");
  EXPECT_EQ(client->call({.method = "HEAD"})->status, 200);
}

TEST(Client, streamsKeepTheBodyOfFailures) {
  auto server = startServer(serverOptions(), [](const std::shared_ptr<Exchange>& exchange) {
    exchange->respond(textResponse(404, "no such thing"));
  });
  auto answer = startClient(clientOptions(*server))->stream({}, [](std::string_view) {
    ADD_FAILURE() << "a failure is no data";
    return true;
  });
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(answer->body, "no such thing");
}

TEST(Client, stopWakesStreamsThatWaitForEver) {
  std::mutex mutex;
  std::vector<std::shared_ptr<Exchange::Stream>> streams;
  std::vector<std::shared_ptr<Exchange>> silent;
  Signal both;
  auto server = startServer(serverOptions(), [&](std::shared_ptr<Exchange> exchange) {
    std::lock_guard lock(mutex);
    if (exchange->request().url.path == "/silent") {
      silent.push_back(std::move(exchange));
    } else {
      streams.push_back(exchange->stream(200, {}));
      streams.back()->write(shared("hello"));
    }
  });
  auto options = clientOptions(*server);
  options.readTimeoutSeconds = 0;
  auto client = startClient(options);
  std::atomic<bool> stopping = false;
  Signal data;
  std::thread quiet([&] {
    auto answer = client->stream({.target = "/", .cancelled = &stopping}, [&](std::string_view) {
      data.set();
      return true;
    });
    EXPECT_TRUE(answer.ok()) << answer.error().message;
  });
  std::thread unanswered([&] {
    auto answer = client->stream({.target = "/silent", .cancelled = &stopping}, [](std::string_view) { return true; });
    EXPECT_FALSE(answer.ok());
  });
  EXPECT_TRUE(data.wait());
  stopping = true;
  client->stop();
  quiet.join();
  unanswered.join();
  // What is cancelled already does not even start; what is not goes on working.
  EXPECT_FALSE(
      client->stream({.target = "/silent", .cancelled = &stopping}, [](std::string_view) { return true; }).ok());
  EXPECT_TRUE(client->stream({.target = "/"}, [](std::string_view) { return false; }).ok());
}

}  // namespace
}  // namespace stoker::net
