#include "kube/patch.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace stoker::kube {
namespace {

json::Value read(json::Arena& arena, std::string_view text) {
  auto v = json::parse(arena, text);
  EXPECT_TRUE(v.ok()) << text;
  return v.ok() ? *v : json::Value();
}

struct MergeCase {
  const char *target, *patch, *expected;
};
class Merge : public testing::TestWithParam<MergeCase> {};
TEST_P(Merge, asRfc7386) {
  json::Arena arena;
  EXPECT_EQ(json::print(mergePatch(arena, read(arena, GetParam().target), read(arena, GetParam().patch))),
            GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(
    AppendixA, Merge,
    testing::Values(MergeCase{R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
                    MergeCase{R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
                    MergeCase{R"({"a":"b"})", R"({"a":null})", R"({})"},
                    MergeCase{R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
                    MergeCase{R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
                    MergeCase{R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
                    MergeCase{R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
                    MergeCase{R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
                    MergeCase{R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
                    MergeCase{R"({"a":"b"})", R"(["c"])", R"(["c"])"}, MergeCase{R"({"a":"foo"})", "null", "null"},
                    MergeCase{R"({"a":"foo"})", R"("bar")", R"("bar")"},
                    MergeCase{R"({"e":null})", R"({"a":1})", R"({"a":1,"e":null})"},
                    MergeCase{"[1,2]", R"({"a":"b","c":null})", R"({"a":"b"})"},
                    MergeCase{"{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"}));

struct DiffCase {
  const char *from, *to, *expected;
};
class Diff : public testing::TestWithParam<DiffCase> {};
TEST_P(Diff, isSmallAndLeadsThere) {
  json::Arena arena;
  json::Value from = read(arena, GetParam().from), to = read(arena, GetParam().to);
  json::Value patch = makeMergePatch(arena, from, to);
  EXPECT_EQ(json::print(patch), GetParam().expected);
  EXPECT_EQ(json::print(mergePatch(arena, from, patch)), json::print(to));
}
INSTANTIATE_TEST_SUITE_P(Cases, Diff,
                         testing::Values(DiffCase{"{}", "{}", "{}"},
                                         DiffCase{R"({"a":1,"b":{"c":[1,2]}})", R"({"a":1.0,"b":{"c":[1,2]}})", "{}"},
                                         DiffCase{R"({"a":1,"b":2})", R"({"b":3,"c":4})", R"({"a":null,"b":3,"c":4})"},
                                         DiffCase{R"({"a":{"x":1,"y":2}})", R"({"a":{"x":1}})", R"({"a":{"y":null}})"},
                                         DiffCase{R"({"a":{"x":1}})", R"({"a":{}})", R"({"a":{"x":null}})"},
                                         DiffCase{R"({"a":{"x":1}})", "{}", R"({"a":null})"},
                                         DiffCase{R"({"a":[1,2,3]})", R"({"a":[1,3]})", R"({"a":[1,3]})"},
                                         DiffCase{R"({"a":1})", R"({"a":{"b":{}}})", R"({"a":{"b":{}}})"},
                                         DiffCase{R"({"a":{"b":1}})", R"({"a":[]})", R"({"a":[]})"}));

struct PatchCase {
  const char *target, *operations, *expected;
};
class JsonPatch : public testing::TestWithParam<PatchCase> {};
TEST_P(JsonPatch, applies) {
  json::Arena arena;
  auto out = jsonPatch(arena, read(arena, GetParam().target), read(arena, GetParam().operations));
  ASSERT_TRUE(out.ok()) << out.error().message;
  EXPECT_EQ(json::print(*out), GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(
    Rfc6902AppendixA, JsonPatch,
    testing::Values(
        PatchCase{R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])", R"({"baz":"qux","foo":"bar"})"},
        PatchCase{R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])",
                  R"({"foo":["bar","qux","baz"]})"},
        PatchCase{R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])", R"({"foo":"bar"})"},
        PatchCase{R"({"foo":["bar","qux","baz"]})", R"([{"op":"remove","path":"/foo/1"}])", R"({"foo":["bar","baz"]})"},
        PatchCase{R"({"baz":"qux","foo":"bar"})", R"([{"op":"replace","path":"/baz","value":"boo"}])",
                  R"({"baz":"boo","foo":"bar"})"},
        PatchCase{R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}})",
                  R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])",
                  R"({"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}})"},
        PatchCase{R"({"foo":["all","grass","cows","eat"]})", R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])",
                  R"({"foo":["all","cows","eat","grass"]})"},
        PatchCase{R"({"baz":"qux","foo":["a",2,"c"]})",
                  R"([{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}])",
                  R"({"baz":"qux","foo":["a",2,"c"]})"},
        PatchCase{R"({"foo":"bar"})", R"([{"op":"add","path":"/child","value":{"grandchild":{}}}])",
                  R"({"child":{"grandchild":{}},"foo":"bar"})"},
        PatchCase{R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux","xyz":123}])",
                  R"({"baz":"qux","foo":"bar"})"},
        PatchCase{R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":10}])", R"({"/":9,"~1":10})"},
        PatchCase{R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":["abc","def"]}])",
                  R"({"foo":["bar",["abc","def"]]})"}));
