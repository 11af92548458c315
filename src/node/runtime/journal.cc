#include "node/runtime/journal.h"

#include <array>
#include <cstdio>

namespace stoker::node {
namespace {

constexpr std::array<uint32_t, 256> crcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0xedb88320U ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}

std::string crcText(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = crcTable();
  uint32_t crc = 0xffffffffU;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 255] ^ (crc >> 8);
  char text[9];
  std::snprintf(text, sizeof text, "%08x", ~crc);
  return text;
}

}  // namespace

std::string journalLine(const Record& record) {
  const std::string line = encode(record);
  return crcText(line) + " " + line + "\n";
}

std::vector<Record> parseJournal(std::string_view text) {
  std::vector<Record> records;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;  // torn: the newline is the last byte written
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.size() < 10 || line[8] != ' ' || crcText(line.substr(9)) != line.substr(0, 8)) continue;
    if (std::optional<Record> record = parseRecord(line.substr(9))) records.push_back(std::move(*record));
  }
  return records;
}

int64_t toNanos(Time time) { return time.time_since_epoch().count(); }
Time fromNanos(int64_t nanos) { return Time(Duration(nanos)); }

Record exitedRecord(const ContainerExited& exited) {
  Record record("exited");
  record.add("name", exited.name).add("attempt", exited.attempt).add("code", exited.exitCode);
  record.add("signal", exited.signal).add("oom", exited.oomKilled ? 1 : 0).add("reason", exited.reason);
  record.add("message", exited.message).add("startedAt", toNanos(exited.startedAt));
  record.add("finishedAt", toNanos(exited.finishedAt));
  return record;
}

ContainerExited exitedFromRecord(const Record& record) {
  ContainerExited exited;
  exited.name = record.get("name");
  exited.attempt = static_cast<int>(record.number("attempt"));
  exited.exitCode = static_cast<int>(record.number("code"));
  exited.signal = static_cast<int>(record.number("signal"));
  exited.oomKilled = record.number("oom") != 0;
  exited.reason = record.get("reason");
  exited.message = record.get("message");
  exited.startedAt = fromNanos(record.number("startedAt"));
  exited.finishedAt = fromNanos(record.number("finishedAt"));
  return exited;
}

JournalRun* JournalState::find(std::string_view name, int attempt) {
  for (JournalRun& run : runs)
    if (run.name == name && run.attempt == attempt) return &run;
  return nullptr;
}

JournalState replayJournal(const std::vector<Record>& records) {
  JournalState state;
  for (const Record& record : records) {
    if (record.type == "pod") {
      state.bootId = record.get("boot");
      state.ended = false;
      continue;
    }
    if (record.type == "ended") {
      state.ended = true;
      continue;
    }
    const std::string name = record.get("name");
    const int attempt = static_cast<int>(record.number("attempt"));
    JournalRun* run = state.find(name, attempt);
    if (run == nullptr) {
      // A "started" or "exited" whose "starting" line was damaged still proves the run.
      run = &state.runs.emplace_back();
      run->name = name;
      run->attempt = attempt;
    }
    if (record.type == "starting") {
      run->startingAt = fromNanos(record.number("time"));
    } else if (record.type == "started") {
      run->pid = record.number("pid");
      run->pidStart = record.number("pidStart");
      run->startedAt = fromNanos(record.number("time"));
    } else if (record.type == "exited") {
      run->exited = exitedFromRecord(record);
    }
  }
  return state;
}

std::vector<ContainerExited> closeUnfinished(JournalState& state, Time now, bool rebooted) {
  std::vector<ContainerExited> exits;
  for (JournalRun& run : state.runs) {
    if (run.exited) continue;
    ContainerExited exited;
    exited.name = run.name;
    exited.attempt = run.attempt;
    exited.exitCode = 137;  // kubelet's code for a container it cannot find
    exited.reason = "ContainerStatusUnknown";
    exited.message = rebooted ? "the machine was restarted while the container ran; how it ended is not known"
                              : "the pod's supervisor was killed while the container ran; how it ended is not known";
    // A run that was to start may have run: nobody can tell.
    exited.startedAt = run.startedAt != Time{} ? run.startedAt : run.startingAt;
    exited.finishedAt = now;
    run.exited = exited;
    exits.push_back(std::move(exited));
  }
  return exits;
}

}  // namespace stoker::node
