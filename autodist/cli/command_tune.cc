#include <fmt/ranges.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autodist/arch/known_models.h"
#include "autodist/arch/registry.h"
#include "autodist/checkpoint/model_directory.h"
#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/output.h"
#include "autodist/cli/shipped_files.h"
#include "autodist/core/error.h"
#include "autodist/core/json.h"
#include "autodist/core/log.h"
#include "autodist/tune/external_backend.h"
#include "autodist/tune/overlap_tuner.h"
#include "autodist/tune/report_diff.h"
#include "autodist/tune/report_files.h"
#include "autodist/tune/report_text.h"
#include "autodist/tune/simulated_backend.h"

namespace autodist::cli {
namespace {

using Mode = tune::ExternalBackend::Mode;

constexpr const char* kLauncher = "torchrun --standalone --nproc-per-node {tp}";
constexpr double kMostNoise = 0.3;  // beyond, a simulated time could be negative

class TuneCommand final : public Command {
 public:
  const char* name() const override { return "tune"; }
  const char* summary() const override {
    return "Find where tensor-parallel communication can hide behind matrix products";
  }
  void AddFlags(CLI::App& app) override;
  void Prepare() override;
  int Run() override;

 private:
  void AddMeasuringFlags(CLI::App& app);
  void PrepareDiff() const;
  void PrepareMode();
  int Finish(const tune::OverlapReport& report, const std::string& script) const;

  std::vector<std::string> words_;  // overlap, or diff A B
  std::string model_text_;
  std::string machine_ = "H100-SXM";
  std::vector<std::string> operators_;
  std::string te_version_ = "2.18";
  std::string output_dir_;
  bool emit_ = false;
  bool run_ = false;
  bool skip_profiling_ = false;
  bool resume_ = true;
  bool retry_failed_ = false;
  std::string launcher_;  // empty: kLauncher with the program that comes with this one
  double case_timeout_s_ = 600;
  double noise_ = 0;
  uint64_t seed_ = 1234;
  bool json_ = false;

