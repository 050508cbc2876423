#include "autodist/planner/cost_model.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "autodist/core/error.h"

namespace autodist::planner {
namespace {

constexpr double kReadBytesPerCore = 8e9;
constexpr double kFlopsPerCore = 30e9;
constexpr double kLinkLatency = 5e-6;
constexpr double kLinkBytes = 4e9;
constexpr double kMessageElementBytes = 4.0;  // partial sums and the residual travel in f32

// One kind of forward call.
struct Call {
  double rows = 1.0;       // tokens
  double sequences = 1.0;  // whose caches are read
  double keys = 1.0;       // cached positions per sequence, on average
  double logit_rows = 1.0;
};

// What one rank does of a call, in seconds, without communication.
double ComputeTime(const spec::ModelConfig& config, const RankPart& part, const RunShape& shape,
                   const Call& call, double read_rate, double flop_rate) {
  const double element = static_cast<double>(core::SizeOf(shape.compute_dtype));
  const double weight_bytes = core::BitsPerWeight(shape.weight_format()) / 8;
  const double layers = static_cast<double>(part.layers.size());
  const double matrices =
      layers * static_cast<double>(LayerWeightBytes(config, part.share, shape.weight_format()));
  // The embedding look-up reads a few rows; the head is read whole.
  const double head =
      part.last_stage
          ? static_cast<double>(VocabTableBytes(config, part.share, shape.weight_format()))
          : 0.0;
  const double heads = static_cast<double>(part.share.q_heads.size() * config.head_dim);
  const double kv_heads = static_cast<double>(part.share.kv_heads.size() * config.head_dim);
  const double cache = 2.0 * layers * kv_heads * call.keys * call.sequences * element;
  const double flops = 2.0 * (call.rows * matrices + call.logit_rows * head) / weight_bytes +
                       4.0 * layers * heads * call.rows * call.keys;
  return std::max((matrices + head + cache) / read_rate, flops / flop_rate);
}

std::vector<double> StageTimes(const spec::ModelConfig& config, const Outline& outline,
                               const spec::Cluster& cluster, const Call& call,
                               double calls_in_flight) {
  const spec::Mesh& mesh = outline.mesh;
  const double world = mesh.world();
  const double cores = cluster.cores;
  const double busy_ranks = std::min<double>(mesh.pp, calls_in_flight) * mesh.tp;
  const double own_cores = std::max(1.0, std::floor(cores / world));
  const double fraction = std::min(own_cores / cores, 1.0 / busy_ranks);
  const double message = kMessageElementBytes * call.rows * static_cast<double>(config.hidden_size);
  const double send = cluster.link_latency_s + message / cluster.link_bytes_per_s;
  const double all_reduce =
      cluster.link_latency_s + 2.0 * (mesh.tp - 1) / mesh.tp * message / cluster.link_bytes_per_s;

  std::vector<double> times;
  for (int stage = 0; stage < mesh.pp; ++stage) {
    double time = 0.0;
    for (int tp_index = 0; tp_index < mesh.tp; ++tp_index) {
      const RankPart part = outline.PartOf(mesh.RankOf(stage, 0, tp_index));
      time = std::max(
          time, ComputeTime(config, part, outline.shape, call, cluster.read_bytes_per_s * fraction,
                            cluster.flops_per_s * fraction));
    }
    if (mesh.tp > 1) {
      const double layers =
          static_cast<double>(outline.stage_layers[static_cast<size_t>(stage)].size());
      time += 2.0 * layers * all_reduce;
      if (stage == 0) time += all_reduce;
      if (stage + 1 == mesh.pp) time += cluster.link_latency_s;
    }
    if (stage + 1 < mesh.pp) time += send;
    times.push_back(time);
  }
  return times;
}

double Sum(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum;
}

bool Positive(double value) { return std::isfinite(value) && value > 0.0; }

}  // namespace

Prediction Predict(const spec::ModelConfig& config, const Outline& outline,
                   const spec::Cluster& cluster) {
  const RunShape& shape = outline.shape;
  const double batch = static_cast<double>(shape.batch_size);
  const int64_t prompt = std::max<int64_t>(1, shape.max_model_len / 2);
  const int64_t generated = std::max<int64_t>(1, shape.max_model_len - prompt);
  Prediction result;
  {
    const int64_t chunk = std::min(shape.prefill_chunk, prompt);
    const double calls =
        std::ceil(static_cast<double>(prompt) / static_cast<double>(chunk)) * batch;
    const Call call{.rows = static_cast<double>(chunk), .keys = static_cast<double>(prompt) / 2.0};
    const auto times = StageTimes(config, outline, cluster, call, calls);
    result.prefill_s = Sum(times) + (calls - 1.0) * *std::max_element(times.begin(), times.end());
    result.prefill_tokens_per_s = batch * static_cast<double>(prompt) / result.prefill_s;
  }
  {
    const double rows = static_cast<double>(std::min(shape.micro_batch_size, shape.batch_size));
    const double calls = std::ceil(batch / rows);
    const Call call{.rows = rows,
                    .sequences = rows,
                    .keys = static_cast<double>(shape.max_model_len) / 2.0,
                    .logit_rows = rows};
    const auto times = StageTimes(config, outline, cluster, call, calls);
    const double step = std::max(Sum(times), calls * *std::max_element(times.begin(), times.end()));
    result.decode_s = step * static_cast<double>(generated);
    result.decode_tokens_per_s = batch / step;
  }
  return result;
}

bool RatesUnknown(const spec::Cluster& cluster) {
  return cluster.read_bytes_per_s == 0.0 && cluster.flops_per_s == 0.0 &&
         cluster.link_latency_s == 0.0 && cluster.link_bytes_per_s == 0.0;
}

spec::Cluster CompleteCluster(const spec::Cluster& cluster) {
  if (cluster.cores < 1)
    throw core::BadInput("cluster: cores is {}, must be at least 1", cluster.cores);
  spec::Cluster complete = cluster;
  if (RatesUnknown(cluster)) {
    complete.read_bytes_per_s = kReadBytesPerCore * cluster.cores;
    complete.flops_per_s = kFlopsPerCore * cluster.cores;
    complete.link_latency_s = kLinkLatency;
    complete.link_bytes_per_s = kLinkBytes;
    return complete;
  }
  struct Named {
    const char* name;
    double value;
  };
  for (const Named& rate :
       {Named{"read_bytes_per_s", cluster.read_bytes_per_s},
        Named{"flops_per_s", cluster.flops_per_s}, Named{"link_latency_s", cluster.link_latency_s},
        Named{"link_bytes_per_s", cluster.link_bytes_per_s}})
    if (!Positive(rate.value))
      throw core::BadInput("cluster: {} is {}, must be a positive, finite number", rate.name,
                           rate.value);
  return complete;
}

}  // namespace autodist::planner
