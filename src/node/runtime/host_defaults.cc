// What a host looks like unless told otherwise: where its secrets are, where the supervisor is installed.
#include <unistd.h>

#include <filesystem>

#include "base/strings.h"
#include "node/runtime/process_runtime.h"

namespace stoker::node {

const std::vector<std::string> kDefaultMasked = {"/etc/shadow",
                                                 "/etc/shadow-",
                                                 "/etc/gshadow",
                                                 "/etc/gshadow-",
                                                 "/etc/kubernetes",
                                                 "/etc/krb5.keytab",
                                                 "/etc/ssl/private",
                                                 "/etc/ssh/ssh_host_rsa_key",
                                                 "/etc/ssh/ssh_host_ecdsa_key",
                                                 "/etc/ssh/ssh_host_ed25519_key",
                                                 "/var/lib/kubelet",
                                                 "/var/lib/containerd",
                                                 "/var/lib/docker",
                                                 "/root/.ssh",
                                                 "/root/.kube",
                                                 "/root/.gnupg",
                                                 "/root/.aws",
                                                 "/root/.azure",
                                                 "/root/.config/gcloud",
                                                 "/root/.docker",
                                                 "/root/.netrc",
                                                 "/root/.git-credentials",
                                                 "/root/.pypirc",
                                                 "/root/.npmrc",
                                                 "/root/.bash_history",
                                                 "/home/*/.ssh",
                                                 "/home/*/.kube",
                                                 "/home/*/.gnupg",
                                                 "/home/*/.aws",
                                                 "/home/*/.azure",
                                                 "/home/*/.config/gcloud",
                                                 "/home/*/.docker",
                                                 "/home/*/.netrc",
                                                 "/home/*/.git-credentials",
                                                 "/home/*/.pypirc",
                                                 "/home/*/.npmrc",
                                                 "/home/*/.bash_history"};

Result<std::string> findSupervisor() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path directory = self.parent_path();
  std::vector<std::string> looked;
  for (const std::filesystem::path& candidate :
       {directory / "stoker-supervisor", directory.parent_path() / "libexec" / "stoker-supervisor"}) {
    if (access(candidate.c_str(), X_OK) == 0) return candidate.string();
    looked.push_back(candidate.string());
  }
  return Error(Reason::NotFound, "stoker-supervisor is not installed; looked for " + join(looked, " and ") +
                                     ". It belongs beside the stoker program");
}

}  // namespace stoker::node
