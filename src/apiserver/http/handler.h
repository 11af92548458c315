// handler.h
//
// The API over HTTP: reads a request, asks the registry, writes the answer in the form the client accepts. Runs on the
// network threads; writes are answered from the commit thread.
#pragma once

#include <atomic>
#include <map>
#include <mutex>

#include "apiserver/auth/authenticator.h"
#include "apiserver/http/negotiate.h"
#include "apiserver/http/route.h"
#include "apiserver/registry/registry.h"
#include "apiserver/reviews.h"
#include "net/http.h"
#include "net/server.h"

namespace stoker::apiserver {

/// A GET subresource that answers by itself and may stream (pods/log). `parent` is the object the caller may read.
using ConnectHandler = std::function<void(std::shared_ptr<net::Exchange>, const Caller&, const Target&,
                                          std::shared_ptr<json::Doc> parent)>;

struct HandlerOptions {
  std::string gitVersion = "v1.35.4";  ///< what /version says: the Kubernetes API level
  std::string stokerVersion;
  int maxInFlightPerUser = 400;            ///< upstream's --max-requests-inflight; one client cannot take all
  int maxWatchesPerUser = 5000;            ///< a watch is a connection and a buffer
  double minRequestTimeoutSeconds = 1800;  ///< watches without timeoutSeconds last [1,2) times this
};

class ApiHandler {
 public:
  ApiHandler(Registry& registry, const Authenticator& authenticator, const Authorizer& authorizer, Ids& ids,
             HandlerOptions options);
  ~ApiHandler();
  void addReview(Review review) { reviews_.push_back(std::move(review)); }
  void addConnect(const std::string& groupResource, const std::string& subresource, ConnectHandler handler) {
    connects_[{groupResource, subresource}] = std::move(handler);
  }
  /// Extra lines for /metrics.
  void setMetrics(std::function<std::string()> metrics) { metrics_ = std::move(metrics); }
  /// Before the first request; timers of watches run on it.
  void setServer(net::Server* server) { server_ = server; }
  /// Not ready: /readyz answers 500 and says so.
  void setReady(bool ready) { ready_ = ready; }

  void handle(std::shared_ptr<net::Exchange> exchange);

 private:
  struct Call;
  class WatchSession;
  void dispatch(const std::shared_ptr<Call>& call);
  void serveHealth(const std::shared_ptr<Call>& call);
  void serveVersion(const std::shared_ptr<Call>& call);
  void serveDiscovery(const std::shared_ptr<Call>& call);
  void serveOpenApi(const std::shared_ptr<Call>& call);
  void serveResource(const std::shared_ptr<Call>& call);
  void serveReview(const std::shared_ptr<Call>& call, const Review& review);
  void serveGet(const std::shared_ptr<Call>& call);
  void serveList(const std::shared_ptr<Call>& call);
  void serveWatch(const std::shared_ptr<Call>& call);
  void serveWrite(const std::shared_ptr<Call>& call, client::Write::Verb verb);
  void serveDeleteCollection(const std::shared_ptr<Call>& call);
  Result<WriteRequest> readWrite(const std::shared_ptr<Call>& call, client::Write::Verb verb);
  Result<json::Value> readBody(const std::shared_ptr<Call>& call, json::Arena& arena, BodyType type,
                               std::vector<std::string>* duplicates);
  std::vector<std::string> subresourcesOf(const kube::KindInfo& kind) const;
  bool enter(const std::string& user, bool watch);
  void leave(const std::string& user, bool watch);

  Registry& registry_;
  const Authenticator& authenticator_;
  const Authorizer& authorizer_;
  Ids& ids_;
  HandlerOptions options_;
  std::vector<Review> reviews_;
  std::map<std::pair<std::string, std::string>, ConnectHandler> connects_;
  std::function<std::string()> metrics_;
  net::Server* server_ = nullptr;
  std::atomic<bool> ready_{false};

  std::mutex countsMutex_;
  struct Counts {
    int requests = 0, watches = 0;
  };
  std::map<std::string, Counts> counts_;

  std::mutex openApiMutex_;
  uint64_t openApiGeneration_ = 0;
  std::shared_ptr<const std::string> openApiJson_, openApiProtobuf_;
  std::string openApiTag_;
};

}  // namespace stoker::apiserver
