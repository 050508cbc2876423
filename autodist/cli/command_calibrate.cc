#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/output.h"
#include "autodist/comm/launch.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/json.h"
#include "autodist/device/topology.h"
#include "autodist/measure/calibration.h"
#include "autodist/report/table.h"
#include "autodist/runtime/job.h"
#include "autodist/runtime/loaded_model.h"

namespace autodist::cli {
namespace {

class CalibrateCommand final : public Command {
 public:
  const char* name() const override { return "calibrate"; }
  const char* summary() const override {
    return "Measure what plans rest on, in less than a minute: reading, computing, links between "
           "ranks";
  }
  void AddFlags(CLI::App& app) override;
  bool runs_on_ranks() const override { return true; }
  void Prepare() override;
  int Run() override;

 private:
  std::string output_;
  std::optional<int> ranks_;
  std::optional<int> threads_;
  runtime::RunOptions options_;
  core::DType dtype_ = core::DType::kBF16;
  bool json_ = false;
};

std::string ToText(const spec::Cluster& cluster) {
  report::Table table({"rate", "value"});
  for (const spec::ClusterRate& rate : spec::kClusterRates)
    table.Add({rate.name, fmt::format("{:.4g}", cluster.*rate.value)});
  for (const spec::ProductRate& product : cluster.products)
    table.Add({fmt::format("products of {} rows, weights_per_s", product.rows),
               fmt::format("{:.4g}", product.weights_per_s)});
  return table.ToText();
}

void CalibrateCommand::AddFlags(CLI::App& app) {
  AddText(app, "--output", output_, "The result, for --cluster of other commands (required)")
      .Type("FILE");
  AddOptionalInteger(app, "--ranks", ranks_,
                     "Ranks that measure together (default: the launcher's, else 1; without a "
                     "launcher they are threads of this process)",
                     1);
  AddOptionalInteger(app, "--threads", threads_,
                     "Threads per rank (default: usable cores / ranks on this host)", 1);
  options_.dtype = "bfloat16";
  AddText(app, "--dtype", options_.dtype, "Of the weights: float32 or bfloat16")
      .Type("TYPE")
      .Default(options_.dtype);
  AddNumber(app, "--collective-timeout", options_.collective_timeout_s,
            "Longest wait for another rank, in seconds");
  AddSwitch(app, "--json", json_, "Print exactly one JSON document");
}

void CalibrateCommand::Prepare() {
  if (output_.empty()) throw core::BadInput("--output is missing: the file for the result");
  if (options_.dtype != "float32" && options_.dtype != "bfloat16")
    throw core::BadInput("--dtype is {}, must be float32 or bfloat16", options_.dtype);
  if (options_.dtype == "float32") dtype_ = core::DType::kF32;
  options_.threads = threads_.value_or(0);
  runtime::CheckLimits(options_);
  const comm::LaunchInfo launch = runtime::LaunchOf(options_);
  if (launch.launcher != comm::Launcher::kNone && ranks_ && *ranks_ != launch.world_size)
    throw core::BadInput("--ranks is {}, but the launcher started {}", *ranks_, launch.world_size);
  // Before the work, not behind it. Other ranks may be on hosts that have no such directory.
  if (launch.rank == 0) core::AtomicFile probe(output_);
}

int CalibrateCommand::Run() {
  const comm::LaunchInfo launch = runtime::LaunchOf(options_);
  const bool alone = launch.launcher == comm::Launcher::kNone;
  const int world = alone ? ranks_.value_or(1) : launch.world_size;
  runtime::Job job(launch, {.world_size = world,
                            .threads_per_rank = options_.threads,
                            .comm = {.collective_timeout_s = options_.collective_timeout_s}});
  std::optional<core::Error> error;
  const int local = alone ? world : launch.local_world_size;
  if (world % local != 0)
    error =
        core::BadInput("{} of {} ranks are on this host, must be as many on each", local, world);
  job.Agree(error, {{"--dtype", options_.dtype}});
  std::vector<spec::Cluster> clusters(job.ranks().size());
  job.Run([&](size_t i) {
    const runtime::Rank& rank = job.ranks()[i];
    clusters[i] =
        measure::Calibrate(*rank.world, *rank.stream, world / local, device::UsableCores(), dtype_);
  });
  if (!job.holds_rank0()) return 0;
  const core::Json document = spec::ToJson(clusters.front());
  core::WriteFileAtomically(output_, core::JsonText(document));
  if (json_)
    PrintJson(document);
  else
    Print(ToText(clusters.front()) + fmt::format("written to {}\n", output_));
  return 0;
}

}  // namespace

std::unique_ptr<Command> MakeCalibrateCommand() { return std::make_unique<CalibrateCommand>(); }

}  // namespace autodist::cli
