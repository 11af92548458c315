#include "node/logs/cri_lines.h"

namespace stoker::node {

std::optional<CriLine> parseCriLine(std::string_view line) {
  CriLine out;
  size_t first = line.find(' ');
  if (first == std::string_view::npos) return std::nullopt;
  size_t second = line.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  size_t third = line.find(' ', second + 1);
  out.time = line.substr(0, first);
  out.stream = line.substr(first + 1, second - first - 1);
  if (out.stream != "stdout" && out.stream != "stderr") return std::nullopt;
  std::string_view tag = line.substr(second + 1, third == std::string_view::npos ? third : third - second - 1);
  if (tag.empty() || (tag[0] != 'F' && tag[0] != 'P')) return std::nullopt;
  out.partial = tag[0] == 'P';
  if (third != std::string_view::npos) out.text = line.substr(third + 1);
  return out;
}

void LineFilter::add(std::string_view bytes, std::string& out) {
  while (!full()) {
    size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      pending_ += bytes;
      return;
    }
    if (pending_.empty()) {
      line(bytes.substr(0, end), out);
    } else {
      pending_ += bytes.substr(0, end);
      line(pending_, out);
      pending_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
}

void LineFilter::line(std::string_view raw, std::string& out) {
  size_t before = out.size();
  auto parsed = parseCriLine(raw);
  if (parsed) {
    if (options_.since && !reached_) {
      auto time = parseTime(parsed->time);
      if (time && *time < *options_.since) return;
      reached_ = true;
    }
    if (options_.timestamps && !midLine_) out.append(parsed->time).append(" ");
    out += parsed->text;
    if (!parsed->partial) out += '\n';
    midLine_ = parsed->partial;
  } else {
    out.append(raw).append("\n");  // what somebody else wrote there is shown as it is
  }
  if (options_.limitBytes) {
    int64_t left = *options_.limitBytes - given_;
    if (static_cast<int64_t>(out.size() - before) > left) out.resize(before + static_cast<size_t>(left));
  }
  given_ += static_cast<int64_t>(out.size() - before);
}

size_t tailOffset(std::string_view bytes, int64_t lines, int64_t& found) {
  found = 0;
  if (lines <= 0 || bytes.empty()) return bytes.size();
  size_t at = bytes.size();
  if (bytes.back() == '\n') --at;
  while (true) {
    size_t newline = at == 0 ? std::string_view::npos : bytes.rfind('\n', at - 1);
    ++found;
    if (newline == std::string_view::npos) return 0;
    if (found == lines) return newline + 1;
    at = newline;
  }
}

}  // namespace stoker::node
