#include "autodist/measure/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include "autodist/core/random.h"
#include "autodist/device/stream.h"
#include "autodist/device/thread_pool.h"
#include "autodist/device/topology.h"
#include "autodist/infer/timing.h"
#include "autodist/measure/gemm_rate.h"
#include "autodist/measure/machine_limits.h"
#include "autodist/measure/statistics.h"

namespace autodist::measure {
namespace {

using spec::Slot;

bool IsMatrixOfEveryToken(const spec::ModelTensor& tensor) {
  return !tensor.vector && tensor.id.slot != Slot::kTokenEmbedding &&
         tensor.id.slot != Slot::kPositionEmbedding;
}

// Elements of matrices that each token passes through in its layers; the head is passed once per
// sequence.
double LayerElements(const spec::ParallelPlan& plan) {
  double elements = 0;
  for (const spec::ModelTensor& tensor : plan.tensors)
    if (IsMatrixOfEveryToken(tensor) && tensor.id.slot != Slot::kHead)
      elements += static_cast<double>(tensor.rows) * static_cast<double>(tensor.cols);
  return elements;
}

// Of these, what a prompt's tokens pass through whose logits nobody wants: of the last layer, what
// makes queries, keys and values.
double PromptElements(const spec::ParallelPlan& plan, int64_t layers) {
  double elements = LayerElements(plan);
  for (const spec::ModelTensor& tensor : plan.tensors) {
    const Slot slot = tensor.id.slot;
    if (!tensor.vector && tensor.id.layer + 1 == layers &&
        (slot == Slot::kAttentionOutput || slot == Slot::kGate || slot == Slot::kUp ||
         slot == Slot::kDown))
      elements -= static_cast<double>(tensor.rows) * static_cast<double>(tensor.cols);
  }
  return elements;
}

// What a decode step reads: all matrices once and the head, which is the embedding table when that
// is tied.
uint64_t BytesPerStep(const ModelRunner& runner, const BenchOptions& options) {
  const spec::ParallelPlan& plan = runner.plan();
  const spec::ModelConfig& config = runner.config();
  const double head =
      static_cast<double>(config.vocab_size) * static_cast<double>(config.embedding_size);
  const double weights =
      (LayerElements(plan) + head) * core::BitsPerWeight(plan.weight_format()) / 8;
  double cached = 0;
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    int64_t seen = options.prompt_length + options.output_length / 2;
    const int64_t window =
        config.layer_window.empty() ? 0 : config.layer_window[static_cast<size_t>(layer)];
    if (window > 0) seen = std::min(seen, window);
    cached += 2.0 * static_cast<double>(config.kv_size() * seen);
  }
  cached *= static_cast<double>(options.batch_size) *
            static_cast<double>(core::SizeOf(plan.compute_dtype));
  return static_cast<uint64_t>(weights + cached);
}

std::vector<std::vector<int32_t>> RandomPrompts(const ModelRunner& runner,
                                                const BenchOptions& options) {
  std::vector<std::vector<int32_t>> prompts;
  const auto vocabulary = static_cast<uint64_t>(runner.config().vocab_size);
  for (int64_t p = 0; p < options.batch_size; ++p) {
    auto& prompt = prompts.emplace_back();
    for (int64_t i = 0; i < options.prompt_length; ++i)
      prompt.push_back(static_cast<int32_t>(
          core::RandomBits(options.seed, static_cast<uint64_t>(p), static_cast<uint64_t>(i)) %
          vocabulary));
  }
  return prompts;
}

template <typename Field>
double Best(const std::vector<BenchSample>& samples, Field field) {
  double best = 0;
  for (const BenchSample& sample : samples) best = std::max(best, field(sample));
  return best;
}

double Prefill(const BenchSample& s) { return s.prefill_tokens_per_s; }
double Decode(const BenchSample& s) { return s.decode_tokens_per_s; }

// The matrices of a layer as the decoder multiplies them: q, k and v in one, gate and up in one.
std::vector<GemmShape> LayerProducts(const spec::ModelConfig& config) {
  return {{.n = config.q_size() + 2 * config.kv_size(), .k = config.hidden_size},
          {.n = config.hidden_size, .k = config.q_size()},
          {.n = config.ffn_size * (config.gated_mlp ? 2 : 1), .k = config.hidden_size},
          {.n = config.hidden_size, .k = config.ffn_size}};
}

int ThreadsOfThisHost(const ModelRunner& runner) {
  return std::min(device::UsableCores(), runner.threads_per_rank() * runner.plan().mesh.world());
}

// Measures the limits of all the threads that the ranks of one host use together.
class Yardsticks {
 public:
  Yardsticks(const ModelRunner& runner, const BenchOptions& options, uint64_t step_bytes)
      : step_bytes_(step_bytes),
        pool_(ThreadsOfThisHost(runner)),
        stream_(pool_, device::DetectIsa()),
        gemm_(stream_, runner.plan().compute_dtype,
              std::min(runner.plan().prefill_chunk, options.prompt_length * options.batch_size),
              LayerProducts(runner.config())) {}

