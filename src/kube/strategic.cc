// Strategic merge patch: apimachinery/pkg/util/strategicpatch's StrategicMergeMapPatch over a Schema. Lists whose field
// has patchStrategy merge are merged by key, or as sets when their elements are scalars; their order follows the patch,
// and what only the server has keeps its place among them.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "kube/rebuild.h"
#include "kube/schema.h"

namespace stoker::kube {
namespace {

constexpr std::string_view kDirective = "$patch";
constexpr std::string_view kRetainKeys = "$retainKeys";
constexpr std::string_view kDeleteFromList = "$deleteFromPrimitiveList/";
constexpr std::string_view kSetOrder = "$setElementOrder/";

using Items = std::vector<json::Value>;
using Members = std::map<std::string_view, json::Value>;

bool isDirective(std::string_view key) {
  return key == kDirective || key == kRetainKeys || key.starts_with(kDeleteFromList) || key.starts_with(kSetOrder);
}

Items itemsOf(json::Value list) { return {list.items().begin(), list.items().end()}; }

Error badPatch(std::string message) { return Error(Reason::BadRequest, std::move(message)); }
/// Upstream answers 422 for what it understands and cannot apply.
Error cannotApply(std::string message) { return Error(Reason::Invalid, std::move(message)); }
Error noMergeKey(json::Value element, std::string_view key) {
  return cannotApply(fmt::format("map: {} does not contain declared merge key: {}", json::print(element), key));
}

/// What a field's schema says to a list or map in it.
struct Place {
  const Schema* schema = nullptr;  // of the value; null when nothing is known
  bool merge = false;
  std::string_view mergeKey;
  const Schema* element() const { return schema && schema->type == Schema::Type::Array ? schema->items : nullptr; }
};

Place placeOf(const Schema* schema, std::string_view name) {
  if (!schema) return {};
  if (schema->type == Schema::Type::Map) return {schema->items, false, {}};
  const Field* field = schema->field(name);
  if (!field) return {};
  return {field->schema, field->patchMerge, field->mergeKey};
}

class Merger {
 public:
  explicit Merger(json::Arena& arena) : arena_(arena) {}

  Result<json::Value> mergeMap(json::Value original, json::Value patch, const Schema* schema) {
    if (const json::Value* directive = patch.find(kDirective)) return wholeMap(*directive, patch);
    Members target, changes;
    for (const json::Member& member : original.members()) target[member.key] = member.value;
    for (const json::Member& member : patch.members()) changes[member.key] = member.value;
    STOKER_CHECK(retainKeys(target, changes));
    STOKER_CHECK(orderedLists(target, changes, schema));
    for (auto [key, change] : changes) {
      bool deleting = key.starts_with(kDeleteFromList);
      std::string_view name = deleting ? key.substr(kDeleteFromList.size()) : key;
      if (change.isNull()) {
        target.erase(name);
        continue;
      }
      auto found = target.find(name);
      if (found == target.end() || found->second.type() != change.type()) {
        if (deleting && !change.isArray())
          return badPatch(fmt::format("the list in the patch under {} must be a list", key));
        if (!deleting) target[name] = withoutDirectives(change);
        continue;
      }
      Place place = placeOf(schema, name);
      if (change.isObject()) {
        STOKER_TRY(found->second, mergeMap(found->second, change, place.schema));
      } else if (change.isArray()) {
        STOKER_TRY(found->second, mergeList(found->second, change, place, deleting));
      } else {
        found->second = change;
      }
    }
    return build(target);
  }

 private:
  json::Value build(const Members& members) {
    std::vector<json::Member> list;
    for (auto& [key, value] : members) list.push_back({key, value});
    return objectOf(arena_, list);
  }

  /// {"$patch": "replace"|"delete", ...}: the map as a whole.
  Result<json::Value> wholeMap(json::Value directive, json::Value patch) {
    if (directive.asString() == "replace") return json::without(arena_, patch, kDirective);
    if (directive.asString() == "delete") return json::object(arena_, {});
    return badPatch(fmt::format("unknown patch type: {} in map: {}",
                                directive.isString() ? directive.asString() : json::print(directive),
                                json::print(patch)));
  }

