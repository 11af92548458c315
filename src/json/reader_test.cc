#include "json/reader.h"

#include <gtest/gtest.h>

namespace stoker::json {
namespace {

TEST(Reader, takesWhatIsAskedForAndPassesOverTheRest) {
  Reader in(
      R"( {"a" : {"x":["}","\"",{"y":"\\"}]}, "name":"web\n\u00e9", "n":-1.5e3,"yes":true,"list":[1,"two",[3],null] } )");
  std::string_view key;
  std::string name, number, seen;
  bool yes = false;
  for (in.beginObject(); in.member(key);) {
    seen += std::string(key) + ";";
    if (key == "name")
      in.string(name);
    else if (key == "n")
      number = in.skip();
    else if (key == "yes")
      yes = in.boolean();
    else if (key == "list")
      for (in.beginArray(); in.element();) {
        seen += std::string(typeName(in.type())) + "=";
        seen += std::string(in.skip()) + ";";
      }
    else
      EXPECT_EQ(in.skip(), R"({"x":["}","\"",{"y":"\\"}]})");
  }
  EXPECT_TRUE(in.ok());
  EXPECT_EQ(seen, R"(a;name;n;yes;list;number=1;string="two";array=[3];null=null;)");
  EXPECT_EQ(name, "web\n\xC3\xA9");
  EXPECT_EQ(number, "-1.5e3");
  EXPECT_TRUE(yes);
}

TEST(Reader, longContainersArePassedWhateverStandsInTheirStrings) {
  // Every offset of brackets and quotes against the blocks that are looked at together, with and without escapes.
  for (const char* text : {"]}[{", "\\\"]}"})
    for (size_t before = 0; before < 140; ++before) {
      std::string inside =
          "[\"" + std::string(before, 'x') + text + "\",{\"a\":[1,\"" + std::string(70, '{') + "\"]},[[]]]";
      std::string whole = R"({"skip":)" + inside + R"(,"then":true})";
      Reader in(whole);
      std::string_view key;
      in.beginObject();
      ASSERT_TRUE(in.member(key));
      EXPECT_EQ(in.skip(), inside) << before;
      ASSERT_TRUE(in.member(key)) << before;
      EXPECT_EQ(key, "then");
      EXPECT_TRUE(in.boolean());
      EXPECT_FALSE(in.member(key));
      EXPECT_TRUE(in.ok());
      Reader cut(std::string_view(inside).substr(0, inside.size() - 1));
      EXPECT_EQ(cut.skip(), "");
      EXPECT_FALSE(cut.ok());
    }
}

TEST(Reader, emptyContainersHaveNoElements) {
  Reader in(R"({"a":{},"b":[ ]})");
  std::string_view key;
  in.beginObject();
  ASSERT_TRUE(in.member(key));
  in.beginObject();
  EXPECT_FALSE(in.member(key));
  ASSERT_TRUE(in.member(key));
  in.beginArray();
  EXPECT_FALSE(in.element());
  EXPECT_FALSE(in.member(key));
  EXPECT_TRUE(in.ok());
}

TEST(Reader, malformedTextEndsReading) {
  for (const char* text : {"", "[", "{", R"({"a")", R"({"a":)", R"({"a":"b)", R"({"a":"b\")", R"({"a":{"b":1)",
                           R"({1:2})", R"({"a" 1})", R"({"a":"\q"})", R"({"\q":1})"}) {
    Reader in(text);
    std::string_view key;
    std::string value;
    size_t members = 0;
    for (in.beginObject(); in.member(key); ++members) in.type() == Type::String ? in.string(value) : void(in.skip());
    EXPECT_FALSE(in.ok()) << text;
    EXPECT_LE(members, 1u) << text;
  }
}

}  // namespace
}  // namespace stoker::json
