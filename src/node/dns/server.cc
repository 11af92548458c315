#include "node/dns/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "base/file.h"
#include "base/strings.h"

namespace stoker::node::dns {
namespace {

using Steady = std::chrono::steady_clock;

// What is asked for more than this is answered with SERVFAIL: a client that floods us must not take our memory.
constexpr size_t kMaxHeld = 4096, kMaxForwarded = 1024, kMaxTcpClients = 128;
constexpr auto kForwardTimeout = std::chrono::seconds(2);  // then the next upstream
constexpr auto kTcpIdle = std::chrono::seconds(15);
constexpr uint16_t kLongestHold = 10000;  // ms
constexpr size_t kPlainUdpLimit = 512, kMaxUdp = 4096;

sockaddr_in socketAddress(const std::string& ip, uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  inet_pton(AF_INET, ip.c_str(), &out.sin_addr);
  return out;
}

}  // namespace

std::vector<std::string> nameserversOf(const std::string& resolvConf, const std::string& except) {
  std::vector<std::string> out;
  for (std::string_view line : split(resolvConf, '\n')) {
    line = trim(line);
    if (!line.starts_with("nameserver")) continue;
    std::string address(trim(line.substr(10)));
    if (address != except && addressBytes(address)) out.push_back(address);
  }
  return out;
}

class Server::Loop {
 public:
  explicit Loop(ServerOptions options) : options_(std::move(options)), records_(options_.domain) {}
  ~Loop() {
    stopping_ = true;
    poke();
    if (thread_.joinable()) thread_.join();
    for (int fd : {udp_, tcp_, upstream_, wake_, epoll_})
      if (fd >= 0) ::close(fd);
    for (auto& [fd, client] : clients_) ::close(fd);
  }

