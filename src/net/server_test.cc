#include "net/server.h"

#include <gtest/gtest.h>

#include <thread>

#include "net/support_test.h"

namespace stoker::net {
namespace {

using namespace testing;

/// Answers with what it was asked.
void echo(const std::shared_ptr<Exchange>& exchange) {
  const Request& request = exchange->request();
  std::string who = request.peer ? request.peer->commonName : "nobody";
  if (request.peer)
    for (const auto& organization : request.peer->organizations) who += "," + organization;
  Response response = textResponse(200, request.body);
  response.headers.emplace_back("X-Method", request.method);
  response.headers.emplace_back("X-Path", request.url.path);
  response.headers.emplace_back("X-Peer", who);
  exchange->respond(std::move(response));
}

ServerOptions plain() {
  ServerOptions options;
  options.plaintext = true;
  return options;
}

size_t count(const std::string& text, std::string_view part) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
  return found;
}

TEST(Server, answersOverTls) {
  auto server = startServer(serverOptions(), echo);
  auto client = startClient(clientOptions(*server));
  auto answer = client->call({.method = "POST", .target = "/a%20b?x=1", .body = "hello"});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "hello");
  EXPECT_EQ(header(answer->headers, "X-Path"), "/a b");
  EXPECT_EQ(header(answer->headers, "X-Peer"), "nobody");
  EXPECT_EQ(header(answer->headers, "Content-Length"), "5");
  EXPECT_NE(header(answer->headers, "Date"), "");
  EXPECT_EQ(server->address(), "127.0.0.1:" + std::to_string(server->port()));
}

TEST(Server, knowsClientsByTheirCertificates) {
  auto server = startServer(serverOptions(), echo);
  auto options = clientOptions(*server);
  options.certificatePem = pki().client.certificatePem;
  options.keyPem = pki().client.keyPem;
  auto answer = startClient(options)->call({});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(header(answer->headers, "X-Peer"), "admin,system:masters,ops");
}

TEST(Server, ignoresCertificatesOfForeignSigners) {
  auto server = startServer(serverOptions(), echo);
  auto options = clientOptions(*server);
  options.certificatePem = pki().foreignClient.certificatePem;
  options.keyPem = pki().foreignClient.keyPem;
  auto answer = startClient(options)->call({});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(header(answer->headers, "X-Peer"), "nobody");
}

TEST(Server, ignoresCertificatesThatHaveEndedOrAreForServers) {
  auto server = startServer(serverOptions(), echo);
  auto options = clientOptions(*server);
  auto old = issue(pki().ca, {.commonName = "admin"}, SystemClock().now() - 400 * 24h);
  options.certificatePem = old->certificatePem;
  options.keyPem = old->keyPem;
  EXPECT_EQ(header(startClient(options)->call({})->headers, "X-Peer"), "nobody");
  options.certificatePem = pki().server.certificatePem;
  options.keyPem = pki().server.keyPem;
  EXPECT_EQ(header(startClient(options)->call({})->headers, "X-Peer"), "nobody");
}

TEST(Server, keepsConnectionsForManyRequests) {
  std::set<std::string> connections;
  std::mutex mutex;
  auto server = startServer(serverOptions(), [&](const std::shared_ptr<Exchange>& exchange) {
    std::lock_guard lock(mutex);
    connections.insert(exchange->request().remoteAddress);
    echo(exchange);
  });
  auto client = startClient(clientOptions(*server));
  for (int i = 0; i < 500; ++i) {
    auto answer = client->call({.method = "POST", .target = "/", .body = std::to_string(i)});
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    ASSERT_EQ(answer->body, std::to_string(i));
  }
  EXPECT_EQ(connections.size(), 1u);
}

TEST(Server, servesManyClientsAtOnce) {
  auto server = startServer(serverOptions(), echo);
  auto client = startClient(clientOptions(*server));
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        std::string body = std::to_string(t) + ":" + std::to_string(i) + std::string(static_cast<size_t>(i) * 100, 'x');
        auto answer = client->call({.method = "POST", .target = "/", .body = body});
        if (answer.ok() && answer->body == body) ++good;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 16 * 50);
}

