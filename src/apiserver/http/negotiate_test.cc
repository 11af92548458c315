#include "apiserver/http/negotiate.h"

#include <gtest/gtest.h>

namespace stoker::apiserver {
namespace {

using Form = Accepted::Form;

TEST(Negotiate, theFirstAcceptableFormWins) {
  struct Case {
    const char* accept;
    bool canTransform;
    Form form;
    bool yaml;
  };
  for (const Case& c : {
           Case{"", true, Form::Object, false},
           Case{"*/*", true, Form::Object, false},
           Case{"application/json", true, Form::Object, false},
           Case{"application/yaml", true, Form::Object, true},
           Case{"APPLICATION/YAML;q=0.5, application/json", true, Form::Object, false},
           Case{"application/json;as=Table;v=v1;g=meta.k8s.io,application/"
                "json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                true, Form::Table, false},
           Case{"application/json;as=Table;v=v1;g=meta.k8s.io,application/json", false, Form::Object, false},
           Case{"application/json;as=Table;v=v2;g=meta.k8s.io,application/json", true, Form::Object, false},
           Case{"application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", true, Form::PartialMetadata, false},
           Case{"application/vnd.kubernetes.protobuf,application/json", true, Form::Object, false},
           Case{"application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/"
                "json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
                true, Form::PartialMetadata, false},
           Case{"text/html, */*;q=0.1", true, Form::Object, false},
       }) {
    auto accepted = negotiate(c.accept, c.canTransform);
    ASSERT_TRUE(accepted.ok()) << c.accept;
    EXPECT_EQ(accepted->form, c.form) << c.accept;
    EXPECT_EQ(accepted->yaml, c.yaml) << c.accept;
  }
  EXPECT_EQ(negotiate("application/json;as=Table;v=v1beta1;g=meta.k8s.io", true)->metaVersion, "v1beta1");
}

TEST(Negotiate, whatCannotBeMadeIsSaid) {
  for (const char* accept : {"text/html", "application/vnd.kubernetes.protobuf", "application/json;q=0",
                             "application/json;as=Picture;v=v1;g=meta.k8s.io"}) {
    auto accepted = negotiate(accept, true);
    ASSERT_FALSE(accepted.ok()) << accept;
    EXPECT_EQ(accepted.error().reason, Reason::NotAcceptable);
  }
}

TEST(BodyTypes, ofWritesAndPatches) {
  EXPECT_EQ(*bodyType("", false), BodyType::Json);
  EXPECT_EQ(*bodyType("application/json; charset=utf-8", false), BodyType::Json);
  EXPECT_EQ(*bodyType("Application/YAML", false), BodyType::Yaml);
  EXPECT_EQ(*bodyType("application/vnd.kubernetes.protobuf", false), BodyType::Protobuf);
  EXPECT_EQ(*bodyType("application/json-patch+json", true), BodyType::JsonPatch);
  EXPECT_EQ(*bodyType("application/merge-patch+json", true), BodyType::MergePatch);
  EXPECT_EQ(*bodyType("application/strategic-merge-patch+json", true), BodyType::StrategicPatch);
  EXPECT_EQ(*bodyType("application/apply-patch+yaml", true), BodyType::ApplyPatch);
  EXPECT_EQ(bodyType("application/json", true).error().reason, Reason::UnsupportedMediaType);
  EXPECT_EQ(bodyType("text/xml", false).error().reason, Reason::UnsupportedMediaType);
  EXPECT_EQ(bodyType("application/merge-patch+json", false).error().reason, Reason::UnsupportedMediaType);
}

TEST(Accepts, oneMediaType) {
  constexpr const char* kProto = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
  EXPECT_TRUE(accepts("application/com.github.proto-openapi.spec.v2@v1.0+protobuf", kProto));
  EXPECT_TRUE(accepts("application/json, application/com.github.proto-openapi.spec.v2@v1.0+protobuf;q=0.4", kProto));
  EXPECT_FALSE(accepts("application/json", kProto));
}

}  // namespace
}  // namespace stoker::apiserver