  Result<void> open() {
    auto failed = [&](const char* what) {
      return Error(Reason::ServiceUnavailable, fmt::format("DNS: cannot {} {}:{}: {}; is another resolver there?", what,
                                                           options_.address, options_.port, std::strerror(errno)));
    };
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    udp_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    upstream_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (epoll_ < 0 || wake_ < 0 || udp_ < 0 || upstream_ < 0 || tcp_ < 0) return failed("make sockets for");
    sockaddr_in address = socketAddress(options_.address, options_.port);
    if (::bind(udp_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return failed("listen on udp");
    socklen_t size = sizeof address;
    ::getsockname(udp_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    int on = 1;
    ::setsockopt(tcp_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(tcp_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(tcp_, 64) != 0)
      return failed("listen on tcp");
    for (int fd : {udp_, tcp_, upstream_, wake_}) watch(fd);
    thread_ = std::thread([this] { run(); });
    ::pthread_setname_np(thread_.native_handle(), "dns");
    return {};
  }
  uint16_t port() const { return port_; }
  void update(const std::function<void(Records&)>& change) {
    {
      std::lock_guard lock(mutex_);
      change(records_);
    }
    changed_ = true;
    poke();
  }

 private:
  struct Asker {
    int tcp = -1;  ///< the client's connection, or -1 for UDP
    uint64_t connection = 0;
    sockaddr_in address{};
    size_t limit = kPlainUdpLimit;
  };
  struct Held {
    Asker asker;
    Message query;
    Steady::time_point until;
  };
  struct Forwarded {
    Asker asker;
    Message query;
    size_t upstream = 0;
    Steady::time_point until;
  };
  struct Client {
    uint64_t id = 0;
    std::string in, out;
    Steady::time_point until;
  };

  void watch(int fd, uint32_t events = EPOLLIN) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  void poke() {
    uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
  }

  void run() {
    std::vector<epoll_event> events(64);
    while (!stopping_) {
      int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout());
      for (int i = 0; i < count; ++i) {
        int fd = events[static_cast<size_t>(i)].data.fd;
        if (fd == wake_) {
          uint64_t value = 0;
          (void)!::read(wake_, &value, sizeof value);
        } else if (fd == udp_) {
          readUdp();
        } else if (fd == upstream_) {
          readUpstream();
        } else if (fd == tcp_) {
          acceptClient();
        } else {
          serveClient(fd);
        }
      }
      if (changed_.exchange(false)) recheck();
      expire();
    }
  }

  int timeout() {
    std::optional<Steady::time_point> next;
    auto consider = [&](Steady::time_point at) {
      if (!next || at < *next) next = at;
    };
    for (const Held& held : held_) consider(held.until);
    for (const auto& [id, forwarded] : forwarded_) consider(forwarded.until);
    for (const auto& [fd, client] : clients_) consider(client.until);
    if (!next) return -1;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Steady::now()).count();
    return static_cast<int>(std::clamp<int64_t>(left, 0, 60000));
  }

  void readUdp() {
    char buffer[kMaxUdp];
    Asker asker;
    while (true) {
      socklen_t size = sizeof asker.address;
      ssize_t count = ::recvfrom(udp_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&asker.address), &size);
      if (count < 0) return;
      handle(std::string_view(buffer, static_cast<size_t>(count)), asker);
    }
  }

  void handle(std::string_view bytes, Asker asker) {
    auto query = decode(bytes);
    if (!query.ok() || query->response) return;  // nothing sensible can be said to that
    if (query->edns && asker.tcp < 0) asker.limit = std::clamp<size_t>(query->edns->udpSize, kPlainUdpLimit, kMaxUdp);
    if (query->opcode != 0) return reply(asker, *query, {true, kNotImp, {}});
    if (query->questions.size() != 1 || query->questions[0].klass != 1)
      return reply(asker, *query, {true, kFormErr, {}});
    Answer answer = resolve(query->questions[0]);
    if (!answer.inZone) return forward(std::move(asker), std::move(*query), 0);
    bool hold = query->edns && query->edns->holdMilliseconds && answer.records.empty();
    if (!hold || held_.size() >= kMaxHeld) return reply(asker, *query, answer);
    auto until = Steady::now() + std::chrono::milliseconds(std::min(*query->edns->holdMilliseconds, kLongestHold));
    held_.push_back({std::move(asker), std::move(*query), until});
  }

  Answer resolve(const Question& question) {
    std::lock_guard lock(mutex_);
    return records_.resolve(question.name, question.type);
  }

  void recheck() {
    std::erase_if(held_, [this](const Held& held) {
      Answer answer = resolve(held.query.questions[0]);
      if (answer.records.empty()) return false;
      reply(held.asker, held.query, answer);
      return true;
    });
  }

  void expire() {
    auto now = Steady::now();
    std::erase_if(held_, [&](const Held& held) {
      if (held.until > now) return false;
      reply(held.asker, held.query, resolve(held.query.questions[0]));
      return true;
    });
    std::vector<uint16_t> late;
    for (const auto& [id, forwarded] : forwarded_)
      if (forwarded.until <= now) late.push_back(id);
    for (uint16_t id : late) {
      Forwarded one = std::move(forwarded_.extract(id).mapped());
      forward(std::move(one.asker), std::move(one.query), one.upstream + 1);
    }
    std::vector<int> idle;
    for (const auto& [fd, client] : clients_)
      if (client.until <= now) idle.push_back(fd);
    for (int fd : idle) closeClient(fd);
  }

  void reply(const Asker& asker, const Message& query, const Answer& answer) {
    Message out;
    out.id = query.id;
    out.response = out.recursionAvailable = true;
    out.authoritative = answer.inZone;
    out.recursionDesired = query.recursionDesired;
    out.rcode = answer.rcode;
    out.questions = query.questions;
    out.answers = answer.records;
    // Spread clients over the addresses of a headless service.
    if (out.answers.size() > 1)
      std::rotate(out.answers.begin(), out.answers.begin() + static_cast<long>(turn_++ % out.answers.size()),
                  out.answers.end());
    if (answer.inZone && answer.records.empty())
      out.authorities.push_back({.name = options_.domain, .type = kSoa, .ttl = kTtl, .raw = soa()});
    if (query.edns) out.edns = Edns{};
    send(asker, out);
  }

  /// Tells resolvers how briefly they may remember that a name does not exist (RFC 2308).
  std::string soa() const {
    std::string name;
    auto add = [&name](const std::string& dotted) {
      for (std::string_view label : split(dotted, '.')) {
        name += static_cast<char>(label.size());
        name += label;
      }
      name += '\0';
    };
    add("ns.dns." + options_.domain);
    add("hostmaster." + options_.domain);
    for (uint32_t value : {1u, 7200u, 1800u, 86400u, kTtl})
      for (int shift : {24, 16, 8, 0}) name += static_cast<char>(value >> shift & 0xff);
    return name;
  }

  void send(const Asker& asker, const Message& message) {
    if (asker.tcp < 0) {
      std::string bytes = encode(message, asker.limit);
      (void)!::sendto(udp_, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&asker.address),
                      sizeof asker.address);
      return;
    }
    auto client = clients_.find(asker.tcp);
    if (client == clients_.end() || client->second.id != asker.connection) return;
    std::string bytes = encode(message);
    client->second.out += static_cast<char>(bytes.size() >> 8);
    client->second.out += static_cast<char>(bytes.size() & 0xff);
    client->second.out += bytes;
    flushClient(asker.tcp);
  }

