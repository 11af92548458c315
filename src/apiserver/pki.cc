#include "apiserver/pki.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strings.h"

namespace stoker::apiserver {
namespace {

constexpr Duration kRenewBefore = std::chrono::hours(24 * 30);

Result<std::optional<net::KeyPair>> load(const std::string& base) {
  if (::access((base + ".crt").c_str(), F_OK) != 0 || ::access((base + ".key").c_str(), F_OK) != 0)
    return std::optional<net::KeyPair>();
  net::KeyPair pair;
  STOKER_TRY(pair.certificatePem, readFile(base + ".crt"));
  STOKER_TRY(pair.keyPem, readFile(base + ".key"));
  return std::optional(pair);
}

Result<void> save(const std::string& base, const net::KeyPair& pair) {
  STOKER_CHECK(writeFileAtomic(base + ".key", pair.keyPem, 0600));
  return writeFileAtomic(base + ".crt", pair.certificatePem, 0644);
}

bool endsSoon(const net::KeyPair& pair, Time now) {
  auto end = net::notAfter(pair.certificatePem);
  return !end.ok() || *end < now + kRenewBefore;
}

}  // namespace

Result<Pki> ensurePki(const std::string& dataDir, const std::vector<std::string>& ipAddresses, Time now) {
  std::string dir = dataDir + "/pki";
  STOKER_CHECK(makeDirectories(dir, 0700));
  Pki pki;
  bool fresh = false;
  STOKER_TRY(std::optional<net::KeyPair> ca, load(dir + "/ca"));
  if (!ca || endsSoon(*ca, now)) {
    STOKER_TRY(ca, net::makeCa("stoker-ca", now));
    STOKER_CHECK(save(dir + "/ca", *ca));
    fresh = true;
  }
  pki.ca = *ca;

  // What the server certificate must name is kept beside it: another address means another certificate.
  std::vector<std::string> addresses{"127.0.0.1", "::1"};
  for (const std::string& address : ipAddresses)
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) addresses.push_back(address);
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  std::string names = join(addresses, ",") + "," + host;
  auto known = readFile(dir + "/apiserver.names");
  STOKER_TRY(std::optional<net::KeyPair> server, load(dir + "/apiserver"));
  if (fresh || !server || endsSoon(*server, now) || !known.ok() || *known != names) {
    net::CertificateRequest request{.commonName = "stoker-apiserver",
                                    .dnsNames = {"localhost", "kubernetes", "kubernetes.default",
                                                 "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
                                    .ipAddresses = addresses,
                                    .server = true};
    if (std::string_view(host) != "localhost") request.dnsNames.push_back(host);
    STOKER_TRY(server, net::issue(pki.ca, request, now));
    STOKER_CHECK(save(dir + "/apiserver", *server));
    STOKER_CHECK(writeFileAtomic(dir + "/apiserver.names", names, 0644));
  }
  pki.server = *server;

  STOKER_TRY(std::optional<net::KeyPair> admin, load(dir + "/admin"));
  if (fresh || !admin || endsSoon(*admin, now)) {
    STOKER_TRY(admin, net::issue(pki.ca, {.commonName = "admin", .organizations = {"system:masters"}}, now));
    STOKER_CHECK(save(dir + "/admin", *admin));
  }
  pki.admin = *admin;

  auto key = readFile(dir + "/sa.key");
  if (!key.ok()) {
    if (key.error().reason != Reason::NotFound) return key.error();
    STOKER_TRY(pki.signingKey, net::makeSigningKey());
    STOKER_CHECK(writeFileAtomic(dir + "/sa.key", pki.signingKey, 0600));
  } else {
    pki.signingKey = *key;
  }
  return pki;
}

Result<void> writeKubeconfig(const std::string& dataDir, const std::string& address, const Pki& pki) {
  std::string text = fmt::format(
      "apiVersion: v1\n"
      "kind: Config\n"
      "clusters:\n"
      "- name: stoker\n"
      "  cluster:\n"
      "    server: https://{}\n"
      "    certificate-authority-data: {}\n"
      "users:\n"
      "- name: admin\n"
      "  user:\n"
      "    client-certificate-data: {}\n"
      "    client-key-data: {}\n"
      "contexts:\n"
      "- name: stoker\n"
      "  context:\n"
      "    cluster: stoker\n"
      "    user: admin\n"
      "    namespace: default\n"
      "current-context: stoker\n",
      address, base64Encode(pki.ca.certificatePem), base64Encode(pki.admin.certificatePem),
      base64Encode(pki.admin.keyPem));
  auto old = readFile(dataDir + "/admin.kubeconfig");
  if (old.ok() && *old == text) return {};
  return writeFileAtomic(dataDir + "/admin.kubeconfig", text, 0600);
}

}  // namespace stoker::apiserver
