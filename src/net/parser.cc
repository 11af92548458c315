#include "net/parser.h"

#include <boost/asio/buffer.hpp>
// Beast asserts that the end of a chunked body arrives in one piece, which is for the peer to decide: a legal request
// in small pieces would end the process. Without the assertion it waits for the rest, as it should (found by fuzzing).
#define BOOST_DISABLE_ASSERTS
#include <boost/beast/http/basic_parser.hpp>

namespace stoker::net {
namespace {

namespace http = boost::beast::http;
using boost::beast::string_view;
using ErrorCode = boost::beast::error_code;

std::string text(string_view view) { return {view.data(), view.size()}; }

// A claimed length is believed only this far before bytes arrive, so that idle claims cost no memory.
constexpr uint64_t kMaxReserve = 256 << 10;

/// Beast's parser filling our own types directly.
template <bool isRequest>
class Filler final : public http::basic_parser<isRequest> {
 public:
  Filler(Head& head, std::string& body) : head_(head), body_(body) {}

 private:
  void on_request_impl(http::verb, string_view method, string_view target, int version, ErrorCode&) override {
    head_.method = text(method);
    head_.target = text(target);
    head_.version = version;
  }
  void on_response_impl(int code, string_view, int version, ErrorCode&) override {
    head_.status = code;
    head_.version = version;
  }
  void on_field_impl(http::field, string_view name, string_view value, ErrorCode&) override {
    // Fields after the body (trailers) must not pass for headers.
    if (!this->is_header_done()) head_.headers.emplace_back(text(name), text(value));
  }
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, ErrorCode&) override {
    if (length) body_.reserve(std::min<uint64_t>(*length, kMaxReserve));
  }
  std::size_t on_body_impl(string_view data, ErrorCode&) override {
    body_.append(data.data(), data.size());
    return data.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view data, ErrorCode&) override {
    body_.append(data.data(), data.size());
    return data.size();
  }
  void on_finish_impl(ErrorCode&) override {}

  Head& head_;
  std::string& body_;
};

}  // namespace

struct Parser::Impl {
  Kind kind;
  uint32_t maxHeaderBytes;
  uint64_t maxBodyBytes;
  Head head;
  std::string body;
  std::string problem;
  bool started = false;
  std::optional<Filler<true>> request;
  std::optional<Filler<false>> response;

  /// Runs `use` on whichever of the two parsers is ours.
  template <class Use>
  auto with(Use use) {
    return kind == Kind::Request ? use(*request) : use(*response);
  }
  template <class Filler>
  void prepare(std::optional<Filler>& filler) {
    filler.emplace(head, body);
    filler->header_limit(maxHeaderBytes);
    filler->body_limit(maxBodyBytes);
    filler->eager(true);
  }
  Event failure(const ErrorCode& code) {
    if (code == http::error::header_limit) return Event::HeadTooLarge;
    if (code == http::error::body_limit) return Event::BodyTooLarge;
    problem = code.message();
    return Event::Malformed;
  }
};

Parser::Parser(Kind kind, uint32_t maxHeaderBytes, uint64_t maxBodyBytes) : impl_(std::make_unique<Impl>()) {
  impl_->kind = kind;
  impl_->maxHeaderBytes = maxHeaderBytes;
  impl_->maxBodyBytes = maxBodyBytes;
  reset();
}

Parser::~Parser() = default;

void Parser::reset() {
  impl_->head = Head{};
  impl_->body = std::string{};
  impl_->started = false;
  if (impl_->kind == Kind::Request)
    impl_->prepare(impl_->request);
  else
    impl_->prepare(impl_->response);
}

Parser::Event Parser::feed(std::string_view input, size_t& used) {
  used = 0;
  return impl_->with([&](auto& parser) {
    while (!parser.is_done() && used < input.size()) {
      ErrorCode code;
      size_t taken = parser.put(boost::asio::buffer(input.data() + used, input.size() - used), code);
      used += taken;
      impl_->started = true;
      if (code == http::error::need_more) return Event::NeedMore;
      if (code) return impl_->failure(code);
      if (taken == 0) break;
    }
    return parser.is_done() ? Event::Complete : Event::NeedMore;
  });
}

Parser::Event Parser::end() {
  return impl_->with([&](auto& parser) {
    if (parser.is_done()) return Event::Complete;
    if (!parser.got_some()) {
      impl_->problem = "closed before the first byte";
      return Event::Malformed;
    }
    ErrorCode code;
    parser.put_eof(code);
    return code ? impl_->failure(code) : Event::Complete;
  });
}

void Parser::expectNoBody() {
  impl_->with([](auto& parser) { parser.skip(true); });
}

bool Parser::started() const { return impl_->started; }
bool Parser::headDone() const {
  return impl_->with([](auto& parser) { return parser.is_header_done(); });
}
bool Parser::keepAlive() const {
  return impl_->with([](auto& parser) { return parser.keep_alive(); });
}
Head& Parser::head() { return impl_->head; }
std::string& Parser::body() { return impl_->body; }
const std::string& Parser::problem() const { return impl_->problem; }

}  // namespace stoker::net