  tune::OverlapOptions options_;
  spec::OverlapModel model_;
  std::optional<Mode> mode_;  // none: simulated
};

// A known name, a directory, its config.json, or a model of the HuggingFace cache.
spec::OverlapModel FindModel(const std::string& text) {
  const std::filesystem::path path = text;
  if (!std::filesystem::exists(path)) {
    if (const auto known = arch::FindKnownModel(text)) return *known;
  }
  std::filesystem::path directory = path;
  if (std::filesystem::is_regular_file(path)) {
    if (path.filename() != "config.json")
      throw core::BadInput("--model {}: a file must be called config.json", text);
    directory = path.has_parent_path() ? path.parent_path() : ".";
  } else {
    try {
      directory = checkpoint::ResolveModelDirectory(text);
    } catch (const core::Error& error) {
      throw core::BadInput("{}; names that need no file: {}", error.what(),
                           fmt::join(arch::KnownModelNames(), ", "));
    }
  }
  return arch::OverlapModelOf(arch::ParseConfig(directory), checkpoint::ModelSlug(directory));
}

void TuneCommand::AddFlags(CLI::App& app) {
  AddWords(app, "overlap|diff", words_, 3);
  SetFooter(
      app,
      "tune overlap searches; with neither --emit, --run nor --skip-profiling its times come from "
      "formulas.\ntune diff A B compares two tuning_report.json.");
  AddText(app, "--model", model_text_,
          "Directory, config.json, or a name such as Qwen/Qwen3-8B, which needs no file")
      .Type("MODEL");
  AddText(app, "--machine", machine_,
          "A100-80, B200, H100-SXM, H200, L20-PCIe, RTX-4090, or a JSON file of rates: what "
          "predictions rest on")
      .Type("NAME|FILE")
      .Default(machine_);
  AddInteger(app, "--max-tp-size", options_.max_tp_size, "The largest tp tried: 2, 4 or 8");
  AddInteger(app, "--max-token-len", options_.max_token_len, "Tokens of the tensor-parallel group");
  AddTextList(app, "--operators", operators_, "Of fc1,fc2,qkv,proj (default: all that there are)",
              4)
      .Type("LIST");
  AddInteger(app, "--min-num-sm", options_.min_num_sm, "Fewest multiprocessors for communication");
  AddInteger(app, "--max-num-sm", options_.max_num_sm, "Most multiprocessors for communication");
  AddNumber(app, "--overlap-threshold", options_.overlap_threshold,
            "Hidden share that is reported as effective; decides nothing");
  AddNumber(app, "--scaling-tolerance", options_.scaling_tolerance,
            "A doubled tp must take at most half the time, times this");
  AddSwitch(app, "--allow-pipeline", options_.allow_pipeline,
            "Measure pipelined reduce-scatter too");
  AddInteger(app, "--repeats", options_.repeats, "Of every case, at least 7");
  AddText(app, "--te-version", te_version_, "TransformerEngine that is configured")
      .Type("VERSION")
      .Default(te_version_);
  AddText(app, "--output-dir", output_dir_,
          "Where files are written (created if needed); cases that are done there count")
      .Type("DIR");
  AddSwitch(app, "--json", json_, "Print exactly one JSON document");
  AddMeasuringFlags(app);
}

void TuneCommand::AddMeasuringFlags(CLI::App& app) {
  const char* const group = "Measuring";
  AddSwitch(app, "--emit", emit_, "Write the next cases and a script that runs them").Group(group);
  AddSwitch(app, "--run", run_, "Run the cases, round after round").Group(group);
  AddSwitch(app, "--skip-profiling", skip_profiling_, "Report on the traces that are there")
      .Group(group);
  AddText(app, "--launcher", launcher_,
          "Shell command that measures one case; {tp} stands for the number of ranks, and "
          "--case FILE --output DIR are added")
      .Type("COMMAND")
      .Default(fmt::format("{} profile_overlap_case.py", kLauncher))
      .Group(group);
  AddSwitch(app, "--resume,!--no-resume", resume_,
            "Go on with the cases that are done (default); --no-resume measures all again")
      .Group(group);
  AddSwitch(app, "--retry-failed", retry_failed_, "Measure again the cases that failed")
      .Group(group);
  AddNumber(app, "--case-timeout", case_timeout_s_, "Seconds that a case may take").Group(group);
  AddNumber(app, "--noise", noise_, "Of simulated times, as a share").Group(group);
  AddInteger(app, "--seed", seed_, "Of that noise").Group(group);
}

void TuneCommand::PrepareDiff() const {
  if (words_.size() != 3) throw core::BadInput("tune diff takes two tuning_report.json files");
}

void TuneCommand::PrepareMode() {
  if (emit_ + run_ + skip_profiling_ > 1)
    throw core::BadInput("--emit, --run and --skip-profiling exclude each other");
  if (emit_) mode_ = Mode::kEmit;
  if (run_) mode_ = Mode::kRun;
  if (skip_profiling_) mode_ = Mode::kRead;
  if (mode_ && output_dir_.empty())
    throw core::BadInput("--emit, --run and --skip-profiling need --output-dir DIR");
  const bool measures = emit_ || run_;
  if (!measures && (!resume_ || retry_failed_))
    throw core::BadInput("--no-resume and --retry-failed are for --emit and --run");
  if (!launcher_.empty() && !measures) throw core::BadInput("--launcher is for --emit and --run");
  if (measures && launcher_.empty())
    launcher_ = fmt::format("{} '{}'", kLauncher, OverlapLauncher().string());
  if (mode_ && noise_ != 0) throw core::BadInput("--noise is for simulated times only");
  if (!(noise_ >= 0 && noise_ <= kMostNoise))
    throw core::BadInput("--noise is {}, must be in [0, {}]", noise_, kMostNoise);
  if (!(case_timeout_s_ > 0 && case_timeout_s_ <= 1e6))
    throw core::BadInput("--case-timeout is {}, must be in (0, 1e6]", case_timeout_s_);
}

void TuneCommand::Prepare() {
  if (words_.empty() || (words_[0] != "overlap" && words_[0] != "diff"))
    throw core::BadInput("tune takes overlap or diff, not \"{}\"", words_.empty() ? "" : words_[0]);
  if (words_[0] == "diff") return PrepareDiff();
  if (words_.size() != 1) throw core::BadInput("tune overlap takes no {}", words_[1]);
  if (model_text_.empty())
    throw core::BadInput("--model is needed: a directory or one of {}",
                         fmt::join(arch::KnownModelNames(), ", "));
  PrepareMode();
  options_.machine = planner::FindMachine(machine_);
  options_.te_version = tune::ParseTeVersion(te_version_);
  for (const std::string& name : operators_)
    options_.operators.push_back(spec::ParseLinearOp(name, "--operators"));
  model_ = FindModel(model_text_);
  tune::Validate(options_, model_);
  if (!mode_ && !output_dir_.empty() &&
      std::filesystem::exists(std::filesystem::path(output_dir_) / "traces"))
    throw core::BadInput(
        "--output-dir {}: holds measurements; --skip-profiling reports on them, and simulated "
        "times "
        "need another directory",
        output_dir_);
  if (!output_dir_.empty() && !skip_profiling_) MakeOutputDir(output_dir_);
}

int TuneCommand::Run() {
  if (words_[0] == "diff") {
    const tune::ReportDifference difference = tune::DiffReports(words_[1], words_[2]);
    Print(json_ ? core::JsonText(tune::ToJson(difference)) : tune::ToText(difference));
    return 0;
  }
  if (!mode_) {
    tune::SimulatedBackend backend(model_, options_.max_token_len, options_.machine, noise_, seed_);
    return Finish(tune::TuneOverlap(model_, options_, backend), "");
  }
  tune::CaseStore store(
      std::filesystem::absolute(output_dir_), model_, options_,
      skip_profiling_ ? tune::CaseStore::Access::kRead : tune::CaseStore::Access::kWrite);
  if (!resume_) store.Forget();
  if (retry_failed_) store.ForgetFailed();
  tune::ExternalBackend backend(std::move(store),
                                {.mode = *mode_,
                                 .launcher = launcher_,
                                 .case_timeout_s = case_timeout_s_,
                                 .on_case = [](const std::string& id, size_t left, size_t of) {
                                   core::Log("{} ({} of {} left in this round)", id, left, of);
                                 }});
  const tune::OverlapReport report = tune::TuneOverlap(model_, options_, backend);
  return Finish(report, backend.script());
}

// 1 when cases failed that the answer rests on.
int TuneCommand::Finish(const tune::OverlapReport& report, const std::string& script) const {
  if (!output_dir_.empty()) tune::WriteReportFiles(report, output_dir_);
  if (json_) {
    core::Json document = tune::ToJson(report);
    if (!script.empty()) document["script"] = script;
    PrintJson(document);
  } else {
    Print(tune::ToText(report));
    if (!script.empty()) PrintLine("next: run {}, then this command again", script);
  }
  if (report.outcome.undecided.empty()) return 0;
  core::Log("nothing is decided: {}", report.outcome.undecided);
  return static_cast<int>(core::ErrorKind::kRuntime);
}

}  // namespace

std::unique_ptr<Command> MakeTuneCommand() { return std::make_unique<TuneCommand>(); }

}  // namespace autodist::cli
