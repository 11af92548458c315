#include "cli/output.h"

#include <gtest/gtest.h>

namespace stoker::cli {
namespace {

TEST(Output, columnsAlignOnCharactersWithoutTrailingSpaces) {
  EXPECT_EQ(alignColumns({{"NAME", "STATUS", "REASON"}, {"a", "RUNNING", ""}, {"größer", "PENDING", "no node has 16"}}),
            "NAME    STATUS   REASON\n"
            "a       RUNNING\n"
            "größer  PENDING  no node has 16\n");
  EXPECT_EQ(alignColumns({{"a", "b"}, {"long", "c"}}, 2), "  a     b\n  long  c\n");
  EXPECT_EQ(alignColumns({}), "");
  EXPECT_EQ(alignColumns({{""}, {"x", "y"}}), "\nx  y\n") << "rows may be of different length";
}

TEST(Output, rendersJsonAndYaml) {
  auto doc = *json::parseDoc(R"({"b":[1,"yes"],"a":{}})");
  EXPECT_EQ(render(doc.root, "json"), "{\n  \"a\": {},\n  \"b\": [\n    1,\n    \"yes\"\n  ]\n}\n");
  EXPECT_EQ(render(doc.root, "yaml"), "a: {}\nb:\n- 1\n- \"yes\"\n");
}

}  // namespace
}  // namespace stoker::cli
