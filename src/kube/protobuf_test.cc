#include <gtest/gtest.h>

#include "kube/schema.h"

namespace stoker::kube {
namespace {

/// Wire bytes, written as a client would.
std::string varint(uint64_t n) {
  std::string out;
  for (; n >= 0x80; n >>= 7) out += static_cast<char>(n | 0x80);
  return out += static_cast<char>(n);
}
std::string number(uint32_t field, uint64_t n) { return varint(field << 3) + varint(n); }
std::string text(uint32_t field, std::string_view bytes) {
  return varint(field << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}
std::string real(uint32_t field, double n) {
  return varint(field << 3 | 1) + std::string(reinterpret_cast<const char*>(&n), 8);
}

struct Case {
  const char* name;
  const char* schema;
  std::string wire;
  const char* want;  // an error when it starts with '!'
};

TEST(Protobuf, Table) {
  const char* crd = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
  const Case cases[] = {
      {"scalars; zeros of plain fields vanish", "k8s.io.api.core.v1.PodSpec",
       text(3, "Never") + number(4, 0) + text(6, "") + number(11, 1) + number(12, 0) +
           number(25, static_cast<uint64_t>(-5)),
       R"({"hostNetwork":true,"priority":-5,"restartPolicy":"Never","terminationGracePeriodSeconds":0})"},
      {"pointers keep their zero", "k8s.io.api.batch.v1.JobSpec", number(1, 0) + number(10, 0),
       R"({"parallelism":0,"suspend":false})"},
      {"always encoded", "k8s.io.api.core.v1.Container", text(1, "") + text(2, ""), R"({"name":""})"},
      {"maps, a value left out", "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta",
       text(11, text(1, "a") + text(2, "b")) + text(11, text(1, "c")) + text(11, text(1, "a") + text(2, "z")),
       R"({"labels":{"a":"z","c":""}})"},
      {"bytes", "k8s.io.api.core.v1.Secret", text(2, text(1, "k") + text(2, std::string("\0\1", 2))),
       R"({"data":{"k":"AAE="}})"},
      {"quantities", "k8s.io.api.core.v1.ResourceRequirements", text(1, text(1, "cpu") + text(2, text(1, "500m"))),
       R"({"limits":{"cpu":"500m"}})"},
      {"times", "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta", text(8, number(1, 1700000000)) + text(9, ""),
       R"({"creationTimestamp":"2023-11-14T22:13:20Z"})"},
      {"micro times", "k8s.io.api.coordination.v1.LeaseSpec", text(4, number(1, 1) + number(2, 5000)),
       R"({"renewTime":"1970-01-01T00:00:01.000005Z"})"},
      {"int or string", "k8s.io.api.core.v1.ServiceSpec",
       text(1, number(3, 80) + text(4, number(1, 1) + number(2, 0) + text(3, "http"))) +
           text(1, text(4, number(1, 0) + number(2, 8080) + text(3, ""))),
       R"({"ports":[{"port":80,"targetPort":"http"},{"targetPort":8080}]})"},
      {"inlined messages", "k8s.io.api.core.v1.Volume", text(1, "v") + text(2, text(2, text(1, "Memory"))),
       R"({"emptyDir":{"medium":"Memory"},"name":"v"})"},
      {"raw JSON", "k8s.io.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry", text(7, text(1, R"({"f:x":{}})")),
       R"({"fieldsV1":{"f:x":{}}})"},
      {"packed integers", "k8s.io.api.core.v1.PodSecurityContext", text(4, varint(1) + varint(300)) + number(4, 7),
       R"({"supplementalGroups":[1,300,7]})"},
      {"doubles and choices", crd,
       real(9, 1.5) + text(24, text(1, text(5, "string"))) + text(30, number(1, 1)) + text(20, text(1, "3")) +
           text(40 + 0, ""),
       "!protobuf body: field x-kubernetes-int-or-string has wire type 2, expected 0"},
      {"doubles, choices, embedded JSON", crd,
       real(9, 1.5) + text(24, text(1, text(5, "string"))) + text(30, number(1, 1)) + text(20, text(1, "3")),
       R"({"additionalProperties":true,"enum":[3],"items":{"type":"string"},"maximum":1.5})"},
      {"a schema beats the bool beside it", crd, text(30, number(1, 1) + text(2, text(5, "object"))),
       R"({"additionalProperties":{"type":"object"}})"},
      {"named lists", "k8s.io.api.authentication.v1.UserInfo",
       text(4, text(1, "scopes") + text(2, text(1, "a") + text(1, "b"))), R"({"extra":{"scopes":["a","b"]}})"},
      {"unknown fields are skipped", "k8s.io.api.core.v1.PodSpec",
       number(9999, 1) + text(9998, "x") + real(9997, 1) + text(10, "n"), R"({"nodeName":"n"})"},
      {"cut short", "k8s.io.api.core.v1.PodSpec", text(10, "node").substr(0, 4),
       "!protobuf body: it ends 2 bytes early"},
      {"not UTF-8", "k8s.io.api.core.v1.PodSpec", text(10, "\xff"),
       "!protobuf body: field nodeName is not valid UTF-8"},
      {"groups", "k8s.io.api.core.v1.PodSpec", varint(10 << 3 | 3),
       "!protobuf body: wire type 3 of field 10 is not used by Kubernetes"},
      {"endless number", "k8s.io.api.core.v1.PodSpec", std::string(11, '\xff'),
       "!protobuf body: a number is longer than 10 bytes"},
  };
  for (const Case& c : cases) {
    json::Arena arena;
    auto got = decodeProtobuf(arena, *builtinSchemas()->message(c.schema), c.wire);
    if (c.want[0] == '!') {
      ASSERT_FALSE(got.ok()) << c.name;
      EXPECT_EQ(got.error().message, c.want + 1) << c.name;
      EXPECT_EQ(got.error().reason, Reason::BadRequest);
    } else {
      ASSERT_TRUE(got.ok()) << c.name << ": " << got.error().message;
      EXPECT_EQ(json::print(*got), c.want) << c.name;
    }
  }
}

TEST(Protobuf, DeepNestingIsRefused) {
  std::string wire;
  for (int i = 0; i < 300; ++i) wire = text(28, wire);  // JSONSchemaProps.not
  json::Arena arena;
  auto got = decodeProtobuf(
      arena, *builtinSchemas()->message("k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"),
      wire);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().message, "protobuf body: messages are nested more than 200 deep");
}

TEST(Protobuf, CutAnywhereNeverCrashes) {
  std::string wire = text(1, text(1, "p") + text(11, text(1, "a") + text(2, "b"))) +
                     text(2, text(2, text(1, "c") + text(8, text(1, text(1, "cpu") + text(2, text(1, "1"))))));
  const Schema& pod = *builtinSchemas()->message("k8s.io.api.core.v1.Pod");
  for (size_t cut = 0; cut <= wire.size(); ++cut)
    for (int flip = 0; flip < 8; ++flip) {
      std::string bytes = wire.substr(0, cut);
      if (!bytes.empty()) bytes[cut / 2] = static_cast<char>(bytes[cut / 2] ^ (1 << flip));
      json::Arena arena;
      auto got = decodeProtobuf(arena, pod, bytes);
      EXPECT_TRUE(!got.ok() || got->isObject());
    }
}

TEST(Protobuf, Envelope) {
  std::string body =
      std::string("k8s\0", 4) + text(1, text(1, "v1") + text(2, "Pod")) + text(2, "raw") + text(3, "") + text(4, "ct");
  auto got = openProtobufEnvelope(body);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->apiVersion, "v1");
  EXPECT_EQ(got->kind, "Pod");
  EXPECT_EQ(got->raw, "raw");
  EXPECT_EQ(got->contentType, "ct");
  EXPECT_EQ(openProtobufEnvelope("{}").error().reason, Reason::BadRequest);
  EXPECT_EQ(openProtobufEnvelope(std::string("k8s\0", 4) + text(3, "gzip")).error().reason,
            Reason::UnsupportedMediaType);
}

}  // namespace
}  // namespace stoker::kube
