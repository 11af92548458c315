#include "json/json.h"

#include <gtest/gtest.h>

namespace stoker::json {
namespace {

std::string roundTrip(std::string_view text) {
  Arena arena;
  auto v = parse(arena, text);
  return v.ok() ? print(*v) : v.error().message;
}

struct Case {
  const char* name;
  const char* text;
  const char* expected;
};
class Canonical : public testing::TestWithParam<Case> {};
TEST_P(Canonical, prints) { EXPECT_EQ(roundTrip(GetParam().text), GetParam().expected); }
INSTANTIATE_TEST_SUITE_P(
    Cases, Canonical,
    testing::Values(
        Case{"keysAreSorted", R"({"b":1,"a":{"d":[],"c":{}}})", R"({"a":{"c":{},"d":[]},"b":1})"},
        Case{"lastDuplicateWins", R"({"a":1,"b":2,"a":3})", R"({"a":3,"b":2})"},
        Case{"spacesGo", " [ 1 , true , null , \"x\" ] ", R"([1,true,null,"x"])"},
        Case{"wholeFloatsAreIntegers", "[1.0,1e3,-0.5,1.50]", "[1,1000,-0.5,1.5]"},
        Case{"largeIntegersStayExact", "[9223372036854775807,-9223372036854775808]",
             "[9223372036854775807,-9223372036854775808]"},
        Case{"negativeZeroIsZero", "[-0,-0.0,-0E-7]", "[0,0,0]"},
        Case{"exponentsAsGoWritesThem", "[1e21,1e-7,123456789012345678901]", "[1e+21,1e-7,123456789012345680000]"},
        Case{"escapesAreDecoded", R"(["\u0041\n\t\"\\\/\ud83d\ude00"])", "[\"A\\n\\t\\\"\\\\/\xF0\x9F\x98\x80\"]"},
        Case{"loneSurrogateIsReplaced", R"(["\ud83dx"])", "[\"\xEF\xBF\xBDx\"]"},
        Case{"brokenUtf8IsReplaced", "[\"a\xFFz\"]", "[\"a\xEF\xBF\xBDz\"]"},
        Case{"controlCharactersAreEscaped", R"(["\u0001"])", R"(["\u0001"])"},
        Case{"emptyInput", "", "invalid JSON at line 1, column 1: unexpected end of input"},
        Case{"lineAndColumn", "{\n \"a\": 1,\n \"b\" 2}", "invalid JSON at line 3, column 6: expected : after a key"},
        Case{"trailingText", "{} x", "invalid JSON at line 1, column 4: unexpected text after the value"},
        Case{"trailingComma", "[1,]", "invalid JSON at line 1, column 4: unexpected character"},
        Case{"leadingZero", "[01]", "invalid JSON at line 1, column 3: expected , or ] in an array"},
        Case{"unterminated", "[\"abc", "invalid JSON at line 1, column 6: unterminated string"},
        Case{"hugeNumber", "1e999", "invalid JSON at line 1, column 6: the number is out of range"}),
    [](const auto& info) { return info.param.name; });

TEST(Json, depthIsBounded) {
  EXPECT_NE(roundTrip(std::string(300, '[')).find("nested deeper than 256"), std::string::npos);
}

TEST(Json, duplicatesAreNamedByPath) {
  Arena arena;
  std::vector<std::string> duplicates;
  ASSERT_TRUE(
      parse(arena, R"({"spec":{"a":1,"a":2,"list":[{"x":1},{"y":1,"y":1}]},"spec2":1})", {.duplicates = &duplicates})
          .ok());
  EXPECT_EQ(duplicates, (std::vector<std::string>{"spec.list[1].y", "spec.a"}));
}

TEST(Json, functionalUpdatesShareAndSort) {
  Arena arena;
  Value v = *parse(arena, R"({"metadata":{"name":"x"},"spec":{"n":1}})");
  Value w = withPath(arena, v, {"metadata", "labels", "app"}, string(arena, "y"));
  EXPECT_EQ(print(w), R"({"metadata":{"labels":{"app":"y"},"name":"x"},"spec":{"n":1}})");
  EXPECT_EQ(print(v), R"({"metadata":{"name":"x"},"spec":{"n":1}})");
  EXPECT_EQ(print(withoutPath(arena, w, {"metadata", "labels", "app"})),
            R"({"metadata":{"labels":{},"name":"x"},"spec":{"n":1}})");
  EXPECT_EQ(withoutPath(arena, w, {"a", "b"}), w);
  EXPECT_EQ(w.at({"metadata", "labels", "app"}).asString(), "y");
  EXPECT_TRUE(w.at({"metadata", "nothing", "app"}).isNull());
}

TEST(Json, equalityIsByValue) {
  Arena arena;
  EXPECT_EQ(*parse(arena, R"({"a":1.0,"b":[1]})"), *parse(arena, R"({"b":[1],"a":1})"));
  EXPECT_FALSE(*parse(arena, "1") == *parse(arena, "\"1\""));
}

TEST(Json, cloneOutlivesItsSource) {
  Doc doc;
  {
    Arena arena;
    doc = makeDoc(*parse(arena, R"({"a":["text",2,{"b":null}]})"));
  }
  EXPECT_EQ(print(doc.root), R"({"a":["text",2,{"b":null}]})");
}

TEST(Json, integersOnlyWhenExact) {
  Arena arena;
  EXPECT_EQ(parse(arena, "3.0")->integer(), 3);
  EXPECT_EQ(parse(arena, "3.5")->integer(), std::nullopt);
  EXPECT_EQ(parse(arena, "9223372036854775808")->integer(), std::nullopt);
}

TEST(Json, prettyIndents) {
  Arena arena;
  EXPECT_EQ(pretty(*parse(arena, R"({"a":[1,{}],"b":{}})")), "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {}\n}");
}

}  // namespace
}  // namespace stoker::json
