// tokenizer_bench MODEL_DIR STRINGS.json ROUNDS IDS.json
//
// Reads a JSON array of strings, then ROUNDS times: loads the tokenizer of MODEL_DIR, encodes all
// strings without special tokens, and encodes them once more. Prints {"load_s", "first_s",
// "again_s"}: seconds of each round, on one thread. Writes the ids of every string to IDS.json for
// the caller to compare.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "autodist/core/file.h"
#include "autodist/core/json.h"
#include "autodist/text/tokenizer.h"

namespace autodist::text {
namespace {

double Seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

void Run(const std::string& model_dir, const std::string& strings_path, int rounds,
         const std::string& ids_path) {
  const auto strings = core::ParseJsonFile(strings_path).get<std::vector<std::string>>();
  core::Json times{{"load_s", {}}, {"first_s", {}}, {"again_s", {}}};
  std::vector<std::vector<int32_t>> ids(strings.size());
  for (int round = 0; round < rounds; ++round) {
    double start = Seconds();
    const auto mark = [&](const char* name) {
      const double end = Seconds();
      times[name].push_back(end - start);
      start = end;
    };
    const auto tokenizer = Tokenizer::Load(model_dir);
    mark("load_s");
    for (const char* name : {"first_s", "again_s"}) {
      for (size_t i = 0; i < strings.size(); ++i)
        ids[i] = tokenizer->Encode(strings[i], /*add_special_tokens=*/false);
      mark(name);
    }
  }
  core::WriteFileAtomically(ids_path, core::DumpJson(ids));
  fmt::print("{}\n", core::DumpJson(times));
}

}  // namespace
}  // namespace autodist::text

int main(int argc, char** argv) {
  if (argc != 5) {
    fmt::print(stderr, "usage: tokenizer_bench MODEL_DIR STRINGS.json ROUNDS IDS.json\n");
    return 2;
  }
  try {
    autodist::text::Run(argv[1], argv[2], std::stoi(argv[3]), argv[4]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "tokenizer_bench: {}\n", error.what());
    return 1;
  }
}
