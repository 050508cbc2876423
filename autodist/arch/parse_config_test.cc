// What config.json means: the fields of each family in both spellings, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "autodist/arch/registry.h"
#include "autodist/arch/testing/model_dir.h"

namespace autodist::arch {
namespace {

using core::Json;
using spec::ModelConfig;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ModelDir;
using testing::RefusalOf;

Json Llama() {
  return {{"model_type", "llama"},
          {"hidden_size", 36},
          {"num_hidden_layers", 5},
          {"num_attention_heads", 6},
          {"num_key_value_heads", 3},
          {"intermediate_size", 52},
          {"vocab_size", 131},
          {"rms_norm_eps", 1e-5},
          {"max_position_embeddings", 4096},
          {"tie_word_embeddings", false},
          {"torch_dtype", "bfloat16"},
          {"hidden_act", "silu"}};
}

Json With(Json config, const Json& changes) {
  config.update(changes);
  return config;
}

ModelConfig Parse(const Json& config) { return ParseConfig(ModelDir(config).path()); }

std::string Refusal(const Json& config) {
  return RefusalOf([&] { Parse(config); });
}

TEST(ParseConfigTest, Llama) {
  const ModelConfig config = Parse(Llama());
  EXPECT_EQ(config.model_type, "llama");
  EXPECT_EQ(config.hidden_size, 36);
  EXPECT_EQ(config.embedding_size, 36);
  EXPECT_EQ(config.num_layers, 5);
  EXPECT_EQ(config.num_heads, 6);
  EXPECT_EQ(config.num_kv_heads, 3);
  EXPECT_EQ(config.head_dim, 6);  // hidden_size / heads
  EXPECT_EQ(config.ffn_size, 52);
  EXPECT_EQ(config.vocab_size, 131);
  EXPECT_EQ(config.norm_epsilon, 1e-5);
  EXPECT_EQ(config.attention_scale, 1.0 / std::sqrt(6.0));
  EXPECT_TRUE(config.gated_mlp);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_FALSE(config.tied_embedding);
  EXPECT_EQ(config.context_length, 4096);
  EXPECT_EQ(config.rope.kind, spec::RopeKind::kDefault);
  EXPECT_EQ(config.rope.theta, 10000.0);
  EXPECT_EQ(config.rope.dim, 6);
  EXPECT_EQ(config.checkpoint_dtype, core::DType::kBF16);
}

TEST(ParseConfigTest, FieldsThatMayBeAbsentOrNull) {
  const ModelConfig config = Parse(With(Llama(), {{"num_key_value_heads", nullptr},
                                                  {"head_dim", 10},
                                                  {"attention_bias", true},
                                                  {"mlp_bias", true},
                                                  {"rope_scaling", nullptr},
                                                  {"tie_word_embeddings", true}}));
  EXPECT_EQ(config.num_kv_heads, 6);
  EXPECT_EQ(config.head_dim, 10);  // q is 60 wide, hidden 36
  EXPECT_EQ(config.q_size(), 60);
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_TRUE(config.attention_output_bias);
  EXPECT_TRUE(config.mlp_bias);
  EXPECT_TRUE(config.tied_embedding);
}

// The same rope, as the hub writes it and as transformers 5 does.
TEST(ParseConfigTest, RopeInBothSpellings) {
  const Json scaling = {{"factor", 8.0},
                        {"low_freq_factor", 1.0},
                        {"high_freq_factor", 4.0},
                        {"original_max_position_embeddings", 64}};
  const Json hub = With(
      Llama(), {{"rope_theta", 5e5}, {"rope_scaling", With(scaling, {{"rope_type", "llama3"}})}});
  const Json old =
      With(Llama(), {{"rope_theta", 5e5}, {"rope_scaling", With(scaling, {{"type", "llama3"}})}});
  const Json v5 = With(
      Llama(), {{"rope_parameters", With(scaling, {{"rope_type", "llama3"}, {"rope_theta", 5e5}})},
                {"dtype", "float16"}});
  for (const Json& json : {hub, old, v5}) {
    const ModelConfig config = Parse(json);
    EXPECT_EQ(config.rope.kind, spec::RopeKind::kLlama3);
    EXPECT_EQ(config.rope.theta, 5e5);
    EXPECT_EQ(config.rope.factor, 8.0);
    EXPECT_EQ(config.rope.low_freq_factor, 1.0);
    EXPECT_EQ(config.rope.high_freq_factor, 4.0);
    EXPECT_EQ(config.rope.original_max_position, 64);
    EXPECT_EQ(config.context_length, 4096);
  }
  EXPECT_EQ(Parse(v5).checkpoint_dtype, core::DType::kF16);
}

// The field at the top wins over the one inside; given nowhere, it is max_position_embeddings.
TEST(ParseConfigTest, WhereTheOriginalContextComesFrom) {
  Json config = With(Llama(), {{"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}}}});
  EXPECT_EQ(Parse(config).rope.original_max_position, 4096);
  config["rope_scaling"]["original_max_position_embeddings"] = 1024;
  EXPECT_EQ(Parse(config).rope.original_max_position, 1024);
  config["original_max_position_embeddings"] = 2048;
  EXPECT_EQ(Parse(config).rope.original_max_position, 2048);
  config["rope_scaling"]["factor"] = nullptr;
  EXPECT_EQ(Parse(config).rope.factor, 2.0);  // 4096 / 2048
}

TEST(ParseConfigTest, Yarn) {
  const Json yarn = {{"rope_type", "yarn"},   {"factor", 40},           {"beta_fast", 16},
                     {"beta_slow", nullptr},  {"mscale", 0.707},        {"truncate", false},
                     {"mscale_all_dim", 0.5}, {"attention_factor", 1.5}};
  const ModelConfig config = Parse(With(Llama(), {{"rope_scaling", yarn}}));
  EXPECT_EQ(config.rope.beta_fast, 16.0);
  EXPECT_EQ(config.rope.beta_slow, 1.0);
  EXPECT_EQ(config.rope.mscale, 0.707);
  EXPECT_EQ(config.rope.mscale_all_dim, 0.5);
  EXPECT_EQ(config.rope.attention_factor, 1.5);
  EXPECT_FALSE(config.rope.truncate);
}

TEST(ParseConfigTest, DynamicRopeReachesFurther) {
  const ModelConfig config =
      Parse(With(Llama(), {{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.5}}}}));
  EXPECT_EQ(config.rope.kind, spec::RopeKind::kDynamic);
  EXPECT_EQ(config.rope.original_max_position, 4096);
  EXPECT_EQ(config.max_position_embeddings, 4096);
  EXPECT_EQ(config.context_length, 10240);
}

TEST(ParseConfigTest, MistralWindowsEveryLayer) {
  Json json = With(Llama(), {{"model_type", "mistral"}, {"sliding_window", 7}});
  EXPECT_THAT(Parse(json).layer_window, ElementsAre(7, 7, 7, 7, 7));
  json["sliding_window"] = nullptr;
  EXPECT_THAT(Parse(json).layer_window, ElementsAre(0, 0, 0, 0, 0));
  json.erase("sliding_window");  // the class default of transformers
  EXPECT_THAT(Parse(json).layer_window, ElementsAre(4096, 4096, 4096, 4096, 4096));
  json["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention",
                         "sliding_attention", "sliding_attention"};
  EXPECT_THAT(Refusal(json), HasSubstr("layer_types"));
}

TEST(ParseConfigTest, QwenWindowsTheLastLayersWhenAsked) {
  Json json =
      With(Llama(), {{"model_type", "qwen2"}, {"sliding_window", 8}, {"max_window_layers", 3}});
  EXPECT_TRUE(Parse(json).qkv_bias);
  EXPECT_FALSE(Parse(json).attention_output_bias);
  EXPECT_THAT(Parse(json).layer_window, ElementsAre(0, 0, 0, 0, 0));  // use_sliding_window is false
  json["use_sliding_window"] = true;
  EXPECT_THAT(Parse(json).layer_window, ElementsAre(0, 0, 0, 8, 8));
  json["layer_types"] = {"sliding_attention", "full_attention", "full_attention", "full_attention",
                         "sliding_attention"};
  EXPECT_THAT(Parse(json).layer_window, ElementsAre(8, 0, 0, 0, 8));
  json["layer_types"][2] = "linear_attention";
  EXPECT_THAT(Refusal(json), AllOf(HasSubstr("\"linear_attention\""), HasSubstr("layer 2")));
  json["layer_types"] = {"full_attention"};
  EXPECT_THAT(Refusal(json), HasSubstr("list of 5 words"));
}

TEST(ParseConfigTest, Qwen3NormsItsHeads) {
  const ModelConfig config = Parse(With(Llama(), {{"model_type", "qwen3"}, {"head_dim", 16}}));
  EXPECT_TRUE(config.qk_norm);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_EQ(config.head_dim, 16);
}

TEST(ParseConfigTest, Gpt2) {
  Json json = {{"model_type", "gpt2"}, {"n_embd", 30},      {"n_head", 5},
               {"n_layer", 3},         {"vocab_size", 113}, {"n_positions", 48}};
  ModelConfig config = Parse(json);
  EXPECT_EQ(config.hidden_size, 30);
  EXPECT_EQ(config.ffn_size, 120);
  EXPECT_EQ(config.head_dim, 6);
  EXPECT_EQ(config.norm, spec::NormKind::kLayer);
  EXPECT_EQ(config.activation, spec::Activation::kGeluTanh);
  EXPECT_EQ(config.position, spec::PositionKind::kLearned);
  EXPECT_EQ(config.learned_position_rows, 48);
  EXPECT_EQ(config.learned_position_offset, 0);
  EXPECT_EQ(config.context_length, 48);
  EXPECT_TRUE(config.tied_embedding);  // the family's default
  EXPECT_FALSE(config.gated_mlp);
  EXPECT_TRUE(config.mlp_bias);
  json["scale_attn_by_inverse_layer_idx"] = true;
  json["n_inner"] = 53;
  config = Parse(json);
  EXPECT_THAT(config.layer_attention_scale, ElementsAre(1.0, 1.0 / 2, 1.0 / 3));
  EXPECT_EQ(config.ffn_size, 53);
  json["scale_attn_weights"] = false;
  EXPECT_EQ(Parse(json).attention_scale, 1.0);
  json["add_cross_attention"] = true;
  EXPECT_THAT(Refusal(json), HasSubstr("add_cross_attention"));
}

TEST(ParseConfigTest, Opt) {
  Json json = {{"model_type", "opt"}, {"hidden_size", 24},        {"num_attention_heads", 4},
               {"ffn_dim", 52},       {"num_hidden_layers", 5},   {"max_position_embeddings", 64},
               {"vocab_size", 127},   {"word_embed_proj_dim", 17}};
  ModelConfig config = Parse(json);
  EXPECT_EQ(config.embedding_size, 17);
  EXPECT_EQ(config.activation, spec::Activation::kRelu);
  EXPECT_EQ(config.learned_position_rows, 66);
  EXPECT_EQ(config.learned_position_offset, 2);
  EXPECT_EQ(config.context_length, 64);
  EXPECT_TRUE(config.norm_before);
  EXPECT_TRUE(config.final_norm);
  EXPECT_TRUE(config.qkv_bias);
  config = Parse(With(json, {{"do_layer_norm_before", false}, {"enable_bias", false}}));
  EXPECT_FALSE(config.norm_before);
  EXPECT_FALSE(config.final_norm);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_FALSE(config.mlp_bias);
  EXPECT_THAT(Refusal(With(json, {{"layer_norm_elementwise_affine", false}})),
              HasSubstr("layer_norm_elementwise_affine"));
}

TEST(ParseConfigTest, ActivationNames) {
  const auto parse = [](const char* name) {
    return Parse(With(Llama(), {{"hidden_act", name}})).activation;
  };
  EXPECT_EQ(parse("swish"), spec::Activation::kSilu);
  EXPECT_EQ(parse("gelu"), spec::Activation::kGelu);
  EXPECT_EQ(parse("gelu_pytorch_tanh"), spec::Activation::kGeluTanh);
  EXPECT_EQ(parse("quick_gelu"), spec::Activation::kQuickGelu);
  EXPECT_THAT(Refusal(With(Llama(), {{"hidden_act", "gelu_tanh"}})),
              AllOf(HasSubstr("unsupported hidden_act \"gelu_tanh\""),
                    HasSubstr("nearest supported: gelu")));
}

// Each message names the file, the field and the limit.
TEST(ParseConfigTest, RefusesImpossibleSizes) {
  struct Case {
    const char* field;
    Json value;
    const char* message;
  };
  for (const Case& bad : std::initializer_list<Case>{
           {"num_attention_heads", 0, "num_attention_heads is 0, must be at least 1"},
           {"num_attention_heads", 5,
            "num_key_value_heads is 3, must divide num_attention_heads = 5"},
           {"head_dim", 0, "head_dim is 0, must be at least 1"},
           {"head_dim", 7, "even head_dim, it is 7"},
           {"num_hidden_layers", -1, "num_hidden_layers is -1, must be at least 1"},
           {"num_hidden_layers", 1000000000,
            "num_hidden_layers is 1000000000, must be at most 1024"},
           {"num_hidden_layers", nullptr, "num_hidden_layers is missing"},
           {"intermediate_size", 0, "intermediate_size is 0, must be at least 1"},
           {"vocab_size", 0, "vocab_size is 0"},
           {"vocab_size", "many", "vocab_size must be an integer"},
           {"hidden_size", 37, "must divide the hidden size 37"},
           {"rms_norm_eps", -1.0, "rms_norm_eps is -1, must be at least 0 and below 1"},
           {"max_position_embeddings", 0, "max_position_embeddings is 0"},
           {"torch_dtype", "float8_e4m3fn", "torch_dtype is \"float8_e4m3fn\", must be float32"},
           {"rope_theta", 0.0, "rope_theta is 0, must be above 1"},
           {"is_encoder_decoder", true, "only decoder-only"},
           {"layer_types", {"full_attention", "chunked_attention"}, "unsupported attention type"},
           {"quantization_config",
            {{"quant_method", "gptq"}},
            "unsupported quantization_config (\"gptq\")"}}) {
    EXPECT_THAT(Refusal(With(Llama(), {{bad.field, bad.value}})),
                AllOf(HasSubstr("config.json: "), HasSubstr(bad.message)));
  }
}

TEST(ParseConfigTest, RefusesRopeThatIsNotComputed) {
  const auto refusal = [](const Json& rope) {
    return Refusal(With(Llama(), {{"rope_scaling", rope}}));
  };
  EXPECT_THAT(refusal({{"rope_type", "longrope"}, {"factor", 2}}),
              AllOf(HasSubstr("rope_scaling: unsupported rope_type \"longrope\""),
                    HasSubstr("yarn, llama3")));
  EXPECT_THAT(refusal({{"type", "proportional"}}), HasSubstr("\"proportional\""));
  EXPECT_THAT(refusal({{"type", "default"}, {"mrope_section", {2, 2, 2}}}),
              HasSubstr("mrope_section"));
  EXPECT_THAT(refusal({{"type", "dynamic"}, {"factor", 2}, {"alpha", 1000}}), HasSubstr("alpha"));
  EXPECT_THAT(refusal({{"type", "linear"}}), HasSubstr("factor is missing"));
  EXPECT_THAT(refusal({{"type", "dynamic"}, {"factor", 0.5}}),
              HasSubstr("factor is 0.5, must be at least 1"));
  EXPECT_THAT(refusal({{"full_attention", {{"rope_type", "default"}}}}),
              HasSubstr("per layer type"));
  EXPECT_THAT(refusal({{"type", "linear"}, {"factor", 2}, {"partial_rotary_factor", 0.5}}),
              HasSubstr("partial_rotary_factor"));
}

TEST(ParseConfigTest, NamesTheNearestFamily) {
  EXPECT_THAT(
      Refusal(With(Llama(), {{"model_type", "lama"}})),
      AllOf(HasSubstr("unsupported model_type \"lama\""), HasSubstr("nearest supported: llama"),
            HasSubstr("gpt2, llama, mistral, opt, qwen2, qwen3")));
  EXPECT_THAT(
      Refusal(With(Llama(), {{"model_type", "mine"}, {"auto_map", {{"AutoModel", "x.py--Y"}}}})),
      HasSubstr("auto_map names is never run"));
  // An arbitrary word neither breaks the line nor costs quadratic time.
  const std::string hostile = "x\n\x1b[31m" + std::string(1 << 20, 'y');
  const std::string message = Refusal(With(Llama(), {{"model_type", hostile}}));
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_LT(message.size(), 1000u);
}

TEST(ParseConfigTest, GoldenDirectoriesAreAllUnderstood) {
  int parsed = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(AUTODIST_SOURCE_DIR) / "tests/golden/data")) {
    if (!std::filesystem::exists(entry.path() / "config.json")) continue;
    EXPECT_NO_THROW(ParseConfig(entry.path())) << entry.path();
    ++parsed;
  }
  EXPECT_GE(parsed, 12);
}

}  // namespace
}  // namespace autodist::arch
