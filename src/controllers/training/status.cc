#include "controllers/training/status.h"

#include "kube/patch.h"

namespace stoker::controllers::training {

bool isFinished(const api::JobStatus& status) {
  return api::isTrue(status.conditions, kSucceeded) || api::isTrue(status.conditions, kFailed);
}

bool setCondition(api::JobStatus& status, const std::string& type, bool value, const std::string& reason,
                  const std::string& message, Time now) {
  if (api::isTrue(status.conditions, kFailed)) return false;
  std::string text = value ? "True" : "False";
  api::Condition condition{.type = type,
                           .status = text,
                           .reason = reason,
                           .message = message,
                           .lastUpdateTime = now,
                           .lastTransitionTime = now};
  if (const api::Condition* current = api::findCondition(status.conditions, type)) {
    if (current->status == text && current->reason == reason) return false;
    if (current->status == text) condition.lastTransitionTime = current->lastTransitionTime;
  }
  std::erase_if(status.conditions, [&](const api::Condition& c) {
    return c.type == type || (type == kRestarting && c.type == kRunning) || (type == kRunning && c.type == kRestarting);
  });
  if (type == kFailed || type == kSucceeded)
    for (api::Condition& c : status.conditions)
      if (c.type == kRunning) c.status = "False";
  status.conditions.push_back(std::move(condition));
  return true;
}

bool StatusEditor::set(const char* type, bool value, const char* reason, const std::string& message,
                       const char* eventType) {
  bool changed = setCondition(next_, type, value, job_.kind + reason, message, now_);
  if (changed && eventType) event(eventType, job_.kind + reason, message);
  return changed;
}

void StatusEditor::event(const char* eventType, const std::string& reason, const std::string& message) {
  events_.push_back({job_.apiVersion, job_.kind, job_.metadata.namespace_, job_.metadata.name, job_.metadata.uid,
                     eventType, reason, message});
}

void StatusEditor::finish(const char* type, const std::string& message) {
  if (next_.completionTime == Time{}) next_.completionTime = now_;
  set(type, true, type, message, "Normal");
}

bool StatusEditor::changed() const {
  api::JobStatus before = job_.status, after = next_;
  before.lastReconcileTime = after.lastReconcileTime = Time{};
  return api::encodeText(before) != api::encodeText(after);
}

std::string StatusEditor::patch() {
  next_.lastReconcileTime = now_;
  json::Arena arena;
  json::Value difference = kube::makeMergePatch(arena, api::encode(arena, job_.status), api::encode(arena, next_));
  return json::print(json::object(arena, {{"status", difference}}));
}

}  // namespace stoker::controllers::training