  /// A patch value that meets nothing: its nulls and directives mean nothing there.
  json::Value withoutDirectives(json::Value value) {
    if (value.isObject()) {
      std::vector<json::Member> kept;
      for (const json::Member& member : value.members())
        if (!isDirective(member.key) && !member.value.isNull())
          kept.push_back({member.key, withoutDirectives(member.value)});
      return objectOf(arena_, kept);
    }
    if (value.isArray()) {
      Items kept;
      for (json::Value item : value.items())
        if (item[kDirective].isNull()) kept.push_back(withoutDirectives(item));
      return json::array(arena_, kept);
    }
    return value;
  }

  Result<void> retainKeys(Members& target, Members& changes) {
    auto found = changes.find(kRetainKeys);
    if (found == changes.end()) return {};
    json::Value keys = found->second;
    changes.erase(found);
    if (!keys.isArray()) return badPatch("invalid patch format of retainKeys: $retainKeys must be a list of strings");
    auto listed = [&](std::string_view name) {
      return std::any_of(keys.items().begin(), keys.items().end(),
                         [&](json::Value key) { return key.isString() && key.asString() == name; });
    };
    for (auto& [key, value] : changes)
      if (!value.isNull() && !isDirective(key) && !listed(key))
        return badPatch(
            fmt::format("invalid patch format of retainKeys: {} is in the patch, but not in the retainKeys list {}",
                        key, json::print(keys)));
    std::erase_if(target, [&](auto& member) { return !listed(member.first); });
    return {};
  }

  /// Lists that come with $setElementOrder: merged and ordered here, and taken out of `changes`.
  Result<void> orderedLists(Members& target, Members& changes, const Schema* schema) {
    std::vector<std::pair<std::string_view, json::Value>> orders;
    for (auto& [key, value] : changes)
      if (key.starts_with(kSetOrder)) orders.emplace_back(key, value);
    for (auto& [key, order] : orders) {
      std::string_view name = key.substr(kSetOrder.size());
      changes.erase(key);
      if (!order.isArray())
        return badPatch(fmt::format("invalid patch format of setElementOrder list: {} must be a list", key));
      Place place = placeOf(schema, name);
      json::Value patch, original;
      bool inPatch = changes.contains(name), inTarget = target.contains(name);
      if (inPatch) {
        patch = changes[name];
        if (patch.isNull()) continue;  // deletes the list: the usual way does that
        changes.erase(name);
        if (!patch.isArray()) return badPatch(fmt::format("{} must be a list, since {} is given", name, key));
      }
      if (inTarget) original = target[name];
      STOKER_CHECK(sameOrder(patch, order, place.mergeKey));
      json::Value merged = original;
      // Scalars to be taken out of the list come under another key, and first.
      std::string deletionKey = std::string(kDeleteFromList) + std::string(name);
      if (auto deletion = changes.find(deletionKey); deletion != changes.end()) {
        if (inTarget && deletion->second.isArray()) {
          STOKER_TRY(merged, mergeList(merged, deletion->second, place, true));
        }
        changes.erase(deletion);
      }
      if (!inTarget && !inPatch) continue;
      if (inTarget && inPatch) {
        STOKER_TRY(merged, mergeList(merged, patch, place, false));
      } else if (inPatch) {
        merged = withoutDirectives(patch);
      }
      target[name] = json::array(arena_, arranged(itemsOf(merged), itemsOf(order), itemsOf(original), place.mergeKey));
    }
    return {};
  }

  /// The elements of the patch must stand in the order that $setElementOrder asks for.
  Result<void> sameOrder(json::Value patch, json::Value order, std::string_view mergeKey) {
    if (patch.empty() || order.empty()) return {};
    size_t at = 0;
    Items given;
    for (json::Value item : patch.items())
      if (item[kDirective].asString() != "delete") given.push_back(item);
    for (size_t i = 0; i < order.size() && at < given.size(); ++i)
      if (same(given[at], order[i], mergeKey)) ++at;
    if (at < given.size())
      return badPatch(fmt::format("The order in patch list:\n{}\n doesn't match {} list:\n{}\n", json::print(patch),
                                  "$setElementOrder", json::print(order)));
    return {};
  }

  static bool same(json::Value a, json::Value b, std::string_view mergeKey) {
    return mergeKey.empty() || !a.isObject() ? a == b : a[mergeKey] == b[mergeKey];
  }
  static size_t indexIn(const Items& list, json::Value item, std::string_view mergeKey) {
    for (size_t i = 0; i < list.size(); ++i)
      if (same(item, list[i], mergeKey)) return i;
    return list.size();
  }

