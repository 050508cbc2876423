// The documents of docs/json.md: the names of their fields, in order, from the commands themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "autodist/cli/command.h"
#include "autodist/cli/run_command.h"
#include "autodist/core/error.h"
#include "autodist/core/json.h"
#include "autodist/spec/cluster.h"
#include "autodist/text/tokenizer_testing.h"
#include "autodist/trace/testing/trace_text.h"

namespace autodist::cli {
namespace {

using ::testing::ElementsAre;
using Names = std::vector<std::string>;

const std::filesystem::path kData =
    std::filesystem::path(AUTODIST_SOURCE_DIR) / "tests/golden/data";
const std::string kModel = (kData / "llama_plain").string();
const char* NoVariable(const char*) { return nullptr; }

class JsonShapesTest : public ::testing::Test {
 protected:
  JsonShapesTest()
      : directory_(std::filesystem::temp_directory_path() /
                   ("autodist_json_shapes_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(directory_);
  }
  ~JsonShapesTest() override { std::filesystem::remove_all(directory_); }

  // What the command prints with --json; it must be one document.
  core::Json Run(const std::string& name, std::vector<std::string> arguments) {
    arguments.push_back("--json");
    int exit_code = -1;
    std::string error;
    ::testing::internal::CaptureStdout();
    try {
      for (const auto& command : MakeCommands())
        if (command->name() == name) exit_code = RunCommand(*command, arguments, NoVariable);
    } catch (const core::Error& refusal) {
      error = refusal.what();
    }
    const std::string output = ::testing::internal::GetCapturedStdout();
    EXPECT_EQ(exit_code, 0) << name << ": " << error;
    return core::ParseJson(output, name);
  }

  std::filesystem::path directory_;
};

Names NamesOf(const core::Json& object) {
  Names names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

const Names kPlan = {"tensor_parallel_size",
                     "pipeline_parallel_size",
                     "data_parallel_size",
                     "dtype",
                     "weights",
                     "vocab_size",
                     "padded_vocab_size",
                     "batch_size",
                     "micro_batch_size",
                     "max_model_len",
                     "prefill_chunk",
                     "ranks",
                     "notes",
                     "reasons"};

TEST_F(JsonShapesTest, Plan) {
  const core::Json plan = Run("plan", {kModel, "--tp", "2", "--pp", "2"});
  EXPECT_EQ(NamesOf(plan), kPlan);
  ASSERT_EQ(plan["ranks"].size(), 4u);
  EXPECT_THAT(NamesOf(plan["ranks"][0]),
              ElementsAre("rank", "stage", "tp_index", "layers", "q_heads", "kv_heads", "ffn",
                          "vocab", "bytes"));
  EXPECT_THAT(NamesOf(plan["ranks"][0]["bytes"]),
              ElementsAre("weights", "kv_cache", "activations", "buffers", "read", "total"));
}

TEST_F(JsonShapesTest, Generate) {
  const core::Json document =
      Run("generate", {kModel, "--token-ids", "1,2,3", "--max-output-length", "3", "--ignore-eos",
                       "--no-cache", "--output-dir", directory_.string()});
  EXPECT_THAT(NamesOf(document), ElementsAre("prompts", "timing", "plan"));
  const core::Json& prompt = document["prompts"][0];
  EXPECT_THAT(NamesOf(prompt),
              ElementsAre("prompt_token_ids", "token_ids", "text", "finish_reason"));
  EXPECT_EQ(prompt["prompt_token_ids"], core::Json({1, 2, 3}));
  EXPECT_EQ(prompt["token_ids"].size(), 3u);
  EXPECT_TRUE(prompt["text"].is_null());  // no tokenizer there
  EXPECT_EQ(prompt["finish_reason"], "length");
  EXPECT_THAT(NamesOf(document["timing"]),
              ElementsAre("total_s", "first_token_s", "prompt_tokens", "generated_tokens",
                          "prefill_tokens_per_s", "decode_tokens_per_s", "token_s",
                          "communication_fraction", "peak_rss_bytes"));
  EXPECT_THAT(NamesOf(document["timing"]["token_s"]), ElementsAre("p50", "p90", "p99"));
  EXPECT_EQ(NamesOf(document["plan"]), kPlan);
  EXPECT_EQ(core::ParseJsonFile(directory_ / "generate.json"), document);
}

TEST_F(JsonShapesTest, Logits) {
  const core::Json document =
      Run("logits", {kModel, "--token-ids", "1,2,3", "--output", "logits.npy", "--no-cache",
                     "--output-dir", directory_.string()});
  EXPECT_THAT(NamesOf(document), ElementsAre("output", "prompt_token_ids", "shape", "plan"));
  EXPECT_EQ(document["shape"][0], 3);
  EXPECT_TRUE(std::filesystem::exists(document["output"].get<std::string>()));
}

TEST_F(JsonShapesTest, VerifyOfAMeshInF32) {
  const core::Json document = Run("verify", {kModel, "--tp", "2", "--pp", "2", "--no-cache"});
  EXPECT_THAT(NamesOf(document),
              ElementsAre("mesh", "dtype", "weights", "prompt_token_ids", "token_ids",
                          "reference_token_ids", "errors", "token_difference", "nonfinite_logits",
                          "nonfinite_weights", "within_bounds"));
  EXPECT_EQ(document["within_bounds"], true);
  ASSERT_EQ(document["errors"].size(), 1u);
  EXPECT_THAT(NamesOf(document["errors"][0]),
              ElementsAre("what", "max", "rms", "max_bound", "rms_bound"));
  EXPECT_EQ(document["errors"][0]["max_bound"], 1e-5);
}

TEST_F(JsonShapesTest, VerifyOfAMeshInBf16) {
  const core::Json document =
      Run("verify", {(kData / "llama_bf16").string(), "--tp", "2", "--no-cache"});
  EXPECT_EQ(document["dtype"], "bfloat16");
  EXPECT_EQ(document["errors"].size(), 3u);
  EXPECT_EQ(document["within_bounds"], true);
}

TEST_F(JsonShapesTest, Bench) {
  const core::Json document = Run("bench", {kModel, "--prompt-length", "5", "--output-length", "3",
                                            "--repeats", "1", "--no-cache"});
  EXPECT_THAT(
      NamesOf(document),
      ElementsAre("load_s", "first_token_s", "prefill_tokens_per_s", "prefill_tokens_per_s_best",
                  "decode_tokens_per_s", "decode_tokens_per_s_best", "bytes_per_token",
                  "read_gb_per_s", "gemm_gflop_per_s", "decode_fraction", "prefill_fraction",
                  "peak_rss_bytes", "communication_fraction", "gemm_engine", "phases"));
  EXPECT_THAT(NamesOf(document["phases"]), ElementsAre("prefill", "decode"));
  const core::Json& decode = document["phases"]["decode"];
  EXPECT_THAT(NamesOf(decode), ElementsAre("step_s", "ops"));
  EXPECT_THAT(NamesOf(decode["ops"][0]),
              ElementsAre("name", "step_s", "bytes", "flops", "limit_s", "fraction"));
}

TEST_F(JsonShapesTest, BenchSweep) {
  const core::Json document =
      Run("bench", {kModel, "--sweep", "--grid", "prompt-length=5,100000;tp=1;batch-size=1",
                    "--output-length", "3", "--repeats", "1", "--no-cache", "--output-dir",
                    directory_.string()});
  EXPECT_EQ(core::ParseJsonFile(directory_ / "sweep.json"), document);
  EXPECT_THAT(NamesOf(document), ElementsAre("points"));
  ASSERT_EQ(document["points"].size(), 2u);
  EXPECT_THAT(NamesOf(document["points"][0]),
              ElementsAre("tensor_parallel_size", "pipeline_parallel_size", "dtype", "weights",
                          "prompt_length", "output_length", "batch_size", "skipped", "bench"));
  EXPECT_TRUE(document["points"][0]["skipped"].is_null());
  EXPECT_TRUE(document["points"][1]["bench"].is_null());
}

// What `calibrate` prints and writes; it is not run, as it measures for long.
TEST_F(JsonShapesTest, Calibrate) {
  EXPECT_THAT(
      NamesOf(spec::ToJson(spec::Cluster{})),
      ElementsAre("cores", "hosts", "products", "read_bytes_per_s", "core_read_bytes_per_s",
                  "flops_per_s", "attention_flops_per_s", "attention_scores_per_s",
                  "attention_extra_keys", "cache_write_bytes_per_s", "cache_extra_keys",
                  "cache_bytes_per_s", "cache_flops_per_s", "row_bytes_per_s", "operation_s",
                  "wait_s", "wait_fraction_one_row", "wait_fraction_many_rows", "link_latency_s",
                  "link_bytes_per_s", "host_link_latency_s", "host_link_bytes_per_s", "collectives",
                  "host_collectives"));
}

// Nothing but a tokenizer.json is needed: here one of three letters and a BOS.
TEST_F(JsonShapesTest, TokenizeThereAndBack) {
  text::TokenizerText tokenizer;
  tokenizer.model = text::BpeText({"<s>", "a", "b", "c", "ab"}, {"a b"});
  tokenizer.added_tokens = R"([{"id":0,"content":"<s>","single_word":false,"lstrip":false,
                                "rstrip":false,"normalized":false,"special":true}])";
  tokenizer.post_processor = R"({"type":"TemplateProcessing",
      "single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
      "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
      "special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}})";
  std::ofstream(directory_ / "tokenizer.json") << tokenizer.Json();
  const std::string model = directory_.string();

