// selector.h: label and field selectors, from text or from metav1.LabelSelector.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace stoker::kube {

/// Looks up a label (or a field) of the object being matched; nullopt when it has none.
using Lookup = std::function<std::optional<std::string_view>(std::string_view key)>;

class LabelSelector {
 public:
  struct Requirement {
    enum class Op { In, NotIn, Exists, DoesNotExist, GreaterThan, LessThan } op = Op::Exists;
    std::string key;
    std::vector<std::string> values;  ///< sorted and unique, as upstream keeps them
    std::string_view symbol = {};     ///< how In and NotIn were written, for toString: "=", "==", "!=" or empty
    bool matches(std::optional<std::string_view> value) const;
  };
  /// "a=b,c!=d,e in (f,g),!h,i" ; "" selects everything. BadRequest with upstream's wording ("unable to parse
  /// requirement: ...").
  static Result<LabelSelector> parse(std::string_view text);
  /// metav1.LabelSelector {matchLabels, matchExpressions}; {} selects everything, null selects nothing. Invalid
  /// otherwise.
  static Result<LabelSelector> fromJson(json::Value selector);
  static LabelSelector everything() { return {}; }
  bool matches(const Lookup& label) const;
  /// Against metadata.labels.
  bool matches(json::Value labels) const;
  /// Against labels flattened as key NUL value NUL ..., sorted by key (store::Index::labels).
  bool matchesFlat(std::string_view flat) const;
  bool empty() const { return requirements_.empty() && !nothing_; }
  std::string toString() const;  ///< upstream's order and form
  const std::vector<Requirement>& requirements() const { return requirements_; }

 private:
  std::vector<Requirement> requirements_;
  bool nothing_ = false;
};

/// "a=b,c!=d" over fields.
class FieldSelector {
 public:
  struct Term {
    std::string field, value;
    bool equal = true;
  };
  /// BadRequest "invalid selector: ..." when malformed.
  static Result<FieldSelector> parse(std::string_view text);
  bool matches(const Lookup& field) const;
  bool empty() const { return terms_.empty(); }
  const std::vector<Term>& terms() const { return terms_; }
  /// The value that `field` must have, if the selector pins it by equality.
  std::optional<std::string> exact(std::string_view field) const;

 private:
  std::vector<Term> terms_;
};

/// The string a field path has in an object for selectors ("spec.nodeName", "spec.unschedulable" -> "true"/"false").
/// What is missing counts as "", or as the zero value that upstream's selectable fields give it ("false", "0").
std::string fieldValue(json::Value object, std::string_view path);

/// metadata.labels flattened for store::Index::labels.
std::string flattenLabels(json::Value labels);

}  // namespace stoker::kube
