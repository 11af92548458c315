// pod_spec.h: a pod as the node agent reads it, whole: everything that decides how its processes start. Decoded on
// demand from the object's JSON (decision 14) and dropped again; nobody writes these structs back.
#pragma once

#include "api/core.h"

namespace stoker::node::podspec {

using api::field;

struct FieldRef {
  std::string fieldPath;
  static constexpr auto describe() { return std::tuple{field("fieldPath", &FieldRef::fieldPath)}; }
};

struct ResourceFieldRef {
  std::string containerName, resource, divisor;
  static constexpr auto describe() {
    return std::tuple{field("containerName", &ResourceFieldRef::containerName),
                      field("resource", &ResourceFieldRef::resource), field("divisor", &ResourceFieldRef::divisor)};
  }
};

/// configMapKeyRef and secretKeyRef; with an empty key also configMapRef and secretRef.
struct ObjectKeyRef {
  std::string name, key;
  bool optional = false;
  static constexpr auto describe() {
    return std::tuple{field("name", &ObjectKeyRef::name), field("key", &ObjectKeyRef::key),
                      field("optional", &ObjectKeyRef::optional)};
  }
};

struct EnvVarSource {
  std::optional<FieldRef> fieldRef;
  std::optional<ResourceFieldRef> resourceFieldRef;
  std::optional<ObjectKeyRef> configMapKeyRef, secretKeyRef;
  static constexpr auto describe() {
    return std::tuple{
        field("fieldRef", &EnvVarSource::fieldRef), field("resourceFieldRef", &EnvVarSource::resourceFieldRef),
        field("configMapKeyRef", &EnvVarSource::configMapKeyRef), field("secretKeyRef", &EnvVarSource::secretKeyRef)};
  }
};

struct EnvVar {
  std::string name, value;
  std::optional<EnvVarSource> valueFrom;
  static constexpr auto describe() {
    return std::tuple{field("name", &EnvVar::name), field("value", &EnvVar::value),
                      field("valueFrom", &EnvVar::valueFrom)};
  }
};

struct EnvFrom {
  std::string prefix;
  std::optional<ObjectKeyRef> configMapRef, secretRef;
  static constexpr auto describe() {
    return std::tuple{field("prefix", &EnvFrom::prefix), field("configMapRef", &EnvFrom::configMapRef),
                      field("secretRef", &EnvFrom::secretRef)};
  }
};

struct VolumeMount {
  std::string name, mountPath, subPath, subPathExpr;
  bool readOnly = false;
  static constexpr auto describe() {
    return std::tuple{field("name", &VolumeMount::name), field("mountPath", &VolumeMount::mountPath),
                      field("subPath", &VolumeMount::subPath), field("subPathExpr", &VolumeMount::subPathExpr),
                      field("readOnly", &VolumeMount::readOnly)};
  }
};

struct KeyToPath {
  std::string key, path;
  std::optional<int32_t> mode;
  static constexpr auto describe() {
    return std::tuple{field("key", &KeyToPath::key), field("path", &KeyToPath::path), field("mode", &KeyToPath::mode)};
  }
};

/// configMap and secret, as volumes and as projected sources (which have no defaultMode of their own).
struct ObjectSource {
  std::string name, secretName;
  std::vector<KeyToPath> items;
  std::optional<int32_t> defaultMode;
  bool optional = false;
  static constexpr auto describe() {
    return std::tuple{field("name", &ObjectSource::name), field("secretName", &ObjectSource::secretName),
                      field("items", &ObjectSource::items), field("defaultMode", &ObjectSource::defaultMode),
                      field("optional", &ObjectSource::optional)};
  }
};

struct DownwardItem {
  std::string path;
  std::optional<FieldRef> fieldRef;
  std::optional<ResourceFieldRef> resourceFieldRef;
  std::optional<int32_t> mode;
  static constexpr auto describe() {
    return std::tuple{field("path", &DownwardItem::path), field("fieldRef", &DownwardItem::fieldRef),
                      field("resourceFieldRef", &DownwardItem::resourceFieldRef), field("mode", &DownwardItem::mode)};
  }
};

struct DownwardSource {
  std::vector<DownwardItem> items;
  std::optional<int32_t> defaultMode;
  static constexpr auto describe() {
    return std::tuple{field("items", &DownwardSource::items), field("defaultMode", &DownwardSource::defaultMode)};
  }
};

struct TokenSource {
  std::string audience, path;
  int64_t expirationSeconds = 3600;
  static constexpr auto describe() {
    return std::tuple{field("audience", &TokenSource::audience), field("path", &TokenSource::path),
                      field("expirationSeconds", &TokenSource::expirationSeconds)};
  }
};

struct ProjectedPart {
  std::optional<TokenSource> serviceAccountToken;
  std::optional<ObjectSource> configMap, secret;
  std::optional<DownwardSource> downwardAPI;
  static constexpr auto describe() {
    return std::tuple{field("serviceAccountToken", &ProjectedPart::serviceAccountToken),
                      field("configMap", &ProjectedPart::configMap), field("secret", &ProjectedPart::secret),
                      field("downwardAPI", &ProjectedPart::downwardAPI)};
  }
};

struct ProjectedSource {
  std::vector<ProjectedPart> sources;
  std::optional<int32_t> defaultMode;
  static constexpr auto describe() {
    return std::tuple{field("sources", &ProjectedSource::sources), field("defaultMode", &ProjectedSource::defaultMode)};
  }
};

struct EmptyDirSource {
  std::string medium, sizeLimit;
  static constexpr auto describe() {
    return std::tuple{field("medium", &EmptyDirSource::medium), field("sizeLimit", &EmptyDirSource::sizeLimit)};
  }
};

struct HostPathSource {
  std::string path, type;
  static constexpr auto describe() {
    return std::tuple{field("path", &HostPathSource::path), field("type", &HostPathSource::type)};
  }
};

struct Volume {
  std::string name;
  std::optional<EmptyDirSource> emptyDir;
  std::optional<HostPathSource> hostPath;
  std::optional<ObjectSource> configMap, secret;
  std::optional<DownwardSource> downwardAPI;
  std::optional<ProjectedSource> projected;
  api::Raw persistentVolumeClaim, ephemeral, csi, nfs, image;  ///< known, and refused by name
  static constexpr auto describe() {
    return std::tuple{field("name", &Volume::name),
                      field("emptyDir", &Volume::emptyDir),
                      field("hostPath", &Volume::hostPath),
                      field("configMap", &Volume::configMap),
                      field("secret", &Volume::secret),
                      field("downwardAPI", &Volume::downwardAPI),
                      field("projected", &Volume::projected),
                      field("persistentVolumeClaim", &Volume::persistentVolumeClaim),
                      field("ephemeral", &Volume::ephemeral),
                      field("csi", &Volume::csi),
                      field("nfs", &Volume::nfs),
                      field("image", &Volume::image)};
  }
};

struct HttpHeader {
  std::string name, value;
  bool operator==(const HttpHeader&) const = default;
  static constexpr auto describe() {
    return std::tuple{field("name", &HttpHeader::name), field("value", &HttpHeader::value)};
  }
};

struct HttpGetAction {
  std::string path, port, host, scheme;
  std::vector<HttpHeader> httpHeaders;
  static constexpr auto describe() {
    return std::tuple{field("path", &HttpGetAction::path), field("port", &HttpGetAction::port),
                      field("host", &HttpGetAction::host), field("scheme", &HttpGetAction::scheme),
                      field("httpHeaders", &HttpGetAction::httpHeaders)};
  }
};

struct TcpAction {
  std::string port, host;
  static constexpr auto describe() {
    return std::tuple{field("port", &TcpAction::port), field("host", &TcpAction::host)};
  }
};

struct Probe {
  std::optional<HttpGetAction> httpGet;
  std::optional<TcpAction> tcpSocket;
  api::Raw exec, grpc;
  int32_t initialDelaySeconds = 0, timeoutSeconds = 1, periodSeconds = 10, successThreshold = 1, failureThreshold = 3;
  std::optional<int64_t> terminationGracePeriodSeconds;
  static constexpr auto describe() {
    return std::tuple{field("httpGet", &Probe::httpGet),
                      field("tcpSocket", &Probe::tcpSocket),
                      field("exec", &Probe::exec),
                      field("grpc", &Probe::grpc),
                      field("initialDelaySeconds", &Probe::initialDelaySeconds),
                      field("timeoutSeconds", &Probe::timeoutSeconds),
                      field("periodSeconds", &Probe::periodSeconds),
                      field("successThreshold", &Probe::successThreshold),
                      field("failureThreshold", &Probe::failureThreshold),
                      field("terminationGracePeriodSeconds", &Probe::terminationGracePeriodSeconds)};
  }
};

struct Lifecycle {
  api::Raw postStart, preStop;
  static constexpr auto describe() {
    return std::tuple{field("postStart", &Lifecycle::postStart), field("preStop", &Lifecycle::preStop)};
  }
};

struct Capabilities {
  std::vector<std::string> add, drop;
  static constexpr auto describe() {
    return std::tuple{field("add", &Capabilities::add), field("drop", &Capabilities::drop)};
  }
};

struct SeccompProfile {
  std::string type;
  static constexpr auto describe() { return std::tuple{field("type", &SeccompProfile::type)}; }
};

struct SecurityContext {
  std::optional<int64_t> runAsUser, runAsGroup;
  std::optional<bool> runAsNonRoot, allowPrivilegeEscalation;
  bool privileged = false, readOnlyRootFilesystem = false;
  Capabilities capabilities;
  std::optional<SeccompProfile> seccompProfile;
  static constexpr auto describe() {
    return std::tuple{field("runAsUser", &SecurityContext::runAsUser),
                      field("runAsGroup", &SecurityContext::runAsGroup),
                      field("runAsNonRoot", &SecurityContext::runAsNonRoot),
                      field("allowPrivilegeEscalation", &SecurityContext::allowPrivilegeEscalation),
                      field("privileged", &SecurityContext::privileged),
                      field("readOnlyRootFilesystem", &SecurityContext::readOnlyRootFilesystem),
                      field("capabilities", &SecurityContext::capabilities),
                      field("seccompProfile", &SecurityContext::seccompProfile)};
  }
};

struct PodSecurityContext {
  std::optional<int64_t> runAsUser, runAsGroup, fsGroup;
  std::optional<bool> runAsNonRoot;
  std::vector<int64_t> supplementalGroups;
  std::optional<SeccompProfile> seccompProfile;
  static constexpr auto describe() {
    return std::tuple{field("runAsUser", &PodSecurityContext::runAsUser),
                      field("runAsGroup", &PodSecurityContext::runAsGroup),
                      field("fsGroup", &PodSecurityContext::fsGroup),
                      field("runAsNonRoot", &PodSecurityContext::runAsNonRoot),
                      field("supplementalGroups", &PodSecurityContext::supplementalGroups),
                      field("seccompProfile", &PodSecurityContext::seccompProfile)};
  }
};

struct Container {
  std::string name, image, workingDir, terminationMessagePath, restartPolicy;
  std::vector<std::string> command, args;
  std::vector<api::ContainerPort> ports;
  std::vector<EnvVar> env;
  std::vector<EnvFrom> envFrom;
  api::ResourceRequirements resources;
  std::vector<VolumeMount> volumeMounts;
  std::optional<Probe> startupProbe, readinessProbe, livenessProbe;
  Lifecycle lifecycle;
  SecurityContext securityContext;
  static constexpr auto describe() {
    return std::tuple{field("name", &Container::name),
                      field("image", &Container::image),
                      field("workingDir", &Container::workingDir),
                      field("terminationMessagePath", &Container::terminationMessagePath),
                      field("restartPolicy", &Container::restartPolicy),
                      field("command", &Container::command),
                      field("args", &Container::args),
                      field("ports", &Container::ports),
                      field("env", &Container::env),
                      field("envFrom", &Container::envFrom),
                      field("resources", &Container::resources),
                      field("volumeMounts", &Container::volumeMounts),
                      field("startupProbe", &Container::startupProbe),
                      field("readinessProbe", &Container::readinessProbe),
                      field("livenessProbe", &Container::livenessProbe),
                      field("lifecycle", &Container::lifecycle),
                      field("securityContext", &Container::securityContext)};
  }
};

struct DnsOption {
  std::string name;
  std::optional<std::string> value;
  static constexpr auto describe() {
    return std::tuple{field("name", &DnsOption::name), field("value", &DnsOption::value)};
  }
};

struct DnsConfig {
  std::vector<std::string> nameservers, searches;
  std::vector<DnsOption> options;
  static constexpr auto describe() {
    return std::tuple{field("nameservers", &DnsConfig::nameservers), field("searches", &DnsConfig::searches),
                      field("options", &DnsConfig::options)};
  }
};

struct HostAlias {
  std::string ip;
  std::vector<std::string> hostnames;
  static constexpr auto describe() {
    return std::tuple{field("ip", &HostAlias::ip), field("hostnames", &HostAlias::hostnames)};
  }
};

struct ReadinessGate {
  std::string conditionType;
  static constexpr auto describe() { return std::tuple{field("conditionType", &ReadinessGate::conditionType)}; }
};

struct PodSpec {
  std::string nodeName, restartPolicy = "Always", dnsPolicy, hostname, subdomain, serviceAccountName;
  std::vector<Volume> volumes;
  std::vector<Container> initContainers, containers;
  std::optional<int64_t> terminationGracePeriodSeconds, activeDeadlineSeconds;
  DnsConfig dnsConfig;
  bool hostNetwork = false, setHostnameAsFQDN = false;
  std::optional<bool> enableServiceLinks;
  std::vector<HostAlias> hostAliases;
  std::map<std::string, std::string> nodeSelector;
  api::Raw affinity;
  api::ResourceList overhead;
  PodSecurityContext securityContext;
  std::vector<ReadinessGate> readinessGates;
  static constexpr auto describe() {
    return std::tuple{field("nodeName", &PodSpec::nodeName),
                      field("restartPolicy", &PodSpec::restartPolicy),
                      field("dnsPolicy", &PodSpec::dnsPolicy),
                      field("hostname", &PodSpec::hostname),
                      field("subdomain", &PodSpec::subdomain),
                      field("serviceAccountName", &PodSpec::serviceAccountName),
                      field("volumes", &PodSpec::volumes),
                      field("initContainers", &PodSpec::initContainers),
                      field("containers", &PodSpec::containers),
                      field("terminationGracePeriodSeconds", &PodSpec::terminationGracePeriodSeconds),
                      field("activeDeadlineSeconds", &PodSpec::activeDeadlineSeconds),
                      field("dnsConfig", &PodSpec::dnsConfig),
                      field("hostNetwork", &PodSpec::hostNetwork),
                      field("setHostnameAsFQDN", &PodSpec::setHostnameAsFQDN),
                      field("enableServiceLinks", &PodSpec::enableServiceLinks),
                      field("hostAliases", &PodSpec::hostAliases),
                      field("nodeSelector", &PodSpec::nodeSelector),
                      field("affinity", &PodSpec::affinity),
                      field("overhead", &PodSpec::overhead),
                      field("securityContext", &PodSpec::securityContext),
                      field("readinessGates", &PodSpec::readinessGates)};
  }
};

struct Pod {
  api::ObjectMeta metadata;
  PodSpec spec;
  static constexpr auto describe() { return std::tuple{field("metadata", &Pod::metadata), field("spec", &Pod::spec)}; }
};

/// An init container that keeps running beside the others (restartPolicy Always).
inline bool isSidecar(const Container& init) { return init.restartPolicy == "Always"; }

}  // namespace stoker::node::podspec
