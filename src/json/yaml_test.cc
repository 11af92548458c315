#include "json/yaml.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace stoker::json {
namespace {

// Documents joined by " | ", or the error.
std::string read(std::string_view text) {
  Arena arena;
  auto documents = parseYaml(arena, text);
  if (!documents.ok()) {
    EXPECT_EQ(documents.error().reason, Reason::BadRequest);
    return documents.error().message;
  }
  std::vector<std::string> out;
  for (Value v : *documents) out.push_back(print(v));
  return join(out, " | ");
}

struct Case {
  std::string text, expected;
};
class YamlRead : public testing::TestWithParam<Case> {};
TEST_P(YamlRead, asUpstream) { EXPECT_EQ(read(GetParam().text), GetParam().expected) << GetParam().text; }

INSTANTIATE_TEST_SUITE_P(
    Scalars, YamlRead,
    testing::Values(Case{"[true, True, yes, on, y, Y, ON]", "[true,true,true,true,true,true,true]"},
                    Case{"[false, No, off, n, OFF]", "[false,false,false,false,false]"},
                    Case{"[~, null, Null, NULL, ]", "[null,null,null,null]"}, Case{"a:", R"({"a":null})"},
                    Case{"[yEs, tRUE, nULL, oN]", R"(["yEs","tRUE","nULL","oN"])"},
                    Case{"['true', \"no\", !!str 12]", R"(["true","no","12"])"}, Case{"a: !!str\n", R"({"a":""})"},
                    Case{"[0, -1, +5, 1_000, 0x1F, 010, 0o14, 0b101, -0x10]", "[0,-1,5,1000,31,8,12,5,-16]"},
                    Case{"[08, 09.5, 1., .5, 1e3, 1.5e-3, -2.5, 1E+2]", "[8,9.5,1,0.5,1000,0.0015,-2.5,100]"},
                    Case{"[9223372036854775807, 18446744073709551615, 18446744073709551616, -9223372036854775808]",
                         "[9223372036854775807,18446744073709552000,18446744073709552000,-9223372036854775808]"},
                    Case{"[1e999, 1e-999, ., -, +, 0x, 0xZ, 1:30, 1.2.3, 1e, 0b2, _1, --1, +-1]",
                         R"(["1e999",0,".","-","+","0x","0xZ","1:30","1.2.3","1e","0b2","_1","--1","+-1"])"},
                    Case{"[2001-12-14, 2001-12-14T21:59:43Z, 2001-12-14 21:59:43]",
                         R"(["2001-12-14","2001-12-14T21:59:43Z","2001-12-14 21:59:43"])"},
                    Case{"[500m, 1Gi, 10%, v1.35.4, 1.35.4, 192.168.0.1, 'a']",
                         R"(["500m","1Gi","10%","v1.35.4","1.35.4","192.168.0.1","a"])"},
                    Case{"[!!float 3, !!int 3, !!bool yes, !!null ~, !!float '1.5']", "[3,3,true,null,1.5]"},
                    Case{"[!foo 12, ! 12, !!binary aGk=]", R"(["12","12","hi"])"},
                    Case{"\"\\u00e4 \\x41 \\n\\0\"", "\"\xC3\xA4 A \\n\\u0000\""}));

INSTANTIATE_TEST_SUITE_P(
    Structures, YamlRead,
    testing::Values(
        Case{"", ""}, Case{"# only a comment\n", ""}, Case{"---\n---\n...\n", ""},
        Case{"--- null\n---\na: 1\n", R"({"a":1})"}, Case{"a: 1\n---\n# c\n---\nb: 2\n", R"({"a":1} | {"b":2})"},
        Case{"a: 1\n...\n---\n- x\n", R"({"a":1} | ["x"])"},
        Case{"b: {y: [1, {c: d}]}\na:\n- 1\n-\n  k: v\n", R"({"a":[1,{"k":"v"}],"b":{"true":[1,{"c":"d"}]}})"},
        Case{"a: |\n  x\n   y\n\nb: >-\n  x\n  y\nc: |+\n  z\n\n", R"({"a":"x\n y\n","b":"x y","c":"z\n\n"})"},
        Case{"1: a\n1.5: b\ntrue: c\nno: d\n0x10: e\n", R"({"1":"a","1.5":"b","16":"e","false":"d","true":"c"})"},
        Case{"a: &x {b: 1}\nc: *x\nd: [*x, *x]\n", R"({"a":{"b":1},"c":{"b":1},"d":[{"b":1},{"b":1}]})"},
        Case{"a: &x 1\nb: &x 2\nc: *x\n*x : d\n", R"({"2":"d","a":1,"b":2,"c":2})"},
        Case{"base: &b {x: 1, y1: 2}\nd:\n  <<: *b\n  x: 9\n", R"({"base":{"x":1,"y1":2},"d":{"x":9,"y1":2}})"},
        Case{"d:\n  x: 9\n  <<: [{x: 1, z: 1}, {z: 2, w: 3}]\n", R"({"d":{"w":3,"x":9,"z":1}})"},
        Case{"d: {'<<': {x: 1}}\n", R"({"d":{"<<":{"x":1}}})"},
        Case{"\xEF\xBB\xBF"
             "a: \xC3\xA4\n",
             "{\"a\":\"\xC3\xA4\"}"},
        Case{"{\"a\":\"\\ud83d\\ude00\",\"b\":[1.0,\"\\/\"]}\n", "{\"a\":\"\xF0\x9F\x98\x80\",\"b\":[1,\"/\"]}"},
        Case{"{a: 1, b: [x, 'y z']}", R"({"a":1,"b":["x","y z"]})"}, Case{"\r\na: 1\r\nb: 2\r\n", R"({"a":1,"b":2})"},
        Case{"plain", "\"plain\""}, Case{"? a\n: b\n", R"({"a":"b"})"}, Case{"%YAML 1.2\n---\na: 1\n", R"({"a":1})"}));

INSTANTIATE_TEST_SUITE_P(
    Errors, YamlRead,
    testing::Values(
        Case{"a: 1\nb: 2\na: 3\n", "invalid YAML at line 3, column 1: key \"a\" already set in map"},
        Case{"x:\n  1: a\n  '1': b\n", "invalid YAML at line 3, column 3: key \"1\" already set in map"},
        Case{"{\"a\":1,\n\"a\":2}", "invalid YAML at line 2, column 1: key \"a\" already set in map"},
        Case{"a: b: c\n", "invalid YAML at line 1, column 5: mapping values are not allowed in this context"},
        Case{"a:\n\t- b\n",
             "invalid YAML at line 2, column 1: found character that cannot start any token (while scanning for the "
             "next token that began at line 2)"},
        Case{"a: [1, 2\nb: 3\n",
             "invalid YAML at line 2, column 2: did not find expected ',' or ']' (while parsing a flow sequence that "
             "began at line 1)"},
        Case{"a: *nope\n", "invalid YAML at line 1, column 4: unknown anchor \"nope\""},
        Case{"a: &x [1, *x]\n", "invalid YAML at line 1, column 11: anchor \"x\" contains itself"},
        Case{"[a]: b\n", "invalid YAML at line 1, column 1: a key must be a scalar, not a map or a list"},
        Case{"~: b\n", "invalid YAML at line 1, column 1: a key must be a string, a number or a boolean, not null"},
        Case{"a: .inf\n", "invalid YAML at line 1, column 4: .inf has no form in JSON"},
        Case{"a: !!int x\n", "invalid YAML at line 1, column 4: \"x\" is no !!int"},
        Case{"a: !!binary '?'\n", "invalid YAML at line 1, column 4: !!binary value contains invalid base64 data"},
        Case{"<<: 1\n", "invalid YAML at line 1, column 5: map merge requires map or sequence of maps as the value"},
        Case{"ok: 1\nx: \xFF\n", "invalid YAML at line 2, column 4: invalid leading UTF-8 octet"},
        Case{std::string("a: \0b", 5), "invalid YAML at line 1, column 4: control characters are not allowed"},
        Case{std::string(300, '['), "invalid YAML at line 1, column 257: nested deeper than 256 levels"},
        Case{"a: 'x\n",
             "invalid YAML at line 2, column 1: found unexpected end of stream (while scanning a quoted scalar that "
             "began at line 1)"}));

TEST(YamlLimits, billionLaughsAreRefused) {
  std::string bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 9; ++k) bomb += (k ? ", *a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  EXPECT_NE(read(bomb).find("aliases expand the document by more than"), std::string::npos);
  std::string wide = "a: &a \"" + std::string(100'000, 'x') + "\"\nb: [";
  for (int i = 0; i < 100; ++i) wide += "*a, ";
  EXPECT_NE(read(wide + "]\n").find("aliases expand the document by more than"), std::string::npos);
}

// ---- printing
// --------------------------------------------------------------------------------------------------------

class YamlPrint : public testing::TestWithParam<Case> {};
TEST_P(YamlPrint, asUpstreamAndReadsBack) {
  Arena arena;
  auto value = parse(arena, GetParam().text);
  ASSERT_TRUE(value.ok()) << GetParam().text;
  EXPECT_EQ(printYaml(*value), GetParam().expected);
  if (!value->isNull()) {
    EXPECT_EQ(read(printYaml(*value)), print(*value));
  }
}
INSTANTIATE_TEST_SUITE_P(
    Cases, YamlPrint,
    testing::Values(
        Case{R"({"b":{"y":[1,"x",true,null]},"a":[]})", "a: []\nb:\n  \"y\":\n  - 1\n  - x\n  - true\n  - null\n"},
        Case{R"({"a":{},"c":[[1,2],{"x":1,"z":[]}]})", "a: {}\nc:\n- - 1\n  - 2\n- x: 1\n  z: []\n"},
        Case{
            R"(["yes","no","on","off","y","n","true","null","~","","12","1.5","0x1F","1_0","1e3",".5",".inf","010","0o7"])",
            "- \"yes\"\n- \"no\"\n- \"on\"\n- \"off\"\n- \"y\"\n- \"n\"\n- \"true\"\n- \"null\"\n- \"~\"\n- \"\"\n- "
            "\"12\"\n- \"1.5\"\n"
            "- \"0x1F\"\n- \"1_0\"\n- \"1e3\"\n- \".5\"\n- \".inf\"\n- \"010\"\n- \"0o7\"\n"},
        Case{
            R"({"t":"2024-01-01T00:00:00Z","d":"2024-1-1","s":"2024-01-01 10:11:12.5","b":"12:30:45","m":"2024-13-01","c":"12:99"})",
            "b: \"12:30:45\"\nc: 12:99\nd: \"2024-1-1\"\nm: 2024-13-01\ns: \"2024-01-01 10:11:12.5\"\nt: "
            "\"2024-01-01T00:00:00Z\"\n"},
        Case{
            R"(["a: b","a #b","- x","*a","&a","!t","%x","@x","`x","{x","[x","'x","\"x","x: ","x:"," x","x ","#x","?","-","<<","=","|",">"])",
            "- 'a: b'\n- 'a #b'\n- '- x'\n- '*a'\n- '&a'\n- '!t'\n- '%x'\n- '@x'\n- '`x'\n- '{x'\n- '[x'\n- '''x'\n- "
            "'\"x'\n- 'x: '\n- 'x:'\n"
            "- ' x'\n- 'x '\n- '#x'\n- '?'\n- '-'\n- \"<<\"\n- =\n- '|'\n- '>'\n"},
        Case{R"({"run":"#!/bin/sh\necho hi\n","noEnd":"a\nb","tab":"a\tb","control":"a\u0001b","trailing":"a \nb\n"})",
             "control: \"a\\x01b\"\nnoEnd: |-\n  a\n  b\nrun: |\n  #!/bin/sh\n  echo hi\ntab: \"a\\tb\"\ntrailing: \"a "
             "\\nb\\n\"\n"},
        Case{R"({"12":1,"true":2,"a b":3,"x.io/y-z":4,"":5})",
             "\"\": 5\n\"12\": 1\na b: 3\n\"true\": 2\nx.io/y-z: 4\n"},
        Case{R"({"a10":1,"a9":2,"a":3,"a-b":4,"ab":5,"B":6,"2":7,"10":8,"1a":9})",
             "1a: 9\n\"2\": 7\n\"10\": 8\nB: 6\na: 3\na-b: 4\na9: 2\na10: 1\nab: 5\n"},
        Case{"[1e21,1e-7,0.1,-5,123456789012345678901]", "- 1e+21\n- 1e-7\n- 0.1\n- -5\n- 123456789012345680000\n"},
        Case{"{}", "{}\n"}, Case{"[]", "[]\n"}, Case{"null", "null\n"}, Case{"\"x\"", "x\n"},
        Case{"[\"\\u00e4\\ud83d\\ude00\"]", "- \"\xC3\xA4\\U0001F600\"\n"}, Case{R"({"a":"x\n\n"})", "a: |+\n  x\n\n"},
        Case{R"(["\n","\n\na"," \n a"])", "- |2+\n\n- |2-\n\n\n  a\n- \" \\n a\"\n"}));

TEST(YamlPrintEdges, bytesThatAreNoTextAreReplaced) {
  Arena arena;
  EXPECT_EQ(printYaml(string(arena, "a\xFFz")), "a\xEF\xBF\xBDz\n");
}

}  // namespace
}  // namespace stoker::json