  Limits Measure() {
    return {.read_bytes_per_s = ReadBytesPerSecond(stream_, step_bytes_),
            .gemm_flops_per_s = gemm_.FlopsPerSecond()};
  }
  std::string_view gemm_engine() const { return gemm_.engine(); }

 private:
  uint64_t step_bytes_;
  device::ThreadPool pool_;
  device::Stream stream_;
  GemmRate gemm_;
};

BenchSample SampleOf(const GenerateResult& result, const BenchOptions& options,
                     const Limits& limits) {
  const infer::Timing& timing = result.timing;
  const double step_s = timing.IntervalQuantile(0.5);
  const auto steps = static_cast<double>(options.output_length - 1);
  return {.prefill_tokens_per_s = timing.prefill_tokens_per_s(),
          .decode_tokens_per_s = step_s > 0 ? static_cast<double>(options.batch_size) / step_s : 0,
          .first_token_s = timing.first_token_s,
          .communication_fraction = timing.communication_fraction(),
          .limits = limits,
          .prefill = BreakDown(result.op_totals, device::OpPhase::kPrefill, 1, limits),
          .decode = BreakDown(result.op_totals, device::OpPhase::kDecode, steps, limits)};
}

template <typename Phase>
PhaseBreakdown MedianBreakdown(const std::vector<BenchSample>& samples, const Phase& phase) {
  std::vector<PhaseBreakdown> breakdowns;
  for (const BenchSample& sample : samples) breakdowns.push_back(sample.*phase);
  return MedianOf(breakdowns);
}

}  // namespace

double BenchReport::DecodeFraction(const BenchSample& sample) const {
  const double steps_per_s = sample.decode_tokens_per_s / static_cast<double>(batch_size);
  return steps_per_s * static_cast<double>(bytes_per_token) / sample.limits.read_bytes_per_s;
}

double BenchReport::PrefillFraction(const BenchSample& sample) const {
  return sample.prefill_tokens_per_s * flops_per_prompt_token / sample.limits.gemm_flops_per_s;
}

BenchReport RunBench(ModelRunner& runner, const BenchOptions& options) {
  BenchReport report;
  report.load_s = runner.load_report().seconds;
  report.bytes_per_token = BytesPerStep(runner, options);
  report.flops_per_prompt_token = 2 * PromptElements(runner.plan(), runner.config().num_layers);
  report.batch_size = options.batch_size;
  GenerateRequest request;
  request.prompts = RandomPrompts(runner, options);
  request.ignore_eos = true;
  request.max_output_length = options.output_length;
  runner.Generate(request);  // touches all memory once

  std::optional<Yardsticks> yardsticks;
  Limits before;
  if (runner.holds_rank0()) {
    report.peak_rss_bytes = infer::PeakRssBytes();  // without the yardsticks' buffers
    yardsticks.emplace(runner, options, report.bytes_per_token);
    before = yardsticks->Measure();
    report.gemm_engine = yardsticks->gemm_engine();
  }
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    const GenerateResult result = runner.Generate(request);
    if (!yardsticks) continue;
    const Limits after = yardsticks->Measure();
    report.samples.push_back(
        SampleOf(result, options,
                 {.read_bytes_per_s = (before.read_bytes_per_s + after.read_bytes_per_s) / 2,
                  .gemm_flops_per_s = (before.gemm_flops_per_s + after.gemm_flops_per_s) / 2}));
    before = after;
  }
  return report;
}

