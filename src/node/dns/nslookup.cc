#include "node/dns/nslookup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>

#include "base/file.h"
#include "base/strings.h"
#include "node/dns/wire.h"

namespace stoker::node::dns {
namespace {

using Steady = std::chrono::steady_clock;
constexpr auto kHold = std::chrono::milliseconds(5000);
constexpr auto kGiveUp = std::chrono::milliseconds(7000);  // beyond the hold: the server is dead or far away
constexpr auto kResend = std::chrono::milliseconds(2000);  // a datagram may be lost

/// Asks for all names at once; the first that has addresses wins, in the order of `names` among those answered.
std::optional<Message> askAll(const std::vector<std::string>& names, const std::string& server, uint16_t port,
                              bool& answered) {
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, server.c_str(), &address.sin_addr);
  std::optional<Message> found;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    uint16_t base = 0;
    (void)!::getentropy(&base, sizeof base);
    auto began = Steady::now();
    std::vector<bool> done(names.size(), false);
    size_t open = names.size();
    auto nextSend = began;
    while (open > 0 && !found) {
      auto now = Steady::now();
      if (now - began >= kGiveUp) break;
      if (now >= nextSend) {
        auto left = kHold - std::chrono::duration_cast<std::chrono::milliseconds>(now - began);
        for (size_t i = 0; i < names.size(); ++i) {
          if (done[i]) continue;
          Message query;
          query.id = static_cast<uint16_t>(base + i);
          query.recursionDesired = true;
          query.questions = {{names[i], kA, 1}};
          query.edns = Edns{};
          if (left.count() > 0) query.edns->holdMilliseconds = static_cast<uint16_t>(left.count());
          std::string bytes = encode(query);
          (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        }
        nextSend = now + kResend;
      }
      pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
      auto until = std::min(nextSend, began + kGiveUp);
      auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Steady::now()).count();
      if (::poll(&wait, 1, static_cast<int>(std::max<int64_t>(left, 0))) <= 0) continue;
      char buffer[4096];
      ssize_t count = ::recv(fd, buffer, sizeof buffer, 0);
      if (count < 0) continue;
      auto answer = decode(std::string_view(buffer, static_cast<size_t>(count)));
      if (!answer.ok() || !answer->response || answer->questions.size() != 1) continue;
      size_t index = static_cast<uint16_t>(answer->id - base);
      if (index >= names.size() || done[index] || answer->questions[0].name != toLower(names[index])) continue;
      answered = true;
      done[index] = true;
      --open;
      for (const Record& record : answer->answers)
        if (record.type == kA) {
          found = *answer;
          break;
        }
    }
  }
  ::close(fd);
  return found;
}

}  // namespace

ResolvConf parseResolvConf(const std::string& text) {
  ResolvConf out;
  for (std::string_view line : split(text, '\n')) {
    std::vector<std::string> words;
    std::string word;
    for (char c : line) {
      if (c == '#' || c == ';') break;
      if (c == ' ' || c == '\t' || c == '\r') {
        if (!word.empty()) words.push_back(std::move(word));
        word.clear();
      } else {
        word += c;
      }
    }
    if (!word.empty()) words.push_back(std::move(word));
    if (words.size() < 2) continue;
    if (words[0] == "nameserver")
      out.servers.push_back(words[1]);
    else if (words[0] == "search" || words[0] == "domain")
      out.searches.assign(words.begin() + 1, words.end());
    else if (words[0] == "options")
      for (const std::string& option : words)
        if (option.starts_with("ndots:")) std::from_chars(option.data() + 6, option.data() + option.size(), out.ndots);
  }
  return out;
}

std::vector<std::string> candidates(const std::string& name, const ResolvConf& conf) {
  if (name.ends_with('.')) return {name.substr(0, name.size() - 1)};
  std::vector<std::string> out;
  bool few = std::count(name.begin(), name.end(), '.') < conf.ndots;
  if (!few) out.push_back(name);
  for (const std::string& search : conf.searches) out.push_back(name + "." + search);
  if (few) out.push_back(name);
  return out;
}

int nslookupMain(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i)
    if (argv[i][0] != '-') words.emplace_back(argv[i]);
  if (words.empty() || words.size() > 2) {
    std::fprintf(stderr, "Usage: nslookup HOST [DNS_SERVER]\n");
    return 2;
  }
  ResolvConf conf;
  if (auto text = readFile("/etc/resolv.conf"); text.ok()) conf = parseResolvConf(*text);
  std::string server = conf.servers.empty() ? "127.0.0.1" : conf.servers.front();
  uint16_t port = 53;
  if (words.size() == 2) {
    server = words[1];
    if (size_t colon = server.find(':'); colon != std::string::npos) {
      std::from_chars(server.data() + colon + 1, server.data() + server.size(), port);
      server.resize(colon);
    }
  }
  std::printf("Server:\t\t%s\nAddress:\t%s:%d\n\n", server.c_str(), server.c_str(), port);
  bool answered = false;
  auto found = askAll(candidates(words[0], conf), server, port, answered);
  if (!found) {
    if (answered)
      std::printf("** server can't find %s: NXDOMAIN\n\n", words[0].c_str());
    else
      std::printf(";; connection timed out; no servers could be reached\n\n");
    return 1;
  }
  for (const Record& record : found->answers)
    if (record.type == kA)
      std::printf("Name:\t%s\nAddress: %s\n", record.name.c_str(), addressText(record.address).c_str());
  std::printf("\n");
  return 0;
}

}  // namespace stoker::node::dns
