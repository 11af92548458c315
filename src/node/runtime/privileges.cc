#include "node/runtime/privileges.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace stoker::node {
namespace {

bool capable(int capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  return (data[capability / 32].effective & (1U << (capability % 32))) != 0;
}

bool canUnshareUser() {
  const pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
  int status = 1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && status == 0;
}

}  // namespace

Privileges readPrivileges() {
  Privileges found;
  found.root = geteuid() == 0 && capable(CAP_SYS_ADMIN);
  if (found.root) {
    found.isolation = true;
    found.network = capable(CAP_NET_ADMIN);
    if (!found.network) found.missing.emplace_back("CAP_NET_ADMIN: pods share the machine's network and address");
    return found;
  }
  found.userNamespace = canUnshareUser();
  found.isolation = found.userNamespace;
  if (!found.userNamespace) {
    found.missing.emplace_back(
        "neither root nor unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone, "
        "user.max_user_namespaces); run as root");
    return found;
  }
  found.missing.emplace_back("root: pods share the machine's network and address");
  found.missing.emplace_back("root: cpu and memory limits are not enforced, OOM kills are not told from others");
  found.missing.emplace_back("root: runAsUser other than 0 is refused; 0 in a pod is the user who runs stoker");
  return found;
}

}  // namespace stoker::node
