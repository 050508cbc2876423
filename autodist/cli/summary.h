// What a run says about itself: remarks on the checkpoint, and the lines that end `autodist
// generate`.
#ifndef AUTODIST_CLI_SUMMARY_H_
#define AUTODIST_CLI_SUMMARY_H_

#include <string>

#include "autodist/infer/model_runner.h"
#include "autodist/infer/timing.h"

namespace autodist::cli {

std::string SummaryText(const ModelRunner& runner, const infer::Timing& timing);

// "1.5 GiB", "12.0 MiB", "300 B".
std::string ByteText(uint64_t bytes);

// Logs what was noticed about the checkpoint and this host and, when the planner chose the mesh,
// why it did: one "note:" line each, where rank 0 is.
void LogRemarks(const ModelRunner& runner, bool planner_chose);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_SUMMARY_H_
