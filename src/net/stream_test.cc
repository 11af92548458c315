#include <gtest/gtest.h>

#include <thread>

#include "net/support_test.h"

namespace stoker::net {
namespace {

using namespace testing;
using StreamPtr = std::shared_ptr<Exchange::Stream>;

TEST(Stream, piecesArriveInOrderFromOtherThreads) {
  std::vector<std::thread> writers;
  std::mutex mutex;
  auto server = startServer(serverOptions(), [&](const std::shared_ptr<Exchange>& exchange) {
    StreamPtr stream = exchange->stream(200, {{"Content-Type", "application/json"}});
    std::lock_guard lock(mutex);
    writers.emplace_back([stream] {
      for (int i = 0; i < 5000; ++i) ASSERT_TRUE(stream->write(shared(std::to_string(i) + "\n")));
      stream->finish();
      EXPECT_FALSE(stream->write(shared("after the end")));
    });
  });
  auto client = startClient(clientOptions(*server));
  for (int round = 0; round < 3; ++round) {
    std::string got;
    auto answer = client->stream({.target = "/"}, [&](std::string_view data) {
      got += data;
      return true;
    });
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 200);
    std::string expected;
    for (int i = 0; i < 5000; ++i) expected += std::to_string(i) + "\n";
    EXPECT_TRUE(got == expected);
  }
  for (auto& writer : writers) writer.join();
}

TEST(Stream, eachPieceIsOneChunkAndTheConnectionGoesOn) {
  ServerOptions options;
  options.plaintext = true;
  auto server = startServer(options, [&](const std::shared_ptr<Exchange>& exchange) {
    StreamPtr stream = exchange->stream(200, {});
    stream->write(shared("hello"));
    stream->write(shared(""));
    stream->write(shared(std::string(17, 'x')));
    stream->finish();
  });
  RawSocket socket(server->port());
  socket.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  std::string all = socket.readAll();
  std::string body = "\r\n\r\n5\r\nhello\r\n11\r\nxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n";
  size_t first = all.find(body);
  ASSERT_NE(first, std::string::npos) << all;
  EXPECT_NE(all.find(body, first + 1), std::string::npos) << all;
}

TEST(Stream, slowReadersAreCut) {
  auto options = serverOptions();
  options.maxStreamBufferBytes = 1 << 20;
  Signal cut;
  std::atomic<int> written = 0;
  std::vector<std::thread> writers;
  auto server = startServer(options, [&](const std::shared_ptr<Exchange>& exchange) {
    StreamPtr stream = exchange->stream(200, {});
    stream->onClosed([&] { cut.set(); });
    writers.emplace_back([&written, stream] {
      auto piece = shared(std::string(10'000, 'x'));
      while (stream->write(piece)) ++written;
      EXPECT_FALSE(stream->write(piece)) << "a cut stream stays cut";
    });
  });
  auto client = startClient(clientOptions(*server));
  bool first = true;
  auto answer = client->stream({.target = "/"}, [&](std::string_view) {
    // Reads nothing until the server has lost its patience.
    if (std::exchange(first, false)) {
      EXPECT_TRUE(cut.wait());
    }
    return true;
  });
  EXPECT_FALSE(answer.ok());
  writers[0].join();
  EXPECT_GE((written + 1) * 10'000, 1 << 20);
}

TEST(Stream, aQuickReaderGetsMoreThanTheBound) {
  auto options = serverOptions();
  options.maxStreamBufferBytes = 100'000;
  std::vector<std::thread> writers;
  auto server = startServer(options, [&](const std::shared_ptr<Exchange>& exchange) {
    StreamPtr stream = exchange->stream(200, {});
    writers.emplace_back([stream] {
      for (int i = 0; i < 100; ++i) {
        Signal drained;
        ASSERT_TRUE(stream->write(shared(std::string(50'000, 'x'))));
        stream->onDrained([&] { drained.set(); });
        ASSERT_TRUE(drained.wait());
      }
      ASSERT_TRUE(stream->write(shared(std::string(500'000, 'x')))) << "one large piece is not a slow reader";
      stream->finish();
    });
  });
  size_t got = 0;
  auto answer = startClient(clientOptions(*server))->stream({.target = "/"}, [&](std::string_view data) {
    got += data.size();
    return true;
  });
  EXPECT_TRUE(answer.ok());
  EXPECT_EQ(got, 100u * 50'000 + 500'000);
  writers[0].join();
}

TEST(Stream, tellsWhenThePeerIsGone) {
  StreamPtr stream;
  Signal started, closed, closedLate, wrong;
  auto server = startServer(serverOptions(), [&](const std::shared_ptr<Exchange>& exchange) {
    stream = exchange->stream(200, {});
    stream->onClosed([&] { closed.set(); });
    stream->write(shared("hello"));
    started.set();
  });
  auto client = startClient(clientOptions(*server));
  auto answer = client->stream({.target = "/"}, [&](std::string_view data) {
    EXPECT_EQ(data, "hello");
    return false;
  });
  EXPECT_TRUE(answer.ok());
  EXPECT_TRUE(started.wait());
  EXPECT_TRUE(closed.wait());
  EXPECT_FALSE(stream->write(shared("more")));
  stream->onClosed([&] { closedLate.set(); });
  EXPECT_TRUE(closedLate.wait());
}

TEST(Stream, aStreamThatIsDroppedDoesNotLookComplete) {
  auto server = startServer(serverOptions(), [&](const std::shared_ptr<Exchange>& exchange) {
    exchange->stream(200, {})->write(shared("half"));
  });
  auto answer = startClient(clientOptions(*server))->stream({.target = "/"}, [](std::string_view) { return true; });
  EXPECT_FALSE(answer.ok());
}

TEST(Stream, manyWatchersShareTheirPieces) {
  constexpr int kWatchers = 20;
  constexpr int kEvents = 500;
  std::mutex mutex;
  std::vector<StreamPtr> streams;
  Signal all;
  auto server = startServer(serverOptions(), [&](const std::shared_ptr<Exchange>& exchange) {
    std::lock_guard lock(mutex);
    streams.push_back(exchange->stream(200, {}));
    if (streams.size() == kWatchers) all.set();
  });
  auto client = startClient(clientOptions(*server));
  std::atomic<int> good = 0;
  std::vector<std::thread> watchers;
  for (int i = 0; i < kWatchers; ++i)
    watchers.emplace_back([&] {
      size_t got = 0;
      auto answer = client->stream({.target = "/"}, [&](std::string_view data) {
        got += data.size();
        return true;
      });
      if (answer.ok() && got == kEvents * 1000u) ++good;
    });
  ASSERT_TRUE(all.wait());
  for (int i = 0; i < kEvents; ++i) {
    auto event = shared(std::string(1000, 'e'));
    for (auto& stream : streams) EXPECT_TRUE(stream->write(event));
  }
  for (auto& stream : streams) stream->finish();
  for (auto& watcher : watchers) watcher.join();
  EXPECT_EQ(good, kWatchers);
}

}  // namespace
}  // namespace stoker::net
