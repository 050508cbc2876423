// --trace FILE, of the commands that run the model.
#ifndef AUTODIST_CLI_TRACE_FLAG_H_
#define AUTODIST_CLI_TRACE_FLAG_H_

#include <filesystem>
#include <string>

#include "autodist/cli/run_flags.h"
#include "autodist/infer/model_runner.h"

namespace CLI {
class App;
}  // namespace CLI

namespace autodist::cli {

class TraceFlag {
 public:
  void Add(CLI::App& app);

  // Has `options` record events. Throws core::Error when the file of rank 0 cannot be written, or
  // would lie outside of --output-dir. To be called after the output directory was prepared.
  void Prepare(const RunFlags& run, ModelRunnerOptions& options);

  bool given() const { return !name_.empty(); }

  // Nothing without the flag. Collective over the processes of the job; after an error that ended
  // the run it writes what the ranks of rank 0's process did, and never throws.
  void Write(ModelRunner& runner) const;
  void WriteAfterError(ModelRunner& runner) const noexcept;

 private:
  std::string name_;
  std::filesystem::path path_;
};

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_TRACE_FLAG_H_
