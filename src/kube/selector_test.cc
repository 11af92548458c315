#include "kube/selector.h"

#include <gtest/gtest.h>

namespace stoker::kube {
namespace {

struct TextCase {
  const char* text;
  const char* printed;
};
class SelectorText : public testing::TestWithParam<TextCase> {};
TEST_P(SelectorText, isPrintedAsUpstreamDoes) {
  auto selector = LabelSelector::parse(GetParam().text);
  ASSERT_TRUE(selector.ok()) << selector.error().message;
  EXPECT_EQ(selector->toString(), GetParam().printed);
  auto again = LabelSelector::parse(selector->toString());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->toString(), GetParam().printed);
}
INSTANTIATE_TEST_SUITE_P(Upstream, SelectorText,
                         testing::Values(TextCase{"", ""}, TextCase{"x=a,y=b,z=c", "x=a,y=b,z=c"},
                                         TextCase{"x!=a,y=b", "x!=a,y=b"}, TextCase{"x=", "x="}, TextCase{"x= ", "x="},
                                         TextCase{"x=,z= ", "x=,z="}, TextCase{"x= ,z= ", "x=,z="},
                                         TextCase{"!x", "!x"}, TextCase{"x>1", "x>1"}, TextCase{"x>1,z<5", "x>1,z<5"},
                                         TextCase{"x == a", "x==a"}, TextCase{" x , !y ", "x,!y"},
                                         TextCase{"z,y,x", "x,y,z"}, TextCase{"x in (b,a)", "x in (a,b)"},
                                         TextCase{"x in (a,a)", "x in (a)"}, TextCase{"x in (,a)", "x in (,a)"},
                                         TextCase{"x in (a,,b)", "x in (,a,b)"}, TextCase{"x in (a,)", "x in (,a)"},
                                         TextCase{"x notin (b,a)", "x notin (a,b)"},
                                         TextCase{"x in (in,notin)", "x in (in,notin)"},
                                         TextCase{"in in (notin)", "in in (notin)"}, TextCase{"in", "in"},
                                         TextCase{"!notin", "!notin"}, TextCase{"notin=in", "notin=in"},
                                         TextCase{"a.b/c-d_e=F", "a.b/c-d_e=F"}, TextCase{"x\tin\n(a)", "x in (a)"}));

struct BadCase {
  const char* text;
  const char* message;
};
class SelectorMalformed : public testing::TestWithParam<BadCase> {};
TEST_P(SelectorMalformed, isRefused) {
  auto selector = LabelSelector::parse(GetParam().text);
  ASSERT_FALSE(selector.ok()) << selector->toString();
  EXPECT_EQ(selector.error().reason, Reason::BadRequest);
  EXPECT_EQ(selector.error().message, GetParam().message);
}
INSTANTIATE_TEST_SUITE_P(
    Upstream, SelectorMalformed,
    testing::Values(BadCase{"x=a||y=b",
                            "unable to parse requirement: values[0][x]: Invalid value: \"a||y\": a valid label must be "
                            "an empty string or "
                            "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                            "alphanumeric character "
                            "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                            "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"},
                    BadCase{"x==a==b", "found '==', expected: ',' or 'end of string'"},
                    BadCase{"!x=a", "found '=', expected: ',' or 'end of string'"},
                    BadCase{"x<a",
                            "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, "
                            "the value must be an integer"},
                    BadCase{"x in ()",
                            "unable to parse requirement: values: Invalid value: []string{}: for 'in', 'notin' "
                            "operators, values set can't be empty"},
                    BadCase{"x in a", "unable to parse requirement: found 'a' expected: '('"},
                    BadCase{"x in (a", "unable to parse requirement: found '', expected: ',' or ')'"},
                    BadCase{"x in (a b)", "unable to parse requirement: found 'b', expected: ',' or ')'"},
                    BadCase{"x in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"},
                    BadCase{"x in (a,=)", "unable to parse requirement: found '=', expected: ',', or identifier"},
                    BadCase{"x y", "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt"},
                    BadCase{"x,", "found '', expected: identifier after ','"},
                    BadCase{",x", "found ',', expected: !, identifier, or 'end of string'"},
                    BadCase{"=x", "found '=', expected: !, identifier, or 'end of string'"},
                    BadCase{"!", "unable to parse requirement: found '', expected: identifier"},
                    BadCase{"x=(", "unable to parse requirement: found '(', expected: identifier"},
                    BadCase{"a%",
                            "unable to parse requirement: <nil>: Invalid value: \"a%\": name part must consist of "
                            "alphanumeric characters, '-', '_' "
                            "or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or "
                            "'my.name',  or '123-abc', regex "
                            "used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"}));

struct MatchCase {
  const char* selector;
  const char* labels;
  bool expected;
};
class SelectorMatch : public testing::TestWithParam<MatchCase> {};
TEST_P(SelectorMatch, sameByEveryWay) {
  json::Arena arena;
  json::Value labels = *json::parse(arena, GetParam().labels);
  auto selector = LabelSelector::parse(GetParam().selector);
  ASSERT_TRUE(selector.ok()) << selector.error().message;
  EXPECT_EQ(selector->matches(labels), GetParam().expected);
  EXPECT_EQ(selector->matchesFlat(flattenLabels(labels)), GetParam().expected);
  EXPECT_EQ(selector->matches([&](std::string_view key) -> std::optional<std::string_view> {
    const json::Value* v = labels.find(key);
    return v ? std::optional(v->asString()) : std::nullopt;
  }),
            GetParam().expected);
}
constexpr const char* kXY = R"({"x":"y"})";
constexpr const char* kMany = R"({"a":"1","m":"","x":"y","z":"100"})";
INSTANTIATE_TEST_SUITE_P(
    Cases, SelectorMatch,
    testing::Values(MatchCase{"", kXY, true}, MatchCase{"", "{}", true}, MatchCase{"x=y", kXY, true},
                    MatchCase{"x=y,z=w", kXY, false}, MatchCase{"x!=y", kXY, false}, MatchCase{"z!=y", kXY, true},
                    MatchCase{"x!=y", "{}", true}, MatchCase{"x", kXY, true}, MatchCase{"!x", kXY, false},
                    MatchCase{"!w", kXY, true}, MatchCase{"x in (a,y)", kXY, true}, MatchCase{"x in (a)", kXY, false},
                    MatchCase{"x notin (a,y)", kXY, false}, MatchCase{"w notin (a)", kXY, true},
                    MatchCase{"m=", kMany, true}, MatchCase{"m in (,x)", kMany, true}, MatchCase{"b=", kMany, false},
                    MatchCase{"a=1,x=y,z=100", kMany, true}, MatchCase{"z>99", kMany, true},
                    MatchCase{"z>100", kMany, false}, MatchCase{"z<101", kMany, true}, MatchCase{"x>1", kMany, false},
                    MatchCase{"w>1", kMany, false}, MatchCase{"x,x!=z,x in (y)", kMany, true},
                    MatchCase{"zz", kMany, false}, MatchCase{"A", kMany, false}, MatchCase{"x=y", "null", false}));

struct JsonCase {
  const char* selector;
  const char* printed;  ///< or the error
};
class SelectorJson : public testing::TestWithParam<JsonCase> {};
TEST_P(SelectorJson, asLabelSelectorAsSelector) {
  json::Arena arena;
  auto selector = LabelSelector::fromJson(*json::parse(arena, GetParam().selector));
  if (!selector.ok()) {
    EXPECT_EQ(selector.error().reason, Reason::Invalid);
  }
  EXPECT_EQ(selector.ok() ? selector->toString() : selector.error().message, GetParam().printed);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, SelectorJson,
    testing::Values(
        JsonCase{"{}", ""}, JsonCase{R"({"matchLabels":{"foo":"bar"}})", "foo=bar"},
        JsonCase{
            R"({"matchLabels":{"foo":"bar"},"matchExpressions":[{"key":"baz","operator":"In","values":["qux","norf"]}]})",
            "baz in (norf,qux),foo=bar"},
        JsonCase{R"({"matchExpressions":[{"key":"a","operator":"Exists"},{"key":"b","operator":"DoesNotExist"}]})",
                 "a,!b"},
        JsonCase{R"({"matchExpressions":[{"key":"a","operator":"In","values":[]}]})",
                 "values: Invalid value: []string{}: for 'in', 'notin' operators, values set can't be empty"},
        JsonCase{R"({"matchExpressions":[{"key":"a","operator":"Exists","values":["b"]}]})",
                 "values: Invalid value: []string{\"b\"}: values set must be empty for exists and does not exist"},
        JsonCase{R"({"matchExpressions":[{"key":"a","operator":"in"}]})",
                 "\"in\" is not a valid label selector operator"}));

TEST(LabelSelector, nullSelectsNothing) {
  auto none = LabelSelector::fromJson(json::Value());
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->empty());
  EXPECT_FALSE(none->matches(json::Value()));
  EXPECT_FALSE(none->matchesFlat(""));
  EXPECT_TRUE(LabelSelector::everything().matches(json::Value()));
  EXPECT_TRUE(LabelSelector::everything().empty());
}

struct FieldCase {
  const char* text;
  bool expected;
  const char* message;  ///< null when it parses
};
class FieldSelectors : public testing::TestWithParam<FieldCase> {};
TEST_P(FieldSelectors, matchOrAreRefused) {
  json::Arena arena;
  json::Value pod =
      *json::parse(arena, R"({"metadata":{"name":"a"},"spec":{"nodeName":"n,1"},"status":{"phase":"Running"}})");
  auto selector = FieldSelector::parse(GetParam().text);
  ASSERT_EQ(selector.ok(), GetParam().message == nullptr) << GetParam().text;
  if (!selector.ok()) {
    EXPECT_EQ(selector.error().message, GetParam().message);
    return;
  }
  std::string value;
  EXPECT_EQ(selector->matches([&](std::string_view field) -> std::optional<std::string_view> {
    value = fieldValue(pod, field);
    return value;
  }),
            GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, FieldSelectors,
    testing::Values(FieldCase{"", true, nullptr}, FieldCase{"metadata.name=a", true, nullptr},
                    FieldCase{"metadata.name==a", true, nullptr}, FieldCase{"metadata.name!=a", false, nullptr},
                    FieldCase{"metadata.name=a,status.phase!=Failed", true, nullptr},
                    FieldCase{"spec.nodeName=n\\,1", true, nullptr}, FieldCase{"metadata.namespace=", true, nullptr},
                    FieldCase{",metadata.name=a,", true, nullptr}, FieldCase{"spec.unschedulable=false", true, nullptr},
                    FieldCase{"spec.x=1", false, nullptr},
                    FieldCase{"x", false, "invalid selector: 'x'; can't understand 'x'"},
                    FieldCase{"x=a=b", false, "invalid field selector: unescaped character in value: ="},
                    FieldCase{"x=a\\", false, "invalid field selector: invalid escape sequence: \\"},
                    FieldCase{"x=a\\b", false, "invalid field selector: invalid escape sequence: \\b"}));

TEST(FieldSelector, exactIsWhatEqualityPins) {
  auto selector = FieldSelector::parse("metadata.name=a,spec.nodeName!=b");
  ASSERT_TRUE(selector.ok());
  EXPECT_EQ(selector->exact("metadata.name"), "a");
  EXPECT_EQ(selector->exact("spec.nodeName"), std::nullopt);
  EXPECT_EQ(selector->terms().size(), 2u);
}

TEST(FieldValue, readsScalars) {
  json::Arena arena;
  json::Value v = *json::parse(
      arena,
      R"({"spec":{"unschedulable":true,"n":3,"o":{}},"source":{"component":"kubelet"},"reportingComponent":"x"})");
  EXPECT_EQ(fieldValue(v, "spec.unschedulable"), "true");
  EXPECT_EQ(fieldValue(v, ".spec.n"), "3");
  EXPECT_EQ(fieldValue(v, "spec.o"), "");
  EXPECT_EQ(fieldValue(v, "spec.n.deeper"), "");
  EXPECT_EQ(fieldValue(v, "source"), "kubelet");
  EXPECT_EQ(fieldValue(json::without(arena, v, "source"), "source"), "x");
  EXPECT_EQ(fieldValue(json::Value(), ""), "");
  EXPECT_EQ(fieldValue(v, "status.replicas"), "0");
}

}  // namespace
}  // namespace stoker::kube
