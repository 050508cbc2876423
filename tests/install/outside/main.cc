// Reads a JSON document through an installed autodist.
#include <cstdio>

#include "autodist/core/error.h"
#include "autodist/core/json.h"

int main() {
  const autodist::core::Json document = autodist::core::ParseJson(R"({"tp": 2})", "inline");
  if (autodist::core::JsonFields(document, "inline").RequiredInt("tp", 1, 8) != 2) return 1;
  try {
    autodist::core::ParseJson("[1, 2", "inline");
  } catch (const autodist::core::Error& error) {
    std::printf("%s\n", error.what());
    return error.kind() == autodist::core::ErrorKind::kBadInput ? 0 : 1;
  }
  return 1;
}
