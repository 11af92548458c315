// namespaces.h
//
// What every namespace has, and how it goes (kubernetes pkg/controller/namespace, serviceaccount,
// certificates/rootcacert):
//
// - an active namespace has the ServiceAccount `default` and the ConfigMap `kube-root-ca.crt`, made again when deleted;
// - a terminating one loses its content, pods first, kind by kind, until every list is empty; then its finalizer goes.
//
// A shell over Cluster and Loop rather than a Controller: it must reach kinds that nobody decodes. It reads lists,
// keeps no state that matters, and tries again until the namespace is gone.
#pragma once

#include <memory>

#include "api/core.h"
#include "client/informer.h"
#include "controllers/workloads/owner_graph.h"

namespace stoker::controllers {

class NamespaceKeeper {
 public:
  /// `resources`: as for the GarbageCollector; those that are not namespaced are left out. `rootCa`: PEM.
  NamespaceKeeper(client::Cluster& cluster, client::Loop& loop, std::vector<CollectedResource> resources,
                  std::string rootCa);
  ~NamespaceKeeper();
  NamespaceKeeper(const NamespaceKeeper&) = delete;
  NamespaceKeeper& operator=(const NamespaceKeeper&) = delete;

  void start();
  void addResource(const CollectedResource& resource);

 private:
  class Guard;
  struct Cleaning;
  void onNamespace(const std::string& name);
  void ensure(const std::string& ns);
  void clean(const std::string& ns);
  void listNext(const std::shared_ptr<Cleaning>& cleaning);
  void finalize(const std::string& ns);
  void again(const std::string& ns, Duration pause);

  client::Cluster& cluster_;
  client::Loop& loop_;
  std::vector<CollectedResource> resources_;
  std::string rootCa_;
  client::Cache<api::Namespace> namespaces_;
  client::Informer informer_;
  std::vector<std::unique_ptr<Guard>> guards_;
  std::set<std::string> cleaning_, waiting_;
  std::shared_ptr<bool> alive_;
};

/// The namespace without the finalizer "kubernetes", as a body for namespaces/finalize.
std::string finalizedNamespace(const std::string& object);

}  // namespace stoker::controllers
