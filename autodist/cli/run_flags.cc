#include "autodist/cli/run_flags.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

#include "autodist/cli/flag_values.h"
#include "autodist/cli/shipped_files.h"
#include "autodist/core/error.h"
#include "autodist/core/json.h"
#include "autodist/runtime/loaded_model.h"

namespace autodist::cli {

using core::BadInput;

void ModelFlag::Add(CLI::App& app) {
  const auto set_model = [this](const std::string& name) {
    if (name.empty()) throw BadInput("--model is empty, must be a directory or org/name");
    model = name;
  };
  AddParsed(app, "--model,model", set_model,
            "Directory, or org/name[@revision] in the HuggingFace cache")
      .Type("DIR")
      .Default("the bundled model");
}

std::string ModelFlag::Resolve() const {
  return model.empty() ? BundledModelDirectory().string() : model;
}

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
    const size_t power =
        kUnits.find(static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0]))));
    known = power != std::string_view::npos;
    if (known) factor = std::pow(1024.0, static_cast<double>(power + 1));
  }
  if (error != std::errc() || !known || !(number > 0) || number * factor > 0x1p62)
    throw BadInput("{} is \"{}\", must be a positive size such as 8G or 512M", flag, text);
  return static_cast<uint64_t>(number * factor);
}

std::vector<uint64_t> ParseByteList(const std::string& text, const std::string& flag) {
  std::vector<uint64_t> sizes;
  for (size_t first = 0; first <= text.size();) {
    const size_t comma = std::min(text.find(',', first), text.size());
    sizes.push_back(ParseBytes(text.substr(first, comma - first), flag));
    first = comma + 1;
  }
  return sizes;
}

void RunFlags::Add(CLI::App& app) {
  model_.Add(app);
  AddMeshFlags(app);
  AddExecutionFlags(app);
  AddCacheAndOutputFlags(app);
}

void RunFlags::AddMeshFlags(CLI::App& app) {
  constexpr const char* kGroup = "Mesh";
  AddInteger(app, "--tensor-parallel-size,--tp", options_.tensor_parallel_size,
             "Ranks that share each layer")
      .Group(kGroup);
  AddInteger(app, "--pipeline-parallel-size,--pp", options_.pipeline_parallel_size,
             "Stages of consecutive layers")
      .Group(kGroup);
  AddInteger(app, "--data-parallel-size,--dp", options_.data_parallel_size,
             "Replicas; generation takes 1")
      .Group(kGroup);
  AddOptionalInteger(app, "--ranks", ranks_,
                     "Instead of the three: the planner chooses tp and pp, and says why", 1)
      .Group(kGroup);
  AddIntegerList(app, "--stage-layers", options_.stage_layers,
                 "Layers of each stage, e.g. 10,14 (default: stages that read alike per token)")
      .Group(kGroup);
  AddText(app, "--rank-memory", rank_memory_,
          "Memory per rank, one size or one for each rank, e.g. 8G,16G (default: detected)")
      .Type("SIZE,...")
      .Group(kGroup);
  AddText(app, "--cluster", cluster_file_,
          "The machines that predictions are for, as `autodist calibrate` measured them "
          "(default: typical rates)")
      .Type("FILE")
      .Group(kGroup);
  AddOptionalInteger(
      app, "--local-rank", local_rank_,
      "This process's rank on its host (default: the launcher's; checked against it)", 0)
      .Group(kGroup);
  AddOptionalInteger(app, "--world-size", world_size_,
                     "Number of processes (default: the launcher's; checked against it)", 1)
      .Group(kGroup);
}