  const core::Json encoded = Run("tokenize", {model, "--text", "cab"});
  EXPECT_THAT(NamesOf(encoded), ElementsAre("ids", "tokens", "text"));
  EXPECT_EQ(encoded["ids"], core::Json({0, 3, 4}));
  EXPECT_EQ(encoded["tokens"], core::Json({"<s>", "c", "ab"}));
  EXPECT_EQ(encoded["text"], "cab");

  const core::Json bare = Run("tokenize", {model, "--text", "cab", "--no-special-tokens"});
  EXPECT_EQ(bare["ids"], core::Json({3, 4}));

  std::ofstream(directory_ / "text") << "cab";
  EXPECT_EQ(Run("tokenize", {model, "--file", (directory_ / "text").string()}), encoded);

  const core::Json decoded = Run("tokenize", {model, "--decode", "0,3,4"});
  EXPECT_EQ(decoded["ids"], encoded["ids"]);
  EXPECT_EQ(decoded["tokens"], encoded["tokens"]);
  EXPECT_THAT(decoded["text"].get<std::string>(), ::testing::StartsWith("<s>"));
}

// The fields of the report are listed by report_test.cc; here: one document, and the same in a
// file.
TEST_F(JsonShapesTest, TuneAndItsDifference) {
  const core::Json document = Run("tune", {"overlap", "--model", "Qwen/Qwen3-8B", "--operators",
                                           "fc1", "--output-dir", directory_.string()});
  EXPECT_EQ(document["final"], true);
  core::Json stored = core::ParseJsonFile(directory_ / "tuning_report.json");
  EXPECT_EQ(stored, document);
  const std::string report = (directory_ / "tuning_report.json").string();
  const core::Json difference = Run("tune", {"diff", report, report});
  EXPECT_THAT(NamesOf(difference),
              ElementsAre("verdict_a", "verdict_b", "layers", "sites", "remarks"));
  EXPECT_THAT(NamesOf(difference["sites"][0]),
              ElementsAre("tp_size", "site", "setting_a", "setting_b", "wall_a_us", "wall_b_us"));
}

TEST_F(JsonShapesTest, Inspect) {
  const core::Json document = Run("inspect", {(kData / "gpt2").string()});
  EXPECT_THAT(NamesOf(document),
              ElementsAre("model", "model_type", "parameters", "config", "files", "tensors",
                          "ignored_tensors", "tokenizer", "generation", "remarks"));
  EXPECT_EQ(document["model_type"], "gpt2");
  EXPECT_TRUE(document["tokenizer"].is_null());
  EXPECT_THAT(NamesOf(document["generation"]), ElementsAre("eos_ids", "bos_id", "pad_id"));
  EXPECT_THAT(NamesOf(document["files"][0]), ElementsAre("name", "bytes"));
  const core::Json& tensor = document["tensors"][0];
  EXPECT_THAT(NamesOf(tensor), ElementsAre("name", "tensor", "dtype", "shape", "role", "count"));
  EXPECT_EQ(tensor["tensor"], "token_embedding.weight");
  EXPECT_EQ(tensor["role"], "vocab");
  // q, k and v share a stored tensor, and the layers stand folded.
  int fused = 0;
  for (const core::Json& entry : document["tensors"])
    if (entry["name"].get<std::string>().ends_with("h.*.attn.c_attn.weight")) ++fused;
  EXPECT_EQ(fused, 3);
}

TEST_F(JsonShapesTest, Cache) {
  const std::string cache = (directory_ / "cache").string();
  Run("generate",
      {kModel, "--token-ids", "1", "--max-output-length", "1", "--tp", "2", "--cache-dir", cache});
  const core::Json list = Run("cache", {"ls", "--cache-dir", cache});
  EXPECT_THAT(NamesOf(list), ElementsAre("directory", "entries"));
  ASSERT_EQ(list["entries"].size(), 1u);
  EXPECT_THAT(NamesOf(list["entries"][0]),
              ElementsAre("name", "model", "dtype", "isa", "world", "ranks", "bytes"));
  EXPECT_EQ(list["entries"][0]["ranks"], core::Json({0, 1}));
  const core::Json verified = Run("cache", {"verify", "--cache-dir", cache});
  EXPECT_THAT(NamesOf(verified), ElementsAre("directory", "good_shards", "good_bytes", "problems"));
  EXPECT_EQ(verified["good_shards"], 2);
  const core::Json cleaned = Run("cache", {"clean", "--cache-dir", cache});
  EXPECT_THAT(NamesOf(cleaned), ElementsAre("directory", "removed", "removed_bytes", "kept"));
  EXPECT_EQ(cleaned["removed"].size(), 1u);
  EXPECT_TRUE(Run("cache", {"ls", "--cache-dir", cache})["entries"].empty());
}

TEST_F(JsonShapesTest, Trace) {
  const std::string file = (directory_ / "trace.json").string();
  std::ofstream(file) << trace::TraceText()
                             .Field(R"("distributedInfo": {"rank": 0})")
                             .Annotation("fc1_fprop", 0, 10)
                             .Launch(1, 1)
                             .Kernel("gemm", 20, 5, {.correlation = 1})
                             .Kernel("unheard_of", 30, 5, {})
                             .Json();
  const core::Json document = Run("trace", {"analyze", file, "--baseline", file});
  EXPECT_THAT(NamesOf(document), ElementsAre("ranks", "baseline", "operators"));
  const core::Json& rank = document["ranks"][0];
  EXPECT_THAT(NamesOf(rank),
              ElementsAre("file", "rank", "all", "hta", "operators", "unknown_kernels",
                          "events_without_launch", "events_without_operator"));
  const Names figures = {"wall_us",
                         "gemm_us",
                         "compute_us",
                         "comm_us",
                         "overlap_us",
                         "exposed_us",
                         "hidden_pct",
                         "head_us",
                         "tail_us",
                         "reduce_us",
                         "wait_us",
                         "overlap_over_shorter",
                         "overlap_over_compute"};
  Names all = figures;
  std::erase(all, "hidden_pct");
  all.insert(all.end(), {"overlap_pct", "busy_us", "idle_us", "events"});
  EXPECT_EQ(NamesOf(rank["all"]), all);
  EXPECT_THAT(NamesOf(rank["hta"]), ElementsAre("include_last", "drop_last"));
  EXPECT_THAT(NamesOf(rank["hta"]["drop_last"]),
              ElementsAre("overlap_pct", "kernel_time_us", "idle_us", "compute_us",
                          "non_compute_us", "comm_us", "overlap_us"));
  Names metrics = {"name", "pass"};
  metrics.insert(metrics.end(), figures.begin(), figures.end());
  metrics.insert(metrics.end(), {"gemm_slowdown", "efficiency"});
  Names of_rank = metrics;
  of_rank.insert(of_rank.end(), {"windows", "streams"});
  EXPECT_EQ(NamesOf(rank["operators"][0]), of_rank);
  EXPECT_THAT(NamesOf(rank["operators"][0]["streams"][0]),
              ElementsAre("device", "stream", "role", "busy_us"));
  EXPECT_THAT(
      NamesOf(rank["unknown_kernels"][0]),
      ElementsAre("name", "class", "count", "total_us", "known", "looks_like_communication"));
  Names merged = metrics;
  merged.insert(merged.end(), {"ranks", "slowest_file", "fastest_wall_us"});
  EXPECT_EQ(NamesOf(document["operators"][0]), merged);

  const core::Json kernels = Run("trace", {"kernels", file});
  EXPECT_THAT(NamesOf(kernels), ElementsAre("kernels"));
  EXPECT_EQ(kernels["kernels"].size(), 2u);
  const core::Json diff = Run("trace", {"diff", file, file});
  EXPECT_THAT(NamesOf(diff), ElementsAre("a", "b", "rows"));
  EXPECT_THAT(NamesOf(diff["rows"][0]), ElementsAre("operator", "a", "b"));
  EXPECT_EQ(NamesOf(diff["rows"][0]["a"]), figures);
}

}  // namespace
}  // namespace autodist::cli
