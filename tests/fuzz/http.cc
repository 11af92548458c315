// HTTP/1.1 requests and responses: what is read does not depend on how the bytes were cut into pieces.
#include "fuzz.h"
#include "net/parser.h"

using namespace stoker;
using net::Parser;

namespace {

/// Everything that came out of the bytes, as text. What is malformed at the end may be seen earlier or later, depending
/// on the pieces, or only when the peer ends: it counts as incomplete.
std::string readAll(Parser::Kind kind, std::string_view bytes, size_t piece) {
  Parser parser(kind, 4096, 65536);
  std::string out, pending;
  size_t at = 0;
  // A parser that makes no progress on the same bytes would spin for ever.
  for (int idle = 0; idle < 3;) {
    if (at < bytes.size()) {
      std::string_view next = bytes.substr(at, piece);
      pending += next;
      at += next.size();
    } else {
      ++idle;
    }
    for (;;) {
      size_t used = 0;
      Parser::Event event = parser.feed(pending, used);
      require(used <= pending.size(), "no more is used than was given");
      pending.erase(0, used);
      if (event == Parser::Event::NeedMore) break;
      if (event != Parser::Event::Complete) return out + "?";
      const net::Head& head = parser.head();
      out += head.method + " " + head.target + " " + std::to_string(head.status) + "\n";
      for (const auto& [name, value] : head.headers) out += name + ":" + value + "\n";
      out += parser.body() + "\n" + (parser.keepAlive() ? "k" : "c");
      if (kind == Parser::Kind::Request) (void)net::parseTarget(head.target);
      if (!parser.keepAlive()) return out;
      parser.reset();
      if (pending.empty()) break;
    }
  }
  if (parser.started()) out += parser.end() == Parser::Event::Complete ? "e" + parser.body() : "?";
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = text(data, size);
  for (Parser::Kind kind : {Parser::Kind::Request, Parser::Kind::Response}) {
    std::string whole = readAll(kind, bytes, size + 1);
    std::string single = readAll(kind, bytes, 1);
    require(whole == single, "pieces do not matter", whole, single);
  }
  if (auto url = net::parseTarget(bytes); url.ok()) {
    auto again = net::parseTarget("/" + net::percentEncode(url->path));
    require(again.ok() && again->path == "/" + url->path, "an encoded path decodes to itself", url->path);
  }
  return 0;
}
