// From the traces of one case to its samples.
#ifndef AUTODIST_TUNE_CASE_TRACES_H_
#define AUTODIST_TUNE_CASE_TRACES_H_

#include <filesystem>

#include "autodist/tune/overlap_case.h"

namespace autodist::tune {

// Reads every *.json and *.json.gz of `directory` but result.json: one trace per rank. A sample is
// one execution of the site's range ("fc1_fprop"), on the rank on which it took longest. What is
// wrong with the traces (a rank is missing, an execution too) becomes the result's error.
CaseResult ReadCaseTraces(const OverlapCase& overlap_case, const std::filesystem::path& directory);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_CASE_TRACES_H_
