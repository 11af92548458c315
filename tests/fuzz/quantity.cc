// Quantities: the canonical form reads as the same amount. Second line: another one, to compare and add.
#include "kube/quantity.h"
#include "fuzz.h"

using namespace stoker;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest = text(data, size);
  auto a = kube::Quantity::parse(takeLine(rest));
  auto b = kube::Quantity::parse(rest);
  if (!a.ok()) return 0;
  std::string printed = a->toString();
  auto again = kube::Quantity::parse(printed);
  require(again.ok(), "what is printed can be read", printed);
  require(again->toString() == printed, "printing is a fixed point", printed, again->toString());
  require(*again == *a, "and is the same amount", printed);
  (void)a->value(), (void)a->milliValue();
  if (!b.ok()) return 0;
  require((*a <=> *b) == (0 <=> (*b <=> *a)), "comparing is antisymmetric", printed, b->toString());
  (void)(*a + *b).toString(), (void)(*a - *b).value();
  return 0;
}
