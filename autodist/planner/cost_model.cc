#include "autodist/planner/cost_model.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "autodist/planner/rates.h"

namespace autodist::planner {
namespace {

constexpr double kMessageElementBytes = 4.0;  // partial sums and the residual travel in f32
// Two norms, four products, rope, the cache, attention, an activation.
constexpr double kOperationsPerLayer = 10.0;

// One kind of forward call.
struct Call {
  double rows = 1.0;       // tokens
  double sequences = 1.0;  // whose caches are read
  double keys = 1.0;       // cached positions per sequence, on average
  double logit_rows = 1.0;
};

// Whether the ranks of a tp group share the rows of a sum, and of the norm that follows it.
bool SharesRows(double tp, double rows) {
  return tp > 1.0 && rows >= static_cast<double>(spec::kRowsToShare);
}

// Columns of a rank's part of a layer.
struct LayerWidths {
  double hidden;
  double q;
  double kv;
  double ffn;
};

// Bytes of activations that one layer reads and writes per row, but for its products, attention
// and the cache: two norms (f32 in, the compute dtype out); rope and the norms of q and k (f32 in
// and out); without a gate, whose activation belongs to its product, the activation; and with tp >
// 1 two sums (two f32 in, one out).
double RowBytes(const spec::ModelConfig& config, const LayerWidths& widths, double element,
                double tp, double rows) {
  const double turns = (config.rope.dim > 0 ? 1.0 : 0.0) + (config.qk_norm ? 1.0 : 0.0);
  const double own_rows = SharesRows(tp, rows) ? 1.0 / tp : 1.0;
  double bytes =
      own_rows * widths.hidden * 2.0 * (4.0 + element) + turns * (widths.q + widths.kv) * 8.0;
  if (tp > 1.0) bytes += own_rows * widths.hidden * 2.0 * 12.0;
  if (!config.gated_mlp) bytes += widths.ffn * (4.0 + element);
  return bytes;
}

// What one rank does of a call, in seconds, without communication.
double ComputeTime(const spec::ModelConfig& config, const RankPart& part, const RunShape& shape,
                   const Call& call, const RankRates& rates, double tp) {
  const double element = static_cast<double>(core::SizeOf(shape.compute_dtype));
  const double bits = core::BitsPerWeight(shape.weight_format());
  const double layers = static_cast<double>(part.layers.size());
  const auto products = [&](double bytes, double rows) {
    return rates.Products(rows, bytes * 8.0 / bits, bytes);
  };
  const double head_dim = static_cast<double>(config.head_dim);
  const double heads = static_cast<double>(part.share.q_heads.size());
  const double kv = static_cast<double>(part.share.kv_heads.size()) * head_dim;
  const LayerWidths widths{.hidden = static_cast<double>(config.hidden_size),
                           .q = heads * head_dim,
                           .kv = kv,
                           .ffn = static_cast<double>(part.share.ffn.size())};
  const double written_bytes = call.rows * 2.0 * kv * (4.0 + element);
  const auto cached_attention = [&](double rows) {
    return rates.CachedAttention(call.keys, rows * 2.0 * kv * element,
                                 rows * 4.0 * heads * head_dim);
  };
  const double attention =
      call.rows > call.sequences
          ? rates.Attention(call.rows * heads, call.rows * heads * call.keys, head_dim) +
                rates.Cache(call.sequences * 2.0 * kv * call.keys * element, written_bytes)
          : cached_attention(call.sequences);
  const double weight_bytes =
      static_cast<double>(LayerWeightBytes(config, part.share, shape.weight_format()));
  // The last layer makes queries, keys and values of all rows, and goes on with those that want
  // logits.
  const bool ends_early = part.last_stage && call.logit_rows < call.rows;
  double time = (layers - (ends_early ? 1.0 : 0.0)) *
                (products(weight_bytes, call.rows) + attention +
                 rates.Rows(call.rows * RowBytes(config, widths, element, tp, call.rows)));
  if (ends_early) {
    const double qkv = widths.q + 2.0 * widths.kv;
    const double qkv_bytes =
        weight_bytes * qkv / (qkv + widths.q + (config.gated_mlp ? 3.0 : 2.0) * widths.ffn);
    time += products(qkv_bytes, call.rows) + rates.Cache(0.0, written_bytes) +
            std::min(1.0, call.logit_rows) *
                (products(weight_bytes - qkv_bytes, std::max(1.0, call.logit_rows)) +
                 cached_attention(std::max(1.0, call.logit_rows)));
  }
  time += layers * rates.Operations(kOperationsPerLayer);
  // The embedding look-up reads a few rows; the head is read whole, if at all.
  if (part.last_stage)
    time +=
        std::min(1.0, call.logit_rows) *
        products(static_cast<double>(VocabTableBytes(config, part.share, shape.weight_format())),
                 std::max(1.0, call.logit_rows));
  return time;
}

struct StageTime {
  double compute_s = 0.0;  // of the slowest rank
  double total_s = 0.0;    // and its communication
  double late_s = 0.0;     // how long a stage that takes as long waits for it
};

std::vector<StageTime> StageTimes(const spec::ModelConfig& config, const Outline& outline,
                                  const spec::Cluster& cluster, const Call& call,
                                  double calls_in_flight) {
  const spec::Mesh& mesh = outline.mesh;
  const RankRates rates(mesh, cluster, calls_in_flight);
  const double message = kMessageElementBytes * call.rows * static_cast<double>(config.hidden_size);
  std::vector<StageTime> times;
  for (int stage = 0; stage < mesh.pp; ++stage) {
    StageTime time;
    for (int tp_index = 0; tp_index < mesh.tp; ++tp_index) {
      const RankPart part = outline.PartOf(mesh.RankOf(stage, 0, tp_index));
      time.compute_s =
          std::max(time.compute_s, ComputeTime(config, part, outline.shape, call, rates, mesh.tp));
    }
    time.total_s = time.compute_s;
    const double layers =
        static_cast<double>(outline.stage_layers[static_cast<size_t>(stage)].size());
    if (mesh.tp > 1)
      time.total_s += rates.Wait(call.rows, time.compute_s, 2.0 * layers);
    else if (calls_in_flight > 1.0)
      time.late_s = rates.Wait(call.rows, time.compute_s, 1.0);
    const int first = mesh.RankOf(stage, 0, 0);
    if (mesh.tp > 1) {
      const Link link = LinkBetween(mesh, cluster, first, first + mesh.tp - 1);
      const double part = (mesh.tp - 1.0) / mesh.tp;
      const double all_reduce = link.Seconds(2.0 * part * message);
      // Shared rows come back normed, in the compute dtype.
      const double back =
          static_cast<double>(core::SizeOf(outline.shape.compute_dtype)) / kMessageElementBytes;
      const double sum = SharesRows(mesh.tp, call.rows)
                             ? link.Seconds(part * (1.0 + back) * message, 2)
                             : all_reduce;
      time.total_s += 2.0 * layers * sum;
      if (stage == 0) time.total_s += all_reduce;
      if (stage + 1 == mesh.pp) time.total_s += 2.0 * link.latency_s;
    }
    if (stage + 1 < mesh.pp) {
      const Link link = LinkBetween(mesh, cluster, first, mesh.RankOf(stage + 1, 0, 0));
      time.total_s += link.Seconds(message);
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

// How long one waits for another that takes `behind` less on average. Their difference is taken for
// normal: with a deviation of s around 0 the wait is s / sqrt(2 pi), which is `late`; around -d it
// is s * (phi(d / s) - d / s * Phi(-d / s)).
double WaitFor(double late, double behind) {
  if (late <= 0.0) return 0.0;
  const double deviation = late * std::sqrt(2.0 * std::numbers::pi);
  const double d = behind / deviation;
  return late * std::exp(-0.5 * d * d) - behind * 0.5 * std::erfc(d / std::numbers::sqrt2);
}

// From one call of a full pipeline to the next: the slowest stage, and what it waits for another
// that is late now and then by more than it is faster.
double Interval(const std::vector<StageTime>& times) {
  const auto slowest = std::ranges::max_element(times, {}, &StageTime::total_s);
  double wait = 0.0;
  for (auto time = times.begin(); time != times.end(); ++time)
    if (time != slowest)
      wait = std::max(wait, WaitFor(time->late_s, slowest->total_s - time->total_s));
  return slowest->total_s + wait;
}

}  // namespace

Prediction Predict(const spec::ModelConfig& config, const Outline& outline,
                   const spec::Cluster& cluster) {
  const RunShape& shape = outline.shape;
  const double batch = static_cast<double>(shape.batch_size);
  const double prompt = static_cast<double>(shape.prompt_length);
  const double generated = std::max(1.0, static_cast<double>(shape.max_model_len) - prompt);
  Prediction result;
  {
    // The prompts of a micro-batch fill calls one after the other; each asks for logits once.
    const double together = static_cast<double>(std::min(shape.micro_batch_size, shape.batch_size));
    const double turns = std::ceil(batch / together);
    const double calls =
        turns * std::ceil(together * prompt / static_cast<double>(shape.prefill_chunk));
    const double rows = batch * prompt / calls;
    const Call call{.rows = rows,
                    .sequences = std::max(1.0, rows / prompt),
                    .keys = prompt / 2.0,
                    .logit_rows = batch / calls};
    const auto times = StageTimes(config, outline, cluster, call, calls);
    result.prefill_s = Sum(times) + (calls - 1.0) * Interval(times);
    result.prefill_tokens_per_s = batch * prompt / result.prefill_s;
    result.prefill_communication = 1.0 - calls * times.front().compute_s / result.prefill_s;
  }
  {
    const double rows = static_cast<double>(std::min(shape.micro_batch_size, shape.batch_size));
    const double calls = std::ceil(batch / rows);
    const Call call{
        .rows = rows, .sequences = rows, .keys = prompt + generated / 2.0, .logit_rows = rows};
    const auto times = StageTimes(config, outline, cluster, call, calls);
    // The tokens travel back to the first stage.
    const spec::Mesh& mesh = outline.mesh;
    const double back =
        mesh.pp > 1 ? LinkBetween(mesh, cluster, 0, mesh.RankOf(mesh.pp - 1, 0, 0)).latency_s : 0.0;
    const double step = std::max(Sum(times) + back, calls * Interval(times));
    result.decode_s = step * generated;
    result.decode_tokens_per_s = batch / step;
    result.decode_communication = 1.0 - calls * times.front().compute_s / step;
  }
  return result;
}

}  // namespace autodist::planner