TEST(Server, answersFromOtherThreads) {
  std::vector<std::thread> workers;
  std::mutex mutex;
  auto server = startServer(serverOptions(), [&](std::shared_ptr<Exchange> exchange) {
    std::lock_guard lock(mutex);
    workers.emplace_back([exchange = std::move(exchange)] { echo(exchange); });
  });
  auto client = startClient(clientOptions(*server));
  for (int i = 0; i < 20; ++i)
    ASSERT_EQ(client->call({.method = "PUT", .body = std::to_string(i)})->body, std::to_string(i));
  for (auto& worker : workers) worker.join();
}

class LargeBodies : public ::testing::TestWithParam<bool> {};

TEST_P(LargeBodies, travelBothWays) {
  auto options = serverOptions();
  options.plaintext = GetParam();
  options.maxBodyBytes = 20 << 20;
  auto server = startServer(options, echo);
  auto clientSide = clientOptions(*server);
  clientSide.tls = !GetParam();
  auto client = startClient(clientSide);
  std::string body(10'000'019, 'x');
  for (size_t i = 0; i < body.size(); i += 997) body[i] = static_cast<char>('a' + i % 26);
  for (int round = 0; round < 3; ++round) {
    auto answer = client->call({.method = "POST", .target = "/", .body = body});
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    ASSERT_TRUE(answer->body == body);
  }
}

