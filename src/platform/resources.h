// resources.h: the kinds under garbage collection and namespace deletion, followed as CRDs come and go.
#pragma once

#include <functional>

#include "client/informer.h"
#include "controllers/workloads/owner_graph.h"
#include "kube/kinds.h"

namespace stoker::platform {

/// Every built-in kind that can be listed and deleted.
std::vector<controllers::CollectedResource> builtinResources();

/// Calls `added` for the kind of every CRD there is or will be. On the loop.
class CrdFollower {
 public:
  CrdFollower(client::Cluster& cluster, client::Loop& loop, std::function<void(const controllers::CollectedResource&)> added);
  void start() { informer_.start(); }

 private:
  struct Crd {
    struct Names {
      std::string plural, kind;
      static constexpr auto describe() { return std::tuple{api::field("plural", &Names::plural), api::field("kind", &Names::kind)}; }
    };
    struct Version {
      std::string name;
      bool storage = false;
      static constexpr auto describe() { return std::tuple{api::field("name", &Version::name), api::field("storage", &Version::storage)}; }
    };
    struct Spec {
      std::string group, scope;
      Names names;
      std::vector<Version> versions;
      static constexpr auto describe() {
        return std::tuple{api::field("group", &Spec::group), api::field("scope", &Spec::scope), api::field("names", &Spec::names),
                          api::field("versions", &Spec::versions)};
      }
    };
    api::ObjectMeta metadata;
    Spec spec;
    static constexpr auto describe() { return std::tuple{api::field("metadata", &Crd::metadata), api::field("spec", &Crd::spec)}; }
  };
  client::Cache<Crd> cache_;
  client::Informer informer_;
};

}  // namespace stoker::platform
