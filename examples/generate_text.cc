// Continues a prompt with a checkpoint that is split over four ranks: two tensor-parallel pairs,
// one per stage.
//
// usage: generate_text DIR [PROMPT]
// The ranks are threads of this process. Started by mpirun or with torchrun's variables, each
// process is one rank, and every process makes the same calls; results are printed where rank 0 is.
#include <cstdio>
#include <string>
#include <vector>

#include "autodist/core/error.h"
#include "autodist/infer/model_runner.h"
#include "autodist/text/tokenizer.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s DIR [PROMPT]\n", argv[0]);
    return 2;
  }
  const std::string directory = argv[1];
  const std::string prompt = argc > 2 ? argv[2] : "Once upon a time,";
  try {
    const auto tokenizer = autodist::text::Tokenizer::Load(directory);
    autodist::ModelRunner runner(
        {.model_name_or_path = directory, .tensor_parallel_size = 2, .pipeline_parallel_size = 2});
    std::vector<int32_t> ids = tokenizer->Encode(prompt, /*add_special_tokens=*/true);
    const std::vector<int32_t> answer = runner.Generate(ids, /*max_length=*/40);
    // Decoded as one text: what a token looks like can depend on the one before it.
    ids.insert(ids.end(), answer.begin(), answer.end());
    if (runner.holds_rank0()) {
      std::printf("%s\n", tokenizer->Decode(ids, /*skip_special_tokens=*/true).c_str());
    }
  } catch (const autodist::core::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
