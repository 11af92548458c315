#include "kube/names.h"

#include <gtest/gtest.h>

namespace stoker::kube {
namespace {

using Check = std::vector<std::string> (*)(std::string_view);
struct NameCase {
  const char* name;
  Check check;
  std::vector<std::string> good, bad;
};
std::string a(size_t n) { return std::string(n, 'a'); }

class Names : public testing::TestWithParam<NameCase> {};
TEST_P(Names, acceptsAndRefuses) {
  for (const std::string& text : GetParam().good) EXPECT_TRUE(GetParam().check(text).empty()) << text;
  for (const std::string& text : GetParam().bad) EXPECT_FALSE(GetParam().check(text).empty()) << text;
}
INSTANTIATE_TEST_SUITE_P(
    Upstream, Names,
    testing::Values(
        NameCase{"label1123",
                 dns1123Label,
                 {"a", "ab", "abc", "a1", "a-1", "a--1--2--b", "0", "01", "012", "1a", "1-a", "1--a--b--2", a(63)},
                 {"",   "A",   "ABC", "aBc", "A1",  "A-1", "1-A",
                  "-",  "a-",  "-a",  "1-",  "-1",  "_",   "a_",
                  "_a", "a_b", "1_",  "_1",  "1_2", ".",   "a.",
                  ".a", "a.b", "1.",  ".1",  "1.2", " ",   "a ",
                  " a", "a b", "1 ",  " 1",  "1 2", a(64), std::string("a\0b", 3)}},
        NameCase{"subdomain1123",
                 dns1123Subdomain,
                 {"a", "ab", "a1", "a-1", "a--1--2--b", "0", "a.a", "ab.a", "a.1", "1.a", "a.b.c.d.e", "aa.bb.cc.dd.ee",
                  "1.2.3.4.5", a(253)},
                 {"",     "A",    "aBc", "-",   "a-",  "-a",  "_",   "a_b", ".",   "a.",  ".a",
                  "a..b", "1..2", " ",   "a b", "A.a", "a.B", "a@b", "a,b", "a;b", "a/b", a(254)}},
        NameCase{"label1035",
                 dns1035Label,
                 {"a", "ab", "a1", "a-1", "a--1--2--b", a(63)},
                 {"0", "01", "1a", "1-a", "", "A", "aBc", "-", "a-", "-a", "_a", "a.b", "a b", a(64)}},
        NameCase{"qualifiedName",
                 qualifiedName,
                 {"simple", "now-with-dashes", "1-starts-with-num", "1234", "simple/simple", "now-with-dashes/simple",
                  "now-with-dashes/now-with-dashes", "now.with.dots/simple", "1-num.2-num/3-num", "1.2.3.4/5678",
                  "Uppercase_Is_OK_123", "example.com/Uppercase_Is_OK_123", "requests.storage-foo", a(63),
                  a(253) + "/" + a(63)},
                 {"nospecialchars%^=@", "cantendwithadash-", "-cantstartwithadash-", "only/one/slash",
                  "Example.com/abc", "example_com/abc", "example.com/", "/simple", a(64), a(254) + "/abc", ""}},
        NameCase{"labelValue",
                 labelValue,
                 {"simple", "now-with-dashes", "1-starts-with-num", "end-with-num-1", "1234", a(63), ""},
                 {"nospecialchars%^=@", "Tama-nui-te-r\xc4\x81.is.M\xc4\x81ori.sun", "\\backslashes\\are\\bad",
                  "-starts-with-dash", "ends-with-dash-", ".starts.with.dot", "ends.with.dot.", a(64)}},
        NameCase{"configMapKey",
                 configMapKey,
                 {"a", "good", "good-good", "still.good", "this.is.also.good", ".so.is.this", "THIS_IS_GOOD",
                  "so_is_this_17"},
                 {"", ".", "..", "..bad", "b*d", "bad!&bad", a(254)}},
        NameCase{"envVarName",
                 envVarName,
                 {"A", "_", "MY_VAR", "my.var-1", "1x", "a b", "a+b"},
                 {"", "a=b", "a\nb", "\xc3\xa4"}},
        NameCase{"pathSegment", pathSegmentName, {"a", "system:node:a", "A B", "...", ""}, {".", "..", "a/b", "a%b"}}),
    [](auto& info) { return std::string(info.param.name); });

TEST(NameMessages, areUpstreams) {
  EXPECT_EQ(dns1123Label("a.b"), std::vector<std::string>{"must not contain dots"});
  EXPECT_EQ(dns1123Label("A"),
            std::vector<std::string>{
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
                "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"});
  EXPECT_EQ(dns1123Subdomain("A"),
            std::vector<std::string>{
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
                "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation "
                "is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"});
  EXPECT_EQ(dns1035Label("1")[0],
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end "
            "with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
            "'[a-z]([-a-z0-9]*[a-z0-9])?')");
  EXPECT_EQ(labelValue(a(64)), std::vector<std::string>{"must be no more than 63 bytes"});
  EXPECT_EQ(dns1123Subdomain(a(254)), std::vector<std::string>{"must be no more than 253 characters"});
  EXPECT_EQ(qualifiedName("/a")[0], "prefix part must be non-empty");
  EXPECT_EQ(qualifiedName("a/")[0], "name part must be non-empty");
  EXPECT_EQ(pathSegmentName(".."), std::vector<std::string>{"may not be '..'"});
  EXPECT_EQ(pathSegmentName("a/b%"), (std::vector<std::string>{"may not contain '/'", "may not contain '%'"}));
}

}  // namespace
}  // namespace stoker::kube
