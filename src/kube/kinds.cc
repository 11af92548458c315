#include "kube/kinds.h"

#include <map>

#include "base/strings.h"
#include "kube/tables.h"

namespace stoker::kube {
namespace {

/// Field selectors of built-in kinds beyond metadata.name and metadata.namespace (kubernetes
/// pkg/registry/*/strategy.go).
std::vector<std::string> selectable(std::string_view resource) {
  static const std::map<std::string_view, std::vector<std::string>> table = {
      {"pods",
       {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"}},
      {"events",
       {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type"}},
      {"nodes", {"spec.unschedulable"}},
      {"secrets", {"type"}},
      {"namespaces", {"status.phase"}},
      {"jobs", {"status.successful"}},
  };
  auto found = table.find(resource);
  return found == table.end() ? std::vector<std::string>{} : found->second;
}

std::vector<std::string> words(std::string_view cell) {
  std::vector<std::string> out;
  if (!cell.empty())
    for (std::string_view word : split(cell, ',')) out.emplace_back(trim(word));
  return out;
}

KindPtr readKind(const std::vector<std::string_view>& cells) {
  auto kind = std::make_shared<KindInfo>();
  size_t slash = cells[0].find('/');
  if (slash != std::string_view::npos) kind->group = cells[0].substr(0, slash);
  kind->version = slash == std::string_view::npos ? cells[0] : cells[0].substr(slash + 1);
  kind->resource = cells[1];
  kind->singular = cells[2];
  kind->kind = cells[3];
  kind->listKind = kind->kind + "List";
  kind->namespaced = cells[4] == "true";
  kind->shortNames = words(cells[5]);
  kind->categories = words(cells[6]);
  kind->verbs = words(cells[7]);
  for (const std::string& word : words(cells[8])) {
    // "First Seen:string*": a star marks what only -o wide shows. Names may hold a colon-free "Port(s)".
    Column column;
    size_t colon = word.rfind(':');
    column.name = word.substr(0, colon);
    column.type = word.substr(colon + 1);
    if (column.type.ends_with('*')) {
      column.type.pop_back();
      column.priority = 1;
    }
    if (column.name == "Name") column.format = "name";
    kind->columns.push_back(std::move(column));
  }
  kind->hasStatus = cells[9] == "status";
  kind->schemas = builtinSchemas();
  kind->schema = kind->schemas->message(cells[10]);
  kind->selectableFields = selectable(kind->resource);
  return kind;
}

}  // namespace

const std::vector<KindPtr>& builtinKinds() {
  static const std::vector<KindPtr> kinds = [] {
    std::vector<KindPtr> out;
    for (std::string_view row : split(data::kresources, '\n'))
      if (!row.empty() && !row.starts_with("groupVersion")) out.push_back(readKind(split(row, '\t')));
    return out;
  }();
  return kinds;
}

}  // namespace stoker::kube
