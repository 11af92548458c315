// feeder.h: keeps a DNS server's records in step with the API's Services and EndpointSlices. Lives on the agent's loop.
#pragma once

#include "client/informer.h"
#include "node/dns/server.h"

namespace stoker::node::dns {

class Feeder {
 public:
  Feeder(client::Cluster& cluster, client::Loop& loop, Server& server)
      : services_(cluster, loop, client::gvrOf<api::Service>(), serviceCache_),
        slices_(cluster, loop, client::gvrOf<api::EndpointSlice>(), sliceCache_),
        server_(server) {}

  void start() {
    services_.onChange([this](const client::Key& key, const api::ObjectMeta*, const api::ObjectMeta*) {
      const api::Service* service = serviceCache_.get(key.namespace_, key.name);
      server_.update([&](Records& records) { records.setService(key.namespace_, key.name, service); });
    });
    slices_.onChange([this](const client::Key& key, const api::ObjectMeta*, const api::ObjectMeta*) {
      const api::EndpointSlice* slice = sliceCache_.get(key.namespace_, key.name);
      server_.update([&](Records& records) { records.setSlice(key.namespace_, key.name, slice); });
    });
    services_.start();
    slices_.start();
  }

 private:
  client::Cache<api::Service> serviceCache_;
  client::Cache<api::EndpointSlice> sliceCache_;
  client::Informer services_, slices_;
  Server& server_;
};

}  // namespace stoker::node::dns
