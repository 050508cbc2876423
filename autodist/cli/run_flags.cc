#include "autodist/cli/run_flags.h"

#include <unistd.h>

#include <charconv>
#include <cmath>
#include <system_error>

#include "autodist/cli/bundled_model.h"
#include "autodist/core/error.h"

namespace autodist::cli {

using core::BadInput;

void ModelFlag::Add(CLI::App& app) {
  app.add_option("--model,model", model, "Directory, or org/name[@revision] in the HuggingFace cache")
      ->type_name("DIR")
      ->default_str("the bundled model");
}

std::string ModelFlag::Resolve() const { return model.empty() ? BundledModelDirectory().string() : model; }

uint64_t ParseBytes(const std::string& text, const std::string& flag) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit(end, text.data() + text.size());
  if (!unit.empty() && (unit.back() == 'B' || unit.back() == 'b')) unit.pop_back();
  if (!unit.empty() && unit.back() == 'i') unit.pop_back();
  static constexpr std::string_view kUnits = "KMGT";
  double factor = 1;
  bool known = unit.empty();
  if (unit.size() == 1) {
    const size_t power = kUnits.find(static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0]))));
    known = power != std::string_view::npos;
    if (known) factor = std::pow(1024.0, static_cast<double>(power + 1));
  }
  if (error != std::errc() || !known || !(number > 0) || number * factor > 0x1p62)
    throw BadInput("{} is {}, must be a positive size such as 8G or 512M", flag, text);
  return static_cast<uint64_t>(number * factor);
}

void RunFlags::Add(CLI::App& app) {
  model.Add(app);
  app.add_option("--tensor-parallel-size,--tp", options.tensor_parallel_size, "Ranks that share each layer")
      ->type_name("N")->capture_default_str()->group("Mesh");
  app.add_option("--pipeline-parallel-size,--pp", options.pipeline_parallel_size, "Stages of consecutive layers")
      ->type_name("N")->capture_default_str()->group("Mesh");
  app.add_option("--data-parallel-size,--dp", options.data_parallel_size, "Replicas")
      ->type_name("N")->capture_default_str()->group("Mesh");
  app.add_option("--ranks", options.ranks, "Instead of the three: the planner chooses, and says why")
      ->type_name("N")->group("Mesh");
  app.add_option("--stage-layers", options.stage_layers, "Layers per stage, e.g. 10,14; default: by bytes")
      ->delimiter(',')->type_name("N,N,...")->group("Mesh");
  app.add_option("--rank-memory", rank_memory, "Memory per rank, e.g. 8G or 8G,16G; default: detected")
      ->delimiter(',')->type_name("SIZE,...")->group("Mesh");
  app.add_option("--local-rank", options.local_rank, "Checked against the launcher")->type_name("N")->group("Mesh");
  app.add_option("--world-size", options.world_size, "Checked against the launcher")->type_name("N")->group("Mesh");
  app.add_option("--batch-size", options.batch_size, "Sequences in flight")
      ->type_name("N")->capture_default_str()->group("Run");
  app.add_option("--micro-batch-size", options.micro_batch_size, "Sequences per micro-batch; default: batch / pp")
      ->type_name("N")->group("Run");
  app.add_option("--max-model-len", options.max_model_len, "Context the KV cache is planned for")
      ->type_name("N")->group("Run");
  app.add_option("--dtype", options.dtype, "auto, float32, bfloat16 or float16")->capture_default_str()->group("Run");
  app.add_option("--weights", weights, "auto: as --dtype")->capture_default_str()->group("Run");
  app.add_option("--device", options.device, "cpu")->capture_default_str()->group("Run");
  app.add_option("--threads", options.threads, "Threads per rank; default: usable cores / local ranks")
      ->type_name("N")->group("Run");
  app.add_option("--collective-timeout", options.collective_timeout_s, "Longest wait for a peer, in seconds")
      ->type_name("S")->capture_default_str()->group("Run");
  app.add_flag("--deterministic", options.deterministic, "Results do not depend on what else is in the batch")
      ->group("Run");
  app.add_flag("--capture-graph,!--no-capture-graph", capture_graph, "Record and replay work (cuda)")->group("Run");
  app.add_option("--cache-dir", cache_dir, "Shard cache; default: $XDG_CACHE_HOME/autodist")
      ->type_name("DIR")->group("Shard cache");
  auto* no_cache_flag = app.add_flag("--no-cache", no_cache, "Neither read nor write the cache")->group("Shard cache");
  app.add_flag("--rebuild-cache", options.rebuild_cache, "Replace what the cache holds")
      ->excludes(no_cache_flag)->group("Shard cache");
  app.add_option("--output-dir", output_dir, "Files are written here, and only here")->type_name("DIR")->group("Output");
  app.add_flag("--json", json, "Stdout is exactly one JSON document")->group("Output");
  app.add_flag("--quiet", options.quiet, "No progress lines")->group("Output");
}

ModelRunnerOptions RunFlags::Options() const {
  ModelRunnerOptions result = options;
  result.model_name_or_path = model.Resolve();
  for (const std::string& size : rank_memory) result.rank_memory_bytes.push_back(ParseBytes(size, "--rank-memory"));
  result.use_cache = !no_cache;
  result.cache_dir = cache_dir;
  if (!capture_graph.empty()) result.capture_graph = capture_graph == "true";
  if (weights != "auto") throw BadInput("--weights is {}, must be auto: weights are not quantised in this version", weights);
  if (options.threads < 0) throw BadInput("--threads is {}, must be at least 1", options.threads);
  if (!(options.collective_timeout_s > 0) || !std::isfinite(options.collective_timeout_s))
    throw BadInput("--collective-timeout is {}, must be more than 0 seconds", options.collective_timeout_s);
  result.quiet = options.quiet || ::isatty(STDERR_FILENO) == 0;
  return result;
}

void RunFlags::PrepareOutputDir() const {
  if (output_dir.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(output_dir, error);
  if (error) throw BadInput("--output-dir {}: cannot be created: {}", output_dir, error.message());
  if (::access(output_dir.c_str(), W_OK) != 0) throw BadInput("--output-dir {}: is not writable", output_dir);
}

}  // namespace autodist::cli
