// JSON text: what is read is printed canonically, and printing is a fixed point.
#include "api/core.h"
#include "fuzz.h"

using namespace stoker;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> duplicates;
  json::Arena arena;
  (void)api::decodeText<api::Pod>(text(data, size));  // of anything, without harm
  auto value = json::parse(arena, text(data, size), {.duplicates = &duplicates});
  if (!value.ok()) {
    require(value.error().reason == Reason::BadRequest && !value.error().message.empty(),
            "malformed JSON is a BadRequest that says why");
    return 0;
  }
  std::string printed = json::print(*value);
  auto again = json::parse(arena, printed);
  require(again.ok(), "what is printed can be read", printed);
  require(json::print(*again) == printed, "canonical text is a fixed point", printed, json::print(*again));
  require(*again == *value, "and means the same", printed);
  auto indented = json::parse(arena, json::pretty(*value));
  require(indented.ok() && json::print(*indented) == printed, "indenting changes nothing", printed);
  json::Arena other;
  require(json::print(json::clone(other, *value)) == printed, "a copy is equal", printed);
  auto decoded = api::decodeText<api::Pod>(printed);
  require(decoded.ok(), "what is printed can be decoded", printed);
  require(api::encodeText(*decoded) == api::encodeText(api::decode<api::Pod>(*value)),
          "decoding text is decoding the tree", printed);
  return 0;
}
