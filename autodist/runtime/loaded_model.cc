#include "autodist/runtime/loaded_model.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <utility>

#include "autodist/arch/registry.h"
#include "autodist/checkpoint/fingerprint.h"
#include "autodist/checkpoint/hash.h"
#include "autodist/checkpoint/model_directory.h"
#include "autodist/checkpoint/safetensors.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/log.h"
#include "autodist/core/version.h"
#include "autodist/device/cuda.h"
#include "autodist/device/topology.h"
#include "autodist/planner/planner.h"
#include "autodist/runtime/shard_layout.h"

namespace autodist::runtime {
namespace {

using core::BadInput;

// The longest time that ranks which have loaded wait for one that has not: a slow disk, another job
// that builds the shard.
constexpr double kLoadLimitS = 3600;
constexpr uint64_t kMaxConfigBytes = uint64_t{16} << 20;

core::DType ComputeDType(const std::string& word, core::DType stored) {
  if (word == "auto") return stored == core::DType::kBF16 ? core::DType::kBF16 : core::DType::kF32;
  if (word == "float32" || word == "float16") return core::DType::kF32;
  if (word == "bfloat16") return core::DType::kBF16;
  throw BadInput("--dtype is {}, must be auto, float32, bfloat16 or float16", word);
}

std::optional<core::WeightFormat> Quantisation(const std::string& word) {
  if (word == "auto") return std::nullopt;
  if (word == "int8") return core::WeightFormat::kInt8;
  if (word == "int4") return core::WeightFormat::kInt4;
  throw BadInput("--weights is {}, must be auto, int8 or int4", word);
}

// What is missing for "--device cuda". Kernels are missing where nothing else is.
std::string WhyNoCuda() {
  try {
    return fmt::format("this version of autodist has no kernels for {}",
                       device::ListCudaDevices().front().name);
  } catch (const core::Error& error) {
    return error.what();
  }
}

void CheckDevice(const RunOptions& options) {
  if (options.device == "cuda")
    throw BadInput("--device cuda: {}; --device cpu is available", WhyNoCuda());
  if (options.device != "cpu") throw BadInput("--device is {}, must be cpu", options.device);
  if (options.capture_graph.value_or(false))
    throw BadInput("--capture-graph needs --device cuda: on the CPU there is no graph to capture");
}

planner::PlanRequest RequestOf(const RunOptions& options, const spec::ModelConfig& config) {
  return {.mesh = {.tp = options.tensor_parallel_size,
                   .pp = options.pipeline_parallel_size,
                   .dp = options.data_parallel_size},
          .ranks = options.ranks,
          .stage_layers = options.stage_layers,
          .compute_dtype = ComputeDType(options.dtype, config.checkpoint_dtype),
          .quantisation = Quantisation(options.weights),
          .batch_size = options.batch_size,
          .micro_batch_size = options.micro_batch_size,
          .max_model_len = options.max_model_len,
          .prompt_length = options.prompt_length};
}

// Without --rank-memory, the ranks of this host share what it has.
spec::Cluster ClusterOf(const RunOptions& options, const planner::PlanRequest& request,
                        int local_ranks) {
  spec::Cluster cluster = options.cluster.value_or(spec::Cluster{.cores = device::UsableCores()});
  cluster.rank_memory_bytes = options.rank_memory_bytes;
  if (local_ranks == 0) local_ranks = request.ranks > 0 ? request.ranks : request.mesh.world();
  if (cluster.rank_memory_bytes.empty())
    cluster.rank_memory_bytes = {device::AvailableMemoryBytes() /
                                 static_cast<uint64_t>(std::max(1, local_ranks))};
  return cluster;
}

// "3,2"
std::string StageText(const spec::ParallelPlan& plan) {
  std::string text;
  for (int stage = 0; stage < plan.mesh.pp; ++stage) {
    const spec::Range layers = plan.rank(plan.mesh.RankOf(stage, 0, 0)).layers;
    text += fmt::format("{}{}", stage > 0 ? "," : "", layers.size());
  }
  return text;
}

// Cheap enough for every start: what the ranks of a job must have in common.
std::string HeaderHash(const PlannedModel& planned) {
  checkpoint::Hash128 hash;
  hash.AddField("config.json", core::ReadFile(planned.directory / "config.json", kMaxConfigBytes));
  for (const spec::WeightFile& file : planned.catalog.files)
    hash.AddField(file.path.filename().string(),
                  fmt::format("{} {:016x}", file.size_bytes, file.header_hash));
  return hash.Hex();
}

}  // namespace

void CheckLimits(const RunOptions& options) {
  // Far above the cores of any host, and far below what a kernel lets one user start.
  constexpr int kMaxThreads = 1024;
  constexpr double kMaxTimeoutS = 1e6;
  if (options.threads < 0 || options.threads > kMaxThreads)
    throw BadInput("--threads is {}, must be at most {}", options.threads, kMaxThreads);
  if (!(options.collective_timeout_s > 0) || options.collective_timeout_s > kMaxTimeoutS)
    throw BadInput("--collective-timeout is {}, must be more than 0 and at most {} seconds",
                   options.collective_timeout_s, kMaxTimeoutS);
  ComputeDType(options.dtype, core::DType::kF32);
  Quantisation(options.weights);
}

comm::LaunchInfo LaunchOf(const RunOptions& options) {
  if (options.in_process) return {};
  comm::LaunchFlags flags;
  if (options.local_rank >= 0) flags.local_rank = options.local_rank;
  if (options.world_size > 0) flags.world_size = options.world_size;
  return comm::DetectLaunch([](const char* name) { return std::getenv(name); }, flags);
}

// Processes of one job refuse together: each joins the others first, then all compare what they
// would do.
LoadedModel::LoadedModel(const RunOptions& options) {
  CheckLimits(options);
  const comm::LaunchInfo launch = LaunchOf(options);
  const bool alone = launch.launcher == comm::Launcher::kNone;
  if (!alone) StartJob(launch, launch.world_size, options);
  std::optional<core::Error> error;
  try {
    Prepare(options, launch);
  } catch (const core::Error& failure) {
    error = failure;
  }
  if (alone) {
    if (error) throw *error;
    StartJob(launch, planned_.plan.mesh.world(), options);
  } else {
    job_->Agree(error, {});
    job_->Agree(
        {},
        {{"the program version", std::string(core::kVersion)},
         {"the checkpoint (hash of config.json and headers)", HeaderHash(planned_)},
         {"the mesh", fmt::format("tp {} x pp {}", planned_.plan.mesh.tp, planned_.plan.mesh.pp)},
         {"the number of layers per stage (--stage-layers)", StageText(planned_.plan)},
         {"--dtype", std::string(core::NameOf(planned_.plan.compute_dtype))},
         {"--weights", std::string(core::NameOf(planned_.plan.weight_format()))},
         {"--batch-size", fmt::format("{}", planned_.plan.batch_size)},
         {"--micro-batch-size", fmt::format("{}", planned_.plan.micro_batch_size)},
         {"what is recorded (--trace)", fmt::format("{}", static_cast<int>(options.record_ops))},
         {"the context (--max-model-len)", fmt::format("{}", planned_.plan.max_model_len)},
         {"the placement", PlacementText(planned_.plan)}});
  }
  NoteSharedCores(alone ? planned_.plan.mesh.world() : launch.local_world_size);
  Load(options);
}

void LoadedModel::NoteSharedCores(int local_ranks) {
  const int threads = job_->threads_per_rank();
  const int cores = device::UsableCores();
  if (local_ranks * threads <= cores) return;
  planned_.model.remarks.push_back(fmt::format(
      "{} rank{} of {} thread{} share{} {} usable core{} of this host: that costs speed",
      local_ranks, local_ranks == 1 ? "" : "s", threads, threads == 1 ? "" : "s",
      local_ranks == 1 ? "s" : "", cores, cores == 1 ? "" : "s"));
}

void LoadedModel::StartJob(const comm::LaunchInfo& launch, int world_size,
                           const RunOptions& options) {
  job_ = std::make_unique<Job>(
      launch, JobOptions{.world_size = world_size,
                         .threads_per_rank = options.threads,
                         .deterministic = options.deterministic,
                         .comm = {.collective_timeout_s = options.collective_timeout_s},
                         .record_ops = options.record_ops});
}

PlannedModel PlanModel(const RunOptions& options, int local_ranks) {
  CheckDevice(options);
  PlannedModel planned;
  planned.directory = checkpoint::ResolveModelDirectory(options.model_name_or_path);
  planned.catalog = checkpoint::ReadCatalog(planned.directory);
  planned.model = arch::Describe(planned.directory, planned.catalog);
  const planner::PlanRequest request = RequestOf(options, planned.model.config);
  planned.plan = planner::MakePlan(planned.model.config, planned.model.tensors,
                                   ClusterOf(options, request, local_ranks), request);
  return planned;
}

void LoadedModel::Prepare(const RunOptions& options, const comm::LaunchInfo& launch) {
  const bool alone = launch.launcher == comm::Launcher::kNone;
  planned_ = PlanModel(options, alone ? 0 : launch.local_world_size);
  defaults_ = arch::ReadGenerationDefaults(planned_.directory, planned_.model.config);
  if (!alone)
    planner::CheckWorld(planned_.plan.mesh, launch.world_size, "the launcher's world size",
                        launch.local_rank);
  if (options.use_cache) {
    checkpoint::ShardCacheOptions cache_options;
    if (!options.cache_dir.empty()) cache_options.directory = options.cache_dir;
    cache_.emplace(cache_options);
    if (!cache_->enabled()) cache_.reset();
  }
}

checkpoint::ShardKey LoadedModel::CacheKey() const {
  return {.fingerprint = checkpoint::ComputeFingerprint(planned_.directory, planned_.catalog).local,
          .plan = spec::PlacementText(planned_.plan),
          .dtype = std::string(core::NameOf(planned_.plan.compute_dtype)),
          .quantisation = planned_.plan.quantisation
                              ? std::string(core::NameOf(*planned_.plan.quantisation))
                              : "none",
          .isa = std::string(device::NameOf(device::DetectIsa())),
          .library = fmt::format("{} packing {}", core::kVersion, kernels::PackedLayout::kVersion),
          .world = planned_.plan.mesh.world(),
          .model = checkpoint::ModelSlug(planned_.directory),
          .source = std::filesystem::absolute(planned_.directory).string()};
}

void LoadedModel::Load(const RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const checkpoint::WeightReader reader(planned_.catalog);
  const checkpoint::ShardKey key = cache_ ? CacheKey() : checkpoint::ShardKey{};
  uint64_t total = 0;
  for (const Rank& rank : job_->ranks()) total += planned_.plan.rank(rank.index).bytes.read;
  std::mutex mutex;
  const auto on_blob = [&] {
    if (!options.on_load_progress) return;
    const std::lock_guard lock(mutex);
    options.on_load_progress(reader.bytes_needed(), total);
  };
  shards_.resize(job_->ranks().size());
  job_->Run([&](size_t i) {
    Rank& rank = job_->ranks()[i];
    const device::OpScope group(rank.stream->log(), [] { return device::OpCost{.name = "load"}; });
    shards_[i] = LoadRank(rank, reader, key, options.rebuild_cache, on_blob);
    rank.world->Barrier(std::max(kLoadLimitS, options.collective_timeout_s));
  });
  for (const LoadedShard& shard : shards_)
    load_report_.ranks_from_cache += shard.from_cache() ? 1 : 0;
  load_report_.bytes_needed = reader.bytes_needed();
  load_report_.bytes_requested = reader.bytes_requested();
  load_report_.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

LoadedShard LoadedModel::LoadRank(Rank& rank, const checkpoint::WeightReader& reader,
                                  const checkpoint::ShardKey& key, bool rebuild_cache,
                                  const std::function<void()>& on_blob) {
  if (!cache_) return LoadedShard::Pack(*rank.stream, planned_.plan, rank.index, reader, on_blob);
  uint64_t bytes = 0;
  for (const BlobLayout& blob : LayoutShard(planned_.plan, rank.index)) bytes += blob.bytes();
  checkpoint::ShardCache::Access access = cache_->Acquire(key, rank.index, bytes, rebuild_cache);
  if (access.shard) {
    auto shard = LoadedShard::FromCache(planned_.plan, rank.index, *std::move(access.shard));
    if (shard) return *std::move(shard);
    core::Log("the cached shard holds other tensors than the plan; reading the checkpoint");
  }
  LoadedShard shard = LoadedShard::Pack(*rank.stream, planned_.plan, rank.index, reader, on_blob);
  if (access.writer) shard.Store(*access.writer);
  return shard;
}

}  // namespace autodist::runtime
