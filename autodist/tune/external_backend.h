// Measurements by a launcher on real devices, through files.
#ifndef AUTODIST_TUNE_EXTERNAL_BACKEND_H_
#define AUTODIST_TUNE_EXTERNAL_BACKEND_H_

#include <functional>
#include <string>
#include <vector>

#include "autodist/tune/case_store.h"
#include "autodist/tune/overlap_backend.h"

namespace autodist::tune {

class ExternalBackend final : public OverlapBackend {
 public:
  enum class Mode {
    kRead,  // takes what is there, writes nothing
    kEmit,  // writes the cases that are missing, and a script that runs them
    kRun,   // runs them, one after the other
  };

  struct Options {
    Mode mode = Mode::kRead;
    std::string launcher;  // a shell command; see CaseStore::WriteScript
    double case_timeout_s = 600;
    // Called before a case runs: its id, how many cases of the round are left, and out of how many.
    std::function<void(const std::string&, size_t, size_t)> on_case = {};
  };

  ExternalBackend(CaseStore store, Options options);

  std::string Description() const override;
  // kRun: a launcher that fails, writes no result, or outlives case_timeout_s (it is ended, with
  // all that it started) makes a failed case. Throws core::Error when it cannot be started (bad
  // input), or when the first three cases all fail (runtime).
  CaseResults Measure(const std::vector<OverlapCase>& cases) override;

  // Of the last round, after kEmit.
  const std::string& script() const { return script_; }

 private:
  void RunAll(const std::vector<OverlapCase>& cases, CaseResults& results);
  void Run(const OverlapCase& overlap_case) const;

  CaseStore store_;
  Options options_;
  std::string script_;
  int failures_ = 0;  // cases in a row
  bool any_done_ = false;
};

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_EXTERNAL_BACKEND_H_
