// A program that knows autodist only as an installed package: runs a checkpoint on two ranks and
// compares the tokens with those that the transformers library generated.
//
// usage: outside GOLDEN_DIRECTORY
#include <cstdio>
#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/infer/model_runner.h"

int main(int, char** argv) {
  const std::string directory = argv[1];
  const autodist::core::Json golden = autodist::core::ParseJsonFile(directory + "/golden.json");
  const auto prompt = golden["prompts"][0]["ids"].get<std::vector<int32_t>>();
  const auto expected = golden["prompts"][0]["greedy"].get<std::vector<int32_t>>();

  autodist::ModelRunner runner(
      {.model_name_or_path = directory, .tensor_parallel_size = 2, .use_cache = false});
  autodist::GenerateRequest request{.prompts = {prompt}};
  request.max_output_length = static_cast<int64_t>(expected.size());
  request.ignore_eos = true;
  if (runner.Generate(request).sequences[0].token_ids != expected) {
    std::fprintf(stderr, "other tokens than transformers\n");
    return 1;
  }
  std::printf("%zu tokens as transformers generates them\n", expected.size());
  return 0;
}
