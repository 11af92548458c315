#include "cli/flags.h"

#include <gtest/gtest.h>

namespace stoker::cli {
namespace {

using Words = std::vector<std::string>;

FlagSet flags() {
  return FlagSet(
      {{.name = "name", .help = "name of the job"},
       {.name = "image", .help = "image", .deprecated = true, .instead = "container-image"},
       {.name = "container-image", .help = "image to run"},
       {.name = "gpus", .shorthand = 'g', .type = Flag::Type::Int, .defaultValue = "0", .help = "cards per pod"},
       {.name = "workers", .type = Flag::Type::Int, .defaultValue = "1", .help = "pods"},
       {.name = "env", .shorthand = 'e', .type = Flag::Type::List, .help = "variables"},
       {.name = "follow", .shorthand = 'f', .type = Flag::Type::Bool, .help = "go on"},
       {.name = "timeout", .type = Flag::Type::Duration, .help = "how long"},
       {.name = "tensorboard", .type = Flag::Type::Bool, .help = "charts", .refused = "there is no TensorBoard yet"}});
}

TEST(Flags, everyWayToWriteOne) {
  FlagSet set = flags();
  auto rest = set.parse({"submit", "--name=a=b", "-g2", "job", "--workers", "3", "-e", "A=1", "--env=B=2", "-f",
                         "--timeout", "1h30m", "--", "--gpus", "-x"});
  ASSERT_TRUE(rest.ok()) << rest.error().message;
  EXPECT_EQ(*rest, (Words{"submit", "job", "--gpus", "-x"}));
  EXPECT_EQ(set.text("name"), "a=b");
  EXPECT_EQ(set.number("gpus"), 2);
  EXPECT_EQ(set.number("workers"), 3);
  EXPECT_EQ(set.list("env"), (Words{"A=1", "B=2"}));
  EXPECT_TRUE(set.flag("follow"));
  EXPECT_EQ(set.duration("timeout"), Duration(90min));
  EXPECT_TRUE(set.given("name"));
}

TEST(Flags, whatIsNotGivenHasItsDefault) {
  FlagSet set = flags();
  ASSERT_TRUE(set.parse({}).ok());
  EXPECT_EQ(set.number("workers"), 1);
  EXPECT_EQ(set.text("name"), "");
  EXPECT_FALSE(set.flag("follow"));
  EXPECT_FALSE(set.duration("timeout"));
  EXPECT_TRUE(set.list("env").empty());
  EXPECT_FALSE(set.given("workers"));
}

TEST(Flags, theLastOneCountsAndBooleansMayBeSwitchedOff) {
  FlagSet set = flags();
  ASSERT_TRUE(set.parse({"--name", "a", "--name", "b", "-f", "--follow=false", "-g=4", "-"}).ok());
  EXPECT_EQ(set.text("name"), "b");
  EXPECT_FALSE(set.flag("follow"));
  EXPECT_TRUE(set.given("follow"));
  EXPECT_EQ(set.number("gpus"), 4);
}

TEST(Flags, aNegativeNumberIsAValue) {
  FlagSet set = flags();
  ASSERT_TRUE(set.parse({"--workers", "-1"}).ok());
  EXPECT_EQ(set.number("workers"), -1);
}

TEST(Flags, deprecatedOnesSetTheirSuccessor) {
  FlagSet set = flags();
  ASSERT_TRUE(set.parse({"--image", "x"}).ok());
  EXPECT_EQ(set.text("container-image"), "x");
}

struct BadCase {
  const char* name;
  Words arguments;
  const char* message;
};
class BadFlags : public ::testing::TestWithParam<BadCase> {};
TEST_P(BadFlags, areRefusedWithWhatWouldBeRight) {
  FlagSet set = flags();
  auto rest = set.parse(GetParam().arguments);
  ASSERT_FALSE(rest.ok());
  EXPECT_EQ(rest.error().message, GetParam().message);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, BadFlags,
    ::testing::Values(
        BadCase{"typo", {"--worker", "3"}, "unknown flag: --worker; did you mean --workers?"},
        BadCase{"unknown", {"--completely-else=1"}, "unknown flag: --completely-else"},
        BadCase{"unknownLetter", {"-q"}, "unknown shorthand flag: -q in -q"},
        BadCase{"noValue", {"--name"}, "flag needs an argument: --name"},
        BadCase{"noNumber", {"--gpus=two"}, "invalid argument \"two\" for --gpus: it must be a whole number"},
        BadCase{"tooLarge",
                {"--gpus=99999999999999999999"},
                "invalid argument \"99999999999999999999\" for --gpus: it must be a whole number"},
        BadCase{"noDuration",
                {"--timeout=5"},
                "invalid argument \"5\" for --timeout: it must be a duration such as 30s, 5m or 1h30m"},
        BadCase{"noBool", {"--follow=maybe"}, "invalid argument \"maybe\" for --follow: it must be true or false"},
        BadCase{"lettersTogether", {"-fg"}, "-f takes no value; write flags of one letter apart, got -fg"},
        BadCase{"refused", {"--tensorboard"}, "--tensorboard is not supported yet: there is no TensorBoard yet"}),
    [](const auto& info) { return info.param.name; });

TEST(Flags, helpIsAlignedAndLeavesOutWhatIsDeprecated) {
  std::string help = flags().help();
  EXPECT_NE(help.find("  -g, --gpus int                   cards per pod\n"), std::string::npos) << help;
  EXPECT_NE(help.find("      --workers int                pods (default 1)\n"), std::string::npos) << help;
  EXPECT_NE(help.find("      --tensorboard                charts [not supported yet]\n"), std::string::npos) << help;
  EXPECT_EQ(help.find("--image"), std::string::npos);
}

}  // namespace
}  // namespace stoker::cli
