// resources.h: the kinds under garbage collection and namespace deletion, followed as CRDs come and go; and the end of
// a CRD: its objects are deleted before it goes (apiextensions-apiserver pkg/controller/finalizer).
#pragma once

#include <functional>
#include <set>

#include "client/informer.h"
#include "controllers/workloads/owner_graph.h"
#include "kube/kinds.h"

namespace stoker::platform {

/// Every built-in kind that can be listed and deleted.
std::vector<controllers::CollectedResource> builtinResources();

/// Keeps a CRD until its objects are gone.
inline constexpr const char* kCrdCleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io";

/// Calls `added` for the kind of every CRD there is or will be; empties CRDs that are being deleted. On the loop.
class CrdFollower {
 public:
  CrdFollower(client::Cluster& cluster, client::Loop& loop,
              std::function<void(const controllers::CollectedResource&)> added);
  ~CrdFollower() { *alive_ = false; }
  void start() { informer_.start(); }

 private:
  struct Crd {
    struct Names {
      std::string plural, kind;
      static constexpr auto describe() {
        return std::tuple{api::field("plural", &Names::plural), api::field("kind", &Names::kind)};
      }
    };
    struct Version {
      std::string name;
      bool storage = false;
      static constexpr auto describe() {
        return std::tuple{api::field("name", &Version::name), api::field("storage", &Version::storage)};
      }
    };
    struct Spec {
      std::string group, scope;
      Names names;
      std::vector<Version> versions;
      static constexpr auto describe() {
        return std::tuple{api::field("group", &Spec::group), api::field("scope", &Spec::scope),
                          api::field("names", &Spec::names), api::field("versions", &Spec::versions)};
      }
    };
    api::ObjectMeta metadata;
    Spec spec;
    static constexpr auto describe() {
      return std::tuple{api::field("metadata", &Crd::metadata), api::field("spec", &Crd::spec)};
    }
  };
  void clean(const std::string& name);
  void again(const std::string& name);
  void finish(const std::string& name);

  client::Cluster& cluster_;
  client::Loop& loop_;
  client::Cache<Crd> cache_;
  client::Informer informer_;
  std::set<std::string> cleaning_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stoker::platform
