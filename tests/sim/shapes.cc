#include "shapes.h"

#include "json/json.h"
#include "node/simulated/simulation.h"

namespace stoker::sim {
namespace {

json::Value metadata(json::Arena& arena, const Shape& shape) {
  return json::Object(arena).set("name", shape.name).set("namespace", shape.ns).build();
}

json::Value annotations(json::Arena& arena, const Shape& shape) {
  return json::Object(arena)
      .set(node::kDurationAnnotation, shape.duration)
      .set(node::kExitCodeAnnotation, shape.exitCodes)
      .setNonEmpty(node::kStopAnnotation, shape.stopDuration)
      .build();
}

json::Value podSpec(json::Arena& arena, const Shape& shape, const char* container, const std::string& restartPolicy) {
  json::Object limits(arena);
  limits.set("cpu", std::to_string(shape.cpus));
  if (shape.gpus > 0) limits.set("nvidia.com/gpu", std::to_string(shape.gpus));
  limits.setNonEmpty("memory", shape.memory);
  json::Value one = json::Object(arena)
                        .set("name", container)
                        .set("image", "simulated")
                        .set("resources", json::Object(arena).set("limits", limits.build()).build())
                        .build();
  json::Object spec(arena);
  spec.set("containers", json::array(arena, {one}))
      .setNonEmpty("priorityClassName", shape.priorityClass)
      .setNonEmpty("restartPolicy", restartPolicy);
  if (!shape.nodeSelector.empty()) {
    json::Object selector(arena);
    for (const auto& [key, value] : shape.nodeSelector) selector.set(key, value);
    spec.set("nodeSelector", selector.build());
  }
  if (!shape.tolerations.empty())
    if (auto parsed = json::parse(arena, shape.tolerations); parsed.ok()) spec.set("tolerations", *parsed);
  return spec.build();
}

json::Value podTemplate(json::Arena& arena, const Shape& shape, const char* container,
                        const std::string& restartPolicy) {
  return json::Object(arena)
      .set("metadata", json::Object(arena).set("annotations", annotations(arena, shape)).build())
      .set("spec", podSpec(arena, shape, container, restartPolicy))
      .build();
}

}  // namespace

std::string pytorchJobJson(const Shape& shape) {
  json::Arena arena;
  Shape ofMaster = shape;
  if (!shape.masterDuration.empty()) ofMaster.duration = shape.masterDuration;
  auto replica = [&](const Shape& of, int count) {
    json::Value pod = podTemplate(arena, of, "pytorch", "");
    return json::Object(arena)
        .set("replicas", count)
        .set("restartPolicy", shape.restartPolicy)
        .set("template", pod)
        .build();
  };
  json::Object replicas(arena), runPolicy(arena);
  if (shape.master) replicas.set("Master", replica(ofMaster, 1));
  if (shape.workers > 0) replicas.set("Worker", replica(shape, shape.workers));
  runPolicy.setNonEmpty("cleanPodPolicy", shape.cleanPodPolicy);
  if (shape.backoffLimit >= 0) runPolicy.set("backoffLimit", shape.backoffLimit);
  if (shape.deadline > 0) runPolicy.set("activeDeadlineSeconds", shape.deadline);
  if (shape.ttl >= 0) runPolicy.set("ttlSecondsAfterFinished", shape.ttl);
  if (shape.suspend) runPolicy.set("suspend", true);
  return json::print(json::Object(arena)
                         .set("apiVersion", "kubeflow.org/v1")
                         .set("kind", "PyTorchJob")
                         .set("metadata", metadata(arena, shape))
                         .set("spec", json::Object(arena)
                                          .set("runPolicy", runPolicy.build())
                                          .set("pytorchReplicaSpecs", replicas.build())
                                          .build())
                         .build());
}

std::string batchJobJson(const Shape& shape) {
  json::Arena arena;
  json::Object spec(arena);
  spec.set("completions", shape.completions).set("parallelism", shape.parallelism);
  if (shape.indexed) spec.set("completionMode", "Indexed");
  spec.set("template", podTemplate(arena, shape, "main", shape.restartPolicy));
  if (shape.backoffLimit >= 0) spec.set("backoffLimit", shape.backoffLimit);
  if (shape.deadline > 0) spec.set("activeDeadlineSeconds", shape.deadline);
  if (shape.ttl >= 0) spec.set("ttlSecondsAfterFinished", shape.ttl);
  if (shape.suspend) spec.set("suspend", true);
  return json::print(json::Object(arena)
                         .set("apiVersion", "batch/v1")
                         .set("kind", "Job")
                         .set("metadata", metadata(arena, shape))
                         .set("spec", spec.build())
                         .build());
}

std::string podJson(const Shape& shape) {
  json::Arena arena;
  return json::print(
      json::Object(arena)
          .set("apiVersion", "v1")
          .set("kind", "Pod")
          .set("metadata", json::with(arena, metadata(arena, shape), "annotations", annotations(arena, shape)))
          .set("spec", podSpec(arena, shape, "main", shape.restartPolicy))
          .build());
}

}  // namespace stoker::sim
