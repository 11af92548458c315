// call.h: one API request on its way, shared by the parts of the handler. Internal to http/.
#pragma once

#include "apiserver/http/handler.h"

namespace stoker::apiserver {

/// A boolean query parameter by Go's rule (apimachinery Convert_Slice_string_To_bool): "false" in any case and "0" are
/// false, all else that is given is true, the empty value as well ("?watch", and Python's "?watch=True").
bool queryFlag(const net::Url& url, std::string_view name);

struct ApiHandler::Call {
  ApiHandler* handler = nullptr;
  std::shared_ptr<net::Exchange> exchange;
  Route route;
  Accepted accepted;
  Caller caller;
  Target target;
  std::vector<std::string> warnings;  ///< caller.warnings points here
  std::string counted;                ///< user under whom it counts as in flight; empty: not counted

  ~Call() {
    if (!counted.empty()) handler->leave(counted, false);
  }
  const net::Request& request() const { return exchange->request(); }
  std::string param(std::string_view name) const {
    auto value = request().url.param(name);
    return value ? std::string(*value) : std::string();
  }
  bool flag(std::string_view name) const { return queryFlag(request().url, name); }

  void fail(const Error& error);
  void answer(int status, json::Value value);
  void answer(int status, std::shared_ptr<const std::string> bytes);
  /// One object in the form the client accepts.
  void answerObject(int status, const std::shared_ptr<const std::string>& bytes);
  net::Headers headers(std::string_view contentType) const;
};

/// meta.k8s.io Table of objects; `columns` false leaves the definitions out (later events of a watch).
json::Value makeTable(json::Arena& arena, const kube::KindInfo& kind, const std::vector<json::Value>& objects,
                      std::string_view metaVersion, std::string_view includeObject, json::Value listMetadata,
                      bool columns, Time now);
json::Value partialMetadata(json::Arena& arena, json::Value object, std::string_view metaVersion);

}  // namespace stoker::apiserver
