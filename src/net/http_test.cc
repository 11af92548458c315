#include "net/http.h"

#include <gtest/gtest.h>

#include "net/message.h"
#include "net/out_queue.h"
#include "net/parser.h"

namespace stoker::net {
namespace {

using Query = std::vector<std::pair<std::string, std::string>>;

struct TargetCase {
  const char* name;
  std::string target;
  std::optional<std::string> path;  ///< nullopt: refused
  Query query = {};
};
void PrintTo(const TargetCase& test, std::ostream* out) { *out << test.name; }

class ParseTarget : public ::testing::TestWithParam<TargetCase> {};

TEST_P(ParseTarget, isReadAsExpected) {
  auto url = parseTarget(GetParam().target);
  ASSERT_EQ(url.ok(), GetParam().path.has_value());
  if (!url) {
    EXPECT_EQ(url.error().reason, Reason::BadRequest);
    return;
  }
  EXPECT_EQ(url->path, *GetParam().path);
  EXPECT_EQ(url->query, GetParam().query);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ParseTarget,
    ::testing::Values(TargetCase{"plain path", "/api/v1/pods", "/api/v1/pods"},
                      TargetCase{"query", "/p?a=1&b=x%20y&c", "/p", Query{{"a", "1"}, {"b", "x y"}, {"c", ""}}},
                      TargetCase{"plus is a space in the query only", "/a+b?q=a+b", "/a+b", Query{{"q", "a b"}}},
                      TargetCase{"value with equals signs", "/p?labelSelector=a%3Db%2Cc==d", "/p",
                                 Query{{"labelSelector", "a=b,c==d"}}},
                      TargetCase{"empty pairs", "/p?&&a=1&", "/p", Query{{"a", "1"}}},
                      TargetCase{"repeated name", "/p?c=a&c=b", "/p", Query{{"c", "a"}, {"c", "b"}}},
                      TargetCase{"encoded path", "/a%2fb/%41%7e", "/a/b/A~"},
                      TargetCase{"absolute form", "https://host:1/x?y=http://z", "/x", Query{{"y", "http://z"}}},
                      TargetCase{"absolute form without a path", "http://host", "/"}, TargetCase{"asterisk", "*", "*"},
                      TargetCase{"percent at the end", "/a%", std::nullopt},
                      TargetCase{"one digit at the end", "/a%2", std::nullopt},
                      TargetCase{"two digits at the end", "/a%2F", "/a/"},
                      TargetCase{"no digits", "/a%zz", std::nullopt}, TargetCase{"bad query", "/a?b=%g1", std::nullopt},
                      TargetCase{"bad query name", "/a?%=1", std::nullopt},
                      TargetCase{"zero byte", "/a%00b", std::nullopt},
                      TargetCase{"authority form", "host:443", std::nullopt}, TargetCase{"empty", "", std::nullopt}));

TEST(Http, headersAreFoundWithoutCase) {
  Headers headers = {{"Content-Type", "a"}, {"X-One", "1"}, {"x-one", "2"}};
  EXPECT_EQ(header(headers, "content-TYPE"), "a");
  EXPECT_EQ(header(headers, "x-one"), "1");
  EXPECT_EQ(header(headers, "x-on"), "");
}

TEST(Http, parametersAreFoundByName) {
  Url url{.path = "/", .query = {{"a", ""}, {"b", "1"}, {"b", "2"}}};
  EXPECT_EQ(url.param("a"), "");
  EXPECT_EQ(url.param("b"), "1");
  EXPECT_EQ(url.param("c"), std::nullopt);
}

TEST(Http, percentEncodingComesBack) {
  EXPECT_EQ(percentEncode("a b/c=d,e~f%\xc3\xa4"), "a%20b%2Fc%3Dd%2Ce~f%25%C3%A4");
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(parseTarget("/?q=" + percentEncode(all))->param("q"), all);
}

TEST(Message, headsCarryTheServersOwnHeaders) {
  EXPECT_EQ(renderHead(200, {{"Content-Type", "a/b"}, {"content-length", "7"}}, {.contentLength = 3}, "D"),
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 3\r\nDate: D\r\n\r\n");
  EXPECT_EQ(renderHead(200, {}, {.chunked = true, .keepAlive = false}, "D"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nDate: D\r\n\r\n");
  EXPECT_EQ(renderHead(204, {}, {.version = 10}, "D"),
            "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nDate: D\r\n\r\n");
}

TEST(Message, lineBreaksInHeadersCannotSplitAnAnswer) {
  EXPECT_EQ(renderHead(200, {{"X", "a\r\nSet-Cookie: b"}}, {}, "D"),
            "HTTP/1.1 200 OK\r\nX: a  Set-Cookie: b\r\nDate: D\r\n\r\n");
}

TEST(Message, failuresAreStatuses) {
  EXPECT_EQ(*failure(413, Reason::RequestEntityTooLarge, "too \"big\"\n").body,
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"too "
            "\\\"big\\\"\\u000a\","
            "\"reason\":\"RequestEntityTooLarge\",\"code\":413}\n");
}

TEST(OutQueue, piecesLeaveInOrderWhateverTheSteps) {
  for (size_t step : {1u, 2u, 3u, 5u, 100u}) {
    OutQueue queue;
    queue.push(std::string("ab"));
    queue.push(std::make_shared<const std::string>("cdefg"), true);
    queue.pushBorrowed("hi");
    queue.push(std::make_shared<const std::string>(), true);
    queue.push(std::make_shared<const std::string>("j"), true);
    EXPECT_EQ(queue.size(), 10u);
    std::string out;
    size_t released = 0;
    while (!queue.empty()) {
      char buffer[100];
      out.append(buffer, queue.take(buffer, step));
      released += queue.takeReleased();
    }
    EXPECT_EQ(out, "abcdefghij");
    EXPECT_EQ(released, 6u);
  }
}

TEST(OutQueue, gathersFromTheMiddleOfAPiece) {
  OutQueue queue;
  queue.push(std::string("abc"));
  queue.push(std::string("def"));
  queue.consume(1);
  iovec list[4];
  ASSERT_EQ(queue.gather(list, 4), 2);
  EXPECT_EQ(std::string_view(static_cast<char*>(list[0].iov_base), list[0].iov_len), "bc");
  EXPECT_EQ(queue.gather(list, 1), 1);
}

TEST(Parser, readsTheSameMessageInAnySlices) {
  const std::string text =
      "POST /x HTTP/1.1\r\nHost: h\r\nA: 1\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n6\r\n "
      "world\r\n0\r\nTrailer: t\r\n\r\nGET";
  for (size_t step = 1; step <= text.size(); ++step) {
    Parser parser(Parser::Kind::Request, 8192, 100);
    std::string input;
    Parser::Event event = Parser::Event::NeedMore;
    for (size_t at = 0; at < text.size() && event == Parser::Event::NeedMore; at += step) {
      input += text.substr(at, step);
      size_t used = 0;
      event = parser.feed(input, used);
      input.erase(0, used);
    }
    ASSERT_EQ(event, Parser::Event::Complete) << step << ": " << parser.problem();
    EXPECT_EQ(parser.body(), "hello world");
    EXPECT_EQ(parser.head().method, "POST");
    EXPECT_EQ(parser.head().headers.size(), 3u) << "a trailer is no header";
    EXPECT_TRUE(parser.keepAlive());
  }
}

TEST(Parser, anEmptyChunkedBodyMayComeByteByByte) {
  const std::string text = "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  for (size_t step = 1; step <= text.size(); ++step) {
    Parser parser(Parser::Kind::Request, 8192, 100);
    std::string input;
    Parser::Event event = Parser::Event::NeedMore;
    for (size_t at = 0; at < text.size() && event == Parser::Event::NeedMore; at += step) {
      input += text.substr(at, step);
      size_t used = 0;
      event = parser.feed(input, used);
      input.erase(0, used);
    }
    ASSERT_EQ(event, Parser::Event::Complete) << step << ": " << parser.problem();
    EXPECT_EQ(parser.body(), "");
  }
}

struct BadCase {
  const char* name;
  std::string text;
  Parser::Event event = Parser::Event::Malformed;
};
void PrintTo(const BadCase& test, std::ostream* out) { *out << test.name; }

class BadRequest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadRequest, isRefused) {
  Parser parser(Parser::Kind::Request, 200, 10);
  size_t used = 0;
  EXPECT_EQ(parser.feed(GetParam().text, used), GetParam().event);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadRequest,
    ::testing::Values(
        BadCase{"no HTTP", "hello\r\n\r\n"}, BadCase{"TLS on a plain port", "\x16\x03\x01\x02\x00\x01\r\n\r\n"},
        BadCase{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
        BadCase{"two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
        BadCase{"length and chunks", "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        BadCase{"negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"},
        BadCase{"huge length", "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n"},
        BadCase{"space before colon", "GET / HTTP/1.1\r\nA : b\r\n\r\n"},
        BadCase{"bad chunk size", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"},
        BadCase{"length above the limit", "POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n", Parser::Event::BodyTooLarge},
        BadCase{"chunks above the limit",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n123456\r\n",
                Parser::Event::BodyTooLarge},
        BadCase{"long headers", "GET / HTTP/1.1\r\nA: " + std::string(300, 'a') + "\r\n\r\n",
                Parser::Event::HeadTooLarge},
        BadCase{"long target", "GET /" + std::string(300, 'a') + " HTTP/1.1\r\n\r\n", Parser::Event::HeadTooLarge}));

}  // namespace
}  // namespace stoker::net
