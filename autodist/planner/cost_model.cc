#include "autodist/planner/cost_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "autodist/core/error.h"

namespace autodist::planner {
namespace {

constexpr double kReadBytesPerCore = 8e9;
constexpr double kFlopsPerCore = 30e9;
constexpr double kLinkLatency = 5e-6;
constexpr double kLinkBytes = 4e9;
constexpr double kMessageElementBytes = 4.0;  // partial sums and the residual travel in f32
constexpr double kOperationsPerLayer = 6.0;   // four products, the cache, attention

// One kind of forward call.
struct Call {
  double rows = 1.0;       // tokens
  double sequences = 1.0;  // whose caches are read
  double keys = 1.0;       // cached positions per sequence, on average
  double logit_rows = 1.0;
};

// What one rank can do while its peers are as busy as they will be.
struct RankRates {
  double read_bytes_per_s;
  double flops_per_s;
  double attention_flops_per_s;
  double row_bytes_per_s;
  double operation_s;
};

struct Link {
  double latency_s;
  double bytes_per_s;
};

double RanksPerHost(const spec::Mesh& mesh, const spec::Cluster& cluster) {
  return std::max(1.0, std::ceil(static_cast<double>(mesh.world()) / cluster.hosts));
}

RankRates RatesOf(const spec::Mesh& mesh, const spec::Cluster& cluster, double calls_in_flight) {
  const double cores = cluster.cores;
  const double here = RanksPerHost(mesh, cluster);
  const double busy = std::min(here, std::min<double>(mesh.pp, calls_in_flight) * mesh.tp);
  const double own_cores = std::max(1.0, std::floor(cores / here));
  const double fraction = std::min(own_cores / cores, 1.0 / busy);
  return {.read_bytes_per_s =
              std::min(cluster.core_read_bytes_per_s * own_cores, cluster.read_bytes_per_s / busy),
          .flops_per_s = cluster.flops_per_s * fraction,
          .attention_flops_per_s = cluster.attention_flops_per_s * fraction,
          .row_bytes_per_s = cluster.row_bytes_per_s * fraction,
          .operation_s = cluster.operation_s};
}

// Between ranks first, ..., last.
Link LinkOf(const spec::Mesh& mesh, const spec::Cluster& cluster, int first, int last) {
  const int per_host = static_cast<int>(RanksPerHost(mesh, cluster));
  if (first / per_host == last / per_host)
    return {cluster.link_latency_s, cluster.link_bytes_per_s};
  return {cluster.host_link_latency_s, cluster.host_link_bytes_per_s};
}

// What the operations that are no products read and write of activations in one layer, in bytes per
// row: two norms (f32 in, the compute dtype out) and two sums (two f32 in, one out) of the hidden
// size, q, k and v once more in and out, and the activation (gate and up in, the compute dtype
// out).
double RowBytes(const spec::ModelConfig& config, const RankPart& part, double element) {
  const double hidden = static_cast<double>(config.hidden_size);
  const double qkv = static_cast<double>(
      (part.share.q_heads.size() + 2 * part.share.kv_heads.size()) * config.head_dim);
  const double ffn = static_cast<double>(part.share.ffn.size());
  return hidden * (2.0 * (4.0 + element) + 2.0 * 12.0) + qkv * 8.0 +
         ffn * ((config.gated_mlp ? 8.0 : 4.0) + element);
}

// What one rank does of a call, in seconds, without communication.
double ComputeTime(const spec::ModelConfig& config, const RankPart& part, const RunShape& shape,
                   const Call& call, const RankRates& rates) {
  const double element = static_cast<double>(core::SizeOf(shape.compute_dtype));
  const double weight_bytes = core::BitsPerWeight(shape.weight_format()) / 8;
  const double layers = static_cast<double>(part.layers.size());
  const auto products = [&](double bytes, double rows) {
    return std::max(bytes / rates.read_bytes_per_s,
                    2.0 * rows * bytes / weight_bytes / rates.flops_per_s);
  };
  const double matrices =
      layers * static_cast<double>(LayerWeightBytes(config, part.share, shape.weight_format()));
  const double heads = static_cast<double>(part.share.q_heads.size() * config.head_dim);
  const double kv_heads = static_cast<double>(part.share.kv_heads.size() * config.head_dim);
  const double cache = 2.0 * layers * kv_heads * call.keys * call.sequences * element;
  double time =
      products(matrices, call.rows) +
      std::max(cache / rates.read_bytes_per_s,
               4.0 * layers * heads * call.rows * call.keys / rates.attention_flops_per_s) +
      layers * (call.rows * RowBytes(config, part, element) / rates.row_bytes_per_s +
                kOperationsPerLayer * rates.operation_s);
  // The embedding look-up reads a few rows; the head is read whole, if at all.
  if (part.last_stage) {
    const double head =
        static_cast<double>(VocabTableBytes(config, part.share, shape.weight_format()));
    time += std::min(1.0, call.logit_rows) * products(head, std::max(1.0, call.logit_rows));
  }
  return time;
}

struct StageTime {
  double compute_s = 0.0;  // of the slowest rank
  double total_s = 0.0;    // and its communication
};

std::vector<StageTime> StageTimes(const spec::ModelConfig& config, const Outline& outline,
                                  const spec::Cluster& cluster, const Call& call,
                                  double calls_in_flight) {
  const spec::Mesh& mesh = outline.mesh;
  const RankRates rates = RatesOf(mesh, cluster, calls_in_flight);
  const double message = kMessageElementBytes * call.rows * static_cast<double>(config.hidden_size);
  std::vector<StageTime> times;
  for (int stage = 0; stage < mesh.pp; ++stage) {
    StageTime time;
    for (int tp_index = 0; tp_index < mesh.tp; ++tp_index) {
      const RankPart part = outline.PartOf(mesh.RankOf(stage, 0, tp_index));
      time.compute_s =
          std::max(time.compute_s, ComputeTime(config, part, outline.shape, call, rates));
    }
    time.total_s = time.compute_s;
    const int first = mesh.RankOf(stage, 0, 0);
    if (mesh.tp > 1) {
      const Link link = LinkOf(mesh, cluster, first, first + mesh.tp - 1);
      const double all_reduce =
          link.latency_s + 2.0 * (mesh.tp - 1) / mesh.tp * message / link.bytes_per_s;
      const double layers =
          static_cast<double>(outline.stage_layers[static_cast<size_t>(stage)].size());
      time.total_s += 2.0 * layers * all_reduce;
      if (stage == 0) time.total_s += all_reduce;
      if (stage + 1 == mesh.pp) time.total_s += link.latency_s;
    }
    if (stage + 1 < mesh.pp) {
      const Link link = LinkOf(mesh, cluster, first, mesh.RankOf(stage + 1, 0, 0));
      time.total_s += link.latency_s + message / link.bytes_per_s;
    }
    times.push_back(time);
  }
  return times;
}

double Sum(const std::vector<StageTime>& times) {
  double sum = 0.0;
  for (const StageTime& time : times) sum += time.total_s;
  return sum;
}

double Slowest(const std::vector<StageTime>& times) {
  double slowest = 0.0;
  for (const StageTime& time : times) slowest = std::max(slowest, time.total_s);
  return slowest;
}

bool Positive(double value) { return std::isfinite(value) && value > 0.0; }

struct Named {
  const char* name;
  double value;
};

[[noreturn]] void RefuseRate(const Named& rate, const char* limit) {
  throw core::BadInput("cluster: {} is {}, must be a {}, finite number", rate.name, rate.value,
                       limit);
}

void CheckRates(const spec::Cluster& cluster) {
  for (const Named& rate :
       {Named{"read_bytes_per_s", cluster.read_bytes_per_s},
        Named{"flops_per_s", cluster.flops_per_s}, Named{"link_latency_s", cluster.link_latency_s},
        Named{"link_bytes_per_s", cluster.link_bytes_per_s}})
    if (!Positive(rate.value)) RefuseRate(rate, "positive");
  for (const Named& rate : {Named{"core_read_bytes_per_s", cluster.core_read_bytes_per_s},
                            Named{"attention_flops_per_s", cluster.attention_flops_per_s},
                            Named{"row_bytes_per_s", cluster.row_bytes_per_s},
                            Named{"operation_s", cluster.operation_s},
                            Named{"host_link_latency_s", cluster.host_link_latency_s},
                            Named{"host_link_bytes_per_s", cluster.host_link_bytes_per_s}})
    if (rate.value != 0.0 && !Positive(rate.value)) RefuseRate(rate, "non-negative");
}

}  // namespace

Prediction Predict(const spec::ModelConfig& config, const Outline& outline,
                   const spec::Cluster& cluster) {
  const RunShape& shape = outline.shape;
  const double batch = static_cast<double>(shape.batch_size);
  const double prompt = static_cast<double>(std::max<int64_t>(1, shape.max_model_len / 2));
  const double generated = std::max(1.0, static_cast<double>(shape.max_model_len) - prompt);
  Prediction result;
  {
    // The prompts of a micro-batch fill calls one after the other; each asks for logits once.
    const double together = static_cast<double>(std::min(shape.micro_batch_size, shape.batch_size));
    const double turns = std::ceil(batch / together);
    const double calls =
        turns * std::ceil(together * prompt / static_cast<double>(shape.prefill_chunk));
    const Call call{
        .rows = batch * prompt / calls, .keys = prompt / 2.0, .logit_rows = batch / calls};
    const auto times = StageTimes(config, outline, cluster, call, calls);
    result.prefill_s = Sum(times) + (calls - 1.0) * Slowest(times);
    result.prefill_tokens_per_s = batch * prompt / result.prefill_s;
    result.prefill_communication = 1.0 - calls * times.front().compute_s / result.prefill_s;
  }
  {
    const double rows = static_cast<double>(std::min(shape.micro_batch_size, shape.batch_size));
    const double calls = std::ceil(batch / rows);
    const Call call{.rows = rows,
                    .sequences = rows,
                    .keys = static_cast<double>(shape.max_model_len) / 2.0,
                    .logit_rows = rows};
    const auto times = StageTimes(config, outline, cluster, call, calls);
    // The tokens travel back to the first stage.
    const spec::Mesh& mesh = outline.mesh;
    const double back =
        mesh.pp > 1 ? LinkOf(mesh, cluster, 0, mesh.RankOf(mesh.pp - 1, 0, 0)).latency_s : 0.0;
    const double step = std::max(Sum(times) + back, calls * Slowest(times));
    result.decode_s = step * generated;
    result.decode_tokens_per_s = batch / step;
    result.decode_communication = 1.0 - calls * times.front().compute_s / step;
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
  if (cluster.hosts < 1)
    throw core::BadInput("cluster: hosts is {}, must be at least 1", cluster.hosts);
  spec::Cluster complete = cluster;
  if (RatesUnknown(cluster)) {
    complete.read_bytes_per_s = kReadBytesPerCore * cluster.cores;
    complete.flops_per_s = kFlopsPerCore * cluster.cores;
    complete.link_latency_s = kLinkLatency;
    complete.link_bytes_per_s = kLinkBytes;
  }
  CheckRates(complete);
  const auto complete_rate = [](double& rate, double value) {
    if (rate == 0.0) rate = value;
  };
  complete_rate(complete.core_read_bytes_per_s, complete.read_bytes_per_s / complete.cores);
  complete_rate(complete.attention_flops_per_s, complete.flops_per_s);
  complete_rate(complete.row_bytes_per_s, std::numeric_limits<double>::infinity());
  complete_rate(complete.host_link_latency_s, complete.link_latency_s);
  complete_rate(complete.host_link_bytes_per_s, complete.link_bytes_per_s);
  return complete;
}

}  // namespace autodist::planner