INSTANTIATE_TEST_SUITE_P(
    More, JsonPatch,
    testing::Values(
        PatchCase{R"({"a":1})", "[]", R"({"a":1})"},
        PatchCase{R"({"a":1})", R"([{"op":"replace","path":"","value":[1]}])", "[1]"},
        PatchCase{R"({"a":1})", R"([{"op":"add","path":"","value":{"b":2}},{"op":"test","path":"","value":{"b":2.0}}])",
                  R"({"b":2})"},
        PatchCase{R"({"a":[1,2]})",
                  R"([{"op":"copy","from":"/a","path":"/a/0"},{"op":"add","path":"/a/0/-","value":3}])",
                  R"({"a":[[1,2,3],1,2]})"},
        PatchCase{R"({"a":[1,2]})", R"([{"op":"replace","path":"/a/-1","value":9}])", R"({"a":[1,9]})"},
        PatchCase{R"({"a":[1,2]})", R"([{"op":"add","path":"/a/-1","value":9}])", R"({"a":[1,2,9]})"},
        PatchCase{R"({"a":{}})", R"([{"op":"test","path":"/a/x","value":null},{"op":"add","path":"/a/x","value":1}])",
                  R"({"a":{"x":1}})"},
        PatchCase{R"({"a":1})", R"([{"op":"move","from":"/a","path":"/a"}])", R"({"a":1})"},
        PatchCase{R"({"":1})", R"([{"op":"move","from":"/","path":"/a~1b~0"}])", R"({"a/b~":1})"},
        PatchCase{R"({"metadata":{"annotations":{"x.io/y":"1"}}})",
                  R"([{"op":"remove","path":"/metadata/annotations/x.io~1y"}])", R"({"metadata":{"annotations":{}}})"},
        PatchCase{
            R"({"a":{"b":1,"c":[{"d":2}]}})",
            R"([{"op":"add","path":"/a/c/0/e","value":3},{"op":"test","path":"/a","value":{"c":[{"e":3,"d":2}],"b":1}}])",
            R"({"a":{"b":1,"c":[{"d":2,"e":3}]}})"}));

struct FailCase {
  const char *target, *operations;
  Reason reason;
  const char* message;
};
class JsonPatchFails : public testing::TestWithParam<FailCase> {};
TEST_P(JsonPatchFails, saysWhichOperationAndWhy) {
  json::Arena arena;
  auto out = jsonPatch(arena, read(arena, GetParam().target), read(arena, GetParam().operations));
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().reason, GetParam().reason);
  EXPECT_EQ(out.error().message, GetParam().message);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, JsonPatchFails,
    testing::Values(
        FailCase{"{}", "{}", Reason::BadRequest, "a JSON patch must be an array of operations, not object"},
        FailCase{"{}", "[1]", Reason::BadRequest,
                 "JSON patch operation 0 ( \"\"): it must be an object with the strings \"op\" and \"path\""},
        FailCase{"{}", R"([{"op":"put","path":"/a"}])", Reason::BadRequest,
                 "JSON patch operation 0 (put \"/a\"): \"op\" must be add, remove, replace, move, copy or test"},
        FailCase{"{}", R"([{"op":"add","path":"/a"}])", Reason::BadRequest,
                 "JSON patch operation 0 (add \"/a\"): it needs a \"value\""},
        FailCase{"{}", R"([{"op":"copy","path":"/a"}])", Reason::BadRequest,
                 "JSON patch operation 0 (copy \"/a\"): it needs the string \"from\""},
        FailCase{"{}", R"([{"op":"remove","path":"a"}])", Reason::BadRequest,
                 "JSON patch operation 0 (remove \"a\"): \"a\" is not a JSON pointer: it must be empty or start with "
                 "'/', and '~' must be "
                 "written ~0, '/' in a name ~1"},
        FailCase{R"({"foo":"bar"})", R"([{"op":"add","path":"/baz/bat","value":"qux"}])", Reason::Invalid,
                 "JSON patch operation 0 (add \"/baz/bat\"): \"/baz\" does not exist"},
        FailCase{R"({"baz":"qux"})", R"([{"op":"test","path":"/baz","value":"bar"}])", Reason::Invalid,
                 "JSON patch operation 0 (test \"/baz\"): the test failed: the value is another one"},
        FailCase{R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":"10"}])", Reason::Invalid,
                 "JSON patch operation 0 (test \"/~01\"): the test failed: the value is another one"},
        FailCase{R"({"a":1})", R"([{"op":"add","path":"/b","value":1},{"op":"remove","path":"/c"}])", Reason::Invalid,
                 "JSON patch operation 1 (remove \"/c\"): \"/c\" does not exist"},
        FailCase{R"({"a":[1]})", R"([{"op":"add","path":"/a/2","value":1}])", Reason::Invalid,
                 "JSON patch operation 0 (add \"/a/2\"): \"2\" is no index of \"/a\", which has 1 elements"},
        FailCase{R"({"a":[1]})", R"([{"op":"replace","path":"/a/-2","value":1}])", Reason::Invalid,
                 "JSON patch operation 0 (replace \"/a/-2\"): \"/a/-2\" does not exist"},
        FailCase{R"({"a":[1]})", R"([{"op":"remove","path":"/a/00"}])", Reason::Invalid,
                 "JSON patch operation 0 (remove \"/a/00\"): \"/a/00\" does not exist"},
        FailCase{R"({"a":1})", R"([{"op":"add","path":"/a/b","value":1}])", Reason::Invalid,
                 "JSON patch operation 0 (add \"/a/b\"): \"/a\" is no object or array"},
        FailCase{R"({"a":{}})", R"([{"op":"move","from":"/a","path":"/a/b"}])", Reason::Invalid,
                 "JSON patch operation 0 (move \"/a/b\"): a value cannot be moved into itself"},
        FailCase{R"({"a":{}})", R"([{"op":"remove","path":""}])", Reason::Invalid,
                 "JSON patch operation 0 (remove \"\"): the whole document cannot be taken away"}));

