// Secrets and ConfigMaps.

#include <fmt/format.h>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/groups.h"
#include "base/strings.h"
#include "kube/field_error.h"
#include "kube/names.h"

namespace stoker::apiserver {
namespace {

constexpr size_t kMaxBytes = 1024 * 1024;  // upstream's MaxSecretSize: one object must not fill the store
constexpr const char* kFrozen = "field is immutable when `immutable` is set";

void validateKeys(std::vector<Cause>& causes, json::Value map, const std::string& field) {
  for (const json::Member& m : map.members())
    addProblems(causes, fmt::format("{}[{}]", field, m.key), m.key, kube::configMapKey(m.key));
}

void validateFrozen(std::vector<Cause>& causes, json::Value object, json::Value old,
                    std::initializer_list<const char*> fields) {
  if (!old["immutable"].asBool()) return;
  if (!object["immutable"].asBool()) causes.push_back(kube::forbidden("immutable", kFrozen));
  for (const char* field : fields)
    if (!(object[field] == old[field])) causes.push_back(kube::forbidden(field, kFrozen));
}

void validateSize(std::vector<Cause>& causes, size_t bytes, const char* field) {
  if (bytes > kMaxBytes)
    causes.push_back({"FieldValueTooLong", fmt::format("Too long: may not be more than {} bytes", kMaxBytes), field});
}

size_t decodedSize(json::Value base64) { return base64.asString().size() / 4 * 3; }

class SecretStrategy final : public Strategy {
 public:
  Result<json::Value> prepareCreate(const StrategyContext& context, json::Value secret) const override {
    return merged(context.arena, secret);
  }
  Result<json::Value> prepareUpdate(const StrategyContext& context, json::Value secret, json::Value) const override {
    return merged(context.arena, secret);
  }

  std::vector<Cause> validate(json::Value secret, json::Value old) const override {
    std::vector<Cause> causes;
    json::Value data = secret["data"];
    validateKeys(causes, data, "data");
    size_t bytes = 0;
    for (const json::Member& m : data.members()) bytes += decodedSize(m.value);
    validateSize(causes, bytes, "data");
    validateType(causes, secret);
    if (!old) return causes;
    mustStay(causes, "type", secret["type"], old["type"]);
    validateFrozen(causes, secret, old, {"data"});
    return causes;
  }

 private:
  static json::Value merged(json::Arena& arena, json::Value secret) {
    json::Value data = secret["data"];
    for (const json::Member& m : secret["stringData"].members())
      data = json::with(arena, data, m.key, json::string(arena, base64Encode(m.value.asString())));
    if (!data.isNull()) secret = json::with(arena, secret, "data", data);
    return json::without(arena, secret, "stringData");
  }

  static void validateType(std::vector<Cause>& causes, json::Value secret) {
    std::string_view type = secret["type"].asString();
    json::Value data = secret["data"];
    auto needs = [&](const char* key) {
      if (!data.has(key)) causes.push_back(kube::required(fmt::format("data[{}]", key)));
    };
    if (type == "kubernetes.io/dockerconfigjson" || type == "kubernetes.io/dockercfg") {
      const char* key = type.ends_with("json") ? ".dockerconfigjson" : ".dockercfg";
      needs(key);
      json::Arena arena;
      auto decoded = base64Decode(data[key].asString());
      if (data.has(key) && (!decoded || !json::parse(arena, *decoded).ok()))
        causes.push_back(kube::invalid(fmt::format("data[{}]", key), "\"<secret contents redacted>\"", "must be JSON"));
    } else if (type == "kubernetes.io/tls") {
      needs("tls.crt");
      needs("tls.key");
    } else if (type == "kubernetes.io/ssh-auth") {
      needs("ssh-privatekey");
    } else if (type == "kubernetes.io/basic-auth") {
      if (!data.has("username") && !data.has("password")) {
        needs("username");
        needs("password");
      }
    } else if (type == "kubernetes.io/service-account-token") {
      constexpr const char* kAccount = "kubernetes.io/service-account.name";
      if (secret.at({"metadata", "annotations", kAccount}).asString().empty())
        causes.push_back(kube::required(fmt::format("metadata.annotations[{}]", kAccount)));
    }
  }
};

class ConfigMapStrategy final : public Strategy {
 public:
  std::vector<Cause> validate(json::Value map, json::Value old) const override {
    std::vector<Cause> causes;
    json::Value data = map["data"], binary = map["binaryData"];
    validateKeys(causes, data, "data");
    validateKeys(causes, binary, "binaryData");
    size_t bytes = 0;
    for (const json::Member& m : data.members()) {
      if (binary.has(m.key))
        causes.push_back(
            kube::invalid(fmt::format("data[{}]", m.key), quote(m.key), "duplicate of key present in binaryData"));
      bytes += m.value.asString().size();
    }
    for (const json::Member& m : binary.members()) bytes += decodedSize(m.value);
    validateSize(causes, bytes, "");
    validateFrozen(causes, map, old, {"data", "binaryData"});
    return causes;
  }
};

}  // namespace

void registerConfig(Registry& registry) {
  registry.addStrategy("secrets", std::make_unique<SecretStrategy>());
  registry.addStrategy("configmaps", std::make_unique<ConfigMapStrategy>());
}

}  // namespace stoker::apiserver
