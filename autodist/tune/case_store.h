// The directory of a tuning that measures on devices: cases out, traces in.
//
//   test_cases/test_cases.json   every case that was ever asked for, with its round
//   test_cases/<id>.yaml         one case: operator, shape, switches, userbuffers
//   test_cases/round_<n>.sh      runs the cases of round n that are not done
//   traces/<id>/                 what the launcher wrote: rank<r>.json or .json.gz, a profiler
//   trace
//                                of every rank; result.json, last: the case is done; log.txt
//   traces/<id>/error.txt        the case failed: why. Delete it to have the case tried again
//   traces/<id>.running/         a case that runs, or was stopped: renamed when it has ended
//
// Results are the whole state: whatever stops in between, the next call goes on from the cases that
// are done.
#ifndef AUTODIST_TUNE_CASE_STORE_H_
#define AUTODIST_TUNE_CASE_STORE_H_

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "autodist/tune/overlap_case.h"
#include "autodist/tune/overlap_options.h"

namespace autodist::tune {

// One caller; two programs must not use one directory at the same time.
class CaseStore {
 public:
  // Throws core::Error (bad input): the directory is absent, or holds the cases of another model,
  // token count or TransformerEngine.
  CaseStore(std::filesystem::path directory, spec::OverlapModel model, OverlapOptions options);

  // Remembers cases of a new round; those that are known keep theirs. Writes test_cases.json and
  // the YAML files of new ones.
  void Add(const std::vector<OverlapCase>& cases);
  int rounds() const { return rounds_; }

  // The shell script of the last round, which runs `cases`. `launcher` is a shell command, in which
  // "{tp}" stands for the number of ranks; "--case FILE --output DIR" is added.
  std::filesystem::path WriteScript(const std::vector<OverlapCase>& cases,
                                    const std::string& launcher) const;
  std::string Command(const OverlapCase& overlap_case, const std::string& launcher,
                      const std::filesystem::path& output) const;

  // nullopt: not done. `needs_result`: traces without a result.json do not count; without it, those
  // that another program left are taken as they are.
  std::optional<CaseResult> Read(const OverlapCase& overlap_case, bool needs_result) const;

  // An empty directory for a case to run in, and its end: `why` is one sentence, or "" when there
  // is a result. A launcher that outlived its tuner keeps writing elsewhere.
  std::filesystem::path BeginRun(const OverlapCase& overlap_case) const;
  void EndRun(const OverlapCase& overlap_case, const std::filesystem::path& run,
              const std::string& why) const;

  std::filesystem::path CaseFile(const OverlapCase& overlap_case) const;
  std::filesystem::path TraceDirectory(const OverlapCase& overlap_case) const;

 private:
  struct Known {
    OverlapCase overlap_case;
    int round = 0;
  };

  void ReadIndex();
  void WriteIndex() const;
  const Known* Find(const std::string& id) const;

  std::filesystem::path directory_;
  spec::OverlapModel model_;
  OverlapOptions options_;
  std::vector<Known> known_;
  int rounds_ = 0;
};

// The case as the launcher reads it. The shape is that of the whole weight, [inputs, outputs].
std::string CaseYaml(const OverlapCase& overlap_case, const spec::OverlapModel& model,
                     const OverlapOptions& options);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_CASE_STORE_H_