std::string repeated(std::string_view operation, int times) {
  std::string out = "[";
  for (int i = 0; i < times; ++i) out.append(i ? "," : "").append(operation);
  return out + "]";
}
Reason reasonOf(std::string_view target, std::string_view operations) {
  json::Arena arena;
  auto out = jsonPatch(arena, read(arena, target), read(arena, operations));
  return out.ok() ? Reason::Unknown : out.error().reason;
}

TEST(JsonPatchLimits, hold) {
  constexpr std::string_view kAdd = R"({"op":"add","path":"/-","value":1})";
  EXPECT_EQ(reasonOf("[]", repeated(kAdd, 10'000)), Reason::Unknown);
  EXPECT_EQ(reasonOf("[]", repeated(kAdd, 10'001)), Reason::RequestEntityTooLarge);
  // Doubling: 2^40 elements if nobody counted.
  EXPECT_EQ(reasonOf("[1]", repeated(R"({"op":"copy","from":"","path":"/-"})", 40)), Reason::Invalid);
  std::string deeper = R"({"op":"copy","from":"/a","path":"/a)";
  for (int i = 0; i < 200; ++i) deeper += "/a";
  std::string nested = R"({"a":)";
  for (int i = 0; i < 250; ++i) nested += R"({"a":)";
  nested += "{}" + std::string(251, '}');
  EXPECT_EQ(reasonOf(nested, repeated(deeper + "\"}", 9'000)), Reason::Invalid);
  std::string list = "[0";
  for (int i = 0; i < 200'000; ++i) list += ",0";
  EXPECT_EQ(reasonOf(list + "]", repeated(R"({"op":"add","path":"/0","value":1})", 10'000)),
            Reason::RequestEntityTooLarge);
}

struct PointerCase {
  const char* pointer;
  const char* expected;
};
class Pointers : public testing::TestWithParam<PointerCase> {};
TEST_P(Pointers, asRfc6901) {
  json::Arena arena;
  json::Value document =
      read(arena, R"({"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8})");
  auto v = jsonPointer(document, GetParam().pointer);
  EXPECT_EQ(v.ok() ? json::print(*v) : std::string(toString(v.error().reason)), GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(Cases, Pointers,
                         testing::Values(PointerCase{"/foo", R"(["bar","baz"])"}, PointerCase{"/foo/0", R"("bar")"},
                                         PointerCase{"/", "0"}, PointerCase{"/a~1b", "1"}, PointerCase{"/c%d", "2"},
                                         PointerCase{"/e^f", "3"}, PointerCase{"/g|h", "4"}, PointerCase{"/i\\j", "5"},
                                         PointerCase{"/k\"l", "6"}, PointerCase{"/ ", "7"}, PointerCase{"/m~0n", "8"},
                                         PointerCase{"/foo/2", "NotFound"}, PointerCase{"/foo/-", "NotFound"},
                                         PointerCase{"/foo/-1", "NotFound"}, PointerCase{"/foo/01", "NotFound"},
                                         PointerCase{"/foo/0/x", "NotFound"}, PointerCase{"/x/y", "NotFound"},
                                         PointerCase{"foo", "BadRequest"}, PointerCase{"/~2", "BadRequest"},
                                         PointerCase{"/~", "BadRequest"}));

}  // namespace
}  // namespace stoker::kube