void RunFlags::AddExecutionFlags(CLI::App& app) {
  constexpr const char* kGroup = "Execution";
  AddInteger<int64_t>(app, "--batch-size", options_.batch_size, "Sequences in flight", 1)
      .Group(kGroup);
  AddOptionalInteger<int64_t>(
      app, "--micro-batch-size", micro_batch_size_,
      "Sequences per micro-batch (default: batch size / stages, rounded up)", 1)
      .Group(kGroup);
  AddOptionalInteger<int64_t>(
      app, "--max-model-len", max_model_len_,
      "Positions per sequence that the KV cache is planned for (default: prompt + output)", 1)
      .Group(kGroup);
  AddText(app, "--dtype", options_.dtype,
          "auto, float32, bfloat16 or float16; auto: as stored, float16 computed in float32")
      .Type("TYPE")
      .Default(options_.dtype)
      .Group(kGroup);
  AddText(app, "--weights", options_.weights,
          "auto, int8 or int4: weights are quantised when they are loaded; auto: as --dtype")
      .Type("TYPE")
      .Default(options_.weights)
      .Group(kGroup);
  AddText(app, "--device", options_.device, "cpu or cuda")
      .Type("DEVICE")
      .Default(options_.device)
      .Group(kGroup);
  AddOptionalInteger(app, "--threads", threads_,
                     "Threads per rank (default: usable cores / ranks on this host)", 1)
      .Group(kGroup);
  AddNumber(app, "--collective-timeout", options_.collective_timeout_s,
            "Longest wait for another rank, in seconds")
      .Group(kGroup);
  AddSwitch(app, "--deterministic", options_.deterministic,
            "Results do not depend on what else is in the batch")
      .Group(kGroup);
  AddSwitch(app, "--capture-graph", capture_graph_, "Record work once and replay it (cuda)")
      .Group(kGroup);
  AddSwitch(app, "--no-capture-graph", no_capture_graph_, "Start all work one by one")
      .Group(kGroup);
}

void RunFlags::AddCacheAndOutputFlags(CLI::App& app) {
  AddText(app, "--cache-dir", cache_dir_,
          "Where packed weights are kept between runs (default: $XDG_CACHE_HOME/autodist)")
      .Type("DIR")
      .Group("Shard cache");
  AddSwitch(app, "--no-cache", no_cache_, "Neither read nor write the cache").Group("Shard cache");
  AddSwitch(app, "--rebuild-cache", options_.rebuild_cache, "Replace what the cache holds")
      .Group("Shard cache");
  const auto set_output_dir = [this](const std::string& directory) {
    if (directory.empty()) throw BadInput("--output-dir is empty, must be a directory");
    output_dir_ = directory;
  };
  AddParsed(app, "--output-dir", set_output_dir, "Files are written here, and only here")
      .Type("DIR")
      .Group("Output");
  AddSwitch(app, "--json", json_, "Print exactly one JSON document").Group("Output");
  AddSwitch(app, "--quiet", quiet_, "No progress lines").Group("Output");
}

ModelRunnerOptions RunFlags::Options() const {
  ModelRunnerOptions result = options_;
  result.ranks = ranks_.value_or(0);
  if (ranks_ && (options_.tensor_parallel_size != 1 || options_.pipeline_parallel_size != 1 ||
                 options_.data_parallel_size != 1))
    throw BadInput(
        "--ranks {} stands instead of --tp {}, --pp {} and --dp {}: the planner chooses them",
        *ranks_, options_.tensor_parallel_size, options_.pipeline_parallel_size,
        options_.data_parallel_size);
  if (!cluster_file_.empty())
    result.cluster = spec::ParseCluster(core::ParseJsonFile(cluster_file_), cluster_file_);
  result.local_rank = local_rank_.value_or(-1);
  result.world_size = world_size_.value_or(0);
  result.threads = threads_.value_or(0);
  result.micro_batch_size = micro_batch_size_.value_or(0);
  result.max_model_len = max_model_len_.value_or(0);
  if (!rank_memory_.empty())
    result.rank_memory_bytes = ParseByteList(rank_memory_, "--rank-memory");
  runtime::CheckLimits(result);
  if (capture_graph_ && no_capture_graph_)
    throw BadInput("--capture-graph and --no-capture-graph exclude each other");
  if (capture_graph_ || no_capture_graph_) result.capture_graph = capture_graph_;
  if (no_cache_ && options_.rebuild_cache)
    throw BadInput("--no-cache and --rebuild-cache exclude each other");
  if (cache_dir_ && cache_dir_->empty())
    throw BadInput("--cache-dir is empty, must be a directory");
  result.use_cache = !no_cache_;
  result.cache_dir = cache_dir_.value_or("");
  result.quiet = quiet_ || ::isatty(STDERR_FILENO) == 0;
  result.model_name_or_path = model_.Resolve();
  return result;
}

void RunFlags::PrepareOutputDir() const {
  if (!output_dir_.empty()) MakeOutputDir(output_dir_);
}

std::filesystem::path RunFlags::OutputFile(const std::string& name, std::string_view flag) const {
  const std::filesystem::path file = name;
  if (!output_dir_.empty() &&
      (file.is_absolute() || file.lexically_normal().native().starts_with("..")))
    throw BadInput("{} is {}, must be a name under --output-dir {}", flag, name, output_dir_);
  return std::filesystem::path(output_dir_) / file;
}

}  // namespace autodist::cli
