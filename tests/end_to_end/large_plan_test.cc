// `plan` reads headers only: a model of 70 billion parameters whose files hold nothing but headers
// (the rest is holes) is planned in little memory.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "tests/end_to_end/program.h"

namespace autodist::testing {
namespace {

constexpr int64_t kHidden = 8192;
constexpr int64_t kFfn = 28672;
constexpr int64_t kKv = 1024;
constexpr int64_t kVocabulary = 128256;
constexpr int kLayers = 80;
constexpr size_t kFiles = 30;

using Shapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;

Shapes TensorsOf70B() {
  Shapes tensors = {{"model.embed_tokens.weight", {kVocabulary, kHidden}},
                    {"lm_head.weight", {kVocabulary, kHidden}},
                    {"model.norm.weight", {kHidden}}};
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    tensors.push_back({prefix + "input_layernorm.weight", {kHidden}});
    tensors.push_back({prefix + "self_attn.q_proj.weight", {kHidden, kHidden}});
    tensors.push_back({prefix + "self_attn.k_proj.weight", {kKv, kHidden}});
    tensors.push_back({prefix + "self_attn.v_proj.weight", {kKv, kHidden}});
    tensors.push_back({prefix + "self_attn.o_proj.weight", {kHidden, kHidden}});
    tensors.push_back({prefix + "post_attention_layernorm.weight", {kHidden}});
    tensors.push_back({prefix + "mlp.gate_proj.weight", {kFfn, kHidden}});
    tensors.push_back({prefix + "mlp.up_proj.weight", {kFfn, kHidden}});
    tensors.push_back({prefix + "mlp.down_proj.weight", {kHidden, kFfn}});
  }
  return tensors;
}

// Every kFiles-th tensor, and a hole where their bytes would be.
uint64_t WriteFile(const std::filesystem::path& path, const Shapes& tensors, size_t first) {
  core::Json header = core::Json::object();
  uint64_t offset = 0;
  for (size_t i = first; i < tensors.size(); i += kFiles) {
    uint64_t bytes = 2;
    for (const int64_t size : tensors[i].second) bytes *= static_cast<uint64_t>(size);
    header[tensors[i].first] = {{"dtype", "BF16"},
                                {"shape", tensors[i].second},
                                {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  const std::string file = checkpoint::testing::RawSafetensors(header.dump());
  checkpoint::testing::WriteBytes(path, file);
  std::filesystem::resize_file(path, file.size() + offset);
  return offset;
}

class LargePlanTest : public ProgramTest {
 protected:
  LargePlanTest() {
    const core::Json config = {{"architectures", {"LlamaForCausalLM"}},
                               {"model_type", "llama"},
                               {"hidden_size", kHidden},
                               {"intermediate_size", kFfn},
                               {"num_attention_heads", 64},
                               {"num_key_value_heads", 8},
                               {"num_hidden_layers", kLayers},
                               {"vocab_size", kVocabulary},
                               {"max_position_embeddings", 8192},
                               {"rms_norm_eps", 1e-5},
                               {"rope_theta", 500000.0},
                               {"hidden_act", "silu"},
                               {"torch_dtype", "bfloat16"}};
    checkpoint::testing::WriteBytes(directory_ / "config.json", config.dump());
    const Shapes tensors = TensorsOf70B();
    core::Json index = {{"weight_map", core::Json::object()}};
    uint64_t total = 0;
    for (size_t file = 0; file < kFiles; ++file) {
      const std::string name = "model-" + std::to_string(file + 1) + "-of-30.safetensors";
      total += WriteFile(directory_ / name, tensors, file);
      for (size_t i = file; i < tensors.size(); i += kFiles) {
        index["weight_map"][tensors[i].first] = name;
      }
    }
    index["metadata"] = {{"total_size", total}};
    checkpoint::testing::WriteBytes(directory_ / "model.safetensors.index.json", index.dump());
  }

  const std::filesystem::path directory_ = scratch_ / "llama-70b";
};

TEST_F(LargePlanTest, NeedsLessThan100Megabytes) {
  const Outcome outcome =
      Run({"plan", directory_, "--tp", "8", "--pp", "4", "--rank-memory", "24G"});
  EXPECT_EQ(outcome.exit_code, 0) << Shown(outcome);
  EXPECT_LT(outcome.peak_rss_bytes, 100'000'000);
  EXPECT_NE(outcome.output.find("80 layers"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("layers.*.q.weight"), std::string::npos) << outcome.output;
}

TEST_F(LargePlanTest, TooLittleMemoryIsRefusedBeforeAnyWeightIsRead) {
  const Outcome outcome =
      Run({"generate", directory_, "--tp", "2", "--rank-memory", "24G", "--token-ids", "1,2"});
  EXPECT_TRUE(Refused(outcome, 2, {"GiB", "rank"}));
  EXPECT_LT(outcome.peak_rss_bytes, 100'000'000);
}

}  // namespace
}  // namespace autodist::testing
