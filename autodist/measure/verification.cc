#include "autodist/measure/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autodist/core/check.h"

namespace autodist::measure {
namespace {

constexpr double kF32Bound = 1e-5;
constexpr double kBf16MaxFactor = 2.0;
constexpr double kBf16RmsFactor = 1.2;

double LargestMagnitude(const std::vector<float>& values) {
  double largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(double{value}));
  return largest;
}

// Where the outputs part, the contexts are still the same: one rank's logits tell how near the two
// tokens are.
std::optional<TokenDifference> FirstDifference(const std::vector<int32_t>& prompt,
                                               const VerifiedRun& mesh, const VerifiedRun& one_rank,
                                               double bound) {
  const auto [a, b] = std::mismatch(mesh.token_ids.begin(), mesh.token_ids.end(),
                                    one_rank.token_ids.begin(), one_rank.token_ids.end());
  if (a == mesh.token_ids.end() || b == one_rank.token_ids.end()) return std::nullopt;
  const auto index = static_cast<size_t>(a - mesh.token_ids.begin());
  const size_t positions = prompt.size() + mesh.token_ids.size();
  const size_t vocabulary = one_rank.logits.size() / positions;
  const float* row = one_rank.logits.data() + (prompt.size() - 1 + index) * vocabulary;
  const double gap = std::abs(double{row[*a]} - double{row[*b]});
  return TokenDifference{static_cast<int64_t>(index), gap / LargestMagnitude(one_rank.logits),
                         bound};
}

std::string BoundText(const std::optional<double>& bound) {
  return bound ? fmt::format("{:.1e}", *bound) : "";
}

core::Json BoundJson(const std::optional<double>& bound) {
  return bound ? core::Json(*bound) : core::Json();
}

std::string MeshText(const spec::Mesh& mesh) {
  return fmt::format("tp {} x pp {}", mesh.tp, mesh.pp);
}

}  // namespace

LogitsError CompareLogits(const std::vector<float>& a, const std::vector<float>& b) {
  AUTODIST_CHECK_EQ(a.size(), b.size());
  LogitsError error;
  double largest = 0, squares_of_difference = 0, squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = double{a[i]} - double{b[i]};
    if (!std::isfinite(difference))
      return {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
    error.max = std::max(error.max, std::abs(difference));
    largest = std::max(largest, std::abs(double{b[i]}));
    squares_of_difference += difference * difference;
    squares += double{b[i]} * double{b[i]};
  }
  if (error.max == 0) return error;
  return {error.max / largest, std::sqrt(squares_of_difference / squares)};
}

VerifiedRun RunToVerify(ModelRunner& runner, const std::vector<int32_t>& prompt,
                        int64_t output_length, const std::vector<int32_t>* output) {
  GenerateRequest request;
  request.prompts = {prompt};
  request.ignore_eos = true;
  request.max_output_length = output_length;
  VerifiedRun run;
  run.token_ids = std::move(runner.Generate(request).sequences.front().token_ids);
  std::vector<int32_t> ids = prompt;
  const std::vector<int32_t>& following = output != nullptr ? *output : run.token_ids;
  ids.insert(ids.end(), following.begin(), following.end());
  runner.Logits(ids, [&](int64_t, core::ConstTensorView rows) {
    for (int64_t r = 0; r < rows.rows(); ++r)
      run.logits.insert(run.logits.end(), rows.row<float>(r), rows.row<float>(r) + rows.cols());
  });
  return run;
}

bool VerifiedError::within() const {
  // A bound that comes from a reference which is not finite bounds nothing.
  return std::isfinite(error.max) && (!max_bound || error.max <= *max_bound) &&
         (!rms_bound || error.rms <= *rms_bound);
}

bool VerificationReport::within_bounds() const {
  return nonfinite_logits == 0 && (!difference || difference->margin <= difference->bound) &&
         std::all_of(errors.begin(), errors.end(),
                     [](const VerifiedError& error) { return error.within(); });
}

