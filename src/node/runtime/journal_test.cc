#include "node/runtime/journal.h"

#include <gtest/gtest.h>

namespace stoker::node {
namespace {

Record starting(const char* name, int attempt) {
  return Record("starting").add("name", name).add("attempt", attempt).add("time", 5);
}
Record started(const char* name, int attempt) {
  return Record("started").add("name", name).add("attempt", attempt).add("pid", 77).add("pidStart", 9).add("time", 6);
}
Record exited(const char* name, int attempt, int code) {
  ContainerExited e;
  e.name = name;
  e.attempt = attempt;
  e.exitCode = code;
  e.reason = code == 0 ? "Completed" : "Error";
  e.startedAt = fromNanos(6);
  e.finishedAt = fromNanos(7);
  return exitedRecord(e);
}

std::string text(const std::vector<Record>& records) {
  std::string out;
  for (const Record& record : records) out += journalLine(record);
  return out;
}

TEST(Journal, ComesBackAsWritten) {
  const std::vector<Record> records = {Record("pod").add("boot", "b"), starting("a", 0), started("a", 0),
                                       exited("a", 0, 3)};
  EXPECT_EQ(parseJournal(text(records)), records);
}

TEST(Journal, EveryTornEndLosesOnlyItsOwnLine) {
  const std::vector<Record> records = {Record("pod").add("boot", "b"), starting("a", 0), started("a", 0)};
  const std::string whole = text(records);
  const size_t two = text({records[0], records[1]}).size();
  for (size_t cut = two; cut < whole.size(); ++cut) EXPECT_EQ(parseJournal(whole.substr(0, cut)).size(), 2U) << cut;
}

TEST(Journal, ADamagedLineIsPassedOver) {
  std::string whole = text({starting("a", 0), started("a", 0), exited("a", 0, 0)});
  whole[text({starting("a", 0)}).size() + 15] ^= 1;
  EXPECT_EQ(parseJournal(whole).size(), 2U);
}

TEST(Journal, ReplayTellsRunsApartByNameAndAttempt) {
  JournalState state = replayJournal({Record("pod").add("boot", "b1"), starting("a", 0), started("a", 0),
                                      exited("a", 0, 3), starting("a", 1), starting("b", 0), started("b", 0),
                                      Record("ended"), Record("pod").add("boot", "b2")});
  EXPECT_EQ(state.bootId, "b2");
  EXPECT_FALSE(state.ended);
  ASSERT_EQ(state.runs.size(), 3U);
  EXPECT_EQ(state.find("a", 0)->exited->exitCode, 3);
  EXPECT_EQ(state.find("a", 0)->pid, 77);
  EXPECT_FALSE(state.find("a", 1)->exited);
  EXPECT_EQ(state.find("a", 1)->startedAt, Time{});
  EXPECT_FALSE(state.find("b", 0)->exited);
  EXPECT_EQ(state.find("b", 1), nullptr);
}

TEST(Journal, RunsWithoutAnEndAreClosedAsUnknown) {
  JournalState state = replayJournal(
      {starting("a", 0), started("a", 0), exited("a", 0, 0), starting("a", 1), started("a", 1), starting("b", 0)});
  const std::vector<ContainerExited> closed = closeUnfinished(state, fromNanos(100), true);
  ASSERT_EQ(closed.size(), 2U);
  EXPECT_EQ(closed[0].exitCode, 137);
  EXPECT_EQ(closed[0].reason, "ContainerStatusUnknown");
  EXPECT_EQ(closed[0].startedAt, fromNanos(6));
  EXPECT_EQ(closed[0].finishedAt, fromNanos(100));
  EXPECT_EQ(closed[1].startedAt, fromNanos(5)) << "it may have run since it was to start";
  EXPECT_TRUE(closeUnfinished(state, fromNanos(200), true).empty());
}

TEST(Journal, AnExitKeepsEveryField) {
  ContainerExited e{"main", 2, 137, 9, true, "OOMKilled", "line\nline", fromNanos(1), fromNanos(2)};
  const ContainerExited back = exitedFromRecord(exitedRecord(e));
  EXPECT_EQ(encode(exitedRecord(back)), encode(exitedRecord(e)));
  EXPECT_TRUE(back.oomKilled);
  EXPECT_EQ(back.message, "line\nline");
}

}  // namespace
}  // namespace stoker::node
