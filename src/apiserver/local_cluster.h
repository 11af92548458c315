// local_cluster.h: the Cluster of components in this process: a call into the registry under a ServiceAccount's
// identity.
#pragma once

#include "apiserver/registry/registry.h"
#include "client/cluster.h"

namespace stoker::apiserver {

class LocalCluster final : public client::Cluster {
 public:
  LocalCluster(Registry& registry, User user) : registry_(registry), caller_{.user = std::move(user)} {}
  void get(const client::Gvr& resource, const std::string& ns, const std::string& name,
           client::Done<client::Object> done) override;
  void list(const client::Gvr& resource, const client::ListOptions& options,
            client::Done<client::ObjectList> done) override;
  std::unique_ptr<client::Subscription> watch(const client::Gvr& resource, const client::WatchOptions& options,
                                              std::function<void(const client::WatchEvent&)> onEvent) override;
  void write(std::vector<client::Write> writes, client::Mode mode,
             std::function<void(std::vector<Result<client::Object>>)> done) override;

 private:
  Registry& registry_;
  Caller caller_;
};

/// "system:serviceaccount:<ns>:<name>" with its groups.
User serviceAccountUser(const std::string& ns, const std::string& name);

}  // namespace stoker::apiserver