core::Json ToJson(const BenchReport& report) {
  const auto& samples = report.samples;
  return {{"load_s", report.load_s},
          {"first_token_s", Median(samples, [](const BenchSample& s) { return s.first_token_s; })},
          {"prefill_tokens_per_s", Median(samples, Prefill)},
          {"prefill_tokens_per_s_best", Best(samples, Prefill)},
          {"decode_tokens_per_s", Median(samples, Decode)},
          {"decode_tokens_per_s_best", Best(samples, Decode)},
          {"bytes_per_token", report.bytes_per_token},
          {"read_gb_per_s",
           Median(samples, [](const BenchSample& s) { return s.limits.read_bytes_per_s / 1e9; })},
          {"gemm_gflop_per_s",
           Median(samples, [](const BenchSample& s) { return s.limits.gemm_flops_per_s / 1e9; })},
          {"decode_fraction",
           Median(samples, [&](const BenchSample& s) { return report.DecodeFraction(s); })},
          {"prefill_fraction",
           Median(samples, [&](const BenchSample& s) { return report.PrefillFraction(s); })},
          {"peak_rss_bytes", report.peak_rss_bytes},
          {"communication_fraction",
           Median(samples, [](const BenchSample& s) { return s.communication_fraction; })},
          {"gemm_engine", report.gemm_engine},
          {"phases",
           {{"prefill", ToJson(MedianBreakdown(samples, &BenchSample::prefill))},
            {"decode", ToJson(MedianBreakdown(samples, &BenchSample::decode))}}}};
}

std::string ToText(const BenchReport& report) {
  const core::Json json = ToJson(report);
  const auto number = [&](const char* name) { return json[name].get<double>(); };
  const PhaseBreakdown prefill = MedianBreakdown(report.samples, &BenchSample::prefill);
  const PhaseBreakdown decode = MedianBreakdown(report.samples, &BenchSample::decode);
  return fmt::format(
      "load          {:.2f} s\n"
      "first token   {:.1f} ms\n"
      "prefill       {:.1f} tokens/s (best {:.1f}), {:.0f} % of {}'s GEMM rate of {:.0f} GFLOP/s\n"
      "decode        {:.2f} tokens/s (best {:.2f}), {:.0f} % of the read rate of {:.1f} GB/s at "
      "{:.3f} GB per step\n"
      "communication {:.1f} % of the time of rank 0\n"
      "peak memory   {:.0f} MiB of this process\n"
      "\nprefill of {} sequence{}: {:.2f} ms\n{}"
      "\ndecode of one token each: {:.3f} ms\n{}",
      number("load_s"), number("first_token_s") * 1e3, number("prefill_tokens_per_s"),
      number("prefill_tokens_per_s_best"), number("prefill_fraction") * 100, report.gemm_engine,
      number("gemm_gflop_per_s"), number("decode_tokens_per_s"), number("decode_tokens_per_s_best"),
      number("decode_fraction") * 100, number("read_gb_per_s"), number("bytes_per_token") / 1e9,
      number("communication_fraction") * 100, number("peak_rss_bytes") / 1048576, report.batch_size,
      report.batch_size == 1 ? "" : "s", prefill.step_s * 1e3, ToText(prefill), decode.step_s * 1e3,
      ToText(decode));
}

}  // namespace autodist::measure
