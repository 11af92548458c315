#include "cli/submit.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "kube/names.h"
#include "kube/quantity.h"

namespace stoker::cli {
namespace {

using Type = Flag::Type;

Error wrong(std::string message) { return Error(Reason::BadRequest, std::move(message)); }

/// "k=v" lists as an object; `what` names the flag in errors.
Result<json::Value> pairs(json::Arena& arena, const std::vector<std::string>& entries, const char* what) {
  json::Object out(arena);
  for (const std::string& entry : entries) {
    size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0)
      return wrong(fmt::format("invalid {} {}: it must be key=value", what, quote(entry)));
    out.set(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return out.build();
}

/// arena's forms: "all", "key", "key=value", "key=value:effect,operator".
Result<json::Value> toleration(json::Arena& arena, const std::string& text) {
  json::Object out(arena);
  if (text == "all") return out.set("operator", "Exists").build();
  std::string rest = text, effect, op;
  if (size_t comma = rest.rfind(','); comma != std::string::npos) {
    op = rest.substr(comma + 1);
    rest = rest.substr(0, comma);
  }
  if (size_t colon = rest.rfind(':'); colon != std::string::npos) {
    effect = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  if (!effect.empty() && effect != "NoSchedule" && effect != "PreferNoSchedule" && effect != "NoExecute")
    return wrong(fmt::format("invalid --toleration {}: the effect must be NoSchedule, PreferNoSchedule or NoExecute",
                             quote(text)));
  if (!op.empty() && op != "Equal" && op != "Exists")
    return wrong(fmt::format("invalid --toleration {}: the operator must be Equal or Exists", quote(text)));
  size_t equals = rest.find('=');
  std::string key = rest.substr(0, equals);
  if (key.empty())
    return wrong(fmt::format("invalid --toleration {}: it must be all, key, key=value or key=value:effect,operator",
                             quote(text)));
  out.set("key", key);
  if (equals != std::string::npos && op != "Exists")
    out.set("value", rest.substr(equals + 1)).set("operator", "Equal");
  else
    out.set("operator", "Exists");
  return out.setNonEmpty("effect", effect).build();
}

}  // namespace

std::vector<Flag> pytorchFlags() {
  const std::string volumes =
      "datasets and volumes come with the data part of the platform; mount a hostPath or claim with a YAML job";
  const std::string tensorboard = "TensorBoard is not served yet; write its logs to a volume and run it yourself";
  const std::string sync =
      "code synchronisation needs images that are not there yet; put the code into the image or a volume";
  return {
      {"name", 0, Type::String, "", "name of the job (required)"},
      {"image", 0, Type::String, "", "image of the containers (required)"},
      {"gpus", 0, Type::Int, "0", "GPUs of each instance"},
      {"device", 0, Type::List, "", "other devices of each instance: name=count, e.g. amd.com/gpu=1"},
      {"workers", 0, Type::Int, "1", "instances of the job, the master included"},
      {"retry", 0, Type::Int, "0", "restarts before the job counts as failed"},
      {"workingDir", 0, Type::String, "", "", true, "working-dir", sync},
      {"working-dir", 0, Type::String, "/root", "directory that synchronised code goes to", false, "", sync},
      {"env", 'e', Type::List, "", "environment variables: name=value"},
      {"data", 'd', Type::List, "", "claim to mount: name:/path", false, "", volumes},
      {"dataDir", 0, Type::List, "", "", true, "data-dir"},
      {"data-dir", 0, Type::List, "", "directory of the hosts to mount: /path or /path:/path in the container"},
      {"annotation", 'a', Type::List, "", "annotations of job and pods: key=value"},
      {"label", 'l', Type::List, "", "labels of job and pods: key=value"},
      {"rdma", 0, Type::Bool, "false", "wants an RDMA device"},
      {"gang", 0, Type::Bool, "false", "place all instances together (always so here)"},
      {"priority", 'p', Type::String, "", "PriorityClass of the pods"},
      {"queue", 0, Type::Bool, "false", "wait in a queue (use the label kueue.x-k8s.io/queue-name to name it)", false,
       "", "queues come with the quota part of the platform"},
      {"toleration", 0, Type::List, "", "taints to tolerate: key, key=value, key=value:effect,operator or all"},
      {"selector", 0, Type::List, "", "labels the nodes must have: key=value"},
      {"config-file", 0, Type::List, "", "files to give the containers: path[:container path]", false, "",
       "create a ConfigMap and mount it with a YAML job"},
      {"image-pull-secret", 0, Type::List, "", "secrets for pulling the image"},
      {"image-pull-policy", 0, Type::String, "Always", "Always, IfNotPresent or Never"},
      {"shell", 0, Type::String, "sh", "shell that runs the command"},
      {"scheduler", 0, Type::String, "", "scheduler of the pods"},
      {"hostNetwork", 0, Type::Bool, "false", "use the host's network"},
      {"hostIPC", 0, Type::Bool, "false", "use the host's IPC namespace", false, "",
       "pods have their own IPC namespace here"},
      {"hostPID", 0, Type::Bool, "false", "use the host's PID namespace", false, "",
       "pods have their own PID namespace here"},
      {"model-name", 0, Type::String, "", "register the result under this name", false, "",
       "the model registry is not there yet"},
      {"model-source", 0, Type::String, "", "where the model is", false, "", "the model registry is not there yet"},
      {"syncMode", 0, Type::String, "", "", true, "sync-mode", sync},
      {"sync-mode", 0, Type::String, "", "rsync or git", false, "", sync},
      {"syncSource", 0, Type::String, "", "", true, "sync-source", sync},
      {"sync-source", 0, Type::String, "", "where the code is", false, "", sync},
      {"syncImage", 0, Type::String, "", "", true, "sync-image", sync},
      {"sync-image", 0, Type::String, "", "image that synchronises", false, "", sync},
      {"tensorboard", 0, Type::Bool, "false", "run TensorBoard beside the job", false, "", tensorboard},
      {"tensorboardImage", 0, Type::String, "", "", true, "tensorboard-image", tensorboard},
      {"tensorboard-image", 0, Type::String, "", "image of TensorBoard", false, "", tensorboard},
      {"logdir", 0, Type::String, "/training_logs", "where TensorBoard reads", false, "", tensorboard},
      {"clean-task-policy", 0, Type::String, "Running", "pods to delete when the job ends: Running, All or None"},
      {"cpu", 0, Type::String, "", "CPUs of each instance"},
      {"memory", 0, Type::String, "", "memory of each instance"},
      {"running-timeout", 0, Type::Duration, "", "how long the job may run"},
      {"ttl-after-finished", 0, Type::Duration, "", "how long a finished job is kept"},
      {"share-memory", 0, Type::String, "2Gi", "size of /dev/shm"},
      {"nproc-per-node", 0, Type::String, "", "processes per instance: a number, auto, cpu or gpu"},
  };
}

Result<json::Value> pytorchJob(json::Arena& arena, const FlagSet& flags, const std::vector<std::string>& arguments,
                               const SubmitContext& context) {
  std::string name = flags.text("name"), image = flags.text("image");
  if (name.empty()) return wrong("--name must be set: the job needs a name");
  if (auto problems = kube::dns1035Label(name); !problems.empty())
    return wrong(fmt::format("invalid --name {}: {}", quote(name), problems[0]));
  if (image.empty()) return wrong("--image must be set: the image the instances run");
  int64_t workers = flags.number("workers"), gpus = flags.number("gpus"), retry = flags.number("retry");
  if (workers < 1) return wrong(fmt::format("invalid --workers {}: a job has at least 1 instance", workers));
  if (gpus < 0) return wrong(fmt::format("invalid --gpus {}: it must be 0 or more", gpus));
  if (retry < 0) return wrong(fmt::format("invalid --retry {}: it must be 0 or more", retry));
  if (arguments.empty()) return wrong("the command is missing: put it last, in quotes, e.g. \"python train.py\"");
  std::string policy = flags.text("clean-task-policy");
  if (policy != "Running" && policy != "All" && policy != "None")
    return wrong(fmt::format("invalid --clean-task-policy {}: it must be Running, All or None", quote(policy)));
  for (const char* quantity : {"cpu", "memory", "share-memory"})
    if (std::string text = flags.text(quantity); !text.empty())
      if (auto parsed = kube::Quantity::parse(text); !parsed.ok() || parsed->sign() < 0)
        return wrong(
            fmt::format("invalid --{} {}: it must be an amount such as 2, 500m or 4Gi", quantity, quote(text)));

  // The container.
  json::Object limits(arena);
  limits.setNonEmpty("cpu", flags.text("cpu")).setNonEmpty("memory", flags.text("memory"));
  if (gpus > 0) limits.set("nvidia.com/gpu", std::to_string(gpus));
  if (flags.flag("rdma")) limits.set("rdma/hca", "1");
  for (const std::string& device : flags.list("device")) {
    size_t equals = device.find('=');
    if (equals == std::string::npos || device.find('/') == std::string::npos)
      return wrong(fmt::format("invalid --device {}: it must be name=count, e.g. amd.com/gpu=1", quote(device)));
    limits.set(device.substr(0, equals), device.substr(equals + 1));
  }
  std::vector<json::Value> env;
  bool devices = gpus > 0 || flags.given("device");
  if (!devices) env.push_back(json::Object(arena).set("name", "NVIDIA_VISIBLE_DEVICES").set("value", "void").build());
  STOKER_TRY(json::Value variables, pairs(arena, flags.list("env"), "--env"));
  for (const json::Member& m : variables.members())
    env.push_back(json::Object(arena).set("name", m.key).set("value", m.value).build());
  std::vector<json::Value> mounts{json::Object(arena).set("name", "dshm").set("mountPath", "/dev/shm").build()};
  std::vector<json::Value> volumes{
      json::Object(arena)
          .set("name", "dshm")
          .set("emptyDir",
               json::Object(arena).set("medium", "Memory").set("sizeLimit", flags.text("share-memory")).build())
          .build()};
  int index = 0;
  for (const std::string& directory : flags.list("data-dir")) {
    size_t colon = directory.find(':');
    std::string host = directory.substr(0, colon);
    std::string inside = colon == std::string::npos ? host : directory.substr(colon + 1);
    if (!host.starts_with('/') || !inside.starts_with('/'))
      return wrong(fmt::format("invalid --data-dir {}: it must be an absolute path, or two with a colon between them",
                               quote(directory)));
    std::string volume = fmt::format("training-data-{}", index++);
    mounts.push_back(json::Object(arena).set("name", volume).set("mountPath", inside).build());
    volumes.push_back(
        json::Object(arena).set("name", volume).set("hostPath", json::Object(arena).set("path", host).build()).build());
  }
  std::vector<json::Value> command{json::string(arena, flags.text("shell")), json::string(arena, "-c"),
                                   json::string(arena, join(arguments, " "))};
  json::Object container(arena);
  container.set("name", "pytorch").set("image", image).set("imagePullPolicy", flags.text("image-pull-policy"));
  container.set("command", json::array(arena, command)).set("volumeMounts", json::array(arena, mounts));
  if (!env.empty()) container.set("env", json::array(arena, env));
  if (!limits.empty()) container.set("resources", json::Object(arena).set("limits", limits.build()).build());

  // The pods.
  json::Object podSpec(arena);
  podSpec.set("containers", json::array(arena, {container.build()})).set("volumes", json::array(arena, volumes));
  podSpec.setNonEmpty("priorityClassName", flags.text("priority"))
      .setNonEmpty("schedulerName", flags.text("scheduler"));
  if (flags.flag("hostNetwork")) podSpec.set("hostNetwork", true).set("dnsPolicy", "ClusterFirstWithHostNet");
  STOKER_TRY(json::Value selector, pairs(arena, flags.list("selector"), "--selector"));
  if (!selector.empty()) podSpec.set("nodeSelector", selector);
  std::vector<json::Value> tolerations, secrets;
  for (const std::string& text : flags.list("toleration")) {
    STOKER_TRY(json::Value one, toleration(arena, text));
    tolerations.push_back(one);
  }
  if (!tolerations.empty()) podSpec.set("tolerations", json::array(arena, tolerations));
  for (const std::string& secret : flags.list("image-pull-secret"))
    secrets.push_back(json::Object(arena).set("name", secret).build());
  if (!secrets.empty()) podSpec.set("imagePullSecrets", json::array(arena, secrets));

  STOKER_TRY(json::Value userLabels, pairs(arena, flags.list("label"), "--label"));
  STOKER_TRY(json::Value userAnnotations, pairs(arena, flags.list("annotation"), "--annotation"));
  json::Object labels(arena), annotations(arena), jobLabels(arena);
  labels.set("app", "pytorchjob")
      .set("chart", "pytorchjob")
      .set("release", name)
      .set("heritage", "stoker")
      .set("createdBy", "PyTorchJob");
  jobLabels.set("app", "pytorchjob")
      .set("chart", "pytorchjob")
      .set("release", name)
      .set("heritage", "stoker")
      .set("createdBy", "arena");
  for (const json::Member& m : userLabels.members()) {
    labels.set(m.key, m.value);
    jobLabels.set(m.key, m.value);
  }
  json::Object jobAnnotations(arena);
  jobAnnotations.set("requestGPUsOfJobOwner", std::to_string(workers * gpus))
      .setNonEmpty("arena.kubeflow.org/username", context.user);
  for (const json::Member& m : userAnnotations.members()) {
    annotations.set(m.key, m.value);
    jobAnnotations.set(m.key, m.value);
  }
  json::Object podMeta(arena);
  podMeta.set("labels", labels.build());
  if (!annotations.empty()) podMeta.set("annotations", annotations.build());
  json::Value podTemplate = json::Object(arena).set("metadata", podMeta.build()).set("spec", podSpec.build()).build();
  auto replica = [&](int64_t count, const char* restart) {
    return json::Object(arena)
        .set("replicas", count)
        .set("restartPolicy", restart)
        .set("template", podTemplate)
        .build();
  };
  json::Object replicas(arena);
  replicas.set("Master", replica(1, retry > 0 ? "OnFailure" : "Never"));
  if (workers > 1) replicas.set("Worker", replica(workers - 1, "OnFailure"));

  json::Object runPolicy(arena);
  runPolicy.set("cleanPodPolicy", policy);
  if (retry > 0) runPolicy.set("backoffLimit", retry);
  auto seconds = [](Duration d) {
    return static_cast<int64_t>(std::chrono::duration_cast<std::chrono::seconds>(d).count());
  };
  if (auto timeout = flags.duration("running-timeout")) runPolicy.set("activeDeadlineSeconds", seconds(*timeout));
  if (auto ttl = flags.duration("ttl-after-finished")) runPolicy.set("ttlSecondsAfterFinished", seconds(*ttl));
  json::Object spec(arena);
  spec.set("runPolicy", runPolicy.build())
      .set("pytorchReplicaSpecs", replicas.build())
      .setNonEmpty("nprocPerNode", flags.text("nproc-per-node"));
  return json::Object(arena)
      .set("apiVersion", "kubeflow.org/v1")
      .set("kind", "PyTorchJob")
      .set("metadata", json::Object(arena)
                           .set("name", name)
                           .set("namespace", context.namespace_)
                           .set("labels", jobLabels.build())
                           .set("annotations", jobAnnotations.build())
                           .build())
      .set("spec", spec.build())
      .build();
}

}  // namespace stoker::cli
