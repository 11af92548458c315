// nslookup.h: our nslookup, for images whose own is not there (image_map.h: applets). Asks the resolvers of
// /etc/resolv.conf, with its search list, and lets our DNS server hold the query until the name exists:
// training-operator's init container `until nslookup MASTER` then waits for an event instead of polling. Output as
// busybox prints it.
#pragma once

#include <string>
#include <vector>

namespace stoker::node::dns {

struct ResolvConf {
  std::vector<std::string> servers, searches;
  int ndots = 1;
  bool operator==(const ResolvConf&) const = default;
};
ResolvConf parseResolvConf(const std::string& text);

/// The full names to ask for, in order (resolv.conf(5)): a name with fewer dots than ndots is searched for first.
std::vector<std::string> candidates(const std::string& name, const ResolvConf& conf);

/// `nslookup NAME [SERVER[:PORT]]`. Exit code 0 when an address was found, 1 when not, 2 on misuse.
int nslookupMain(int argc, char** argv);

}  // namespace stoker::node::dns
