// authenticator.h: who sent a request.
#pragma once

#include "apiserver/auth/authorizer.h"
#include "net/http.h"

namespace stoker::apiserver {

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  /// The user, system:anonymous when nothing was presented, Unauthorized when what was presented is not valid.
  virtual Result<User> authenticate(const net::Request& request) const = 0;
};

}  // namespace stoker::apiserver
