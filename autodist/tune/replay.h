// The search, written as if every result were there already.
#ifndef AUTODIST_TUNE_REPLAY_H_
#define AUTODIST_TUNE_REPLAY_H_

#include <algorithm>
#include <vector>

#include "autodist/tune/overlap_case.h"

namespace autodist::tune {

// Code that searches asks for results and returns early where one is missing; what was missing is
// the next round. Run again with more results, it takes the same way and gets further: the results
// are the whole state of a search, so that it can be stopped anywhere.
class Replay {
 public:
  explicit Replay(const CaseResults& results) : results_(results) {}

  // nullptr, and the case is wanted, when there is no result of it yet.
  const CaseResult* Find(const OverlapCase& overlap_case) {
    const std::string id = overlap_case.Id();
    if (const auto found = results_.find(id); found != results_.end()) return &found->second;
    const bool known = std::any_of(wanted_.begin(), wanted_.end(),
                                   [&](const OverlapCase& other) { return other.Id() == id; });
    if (!known) wanted_.push_back(overlap_case);
    return nullptr;
  }

  const std::vector<OverlapCase>& wanted() const { return wanted_; }

 private:
  const CaseResults& results_;  // outlives this
  std::vector<OverlapCase> wanted_;
};

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_REPLAY_H_
