#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "autodist/arch/registry.h"
#include "autodist/checkpoint/model_directory.h"
#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/output.h"
#include "autodist/cli/progress.h"
#include "autodist/cli/run_flags.h"
#include "autodist/cli/sweep_grid.h"
#include "autodist/cli/trace_flag.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/json.h"
#include "autodist/core/log.h"
#include "autodist/device/topology.h"
#include "autodist/measure/bench.h"
#include "autodist/measure/sweep.h"
#include "autodist/runtime/loaded_model.h"

namespace autodist::cli {
namespace {

class BenchCommand final : public Command {
 public:
  const char* name() const override { return "bench"; }
  const char* summary() const override {
    return "Time prefill and decode beside the machine's limits";
  }
  void AddFlags(CLI::App& app) override;
  bool runs_on_ranks() const override { return true; }
  void Prepare() override;
  int Run() override;

 private:
  void PrepareSweep(int64_t context);
  int RunSweep();

  RunFlags run_;
  const CLI::App* app_ = nullptr;
  TraceFlag trace_;
  measure::BenchOptions bench_;
  std::optional<Flag> prompt_length_;
  ModelRunnerOptions options_;

  bool sweep_ = false;
  std::string grid_text_;
  measure::SweepGrid grid_;
  int64_t context_ = 0;
};

void BenchCommand::AddFlags(CLI::App& app) {
  app_ = &app;
  prompt_length_ =
      AddInteger<int64_t>(app, "--prompt-length", bench_.prompt_length,
                          "Random ids per sequence; the default is cut to the context", 1)
          .Group("Bench");
  AddInteger<int64_t>(app, "--output-length", bench_.output_length,
                      "Generated tokens per sequence, at least 2", 2)
      .Group("Bench");
  AddInteger(app, "--repeats", bench_.repeats, "Timed runs after one warm-up", 1).Group("Bench");
  AddInteger(app, "--seed", bench_.seed, "Of the random ids").Group("Bench");
  AddSwitch(app, "--sweep", sweep_,
            "Every combination of --grid, on rank threads: sweep.csv, sweep.html and sweep.json in "
            "--output-dir; combinations that do not fit are skipped")
      .Group("Bench");
  AddText(app, "--grid", grid_text_,
          "Lists for prompt-length, output-length, batch-size, tp, pp, dtype, weights, e.g. "
          "prompt-length=128,512;tp=1,2 (default: a few of the first and third, and tp up "
          "to the cores)")
      .Type("KEY=LIST;...")
      .Group("Bench");
  trace_.Add(app);
  run_.Add(app);
}

void BenchCommand::Prepare() {
  if (!sweep_ && !grid_text_.empty()) throw core::BadInput("--grid belongs to --sweep");
  options_ = run_.Options();
  const std::filesystem::path model_dir =
      checkpoint::ResolveModelDirectory(options_.model_name_or_path);
  options_.model_name_or_path = model_dir.string();
  const int64_t context = options_.max_model_len > 0 ? options_.max_model_len
                                                     : arch::ParseConfig(model_dir).context_length;
  if (sweep_) return PrepareSweep(context);
  if (!prompt_length_->given())
    bench_.prompt_length =
        std::clamp<int64_t>(context - bench_.output_length, 1, bench_.prompt_length);
  if (bench_.output_length >= context || bench_.prompt_length > context - bench_.output_length)
    throw core::BadInput("--prompt-length {} and --output-length {} do not fit the context of {}",
                         bench_.prompt_length, bench_.output_length, context);
  if (options_.max_model_len == 0)
    options_.max_model_len = bench_.prompt_length + bench_.output_length;
  options_.prompt_length = bench_.prompt_length;
  bench_.batch_size = options_.batch_size;
  options_.record_ops = runtime::OpRecording::kTotals;
  run_.PrepareOutputDir();
  trace_.Prepare(run_, options_);
}

// What the grid leaves open is as the flags say, but for a few lengths, batch sizes and tp sizes.
void BenchCommand::PrepareSweep(int64_t context) {
  if (run_.output_dir().empty())
    throw core::BadInput("--sweep needs --output-dir DIR, where it writes its files");
  if (trace_.given()) throw core::BadInput("--sweep and --trace exclude each other");
  if (options_.ranks > 0) throw core::BadInput("--sweep and --ranks exclude each other");
  if (runtime::LaunchOf(options_).launcher != comm::Launcher::kNone)
    throw core::BadInput("--sweep runs ranks as threads and cannot be started by a launcher");
  context_ = context;
  options_.quiet = true;
  measure::SweepGrid defaults{.prompt_lengths = {bench_.prompt_length},
                              .output_lengths = {bench_.output_length},
                              .batch_sizes = {1, 8},
                              .tp = {1},
                              .pp = {options_.pipeline_parallel_size},
                              .dtypes = {options_.dtype},
                              .weights = {options_.weights}};
  if (!prompt_length_->given()) defaults.prompt_lengths = {128, 512, 2048};
  if (options_.batch_size > 1) defaults.batch_sizes = {options_.batch_size};
  for (int tp = 2; tp <= device::UsableCores() && tp <= 8; tp *= 2) defaults.tp.push_back(tp);
  if (options_.tensor_parallel_size > 1) defaults.tp = {options_.tensor_parallel_size};
  const auto given = [this](std::string_view key) {
    return IsGiven(*app_, fmt::format("--{}", key));
  };
  grid_ = grid_text_.empty() ? defaults : ParseGrid(grid_text_, defaults, given);
  for (const measure::SweepPoint& point : grid_.Points()) {
    ModelRunnerOptions options = options_;
    options.dtype = point.dtype;
    options.weights = point.weights;
    runtime::CheckLimits(options);
  }
  run_.PrepareOutputDir();
}

int BenchCommand::RunSweep() {
  const std::string subject =
      fmt::format("{}, {} usable cores, {}; repeats: {}", options_.model_name_or_path,
                  device::UsableCores(), device::NameOf(device::DetectIsa()), bench_.repeats);
  const size_t count = grid_.Points().size();
  // After each point, so that a sweep that is ended early leaves what it has.
  const auto save = [&](const std::vector<measure::SweepResult>& results) {
    const std::filesystem::path directory = run_.output_dir();
    core::WriteFileAtomically(directory / "sweep.csv", measure::ToTable(results).ToCsv());
    core::WriteFileAtomically(directory / "sweep.html", measure::ToPage(results, subject).ToHtml());
    core::WriteFileAtomically(directory / "sweep.json", core::JsonText(measure::ToJson(results)));
    const measure::SweepPoint& point = results.back().point;
    const std::string& skipped = results.back().skipped;
    core::Log("{} of {}: tp {} x pp {}, {}, weights {}, prompt {}, output {}, batch {}: {}",
              results.size(), count, point.tp, point.pp, point.dtype, point.weights,
              point.prompt_length, point.output_length, point.batch_size,
              skipped.empty() ? "done" : "skipped: " + skipped);
  };
  const std::vector<measure::SweepResult> results = measure::RunSweep(grid_,
                                                                      {.runner = options_,
                                                                       .repeats = bench_.repeats,
                                                                       .seed = bench_.seed,
                                                                       .context_length = context_},
                                                                      save);
  if (std::all_of(results.begin(), results.end(),
                  [](const measure::SweepResult& result) { return !result.skipped.empty(); }))
    throw core::BadInput("none of the {} combinations could be run; the first: {}", count,
                         results.front().skipped);
  Print(run_.json() ? core::JsonText(measure::ToJson(results)) : measure::ToText(results));
  return 0;
}

int BenchCommand::Run() {
  if (sweep_) return RunSweep();
  ProgressLine progress(!options_.quiet);
  options_.on_load_progress = LoadProgress(progress);
  ModelRunner runner(options_);
  progress.Clear();
  const measure::BenchReport report = measure::RunBench(runner, bench_);
  trace_.Write(runner);
  if (!runner.holds_rank0()) return 0;
  const std::string document = core::JsonText(measure::ToJson(report));
  Print(run_.json() ? document : measure::ToText(report));
  if (!run_.output_dir().empty())
    core::WriteFileAtomically(std::filesystem::path(run_.output_dir()) / "bench.json", document);
  return 0;
}

}  // namespace

std::unique_ptr<Command> MakeBenchCommand() { return std::make_unique<BenchCommand>(); }

}  // namespace autodist::cli
