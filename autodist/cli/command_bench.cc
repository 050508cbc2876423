#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "autodist/arch/registry.h"
#include "autodist/checkpoint/model_directory.h"
#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/output.h"
#include "autodist/cli/progress.h"
#include "autodist/cli/run_flags.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/json.h"
#include "autodist/measure/bench.h"

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
  RunFlags run_;
  measure::BenchOptions bench_;
  CLI::Option* prompt_length_ = nullptr;
  ModelRunnerOptions options_;
};

void BenchCommand::AddFlags(CLI::App& app) {
  prompt_length_ =
      AddInteger<int64_t>(app, "--prompt-length", bench_.prompt_length,
                          "Random ids per sequence; the default is cut to the context", 1);
  prompt_length_->group("Bench");
  AddInteger<int64_t>(app, "--output-length", bench_.output_length,
                      "Generated tokens per sequence, at least 2", 2)
      ->group("Bench");
  AddInteger(app, "--repeats", bench_.repeats, "Timed runs after one warm-up", 1)->group("Bench");
  AddInteger(app, "--seed", bench_.seed, "Of the random ids")->group("Bench");
  run_.Add(app);
}

void BenchCommand::Prepare() {
  options_ = run_.Options();
  const std::filesystem::path model_dir =
      checkpoint::ResolveModelDirectory(options_.model_name_or_path);
  options_.model_name_or_path = model_dir.string();
  const int64_t context = options_.max_model_len > 0 ? options_.max_model_len
                                                     : arch::ParseConfig(model_dir).context_length;
  if (prompt_length_->count() == 0)
    bench_.prompt_length =
        std::clamp<int64_t>(context - bench_.output_length, 1, bench_.prompt_length);
  if (bench_.output_length >= context || bench_.prompt_length > context - bench_.output_length)
    throw core::BadInput("--prompt-length {} and --output-length {} do not fit the context of {}",
                         bench_.prompt_length, bench_.output_length, context);
  if (options_.max_model_len == 0)
    options_.max_model_len = bench_.prompt_length + bench_.output_length;
  bench_.batch_size = options_.batch_size;
  options_.record_ops = runtime::OpRecording::kTotals;
  run_.PrepareOutputDir();
}

int BenchCommand::Run() {
  ProgressLine progress(!options_.quiet);
  options_.on_load_progress = LoadProgress(progress);
  ModelRunner runner(options_);
  progress.Clear();
  const measure::BenchReport report = measure::RunBench(runner, bench_);
  if (!runner.holds_rank0()) return 0;
  const std::string document = core::DumpJson(measure::ToJson(report), 2) + "\n";
  Print(run_.json() ? document : measure::ToText(report));
  if (!run_.output_dir().empty())
    core::WriteFileAtomically(std::filesystem::path(run_.output_dir()) / "bench.json", document);
  return 0;
}

}  // namespace

std::unique_ptr<Command> MakeBenchCommand() { return std::make_unique<BenchCommand>(); }

}  // namespace autodist::cli
