#include "kube/table.h"

#include <fmt/format.h>

#include "kube/printers.h"

namespace stoker::kube {

namespace {

using json::Value;

// Go's %v, which is what upstream prints into string columns.
void printGo(std::string& out, Value value) {
  if (value.isString()) {
    out += value.asString();
  } else if (value.isArray()) {
    out += '[';
    for (size_t i = 0; i < value.size(); ++i) {
      if (i > 0) out += ' ';
      printGo(out, value[i]);
    }
    out += ']';
  } else if (value.isObject()) {
    out += "map[";
    for (const json::Member& member : value.members()) {
      if (&member != value.members().data()) out += ' ';
      out.append(member.key).append(":");
      printGo(out, member.value);
    }
    out += ']';
  } else if (value.isNull()) {
    out += "<nil>";
  } else {
    json::printTo(out, value);
  }
}

Value stringCell(const CellContext& c, Value value) {
  std::string out;
  printGo(out, value);
  return json::string(c.arena, out);
}
Value integerCell(const CellContext& c, Value value) {
  if (auto n = value.integer()) return json::number(c.arena, *n);
  auto d = value.real();
  // Go's int64(float64) drops the fraction.
  return d && *d > -9.2e18 && *d < 9.2e18 ? json::number(c.arena, static_cast<int64_t>(*d)) : Value();
}
Value numberCell(const CellContext&, Value value) { return value.isNumber() ? value : Value(); }
Value booleanCell(const CellContext&, Value value) { return value.isBool() ? value : Value(); }
Value dateCell(const CellContext& c, Value value) {
  if (!value.isString()) return {};
  if (value.asString().empty()) return json::string(c.arena, "<unknown>");
  return json::string(c.arena, parseTime(value.asString()) ? ageOf(value, c.now) : "<invalid>");
}

struct TypedCell {
  std::string_view type;
  Value (*cell)(const CellContext&, Value);
};
constexpr TypedCell kTypedCells[] = {{"string", stringCell},
                                     {"integer", integerCell},
                                     {"number", numberCell},
                                     {"boolean", booleanCell},
                                     {"date", dateCell}};

Value pathCell(const CellContext& c, const Column& column) {
  auto found = jsonPath(c.object, column.jsonPath);
  if (!found.ok() || found->empty()) return {};
  for (const TypedCell& typed : kTypedCells)
    if (typed.type == column.type) return typed.cell(c, found->front());
  return {};
}

}  // namespace

Value tableColumns(json::Arena& arena, const KindInfo& kind) {
  std::vector<Value> out;
  for (const Column& column : kind.columns)
    out.push_back(json::Object(arena)
                      .set("name", column.name)
                      .set("type", column.type)
                      .set("format", column.format)
                      .set("description", column.description)
                      .set("priority", column.priority)
                      .build());
  return json::array(arena, out);
}

Value tableCells(json::Arena& arena, const KindInfo& kind, Value object, Time now) {
  CellContext context{arena, object, now};
  std::string resource = kind.groupResource();
  std::vector<Value> out;
  for (const Column& column : kind.columns) {
    CellFunction cell = column.jsonPath.empty() ? builtinCell(resource, column.name) : nullptr;
    out.push_back(cell ? cell(context) : column.jsonPath.empty() ? Value() : pathCell(context, column));
  }
  return json::array(arena, out);
}

}  // namespace stoker::kube
