// A refusal that happens before the ranks of a launcher have met.
#ifndef AUTODIST_CLI_REFUSAL_H_
#define AUTODIST_CLI_REFUSAL_H_

#include <string>
#include <vector>

#include "autodist/core/error.h"

namespace autodist::cli {

// Throws. When a launcher started this process as one of several ranks, the others are met for a
// moment and told, so that all end alike and one of them prints: a runtime::RankError. Ranks that
// refuse too come here; a rank that does not learns of it where it joins the job. When the others
// do not come within some seconds, or the launcher's facts cannot be read, `error` itself is
// thrown. REQUIRES that this process has not joined its job. `arguments` are those of the command
// line, for --local-rank and --world-size.
[[noreturn]] void RefuseTogether(const core::Error& error,
                                 const std::vector<std::string>& arguments);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_REFUSAL_H_
