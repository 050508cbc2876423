// Why a site runs as it does, in words.
#ifndef AUTODIST_TUNE_SITE_VERDICT_H_
#define AUTODIST_TUNE_SITE_VERDICT_H_

#include <string>

#include "autodist/tune/overlap_search.h"

namespace autodist::tune {

// What stands in the way of hiding all communication.
enum class OverlapBound {
  kNone,        // no communication, or nearly all of it is hidden
  kBandwidth,   // the collective is longer than the product, by its bytes
  kLatency,     // the collective is longer than the product, by its steps
  kGemm,        // the product in parts, or on fewer multiprocessors, is slower
  kContention,  // the product slows down beside communication
};
std::string_view NameOf(OverlapBound bound);

struct SiteVerdict {
  const MeasuredSetting* chosen = nullptr;  // nullptr: the product alone, or nothing worked
  bool overlapped = false;
  double seconds = 0.0;
  double exposed_s = 0.0;
  double hidden = 0.0;  // share of communication; 1 where there is none
  OverlapBound bound = OverlapBound::kNone;
  std::string reason;
};

SiteVerdict JudgeSite(const TpFindings& size, const SiteFindings& site,
                      const OverlapOptions& options);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_SITE_VERDICT_H_