VerificationReport Judge(const spec::ParallelPlan& plan, const std::vector<int32_t>& prompt,
                         const VerifiedRun& mesh, const VerifiedRun& one_rank,
                         const VerifiedRun* exact) {
  AUTODIST_CHECK_EQ(exact != nullptr, plan.compute_dtype == core::DType::kBF16);
  VerificationReport report{.mesh = plan.mesh,
                            .dtype = plan.compute_dtype,
                            .weights = plan.weight_format(),
                            .prompt = prompt,
                            .token_ids = mesh.token_ids,
                            .reference_token_ids = one_rank.token_ids,
                            .errors = {},
                            .difference = {},
                            .nonfinite_logits = 0,
                            .nonfinite_weights = {}};
  const std::string name = MeshText(plan.mesh);
  VerifiedError direct{
      name + " against 1 rank", CompareLogits(mesh.logits, one_rank.logits), {}, {}};
  double tie = 2 * kF32Bound;
  if (exact == nullptr) {
    direct.max_bound = kF32Bound;
    report.errors.push_back(direct);
  } else {
    const LogitsError own = CompareLogits(one_rank.logits, exact->logits);
    report.errors.push_back(direct);
    report.errors.push_back({"1 rank against float32", own, {}, {}});
    report.errors.push_back({name + " against float32", CompareLogits(mesh.logits, exact->logits),
                             kBf16MaxFactor * own.max, kBf16RmsFactor * own.rms});
    tie = kBf16MaxFactor * own.max;
  }
  report.difference = FirstDifference(prompt, mesh, one_rank, tie);
  report.nonfinite_logits = static_cast<uint64_t>(std::count_if(
      mesh.logits.begin(), mesh.logits.end(), [](float logit) { return !std::isfinite(logit); }));
  return report;
}

core::Json ToJson(const VerificationReport& report) {
  core::Json errors = core::Json::array();
  for (const VerifiedError& row : report.errors)
    errors.push_back({{"what", row.what},
                      {"max", row.error.max},
                      {"rms", row.error.rms},
                      {"max_bound", BoundJson(row.max_bound)},
                      {"rms_bound", BoundJson(row.rms_bound)}});
  core::Json difference;
  if (report.difference)
    difference = {{"index", report.difference->index},
                  {"margin", report.difference->margin},
                  {"bound", report.difference->bound}};
  core::Json weights = core::Json::array();
  for (const NonFiniteWeights& tensor : report.nonfinite_weights)
    weights.push_back({{"name", tensor.name}, {"count", tensor.count}});
  return {{"mesh", {{"tp", report.mesh.tp}, {"pp", report.mesh.pp}, {"dp", report.mesh.dp}}},
          {"dtype", core::NameOf(report.dtype)},
          {"weights", core::NameOf(report.weights)},
          {"prompt_token_ids", report.prompt},
          {"token_ids", report.token_ids},
          {"reference_token_ids", report.reference_token_ids},
          {"errors", errors},
          {"token_difference", difference},
          {"nonfinite_logits", report.nonfinite_logits},
          {"nonfinite_weights", weights},
          {"within_bounds", report.within_bounds()}};
}

std::string ToText(const VerificationReport& report) {
  std::string text = fmt::format(
      "{}, {}{}: logits at {} positions ({} of the prompt), {} greedy tokens\n\n"
      "{:<32} {:>10} {:>10} {:>10} {:>10}\n",
      MeshText(report.mesh), core::NameOf(report.dtype),
      core::IsQuantised(report.weights)
          ? fmt::format(" with {} weights", core::NameOf(report.weights))
          : "",
      report.prompt.size() + report.token_ids.size(), report.prompt.size(), report.token_ids.size(),
      "error", "max", "rms", "max bound", "rms bound");
  for (const VerifiedError& row : report.errors)
    text += fmt::format("{:<32} {:>10.1e} {:>10.1e} {:>10} {:>10}{}\n", row.what, row.error.max,
                        row.error.rms, BoundText(row.max_bound), BoundText(row.rms_bound),
                        row.within() ? "" : "  out of bounds");
  text += "\n";
  if (!report.difference) {
    text += "greedy tokens   all equal\n";
  } else {
    const TokenDifference& difference = *report.difference;
    text += fmt::format(
        "greedy tokens   equal up to token {}, where the two logits are {:.1e} apart: {}\n",
        difference.index, difference.margin,
        difference.margin <= difference.bound
            ? fmt::format("a tie within {:.1e}", difference.bound)
            : fmt::format("more than {:.1e}, out of bounds", difference.bound));
  }
  if (report.nonfinite_weights.empty()) text += "weights         all finite\n";
  for (const NonFiniteWeights& tensor : report.nonfinite_weights)
    text += fmt::format("weights         {}: {} NaN or infinite\n", tensor.name, tensor.count);
  if (report.nonfinite_logits > 0)
    text +=
        fmt::format("logits          {} NaN or infinite, out of bounds\n", report.nonfinite_logits);
  return text + (report.within_bounds() ? "within bounds\n" : "OUT OF BOUNDS\n");
}

}  // namespace autodist::measure
