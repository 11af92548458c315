#include "controllers/training/restarts.h"

#include "controllers/training/workload.h"

namespace stoker::controllers::training {

Restarts readRestarts(const api::ObjectMeta& job) {
  std::string text = job.annotation(kRestartsAnnotation);
  if (text.empty()) return {};
  json::Arena arena;
  auto parsed = json::parse(arena, text);
  return parsed.ok() && parsed->isObject() ? api::decode<Restarts>(*parsed) : Restarts{};
}

std::string writeRestarts(const Restarts& restarts) { return api::encodeText(restarts); }

int64_t containerRestarts(const api::Pod& pod) {
  int64_t sum = 0;
  for (const auto* statuses : {&pod.status.initContainerStatuses, &pod.status.containerStatuses})
    for (const api::ContainerStatus& s : *statuses) sum += s.restartCount;
  return sum;
}

bool countRestart(Restarts& restarts, const std::string& slot, const api::Pod& pod) {
  RestartEntry& entry = restarts[slot];
  if (entry.pod == pod.metadata.uid) return false;
  entry.count += 1 + containerRestarts(pod);
  entry.pod = pod.metadata.uid;
  return true;
}

int64_t totalRestarts(const Restarts& restarts) {
  int64_t sum = 0;
  for (const auto& [slot, entry] : restarts) sum += entry.count;
  return sum;
}

bool pastBackoffLimit(int64_t limit, int64_t counted, int64_t failures, int64_t inPlace) {
  if (failures > 0 && counted > limit) return true;
  if (inPlace == 0) return false;
  return limit == 0 || counted + inPlace >= limit;
}

}  // namespace stoker::controllers::training