  /// `merged` with the items named in `order` in that order, and the others in the server's order, each before the
  /// first item that the server had after it.
  Items arranged(const Items& merged, const Items& order, const Items& server, std::string_view mergeKey) {
    Items left, right;
    for (json::Value item : merged) (indexIn(order, item, mergeKey) < order.size() ? right : left).push_back(item);
    auto sortBy = [&](Items& items, const Items& by) {
      std::stable_sort(items.begin(), items.end(), [&](json::Value a, json::Value b) {
        return indexIn(by, a, mergeKey) < indexIn(by, b, mergeKey);
      });
    };
    sortBy(right, order);
    sortBy(left, server);
    Items out;
    size_t i = 0, j = 0;
    while (i < left.size() || j < right.size()) {
      if (i >= left.size() || j >= right.size()) {
        out.push_back(i < left.size() ? left[i++] : right[j++]);
        continue;
      }
      size_t atLeft = indexIn(server, left[i], mergeKey), atRight = indexIn(server, right[j], mergeKey);
      bool less = atLeft < server.size() && atRight < server.size() && atLeft < atRight;
      out.push_back(less ? left[i++] : right[j++]);
    }
    return out;
  }

  Result<json::Value> mergeList(json::Value original, json::Value patch, const Place& place, bool deleting) {
    if (!deleting && !place.merge) return withoutDirectives(patch);
    if (original.empty() && patch.empty()) return original;
    json::Value sample = original.empty() ? patch[size_t{0}] : original[size_t{0}];
    for (json::Value list : {original, patch})
      for (json::Value item : list.items()) {
        if (item.isArray()) return cannotApply("lists of lists are not supported");
        if (item.isObject() != sample.isObject())
          return badPatch("list elements of different types: some are maps, some are not");
      }
    if (!sample.isObject()) return mergeScalars(itemsOf(original), itemsOf(patch), deleting);
    if (place.mergeKey.empty())
      return cannotApply(fmt::format("cannot merge lists without merge key for {}", json::print(patch)));
    return mergeObjects(itemsOf(original), itemsOf(patch), place);
  }

  Result<json::Value> mergeScalars(Items original, const Items& patch, bool deleting) {
    if (deleting) {
      std::erase_if(original, [&](json::Value item) { return indexIn(patch, item, {}) < patch.size(); });
      return json::array(arena_, original);
    }
    Items merged;
    for (const Items* list : {static_cast<const Items*>(&original), &patch})
      for (json::Value item : *list)
        if (indexIn(merged, item, {}) == merged.size()) merged.push_back(item);
    return json::array(arena_, arranged(merged, patch, original, {}));
  }

  Result<json::Value> mergeObjects(Items original, const Items& patch, const Place& place) {
    Items changes;
    bool replace = false;
    for (json::Value item : patch) {
      const json::Value* directive = item.find(kDirective);
      if (!directive) {
        changes.push_back(item);
      } else if (directive->asString() == "delete") {
        const json::Value* key = item.find(place.mergeKey);
        if (!key) return noMergeKey(item, place.mergeKey);
        std::erase_if(original, [&](json::Value one) { return one[place.mergeKey] == *key; });
      } else if (directive->asString() == "replace") {
        replace = true;  // what else stands in the patch is the new list
      } else if (directive->asString() == "merge") {
        return badPatch("merging lists cannot yet be specified in the patch");
      } else {
        return badPatch(fmt::format("unknown patch type: {} in map: {}", json::print(*directive), json::print(item)));
      }
    }
    if (replace) return withoutDirectives(json::array(arena_, changes));
    Items merged = original;
    for (json::Value change : changes) {
      if (!change.has(place.mergeKey)) return noMergeKey(change, place.mergeKey);
      size_t at = indexIn(merged, change, place.mergeKey);
      if (at == merged.size()) {
        merged.push_back(withoutDirectives(change));
      } else {
        STOKER_TRY(merged[at], mergeMap(merged[at], change, place.element()));
      }
    }
    return json::array(arena_, arranged(merged, changes, original, place.mergeKey));
  }

  json::Arena& arena_;
};

}  // namespace

Result<json::Value> strategicMerge(json::Arena& arena, const Schema& schema, json::Value current, json::Value patch) {
  if (!patch.isObject())
    return badPatch(fmt::format("a strategic merge patch must be an object, got {}", json::typeName(patch.type())));
  return Merger(arena).mergeMap(current, patch, &schema);
}

}  // namespace stoker::kube
