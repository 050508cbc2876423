#include "autodist/measure/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "autodist/core/error.h"

namespace autodist::measure {
namespace {

// One axis of the grid.
struct Dimension {
  const char* name;
  std::string (*text)(const SweepPoint&);
};

const Dimension kPrompt = {"prompt",
                           [](const SweepPoint& p) { return std::to_string(p.prompt_length); }};
const Dimension kBatch = {"batch",
                          [](const SweepPoint& p) { return std::to_string(p.batch_size); }};
const Dimension kDimensions[] = {
    {"tp", [](const SweepPoint& p) { return std::to_string(p.tp); }},
    {"pp", [](const SweepPoint& p) { return std::to_string(p.pp); }},
    {"dtype", [](const SweepPoint& p) { return p.dtype; }},
    {"weights", [](const SweepPoint& p) { return p.weights; }},
    kPrompt,
    {"output", [](const SweepPoint& p) { return std::to_string(p.output_length); }},
    kBatch,
};

size_t ValuesOf(const std::vector<SweepResult>& results, const Dimension& dimension) {
  std::set<std::string> values;
  for (const SweepResult& result : results) values.insert(dimension.text(result.point));
  return values.size();
}

// One field of the bench document over one dimension; a line for each combination of the others.
struct Plot {
  const char* title;
  const Dimension& x;
  const char* x_label;
  const char* field;
  const char* y_label;
  double factor = 1;
};

const Plot kPlots[] = {
    {"Prefill", kPrompt, "prompt tokens", "prefill_tokens_per_s", "tokens/s"},
    {"Prefill, of the limit", kPrompt, "prompt tokens", "prefill_fraction", "%", 100},
    {"Decode", kBatch, "sequences", "decode_tokens_per_s", "tokens/s, all sequences"},
    {"Decode, of the limit", kBatch, "sequences", "decode_fraction", "%", 100},
    {"Decode after long prompts", kPrompt, "prompt tokens", "decode_tokens_per_s",
     "tokens/s, all sequences"},
    {"Communication", kBatch, "sequences", "communication_fraction", "% of the time", 100},
};

// `results` were all run.
report::Chart ChartOf(const std::vector<SweepResult>& results, const Plot& plot) {
  std::map<std::string, std::vector<report::ChartPoint>> lines;
  std::vector<std::string> order;
  for (const SweepResult& result : results) {
    std::string name;
    for (const Dimension& dimension : kDimensions) {
      if (dimension.text == plot.x.text || ValuesOf(results, dimension) < 2) continue;
      name += fmt::format("{}{} {}", name.empty() ? "" : ", ", dimension.name,
                          dimension.text(result.point));
    }
    if (lines.find(name) == lines.end()) order.push_back(name);
    const core::Json& value = result.bench[plot.field];
    if (!value.is_number()) continue;
    lines[name].push_back(
        {std::stod(plot.x.text(result.point)), value.get<double>() * plot.factor});
  }
  report::Chart chart{.title = plot.title,
                      .x_label = plot.x_label,
                      .y_label = plot.y_label,
                      .log_x = true,
                      .series = {}};
  for (const std::string& name : order) {
    auto& points = lines[name];
    std::sort(points.begin(), points.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
    chart.series.push_back({name.empty() ? plot.y_label : name, std::move(points)});
  }
  return chart;
}

std::vector<SweepResult> ThoseRun(const std::vector<SweepResult>& results) {
  std::vector<SweepResult> run;
  std::copy_if(results.begin(), results.end(), std::back_inserter(run),
               [](const SweepResult& result) { return result.skipped.empty(); });
  return run;
}

// Fields of the bench document, and digits behind the point.
constexpr std::pair<const char*, int> kFigures[] = {
    {"prefill_tokens_per_s", 1}, {"prefill_fraction", 3}, {"decode_tokens_per_s", 2},
    {"decode_fraction", 3},      {"first_token_s", 4},    {"communication_fraction", 3},
    {"read_gb_per_s", 1},        {"gemm_gflop_per_s", 0}};

std::vector<std::string> PointOf(const SweepResult& result) {
  std::vector<std::string> cells;
  for (const Dimension& dimension : kDimensions) cells.push_back(dimension.text(result.point));
  return cells;
}

std::vector<std::string> PointHeader() {
  std::vector<std::string> header;
  for (const Dimension& dimension : kDimensions) header.emplace_back(dimension.name);
  return header;
}

std::vector<std::string> FiguresHeader() {
  std::vector<std::string> header = PointHeader();
  for (const auto& [field, digits] : kFigures) header.emplace_back(field);
  return header;
}

std::vector<std::string> FiguresOf(const SweepResult& result) {
  std::vector<std::string> cells = PointOf(result);
  for (const auto& [field, digits] : kFigures) {
    const bool known = result.skipped.empty() && result.bench[field].is_number();
    cells.push_back(known ? fmt::format("{:.{}f}", result.bench[field].get<double>(), digits) : "");
  }
  return cells;
}

report::Table FiguresTable(const std::vector<SweepResult>& results) {
  report::Table table(FiguresHeader());
  for (const SweepResult& result : ThoseRun(results)) table.Add(FiguresOf(result));
  return table;
}

report::Table SkippedTable(const std::vector<SweepResult>& results) {
  std::vector<std::string> header = PointHeader();
  header.emplace_back("skipped");
  report::Table table(header);
  for (const SweepResult& result : results) {
    if (result.skipped.empty()) continue;
    std::vector<std::string> cells = PointOf(result);
    cells.push_back(result.skipped);
    table.Add(cells);
  }
  return table;
}

SweepResult RunPoint(const SweepPoint& point, const SweepOptions& options) {
  SweepResult result{.point = point, .skipped = {}, .bench = {}};
  if (point.prompt_length + point.output_length > options.context_length) {
    result.skipped =
        fmt::format("prompt and output exceed the context of {}", options.context_length);
    return result;
  }
  ModelRunnerOptions wanted = options.runner;
  wanted.in_process = true;
  wanted.tensor_parallel_size = point.tp;
  wanted.pipeline_parallel_size = point.pp;
  wanted.dtype = point.dtype;
  wanted.weights = point.weights;
  wanted.batch_size = point.batch_size;
  wanted.max_model_len = point.prompt_length + point.output_length;
  wanted.record_ops = runtime::OpRecording::kTotals;
  try {
    ModelRunner runner(wanted);
    result.bench = ToJson(RunBench(runner, {.prompt_length = point.prompt_length,
                                            .output_length = point.output_length,
                                            .batch_size = point.batch_size,
                                            .repeats = options.repeats,
                                            .seed = options.seed}));
  } catch (const core::Error& error) {
    result.skipped = error.what();
  }
  return result;
}

}  // namespace

std::vector<SweepPoint> SweepGrid::Points() const {
  std::vector<SweepPoint> points;
  for (const std::string& dtype : dtypes)
    for (const std::string& weight : weights)
      for (const int tp_size : tp)
        for (const int pp_size : pp)
          for (const int64_t batch : batch_sizes)
            for (const int64_t output : output_lengths)
              for (const int64_t prompt : prompt_lengths)
                points.push_back({.prompt_length = prompt,
                                  .output_length = output,
                                  .batch_size = batch,
                                  .tp = tp_size,
                                  .pp = pp_size,
                                  .dtype = dtype,
                                  .weights = weight});
  return points;
}

std::vector<SweepResult> RunSweep(
    const SweepGrid& grid, const SweepOptions& options,
    const std::function<void(const std::vector<SweepResult>&)>& on_result) {
  std::vector<SweepResult> results;
  for (const SweepPoint& point : grid.Points()) {
    results.push_back(RunPoint(point, options));
    on_result(results);
  }
  return results;
}

report::Table ToTable(const std::vector<SweepResult>& results) {
  std::vector<std::string> header = FiguresHeader();
  header.emplace_back("skipped");
  report::Table table(header);
  for (const SweepResult& result : results) {
    std::vector<std::string> cells = FiguresOf(result);
    cells.push_back(result.skipped);
    table.Add(cells);
  }
  return table;
}

std::string ToText(const std::vector<SweepResult>& results) {
  std::string text = FiguresTable(results).ToText();
  const report::Table skipped = SkippedTable(results);
  if (!skipped.rows().empty()) text += "\n" + skipped.ToText();
  return text;
}

core::Json ToJson(const std::vector<SweepResult>& results) {
  core::Json points = core::Json::array();
  for (const SweepResult& result : results) {
    const SweepPoint& point = result.point;
    points.push_back(
        {{"tensor_parallel_size", point.tp},
         {"pipeline_parallel_size", point.pp},
         {"dtype", point.dtype},
         {"weights", point.weights},
         {"prompt_length", point.prompt_length},
         {"output_length", point.output_length},
         {"batch_size", point.batch_size},
         {"skipped", result.skipped.empty() ? core::Json() : core::Json(result.skipped)},
         {"bench", result.bench}});
  }
  return {{"points", points}};
}

report::Page ToPage(const std::vector<SweepResult>& results, const std::string& subject) {
  report::Page page("autodist bench --sweep");
  page.AddParagraph(subject);
  page.AddParagraph(
      "Medians over the repeats. Limits are measured beside each repeat: the prefill is compared "
      "with the rate of its own matrix products alone, the decode with reading the weights and the "
      "KV cache once per step.");
  const std::vector<SweepResult> run = ThoseRun(results);
  for (const Plot& plot : kPlots) {
    // A plot over a dimension with a single value says nothing that the table does not.
    if (ValuesOf(run, plot.x) > 1) page.AddChart(ChartOf(run, plot));
  }
  page.AddHeading("Figures");
  page.AddTable(FiguresTable(results));
  const report::Table skipped = SkippedTable(results);
  if (!skipped.rows().empty()) {
    page.AddHeading("Skipped");
    page.AddTable(skipped);
  }
  return page;
}

}  // namespace autodist::measure
