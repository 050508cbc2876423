#include "autodist/cli/trace_flag.h"

#include "autodist/cli/flag_values.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/log.h"
#include "autodist/runtime/loaded_model.h"

namespace autodist::cli {

void TraceFlag::Add(CLI::App& app) {
  const auto set_name = [this](const std::string& name) {
    if (name.empty()) throw core::BadInput("--trace is empty, must be a file");
    name_ = name;
  };
  AddParsed(app, "--trace", set_name,
            "What every rank does, for ui.perfetto.dev: one file for all ranks")
      .Type("FILE")
      .Group("Output");
}

void TraceFlag::Prepare(const RunFlags& run, ModelRunnerOptions& options) {
  if (!given()) return;
  path_ = run.OutputFile(name_, "--trace");
  options.record_ops = runtime::OpRecording::kEvents;
  // Other ranks may be on hosts that have no such directory.
  if (runtime::LaunchOf(options).rank != 0) return;
  try {
    core::AtomicFile probe(path_);
  } catch (const core::Error& error) {
    throw core::BadInput("--trace {}", error.what());
  }
}

void TraceFlag::Write(ModelRunner& runner) const {
  if (!given()) return;
  runner.WriteTrace(path_);
  if (runner.holds_rank0()) core::Log("wrote {}", path_.string());
}

void TraceFlag::WriteAfterError(ModelRunner& runner) const noexcept {
  if (!given() || !runner.holds_rank0()) return;
  try {
    runner.WriteTrace(path_);
    core::Log("wrote {}", path_.string());
  } catch (const std::exception& error) {
    core::Log("no trace was written: {}", error.what());
  }
}

}  // namespace autodist::cli