  void forward(Asker asker, Message query, size_t upstream) {
    if (upstream >= options_.upstreams.size() || forwarded_.size() >= kMaxForwarded)
      return reply(asker, query, {false, static_cast<uint8_t>(options_.upstreams.empty() ? kNxDomain : kServFail), {}});
    uint16_t id = 0;
    do {
      // Ids of forwarded queries are not to be guessed.
      uint32_t random = 0;
      (void)!::getentropy(&random, sizeof random);
      id = static_cast<uint16_t>(random);
    } while (forwarded_.contains(id));
    Message out = query;
    out.id = id;
    if (out.edns) out.edns->holdMilliseconds.reset();
    std::string bytes = encode(out);
    sockaddr_in address = socketAddress(options_.upstreams[upstream], options_.upstreamPort);
    (void)!::sendto(upstream_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
    forwarded_[id] = {std::move(asker), std::move(query), upstream, Steady::now() + kForwardTimeout};
  }

  void readUpstream() {
    char buffer[65536];
    while (true) {
      sockaddr_in from{};
      socklen_t size = sizeof from;
      ssize_t count = ::recvfrom(upstream_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (count < 0) return;
      auto answer = decode(std::string_view(buffer, static_cast<size_t>(count)));
      if (!answer.ok() || !answer->response) continue;
      auto it = forwarded_.find(answer->id);
      if (it == forwarded_.end() || it->second.query.questions != answer->questions) continue;
      sockaddr_in expected = socketAddress(options_.upstreams[it->second.upstream], options_.upstreamPort);
      if (from.sin_addr.s_addr != expected.sin_addr.s_addr || from.sin_port != expected.sin_port) continue;
      Forwarded one = std::move(forwarded_.extract(it).mapped());
      answer->id = one.query.id;
      if (!one.query.edns) answer->edns.reset();
      send(one.asker, *answer);
    }
  }

  void acceptClient() {
    while (true) {
      int fd = ::accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0) return;
      if (clients_.size() >= kMaxTcpClients) {
        ::close(fd);
        continue;
      }
      clients_[fd] = {.id = ++nextConnection_, .until = Steady::now() + kTcpIdle};
      watch(fd);
    }
  }

  void serveClient(int fd) {
    auto it = clients_.find(fd);
    if (it == clients_.end()) return;
    char buffer[4096];
    while (true) {
      ssize_t count = ::read(fd, buffer, sizeof buffer);
      if (count == 0 || (count < 0 && errno != EAGAIN)) return closeClient(fd);
      if (count < 0) break;
      it->second.in.append(buffer, static_cast<size_t>(count));
      it->second.until = Steady::now() + kTcpIdle;
    }
    uint64_t id = it->second.id;
    while (it->second.in.size() >= 2) {
      size_t length =
          static_cast<size_t>(static_cast<uint8_t>(it->second.in[0])) << 8 | static_cast<uint8_t>(it->second.in[1]);
      if (it->second.in.size() < length + 2) break;
      std::string message = it->second.in.substr(2, length);
      it->second.in.erase(0, length + 2);
      handle(message, {.tcp = fd, .connection = id});
      it = clients_.find(fd);  // the answer may have ended the connection
      if (it == clients_.end() || it->second.id != id) return;
    }
    flushClient(fd);
  }

  void flushClient(int fd) {
    Client& client = clients_.at(fd);
    while (!client.out.empty()) {
      ssize_t count = ::send(fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN) return closeClient(fd);
      if (count <= 0) break;
      client.out.erase(0, static_cast<size_t>(count));
    }
    epoll_event event{.events = client.out.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT, .data = {.fd = fd}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
  }

  void closeClient(int fd) {
    clients_.erase(fd);
    ::close(fd);
  }

  ServerOptions options_;
  std::mutex mutex_;  // records_
  Records records_;
  std::atomic<bool> stopping_ = false, changed_ = false;
  int udp_ = -1, tcp_ = -1, upstream_ = -1, wake_ = -1, epoll_ = -1;
  uint16_t port_ = 0;
  std::vector<Held> held_;
  std::map<uint16_t, Forwarded> forwarded_;
  std::map<int, Client> clients_;
  uint64_t nextConnection_ = 0;
  size_t turn_ = 0;
  std::thread thread_;
};

Server::Server(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(ServerOptions options) {
  auto loop = std::make_unique<Loop>(std::move(options));
  STOKER_CHECK(loop->open());
  return std::unique_ptr<Server>(new Server(std::move(loop)));
}

uint16_t Server::port() const { return loop_->port(); }
void Server::update(const std::function<void(Records&)>& change) { loop_->update(change); }

}  // namespace stoker::node::dns
