#include "autodist/planner/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "autodist/planner/planner.h"
#include "autodist/planner/testing/example_model.h"

namespace autodist::planner {
namespace {

using ::testing::HasSubstr;

// Four layers on tp 4 x pp 2: kv heads held twice, an uneven feed-forward, a padded vocabulary, a
// tied table.
TEST(ExplainTest, WholeText) {
  const auto model = testing::Llama(4, 64, 8, 2, 8, 172, 131, /*tied=*/true);
  auto plan = MakePlan(model.config, model.tensors, {.cores = 4},
                       {.mesh = {.tp = 4, .pp = 2}, .batch_size = 2, .max_model_len = 256});
  plan.reasons = {
      "as asked: a sentence that is longer than one line of one hundred columns is broken between "
      "words"};
  EXPECT_EQ(Explain(model.config, plan),
            R"(model   llama: 4 layers of 64, 8 heads (2 kv) of 8, feed-forward 172, vocabulary 131
mesh    tp 4 x pp 2 = 8 ranks, in float32
run     2 sequences, micro-batches of 1, KV cache for 256 positions each, prompts in chunks of 512

stage  ranks       layers
0      0-3         0-1         2 layers + embedding
1      4-7         2-3         2 layers + head (the embedding table)

tensor                            role        shape           slice of each tp rank
token_embedding.weight            vocab       [131, 64]       rows 0:36 | 36:72 | 72:108 | 108:131
layers.*.attention_norm.weight    replicated  [64]            whole
layers.*.q.weight                 column      [64, 64]        rows 0:16 | 16:32 | 32:48 | 48:64
layers.*.k.weight                 column      [16, 64]        rows 0:8 | 0:8 | 8:16 | 8:16
layers.*.v.weight                 column      [16, 64]        rows 0:8 | 0:8 | 8:16 | 8:16
layers.*.attention_output.weight  row         [64, 64]        cols 0:16 | 16:32 | 32:48 | 48:64
layers.*.mlp_norm.weight          replicated  [64]            whole
layers.*.gate.weight              column      [172, 64]       rows 0:42 | 42:84 | 84:128 | 128:172
layers.*.up.weight                column      [172, 64]       rows 0:42 | 42:84 | 84:128 | 128:172
layers.*.down.weight              row         [64, 172]       cols 0:42 | 42:84 | 84:128 | 128:172
final_norm.weight                 replicated  [64]            whole

rank             weights    KV cache   activations     buffers       total          read
0-1              142 KiB    64.0 KiB       374 KiB     256 KiB     836 KiB      48.5 KiB
2                143 KiB    64.0 KiB       380 KiB     256 KiB     843 KiB      50.0 KiB
3                143 KiB    64.0 KiB       380 KiB     256 KiB     843 KiB      48.4 KiB
4-5              142 KiB    64.0 KiB       374 KiB     256 KiB     836 KiB      48.6 KiB
6                143 KiB    64.0 KiB       380 KiB     256 KiB     843 KiB      50.1 KiB
7                143 KiB    64.0 KiB       380 KiB     256 KiB     843 KiB      48.5 KiB

notes
- kv heads are replicated: tp 4 ranks hold 4 for the model's 2, because query heads that share a kv
  head lie on several ranks; the KV cache grows by as much
- the feed-forward width 172 is cut unevenly, in multiples of 2: 42 42 44 44
- the vocabulary of 131 is padded to 144 for tp 4: 36 rows on each rank, the last 13 of all are
  padding
- the tied embedding table lies on the first stage (look-up) and on the last one (head)

why
- as asked: a sentence that is longer than one line of one hundred columns is broken between words
)");
}

TEST(ExplainTest, ManyRanksKeepTheirLinesShort) {
  const auto model =
      testing::Llama(40, 8192, 64, 8, 128, 28672, 128256, /*tied=*/false, /*bias=*/true);
  const auto plan =
      MakePlan(model.config, model.tensors, {.cores = 64}, {.mesh = {.tp = 32, .pp = 8}});
  std::istringstream text(Explain(model.config, plan));
  for (std::string line; std::getline(text, line);) {
    EXPECT_LE(line.size(), 100u) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
  EXPECT_THAT(text.str(), HasSubstr("rows 0:256 | 256:512 .. 7936:8192\n"));
  EXPECT_THAT(
      text.str(),
      HasSubstr(
          "layers.*.attention_output.bias    row         [8192]          whole, added after"));
  EXPECT_THAT(text.str(), HasSubstr("\n32-63 "));  // equal ranks share a line
}

}  // namespace
}  // namespace autodist::planner
