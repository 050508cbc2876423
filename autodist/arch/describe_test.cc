// Which tensor of a checkpoint is what: names, shapes, fused and transposed storage, tied
// embeddings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "autodist/arch/registry.h"
#include "autodist/arch/testing/model_dir.h"

namespace autodist::arch {
namespace {

using core::Json;
using spec::ModelTensor;
using spec::Part;
using spec::Role;
using spec::Slot;
using ::testing::AllOf;
using testing::CatalogOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ModelDir;
using ::testing::Not;
using testing::RefusalOf;

// hidden 12, 3 heads of 4, 1 kv head, ffn 10, vocabulary 7, one layer
Json LlamaConfig() {
  return {{"model_type", "llama"},    {"hidden_size", 12},        {"num_hidden_layers", 1},
          {"num_attention_heads", 3}, {"num_key_value_heads", 1}, {"intermediate_size", 10},
          {"vocab_size", 7}};
}

spec::TensorCatalog LlamaCatalog(const std::string& dtype = "F32") {
  return CatalogOf({{"model.embed_tokens.weight", {7, 12}},
                    {"model.layers.0.input_layernorm.weight", {12}},
                    {"model.layers.0.self_attn.q_proj.weight", {12, 12}},
                    {"model.layers.0.self_attn.k_proj.weight", {4, 12}},
                    {"model.layers.0.self_attn.v_proj.weight", {4, 12}},
                    {"model.layers.0.self_attn.o_proj.weight", {12, 12}},
                    {"model.layers.0.post_attention_layernorm.weight", {12}},
                    {"model.layers.0.mlp.gate_proj.weight", {10, 12}},
                    {"model.layers.0.mlp.up_proj.weight", {10, 12}},
                    {"model.layers.0.mlp.down_proj.weight", {12, 10}},
                    {"model.norm.weight", {12}},
                    {"lm_head.weight", {7, 12}}},
                   dtype);
}

const ModelTensor& Find(const ModelDescription& model, Slot slot, Part part = Part::kWeight) {
  const auto found = std::find_if(
      model.tensors.begin(), model.tensors.end(),
      [&](const ModelTensor& tensor) { return tensor.id.slot == slot && tensor.id.part == part; });
  if (found == model.tensors.end()) throw std::runtime_error("no such tensor");
  return *found;
}

TEST(DescribeTest, Llama) {
  const ModelDir dir(LlamaConfig());
  const ModelDescription model = Describe(dir.path(), LlamaCatalog("BF16"));
  EXPECT_EQ(model.tensors.size(), 12u);
  EXPECT_EQ(model.tensors.front().id.slot, Slot::kTokenEmbedding);
  EXPECT_EQ(model.tensors.back().id.slot, Slot::kHead);
  const ModelTensor& k = Find(model, Slot::kK);
  EXPECT_EQ(spec::ToString(k.id), "layers.0.k.weight");
  EXPECT_EQ(k.source, "model.layers.0.self_attn.k_proj.weight");
  EXPECT_EQ(k.role, Role::kColumn);
  EXPECT_EQ(k.rows, 4);
  EXPECT_EQ(k.cols, 12);
  EXPECT_EQ(k.stored, core::DType::kBF16);
  EXPECT_FALSE(k.vector);
  EXPECT_EQ(Find(model, Slot::kDown).role, Role::kRow);
  EXPECT_EQ(Find(model, Slot::kHead).role, Role::kVocab);
  EXPECT_EQ(Find(model, Slot::kMlpNorm).role, Role::kReplicated);
  EXPECT_TRUE(Find(model, Slot::kMlpNorm).vector);
  EXPECT_FALSE(model.config.tied_embedding);
  // config.json names no type: the embedding's is taken.
  EXPECT_EQ(model.config.checkpoint_dtype, core::DType::kBF16);
  EXPECT_THAT(model.remarks, IsEmpty());
}

// Saved from the bare model: the same names without "model.".
TEST(DescribeTest, PrefixMayBeMissing) {
  spec::TensorCatalog bare;
  for (const auto& [name, tensor] : LlamaCatalog().tensors)
    bare.tensors[name.starts_with("model.") ? name.substr(6) : name] = tensor;
  const ModelDescription model = Describe(ModelDir(LlamaConfig()).path(), bare);
  EXPECT_EQ(Find(model, Slot::kQ).source, "layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(Find(model, Slot::kHead).source, "lm_head.weight");
}

TEST(DescribeTest, BiasesAreRequiredWhenTheConfigurationSaysSo) {
  Json config = LlamaConfig();
  config["attention_bias"] = true;
  const ModelDir dir(config);
  // All missing names in one message.
  EXPECT_THAT(RefusalOf([&] { Describe(dir.path(), LlamaCatalog()); }),
              AllOf(HasSubstr("4 tensors are missing"), HasSubstr("q_proj.bias"),
                    HasSubstr("k_proj.bias"), HasSubstr("v_proj.bias"), HasSubstr("o_proj.bias")));
  spec::TensorCatalog catalog = LlamaCatalog();
  for (const auto& [name, size] : {std::pair{"q", 12}, {"k", 4}, {"v", 4}, {"o", 12}})
    catalog.tensors.merge(
        CatalogOf({{fmt::format("model.layers.0.self_attn.{}_proj.bias", name), {size}}}).tensors);
  const ModelDescription model = Describe(dir.path(), catalog);
  EXPECT_EQ(Find(model, Slot::kV, Part::kBias).role, Role::kColumn);
  EXPECT_EQ(Find(model, Slot::kV, Part::kBias).rows, 4);
  EXPECT_EQ(Find(model, Slot::kAttentionOutput, Part::kBias).role, Role::kRow);
}

TEST(DescribeTest, TiedEmbedding) {
  const auto describe = [](std::optional<bool> flag, const char* without) {
    Json config = LlamaConfig();
    if (flag) config["tie_word_embeddings"] = *flag;
    spec::TensorCatalog catalog = LlamaCatalog();
    catalog.tensors.erase(without);
    return Describe(ModelDir(config).path(), catalog);
  };
  const ModelDescription tied = describe(true, "lm_head.weight");
  EXPECT_TRUE(tied.config.tied_embedding);
  EXPECT_EQ(tied.tensors.size(), 11u);
  EXPECT_THAT(tied.remarks, IsEmpty());

  // Without a flag the missing head says it; that is remarked on, as llama's default is untied.
  const ModelDescription silent = describe(std::nullopt, "lm_head.weight");
  EXPECT_TRUE(silent.config.tied_embedding);
  EXPECT_THAT(silent.remarks, ElementsAre(HasSubstr("lm_head.weight")));

  EXPECT_THAT(
      RefusalOf([&] { describe(false, "lm_head.weight"); }),
      AllOf(HasSubstr("lm_head.weight is missing"), HasSubstr("tie_word_embeddings is false")));

  // Tying is symmetric: the table that is there serves both ends.
  const ModelDescription swapped = describe(true, "model.embed_tokens.weight");
  EXPECT_TRUE(swapped.config.tied_embedding);
  EXPECT_EQ(Find(swapped, Slot::kTokenEmbedding).source, "lm_head.weight");

  // Both stored: each is used, so that tables which differ give what transformers gives.
  const ModelDescription both = describe(true, "none");
  EXPECT_FALSE(both.config.tied_embedding);
  EXPECT_EQ(Find(both, Slot::kHead).source, "lm_head.weight");
}

TEST(DescribeTest, WrongShapesAndTypes) {
  const ModelDir dir(LlamaConfig());
  spec::TensorCatalog catalog = LlamaCatalog();
  catalog.tensors["model.embed_tokens.weight"].shape = {8, 12};
  EXPECT_THAT(RefusalOf([&] { Describe(dir.path(), catalog); }),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("8 rows"),
                    HasSubstr("vocab_size in config.json is 7")));
  catalog = LlamaCatalog();
  catalog.tensors["model.layers.0.mlp.up_proj.weight"].shape = {12, 10};
  EXPECT_THAT(RefusalOf([&] { Describe(dir.path(), catalog); }),
              AllOf(HasSubstr("up_proj.weight has shape [12, 10]"), HasSubstr("must be [10, 12]")));
  catalog = LlamaCatalog();
  catalog.tensors["model.norm.weight"].dtype = "F8_E4M3";
  EXPECT_THAT(
      RefusalOf([&] { Describe(dir.path(), catalog); }),
      AllOf(HasSubstr("model.norm.weight has type \"F8_E4M3\""), HasSubstr("F32, F16 or BF16")));
}

TEST(DescribeTest, ExtraTensors) {
  spec::TensorCatalog catalog = LlamaCatalog();
  catalog.tensors.merge(CatalogOf({{"model.layers.0.self_attn.rotary_emb.inv_freq", {2}},
                                   {"model.vision.weight", {2}}},
                                  "I64")
                            .tensors);
  const ModelDescription model = Describe(ModelDir(LlamaConfig()).path(), catalog);
  EXPECT_THAT(model.ignored, ElementsAre("model.layers.0.self_attn.rotary_emb.inv_freq"));
  EXPECT_THAT(model.remarks,
              ElementsAre(AllOf(HasSubstr("1 tensors are not part of llama"),
                                HasSubstr("model.vision.weight"), Not(HasSubstr("inv_freq")))));
}

TEST(DescribeTest, CustomCodeIsNeverRun) {
  Json config = LlamaConfig();
  config["auto_map"] = {{"AutoModelForCausalLM", "modeling_x.XForCausalLM"}};
  const ModelDescription model = Describe(ModelDir(config).path(), LlamaCatalog());
  EXPECT_THAT(model.remarks, ElementsAre(HasSubstr("auto_map names custom code; it is never run")));
}

// Conv1D stores [inputs, outputs], and c_attn is q, k and v side by side.
TEST(DescribeTest, Gpt2) {
  const ModelDir dir({{"model_type", "gpt2"},
                      {"n_embd", 6},
                      {"n_head", 2},
                      {"n_layer", 1},
                      {"vocab_size", 7},
                      {"n_positions", 9}});
  const spec::TensorCatalog catalog = CatalogOf({{"wte.weight", {7, 6}},
                                                 {"wpe.weight", {9, 6}},
                                                 {"h.0.ln_1.weight", {6}},
                                                 {"h.0.ln_1.bias", {6}},
                                                 {"h.0.attn.bias", {1, 1, 9, 9}},
                                                 {"h.0.attn.c_attn.weight", {6, 18}},
                                                 {"h.0.attn.c_attn.bias", {18}},
                                                 {"h.0.attn.c_proj.weight", {6, 6}},
                                                 {"h.0.attn.c_proj.bias", {6}},
                                                 {"h.0.ln_2.weight", {6}},
                                                 {"h.0.ln_2.bias", {6}},
                                                 {"h.0.mlp.c_fc.weight", {6, 24}},
                                                 {"h.0.mlp.c_fc.bias", {24}},
                                                 {"h.0.mlp.c_proj.weight", {24, 6}},
                                                 {"h.0.mlp.c_proj.bias", {6}},
                                                 {"ln_f.weight", {6}},
                                                 {"ln_f.bias", {6}}});
  const ModelDescription model = Describe(dir.path(), catalog);
  EXPECT_TRUE(model.config.tied_embedding);
  EXPECT_THAT(model.ignored, ElementsAre("h.0.attn.bias"));
  EXPECT_THAT(model.remarks, IsEmpty());
  const ModelTensor& v = Find(model, Slot::kV);
  EXPECT_EQ(v.source, "h.0.attn.c_attn.weight");
  EXPECT_TRUE(v.transposed);
  EXPECT_EQ(v.source_row, 12);
  EXPECT_EQ(v.rows, 6);
  EXPECT_EQ(v.cols, 6);
  EXPECT_EQ(Find(model, Slot::kK, Part::kBias).source_row, 6);
  EXPECT_EQ(Find(model, Slot::kDown).rows, 6);
  EXPECT_EQ(Find(model, Slot::kDown).cols, 24);

  // A missing fused source is named once, not three times.
  spec::TensorCatalog broken = catalog;
  broken.tensors.erase("h.0.attn.c_attn.weight");
  EXPECT_THAT(RefusalOf([&] { Describe(dir.path(), broken); }),
              HasSubstr("1 tensor is missing that the model needs: h.0.attn.c_attn.weight"));
}

TEST(DescribeTest, OptWithProjections) {
  const ModelDir dir({{"model_type", "opt"},
                      {"hidden_size", 6},
                      {"num_attention_heads", 2},
                      {"ffn_dim", 5},
                      {"num_hidden_layers", 1},
                      {"max_position_embeddings", 8},
                      {"vocab_size", 7},
                      {"word_embed_proj_dim", 3},
                      {"do_layer_norm_before", false},
                      {"enable_bias", false}});
  const std::string layer = "model.decoder.layers.0.";
  const ModelDescription model =
      Describe(dir.path(), CatalogOf({{"model.decoder.embed_tokens.weight", {7, 3}},
                                      {"model.decoder.embed_positions.weight", {10, 6}},
                                      {"model.decoder.project_in.weight", {6, 3}},
                                      {"model.decoder.project_out.weight", {3, 6}},
                                      {layer + "self_attn.q_proj.weight", {6, 6}},
                                      {layer + "self_attn.k_proj.weight", {6, 6}},
                                      {layer + "self_attn.v_proj.weight", {6, 6}},
                                      {layer + "self_attn.out_proj.weight", {6, 6}},
                                      {layer + "self_attn_layer_norm.weight", {6}},
                                      {layer + "self_attn_layer_norm.bias", {6}},
                                      {layer + "fc1.weight", {5, 6}},
                                      {layer + "fc2.weight", {6, 5}},
                                      {layer + "final_layer_norm.weight", {6}},
                                      {layer + "final_layer_norm.bias", {6}}}));
  EXPECT_EQ(Find(model, Slot::kProjectIn).rows, 6);
  EXPECT_EQ(Find(model, Slot::kProjectIn).cols, 3);
  EXPECT_EQ(Find(model, Slot::kProjectOut).rows, 3);
  EXPECT_EQ(Find(model, Slot::kPositionEmbedding).rows, 10);
  EXPECT_EQ(Find(model, Slot::kMlpNorm).source, layer + "final_layer_norm.weight");
  EXPECT_EQ(Find(model, Slot::kTokenEmbedding).cols, 3);
  EXPECT_TRUE(model.config.tied_embedding);
  EXPECT_THAT(model.remarks, IsEmpty());
}

}  // namespace
}  // namespace autodist::arch
