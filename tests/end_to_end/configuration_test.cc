// What the program does with models and meshes that cannot be, and with those that only look so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/end_to_end/program.h"
#include "tests/end_to_end/tiny_model.h"

namespace autodist::testing {
namespace {

using ::testing::HasSubstr;

class ConfigurationTest : public ProgramTest {
 protected:
  // `model` is written first; more flags may follow.
  Outcome Generate(const TinyModel& model, const Arguments& flags = {}) {
    model.Write(directory_);
    return Run(
        Merged({"generate", directory_, "--token-ids", "5,6,7", "--json", "--no-cache"}, flags));
  }
  // The first prompt's result of a run that must succeed.
  core::Json Result(const TinyModel& model, const Arguments& flags = {}) {
    const Outcome outcome = Generate(model, flags);
    EXPECT_EQ(outcome.exit_code, 0) << Shown(outcome);
    if (outcome.exit_code != 0) return core::Json::object();
    return core::ParseJson(outcome.output, "stdout")["prompts"][0];
  }
  core::Json Ids(const TinyModel& model, const Arguments& flags = {}) {
    return Result(model, flags)["token_ids"];
  }

  const std::filesystem::path directory_ = scratch_ / "model";
  const std::string config_ = directory_ / "config.json";
};

const Arguments kShort = {"--max-output-length", "12", "--ignore-eos"};

Arguments Short(const Arguments& more) { return Merged(kShort, more); }

TEST_F(ConfigurationTest, Row19FieldsOutOfRangeAreNamed) {
  const std::vector<std::pair<std::string, core::Json>> faults = {{"num_attention_heads", 0},
                                                                  {"num_attention_heads", 3},
                                                                  {"num_key_value_heads", 3},
                                                                  {"num_hidden_layers", -1},
                                                                  {"num_hidden_layers", 1e9},
                                                                  {"num_hidden_layers", 1000000000},
                                                                  {"hidden_size", "32"},
                                                                  {"intermediate_size", 0},
                                                                  {"max_position_embeddings", 0},
                                                                  {"rms_norm_eps", 2},
                                                                  {"hidden_act", "softmax"},
                                                                  {"torch_dtype", "float8"},
                                                                  {"rope_scaling", {{"type", "x"}}},
                                                                  {"head_dim", 0},
                                                                  {"vocab_size", nullptr}};
  for (const auto& [field, value] : faults) {
    TinyModel model;
    model.config[field] = value;
    EXPECT_TRUE(Refused(Generate(model), 2, {config_, field == "rope_scaling" ? "rope" : field}))
        << field << " " << value;
  }
}

TEST_F(ConfigurationTest, Row19ShapesThatDisagreeWithTheConfiguration) {
  TinyModel model;
  model.config["vocab_size"] = 264;
  EXPECT_TRUE(Refused(Generate(model), 2, {"embed_tokens", "263", "264", "vocab_size"}));
  model.config["vocab_size"] = 263;
  model.config["intermediate_size"] = 48;
  EXPECT_TRUE(Refused(Generate(model), 2, {"mlp.gate_proj", "44", "48"}));
}

TEST_F(ConfigurationTest, Row20MeshesThatCannotBeNameTheOnesThatCan) {
  const TinyModel model;
  EXPECT_TRUE(Refused(Generate(model, {"--tp", "5"}), 2,
                      {"tensor_parallel_size 5", "sizes that work", "up to 4"}));
  EXPECT_TRUE(Refused(Generate(model, {"--pp", "5"}), 2, {"pipeline_parallel_size 5", "1 to 4"}));
  EXPECT_TRUE(Refused(Generate(model, {"--ranks", "17"}), 2, {"--ranks 17", "1 to 4"}));
  EXPECT_TRUE(Refused(Generate(model, {"--dp", "2"}), 2, {"data_parallel_size"}));
  EXPECT_TRUE(Refused(Generate(model, {"--pp", "2", "--stage-layers", "3,2"}), 2,
                      {"--stage-layers", "4 layers"}));
  EXPECT_EQ(Ids(model, Short({"--ranks", "3"})), Ids(model, kShort));
}

TEST_F(ConfigurationTest, Row21UnknownArchitectures) {
  TinyModel model;
  model.config["model_type"] = "lama";
  EXPECT_TRUE(Refused(Generate(model), 2, {config_, "\"lama\"", "nearest supported: llama"}));
  model = TinyModel();
  model.config["layer_types"] = {"full_attention", "linear_attention", "full_attention",
                                 "full_attention"};
  EXPECT_TRUE(Refused(Generate(model), 2, {config_, "attention type"}));
}

TEST_F(ConfigurationTest, Row22CustomCodeIsNeverRun) {
  TinyModel model;
  const core::Json expected = Ids(model, kShort);
  model.config["auto_map"] = {{"AutoModelForCausalLM", "evil.Model"}};
  const std::filesystem::path trace = scratch_ / "was_run";
  WriteBytes(directory_ / "evil.py", "open('" + trace.string() + "', 'w')\n");
  const Outcome outcome = Generate(model, kShort);
  EXPECT_EQ(core::ParseJson(outcome.output, "stdout")["prompts"][0]["token_ids"], expected);
  EXPECT_THAT(outcome.errors, HasSubstr("never run"));
  EXPECT_FALSE(std::filesystem::exists(trace));
}

TEST_F(ConfigurationTest, Row23TiedAndMissingTensors) {
  TinyShape tied;
  tied.tied = true;
  EXPECT_EQ(Ids(TinyModel(tied), Short({"--tp", "2"})), Ids(TinyModel(tied), kShort));
  TinyModel model(tied);
  model.config["tie_word_embeddings"] = false;
  EXPECT_TRUE(Refused(Generate(model), 2, {"lm_head.weight", "tie_word_embeddings"}));
  model = TinyModel();
  model.Tensor("model.layers.2.mlp.up_proj.weight").name = "model.layers.2.mlp.up.weight";
  EXPECT_TRUE(Refused(Generate(model), 2, {"model.layers.2.mlp.up_proj.weight"}));
}

TEST_F(ConfigurationTest, Row23ABiasThatTheModelDoesNotHaveIsSaid) {
  TinyModel model;
  const core::Json expected = Ids(model, kShort);
  model.tensors.push_back(
      {"model.layers.0.self_attn.q_proj.bias", "F32", {32}, std::string(128, '\0')});
  const Outcome outcome = Generate(model, kShort);
  EXPECT_EQ(core::ParseJson(outcome.output, "stdout")["prompts"][0]["token_ids"], expected);
  EXPECT_THAT(outcome.errors, HasSubstr("model.layers.0.self_attn.q_proj.bias"));
}

TEST_F(ConfigurationTest, Row24AModelLargerThanTheMemory) {
  const TinyModel model;
  const Outcome outcome = Generate(model, {"--rank-memory", "100K"});
  EXPECT_TRUE(Refused(outcome, 2, {"rank 0", "needs", "100 KiB", "weights"}));
  EXPECT_EQ(Ids(model, Short({"--pp", "4", "--rank-memory", "400K"})), Ids(model, kShort));
}

TEST_F(ConfigurationTest, Row74AnyTensorParallelSizeGivesTheSameTokens) {
  for (const int kv_heads : {1, 2, 7}) {
    TinyShape shape;
    shape.hidden = kv_heads == 7 ? 56 : 48;
    shape.heads = kv_heads == 7 ? 7 : 8;
    shape.kv_heads = kv_heads;
    shape.ffn = 53;
    shape.vocab = 269;
    shape.layers = 2;
    const TinyModel model(shape);
    const core::Json expected = Ids(model, kShort);
    ASSERT_EQ(expected.size(), 12u);
    for (const char* tp : {"3", "5", "6", "7"})
      EXPECT_EQ(Ids(model, Short({"--tp", tp})), expected)
          << "tp " << tp << " kv heads " << kv_heads;
  }
}

TEST_F(ConfigurationTest, Row75LayersThatAStageCountDoesNotDivide) {
  TinyShape shape;
  shape.layers = 5;
  const TinyModel model(shape);
  const core::Json expected = Ids(model, kShort);
  for (const char* pp : {"2", "3", "5"}) EXPECT_EQ(Ids(model, Short({"--pp", pp})), expected) << pp;
  EXPECT_TRUE(Refused(Generate(model, {"--pp", "6"}), 2, {"pipeline_parallel_size 6", "5 layers"}));
}

// With a window of 1 a token sees itself only, and the prompt before the last token does not
// matter.
TEST_F(ConfigurationTest, Row76ASlidingWindowShorterThanThePrompt) {
  TinyShape shape;
  shape.layers = 1;
  TinyModel model(shape);
  model.config["model_type"] = "mistral";
  model.config["sliding_window"] = 1;
  model.Write(directory_);
  const auto next = [&](const std::string& ids, const char* tp) {
    const std::string text = Output({"generate", directory_, "--token-ids", ids, "--json", "--tp",
                                     tp, "--max-output-length", "1", "--ignore-eos", "--no-cache"});
    return core::ParseJson(text, "stdout")["prompts"][0]["token_ids"];
  };
  EXPECT_EQ(next("200,7", "1"), next("9,30,31,32,7", "1"));
  EXPECT_EQ(next("200,7", "2"), next("9,30,31,32,7", "1"));
  model.config["sliding_window"] = 100;
  model.Write(directory_);
  EXPECT_NE(next("200,7", "1"), next("9,30,31,32,7", "1"));
}

TEST_F(ConfigurationTest, Row76PromptsAndOutputsBeyondTheContext) {
  TinyShape shape;
  shape.positions = 8;
  const TinyModel model(shape);
  model.Write(directory_);
  const auto generate = [&](const std::string& ids, const Arguments& more) {
    return Run(
        Merged({"generate", directory_, "--token-ids", ids, "--json", "--ignore-eos", "--no-cache"},
               more));
  };
  EXPECT_TRUE(Refused(generate("1,2,3,4,5,6,7,8,9", {}), 2, {"9 tokens", "8"}));
  EXPECT_TRUE(Refused(generate("1,2,3", {"--max-output-length", "6"}), 2,
                      {"--max-output-length", "6", "5"}));
  EXPECT_TRUE(Refused(generate("1,2,3", {"--max-model-len", "9"}), 2, {"--max-model-len", "8"}));
  EXPECT_TRUE(Refused(Run({"logits", directory_, "--token-ids", "1,2,3,4,5,6,7,8,9", "--output",
                           scratch_ / "l.npy"}),
                      2, {"9 tokens", "8"}));
  const Outcome clipped = generate("1,2,3", {});
  ASSERT_EQ(clipped.exit_code, 0) << Shown(clipped);
  const core::Json result = core::ParseJson(clipped.output, "stdout")["prompts"][0];
  EXPECT_EQ(result["token_ids"].size(), 5u);
  EXPECT_EQ(result["finish_reason"], "length");
}

TEST_F(ConfigurationTest, Row77EndOfSequenceInAllItsForms) {
  TinyModel model;
  const core::Json free = Ids(model, {"--max-output-length", "12", "--ignore-eos"});
  ASSERT_EQ(free.size(), 12u);
  model.config["eos_token_id"] = {262, free[4]};
  core::Json result = Result(model, {"--max-output-length", "12"});
  EXPECT_EQ(result["finish_reason"], "stop");
  EXPECT_EQ(result["token_ids"].back(), free[4]);
  EXPECT_LE(result["token_ids"].size(), 5u);

  model.config["eos_token_id"] = nullptr;
  model.config["pad_token_id"] = nullptr;
  result = Result(model, {"--max-output-length", "12"});
  EXPECT_EQ(result["token_ids"], free);
  EXPECT_EQ(result["finish_reason"], "length");

  for (const core::Json& outside : {core::Json(263), core::Json({2, -1}), core::Json("</s>")}) {
    model.config["eos_token_id"] = outside;
    EXPECT_TRUE(Refused(Generate(model), 2, {config_, "eos_token_id"})) << outside;
  }
}

}  // namespace
}  // namespace autodist::testing
