#include "platform/machine.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>

#include "base/file.h"
#include "base/strings.h"

namespace stoker::platform {
namespace {

/// Vendors that can be simulated and the resource their device plug-in announces.
const std::map<std::string, std::string>& vendors() {
  static const std::map<std::string, std::string> table{
      {"nvidia", "nvidia.com/gpu"}, {"amd", "amd.com/gpu"}, {"huawei", "huawei.com/Ascend910"}, {"rdma", "rdma/hca"}};
  return table;
}

std::string osImage() {
  auto text = readFile("/etc/os-release");
  if (!text.ok()) return "Linux";
  for (std::string_view line : split(*text, '\n'))
    if (line.starts_with("PRETTY_NAME=")) return std::string(line.substr(13, line.size() - 14));
  return "Linux";
}

std::string firstLine(const std::string& path) {
  auto text = readFile(path);
  return text.ok() ? std::string(trim(*text)) : std::string();
}

}  // namespace

Result<std::map<std::string, int>> parseDevices(const std::string& text) {
  std::map<std::string, int> out;
  if (text.empty()) return out;
  for (std::string_view entry : split(text, ',')) {
    size_t equals = entry.find('=');
    std::string vendor(entry.substr(0, equals));
    int count = 0;
    std::string_view number = equals == std::string_view::npos ? std::string_view() : entry.substr(equals + 1);
    if (auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), count);
        error != std::errc() || end != number.data() + number.size())
      count = 0;
    if (!vendors().contains(vendor) || count < 1 || count > 1024) {
      std::string known;
      for (const auto& [name, resource] : vendors()) known += (known.empty() ? "" : ", ") + name;
      return Error(
          Reason::BadRequest,
          fmt::format(
              "invalid --simulate-devices {}: it must be VENDOR=COUNT with a vendor of {} and a count from 1 to 1024",
              quote(entry), known));
    }
    out[vendors().at(vendor)] = count;
  }
  return out;
}

std::string hostAddress() {
  // Asks the kernel which address it would use to reach a public one; a UDP connect sends nothing.
  std::string address = "127.0.0.1";
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return address;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  ::inet_pton(AF_INET, "192.0.2.1", &to.sin_addr);
  sockaddr_in from{};
  socklen_t size = sizeof from;
  char text[INET_ADDRSTRLEN];
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&from), &size) == 0 &&
      ::inet_ntop(AF_INET, &from.sin_addr, text, sizeof text))
    address = text;
  ::close(fd);
  return address;
}

Result<node::NodeConfig> thisMachine(const MachineOptions& options, const std::string& dataDir) {
  node::NodeConfig node;
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) != 0) return systemError("read the name of", "this host", errno);
  node.name = toLower(host);
  for (char& c : node.name)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')) c = '-';
  node.address = options.address;
  struct sysinfo memory {};
  ::sysinfo(&memory);
  struct statvfs disk {};
  ::statvfs(dataDir.c_str(), &disk);
  node.capacity["cpu"] = std::to_string(::sysconf(_SC_NPROCESSORS_ONLN));
  node.capacity["memory"] = fmt::format("{}Ki", static_cast<uint64_t>(memory.totalram) * memory.mem_unit / 1024);
  node.capacity["ephemeral-storage"] = fmt::format("{}Ki", static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize / 1024);
  node.capacity["pods"] = std::to_string(options.pods);
  for (const auto& [resource, count] : options.simulateDevices) {
    node.capacity[resource] = std::to_string(count);
    node.devices[resource] = count;
  }
  node.labels["node-role.kubernetes.io/control-plane"] = "";
  utsname system{};
  ::uname(&system);
  std::string machine = system.machine;
  node.info = {{"architecture", machine == "x86_64"    ? "amd64"
                                : machine == "aarch64" ? "arm64"
                                                       : machine},
               {"operatingSystem", "linux"},
               {"kernelVersion", system.release},
               {"osImage", osImage()},
               {"containerRuntimeVersion", "stoker://0.1.0"},
               {"kubeletVersion", "v1.35.4"},
               {"kubeProxyVersion", ""},
               {"machineID", firstLine("/etc/machine-id")},
               {"systemUUID", firstLine("/etc/machine-id")},
               {"bootID", firstLine("/proc/sys/kernel/random/boot_id")}};
  return node;
}

}  // namespace stoker::platform
