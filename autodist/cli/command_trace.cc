#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/output.h"
#include "autodist/cli/trace_page.h"
#include "autodist/cli/trace_tables.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/json.h"
#include "autodist/trace/analysis.h"
#include "autodist/trace/merge.h"
#include "autodist/trace/trace.h"

namespace autodist::cli {
namespace {

class TraceCommand final : public Command {
 public:
  const char* name() const override { return "trace"; }
  const char* summary() const override {
    return "Measure how communication overlaps in profiler traces";
  }
  void AddFlags(CLI::App& app) override;
  void Prepare() override;
  int Run() override;

 private:
  int Analyze();
  int Diff();
  int Merge();
  int Kernels();
  std::vector<trace::Trace> Read() const;

  std::string action_;
  std::vector<std::string> files_;
  std::optional<std::string> rules_;
  std::optional<std::string> baseline_;
  std::optional<std::string> html_;
  std::optional<std::string> output_;
  bool json_ = false;
  bool csv_ = false;
  std::optional<trace::Classifier> classifier_;
};

void TraceCommand::AddFlags(CLI::App& app) {
  AddText(app, "analyze|diff|merge|kernels", action_, "");
  AddWords(app, "FILE...", files_);
  SetFooter(
      app,
      "Files are PyTorch profiler traces (.json, .json.gz), one per rank, or a .tar.gz of them.\n"
      "analyze measures, diff compares two files, merge writes all ranks as one trace, kernels\n"
      "lists kernels by time.");
  AddText(app, "--rules", rules_, "JSON list of kernel rules, tried before the built-in ones")
      .Type("FILE");
  AddText(app, "--baseline", baseline_,
          "analyze: the same operators without overlap, for GEMM slowdown and efficiency")
      .Type("FILE");
  AddText(app, "--html", html_, "analyze: also a page with the operators over time").Type("FILE");
  AddText(app, "--output", output_, "merge: the file to write").Type("FILE");
  AddSwitch(app, "--json", json_, "Print exactly one JSON document");
  AddSwitch(app, "--csv", csv_, "Print a table as CSV");
}

void TraceCommand::Prepare() {
  const bool analyze = action_ == "analyze";
  const bool merge = action_ == "merge";
  if (!analyze && !merge && action_ != "diff" && action_ != "kernels")
    throw core::BadInput("trace takes analyze, diff, merge or kernels, not \"{}\"", action_);
  if (files_.empty()) throw core::BadInput("trace {} needs the names of trace files", action_);
  if (action_ == "diff" && files_.size() != 2)
    throw core::BadInput("trace diff compares 2 files, {} are given", files_.size());
  if (baseline_ && !analyze) throw core::BadInput("--baseline is for analyze only");
  if (html_ && !analyze) throw core::BadInput("--html is for analyze only");
  if (merge && !output_) throw core::BadInput("trace merge needs --output FILE");
  if (output_ && !merge) throw core::BadInput("--output is for merge only");
  if (json_ && csv_) throw core::BadInput("--json and --csv exclude each other");
  if (merge && (json_ || csv_))
    throw core::BadInput("trace merge writes a file and prints no table");
  classifier_.emplace(rules_ ? trace::ReadRules(*rules_) : std::vector<trace::Rule>());
}

int TraceCommand::Run() {
  if (action_ == "analyze") return Analyze();
  if (action_ == "diff") return Diff();
  return action_ == "merge" ? Merge() : Kernels();
}

std::vector<trace::Trace> TraceCommand::Read() const {
  return trace::ReadTraces({files_.begin(), files_.end()}, *classifier_);
}

int TraceCommand::Analyze() {
  std::optional<trace::RankAnalysis> baseline;
  if (baseline_) baseline = trace::Analyze(trace::ReadTrace(*baseline_, *classifier_));
  const trace::RankAnalysis* against = baseline ? &*baseline : nullptr;
  const std::vector<trace::Trace> traces = Read();
  std::vector<trace::RankAnalysis> ranks;
  for (const trace::Trace& trace : traces) ranks.push_back(trace::Analyze(trace));
  if (html_) core::WriteFileAtomically(*html_, TracePage(traces, ranks, against).ToHtml());
  if (json_) {
    PrintJson(trace::ToJson(ranks, against));
  } else {
    Print(csv_ ? AnalysisCsv(ranks, against) : AnalysisText(ranks, against));
  }
  return 0;
}

int TraceCommand::Diff() {
  const trace::RankAnalysis a = trace::Analyze(trace::ReadTrace(files_[0], *classifier_));
  const trace::RankAnalysis b = trace::Analyze(trace::ReadTrace(files_[1], *classifier_));
  if (json_) {
    PrintJson(DiffJson(a, b));
  } else {
    const report::Table table = DiffTable(a, b);
    Print(csv_ ? table.ToCsv() : fmt::format("A: {}\nB: {}\n{}", a.file, b.file, table.ToText()));
  }
  return 0;
}

int TraceCommand::Merge() {
  for (const std::string& file : files_) {
    std::error_code error;
    if (std::filesystem::equivalent(file, *output_, error))
      throw core::BadInput("--output {}: is one of the traces to be merged", *output_);
  }
  const std::vector<trace::Trace> traces = Read();
  trace::WriteMerged(traces, *output_);
  PrintLine("{}: {} {}", *output_, traces.size(), traces.size() == 1 ? "rank" : "ranks");
  return 0;
}

int TraceCommand::Kernels() {
  const std::vector<trace::Trace> traces = Read();
  const std::vector<trace::KernelTime> kernels = trace::KernelTimes(traces);
  if (json_) {
    PrintJson({{"kernels", trace::ToJson(kernels)}});
  } else {
    const report::Table table = KernelTable(kernels);
    Print(csv_ ? table.ToCsv() : table.ToText());
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> MakeTraceCommand() { return std::make_unique<TraceCommand>(); }

}  // namespace autodist::cli
