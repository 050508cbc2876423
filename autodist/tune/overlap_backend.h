// Where measurements come from.
#ifndef AUTODIST_TUNE_OVERLAP_BACKEND_H_
#define AUTODIST_TUNE_OVERLAP_BACKEND_H_

#include <string>
#include <vector>

#include "autodist/tune/overlap_case.h"

namespace autodist::tune {

// One caller. The tuner asks in rounds; what a round asks for does not depend on its other cases.
class OverlapBackend {
 public:
  virtual ~OverlapBackend() = default;

  // One sentence for the report: what the figures are.
  virtual std::string Description() const = 0;

  // Measures what it can of `cases` and returns it by id. A case that was tried and failed has an
  // error. A case that is absent from the answer is pending: the tuner stops, and goes on when it
  // is called again and the case is there. Throws core::Error for what concerns all cases.
  virtual CaseResults Measure(const std::vector<OverlapCase>& cases) = 0;
};

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_OVERLAP_BACKEND_H_