TEST_P(LargeBodies, areSplicedFromPieces) {
  std::string expected;
  Response list = textResponse(200, "[");
  expected += *list.body;
  for (int i = 0; i < 3000; ++i) {
    list.pieces.push_back(
        shared(std::string(static_cast<size_t>(i * 7 % 2500), static_cast<char>('a' + i % 26)) + ","));
    expected += *list.pieces.back();
  }
  list.pieces.push_back(shared(std::string(300'000, 'z')));
  list.pieces.push_back(nullptr);
  list.pieces.push_back(shared("]"));
  expected += std::string(300'000, 'z') + "]";
  auto options = serverOptions();
  options.plaintext = GetParam();
  auto server = startServer(options, [&](const std::shared_ptr<Exchange>& exchange) { exchange->respond(list); });
  auto clientSide = clientOptions(*server);
  clientSide.tls = !GetParam();
  auto answer = startClient(clientSide)->call({});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_TRUE(answer->body == expected);
}

INSTANTIATE_TEST_SUITE_P(OverTlsAndPlain, LargeBodies, ::testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "Plain" : "Tls"); });

TEST(Server, refusesBodiesAboveTheLimit) {
  auto options = serverOptions();
  options.maxBodyBytes = 1000;
  auto server = startServer(options, echo);
  auto client = startClient(clientOptions(*server));
  EXPECT_EQ(client->call({.method = "POST", .body = std::string(1000, 'x')})->status, 200);
  // The second is far larger than any socket buffer: the answer must be found although not everything could be sent.
  for (size_t size : {1001u, 30'000'000u}) {
    auto answer = client->call({.method = "POST", .target = "/", .body = std::string(size, 'x')});
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 413);
    EXPECT_EQ(answer->body,
              "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"Request "
              "entity too "
              "large: limit is 1000\",\"reason\":\"RequestEntityTooLarge\",\"code\":413}\n");
  }
}

TEST(Server, answersHeadWithoutABody) {
  auto server = startServer(plain(), [](const std::shared_ptr<Exchange>& exchange) {
    if (exchange->request().url.path == "/stream") {
      auto stream = exchange->stream(200, {});
      stream->write(shared("ignored"));
      stream->finish();
    } else {
      exchange->respond(textResponse(200, "hello"));
    }
  });
  RawSocket socket(server->port());
  socket.send(
      "HEAD / HTTP/1.1\r\nHost: h\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: "
      "h\r\nConnection: close\r\n\r\n");
  std::string all = socket.readAll();
  EXPECT_EQ(count(all, "HTTP/1.1 200 OK"), 3u);
  EXPECT_EQ(count(all, "Content-Length: 5"), 2u);
  EXPECT_EQ(count(all, "hello"), 1u);
  EXPECT_EQ(count(all, "ignored"), 0u);
}

TEST(Server, answersPipelinedRequestsInOrder) {
  // The first request of each pair is answered later, from another thread.
  std::vector<std::thread> workers;
  std::mutex mutex;
  auto server = startServer(plain(), [&](const std::shared_ptr<Exchange>& exchange) {
    if (exchange->request().url.path.back() % 2 == 0)
      return exchange->respond(textResponse(200, exchange->request().url.path));
    std::lock_guard lock(mutex);
    workers.emplace_back([exchange] { exchange->respond(textResponse(200, exchange->request().url.path)); });
  });
  std::string requests;
  for (int i = 0; i < 200; ++i) requests += "\r\nGET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  RawSocket socket(server->port());
  socket.send(requests);
  socket.send("GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  std::string all = socket.readAll();
  size_t at = 0;
  for (int i = 0; i < 200; ++i) {
    at = all.find("\r\n\r\n/" + std::to_string(i) + "HTTP/1.1", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_TRUE(all.ends_with("/last"));
  for (auto& worker : workers) worker.join();
}

TEST(Server, answersPipelinedRequestsOfAPeerThatHasEndedItsSide) {
  auto server = startServer(plain(), [](const std::shared_ptr<Exchange>& exchange) {
    exchange->respond(textResponse(200, std::string(100'000, 'Z')));
  });
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  RawSocket socket(server->port());
  socket.send(requests);
  socket.endSending();
  std::string all = socket.readAll();
  EXPECT_EQ(count(all, "HTTP/1.1 200 OK"), 100u);
  EXPECT_EQ(count(all, "Z"), 100u * 100'000u);
}

TEST(Server, asksForTheBodyThatIsHeldBack) {
  auto server = startServer(plain(), echo);
  RawSocket socket(server->port());
  socket.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(socket.readUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  socket.send("abc");
  EXPECT_NE(socket.readUntil("abc").find("200 OK"), std::string::npos);
  socket.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(socket.readAll().starts_with("HTTP/1.1 413 "));
}

struct RawCase {
  const char* name;
  std::string request;
  std::string status;
};
void PrintTo(const RawCase& test, std::ostream* out) { *out << test.name; }

class OddRequests : public ::testing::TestWithParam<RawCase> {};

TEST_P(OddRequests, areAnsweredAndTheConnectionEnds) {
  auto server = startServer(plain(), echo);
  RawSocket socket(server->port());
  socket.send(GetParam().request);
  std::string answer = socket.readAll();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + GetParam().status)) << answer;
  if (GetParam().status != "200") {
    EXPECT_NE(answer.find("\"kind\":\"Status\""), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, OddRequests,
    ::testing::Values(
        RawCase{"no HTTP at all", "hello world\r\n\r\n", "400"},
        RawCase{"TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), "400"},
        RawCase{"no host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "400"},
        RawCase{"HTTP/1.0 needs no host", "GET / HTTP/1.0\r\n\r\n", "200"},
        RawCase{"bad percent", "GET /%zz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "400"},
        RawCase{"long headers", "GET / HTTP/1.1\r\nA: " + std::string(70'000, 'a'), "431"},
        RawCase{"endless chunk line",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(100'000, 'a'),
                "400"},
        RawCase{"smuggling",
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "400"},
        RawCase{"unknown expectation", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: tea\r\n\r\n",
                "417"}));

TEST(Server, speaksHttp10) {
  auto server = startServer(plain(), [](const std::shared_ptr<Exchange>& exchange) {
    if (exchange->request().url.path == "/kept") return exchange->respond(textResponse(200, "kept"));
    auto stream = exchange->stream(200, {});
    stream->write(shared("one"));
    stream->write(shared("two"));
    stream->finish();
  });
  RawSocket socket(server->port());
  socket.send("GET /kept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(socket.readUntil("kept").find("Connection: keep-alive"), std::string::npos);
  socket.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  std::string all = socket.readAll();
  EXPECT_TRUE(all.ends_with("\r\n\r\nonetwo")) << all;
}

TEST(Server, droppedRequestsAreAnsweredWith500) {
  auto server = startServer(serverOptions(), [](const std::shared_ptr<Exchange>& exchange) {
    if (exchange->request().url.path == "/throw") throw std::runtime_error("on purpose");
  });
  auto client = startClient(clientOptions(*server));
  for (const char* target : {"/", "/throw", "/"}) {
    auto answer = client->call({.target = target});
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 500);
    EXPECT_NE(answer->body.find("InternalError"), std::string::npos);
  }
}

TEST(Server, slowHeadersAndIdleConnectionsAreCut) {
  auto options = plain();
  options.headerTimeoutSeconds = 0.2;
  options.idleTimeoutSeconds = 0.2;
  auto server = startServer(options, echo);
  RawSocket idle(server->port());
  EXPECT_TRUE(idle.closedByPeer());
  RawSocket slow(server->port());
  slow.send("GET / HT");
  EXPECT_TRUE(slow.closedByPeer());
  RawSocket served(server->port());
  served.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(served.closedByPeer());
}

TEST(Server, boundsItsConnections) {
  auto options = plain();
  options.maxConnections = 2;
  auto server = startServer(options, echo);
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  RawSocket first(server->port());
  first.send(request);
  EXPECT_NE(first.readUntil("\r\n\r\n"), "");
  {
    RawSocket second(server->port());
    second.send(request);
    EXPECT_NE(second.readUntil("\r\n\r\n"), "");
    RawSocket third(server->port());
    EXPECT_TRUE(third.closedByPeer());
  }
  first.send(request);
  EXPECT_NE(first.readUntil("\r\n\r\n"), "");
}

TEST(Server, tellsOfAnAddressInUse) {
  auto server = startServer(plain(), echo);
  auto options = plain();
  options.port = server->port();
  auto second = Server::listen(options, echo);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().message,
            "address 127.0.0.1:" + std::to_string(server->port()) + " is in use by another program");
  options.host = "localhost";
  EXPECT_EQ(Server::listen(options, echo).error().message,
            "cannot listen on \"localhost\": an IPv4 or IPv6 address is expected");
}

TEST(Server, tellsOfKeysItCannotUse) {
  auto options = serverOptions();
  options.keyPem = pki().client.keyPem;
  EXPECT_EQ(Server::listen(options, echo).error().reason, Reason::BadRequest);
  options.keyPem = "nonsense";
  EXPECT_EQ(Server::listen(options, echo).error().reason, Reason::BadRequest);
}

TEST(Server, listensOnSeveralAddresses) {
  auto server = startServer(serverOptions(), echo);
  uint16_t freePort = startServer(plain(), echo)->port();
  ASSERT_TRUE(server->alsoListen("127.0.0.2", freePort).ok());
  auto options = clientOptions(*server);
  options.host = "127.0.0.2";
  options.port = freePort;
  options.serverName = "127.0.0.1";
  auto answer = startClient(options)->call({.method = "POST", .body = "there"});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->body, "there");
  EXPECT_FALSE(server->alsoListen("127.0.0.2", freePort).ok());
}

TEST(Server, runsTimersUnlessCancelled) {
  auto server = startServer(plain(), echo);
  Signal ran;
  std::atomic<bool> wrong = false;
  uint64_t cancelled = server->after(0.01, [&] { wrong = true; });
  server->cancel(cancelled);
  server->after(0.05, [&] { ran.set(); });
  server->after(3600, [&] { wrong = true; });
  EXPECT_TRUE(ran.wait());
  server.reset();
  EXPECT_FALSE(wrong);
}

TEST(Server, endsWhileRequestsAreUnderWay) {
  std::shared_ptr<Exchange> held;
  std::shared_ptr<Exchange::Stream> stream;
  Signal both, closed;
  std::atomic<int> arrived = 0;
  auto server = startServer(serverOptions(), [&](std::shared_ptr<Exchange> exchange) {
    if (exchange->request().url.path == "/stream") {
      stream = exchange->stream(200, {});
      stream->onClosed([&] { closed.set(); });
      stream->write(shared("hello"));
    } else {
      held = std::move(exchange);
    }
    if (++arrived == 2) both.set();
  });
  auto client = startClient(clientOptions(*server));
  std::thread caller([&] { EXPECT_FALSE(client->call({}).ok()); });
  std::thread reader(
      [&] { EXPECT_FALSE(client->stream({.target = "/stream"}, [](std::string_view) { return true; }).ok()); });
  EXPECT_TRUE(both.wait());
  server.reset();
  EXPECT_TRUE(closed.wait());
  EXPECT_FALSE(stream->write(shared("late")));
  held->respond(textResponse(200, "late"));
  held.reset();
  caller.join();
  reader.join();
}

}  // namespace
}  // namespace stoker::net
