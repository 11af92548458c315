// privileges.h: what this process may do on this machine, and in words what it may not.
#pragma once

#include <string>
#include <vector>

namespace stoker::node {

struct Privileges {
  bool root = false;           ///< CAP_SYS_ADMIN in the machine's own user namespace
  bool userNamespace = false;  ///< not root, but a user namespace can be made
  bool isolation = false;      ///< either of them
  bool network = false;        ///< CAP_NET_ADMIN as root
  std::vector<std::string> missing;
};

Privileges readPrivileges();

}  // namespace stoker::node
