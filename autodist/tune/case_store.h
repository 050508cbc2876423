// The directory of a tuning that measures on devices: cases out, traces in.
//
//   test_cases/test_cases.json   every case that was ever asked for, with its round
//   test_cases/<id>.yaml         one case: operator, shape, switches, Megatron's arguments for
//                                them, userbuffers
//   test_cases/round_<n>.sh      runs the cases of round n that are not done
//   test_cases/lock              while a program asks for cases or runs them
//   traces/<id>/                 what the launcher wrote: rank<r>.json or .json.gz, a profiler
//                                trace per rank; result.json, last: the case is done; log.txt
//   traces/<id>/error.txt        the case failed: why
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

#include "autodist/core/file_lock.h"
#include "autodist/tune/overlap_case.h"
#include "autodist/tune/overlap_options.h"

namespace autodist::tune {

// One caller.
class CaseStore {
 public:
  enum class Access {
    kRead,   // takes what is there, from other programs too, and changes nothing
    kWrite,  // locks the directory against other writers until it is destroyed
  };

  // Throws core::Error (bad input): the directory is absent, holds no traces (kRead) or the cases
  // of another model, token count, machine or TransformerEngine, or another program writes to it.
  CaseStore(std::filesystem::path directory, spec::OverlapModel model, OverlapOptions options,
            Access access);

  // kWrite: have all cases measured again, or those that failed.
  void Forget();
  void ForgetFailed();

  // Remembers cases of a new round; those that are known keep theirs. Writes test_cases.json and
  // the YAML files of new ones.
  void Add(const std::vector<OverlapCase>& cases);
  int rounds() const { return rounds_; }

  // The shell script of the last round, which runs `cases`, each for at most `timeout_s`. It finds
  // the directory from its own place, so that both may be copied to another machine. `launcher` is
  // a shell command, in which "{tp}" stands for the number of ranks; "--case FILE --output DIR" is
  // added.
  std::filesystem::path WriteScript(const std::vector<OverlapCase>& cases,
                                    const std::string& launcher, double timeout_s) const;
  std::string Command(const OverlapCase& overlap_case, const std::string& launcher,
                      const std::filesystem::path& output) const;

  // nullopt: not done. With kWrite, traces without a result.json do not count; with kRead, those
  // that another program left are taken as they are. Whatever is wrong with them is the result's
  // error: too few repeats, another setting in effect than the case's, an unreadable file.
  std::optional<CaseResult> Read(const OverlapCase& overlap_case) const;

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
  std::optional<CaseResult> ReadFrom(const OverlapCase& overlap_case,
                                     const std::filesystem::path& traces) const;
  std::string Command(const OverlapCase& overlap_case, const std::string& launcher,
                      const std::string& file_word, const std::string& output_word) const;

  std::filesystem::path directory_;
  Access access_;
  std::optional<core::FileLock> lock_;
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
