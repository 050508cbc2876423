// The events of all ranks, brought together and written as one trace.
#ifndef AUTODIST_INFER_OP_TRACE_H_
#define AUTODIST_INFER_OP_TRACE_H_

#include <cstdint>
#include <filesystem>
#include <vector>

#include "autodist/comm/communicator.h"
#include "autodist/device/op_log.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::infer {

struct RankEvents {
  int rank = 0;
  uint64_t dropped = 0;  // events that the rank did not keep
  std::vector<device::OpEvent> events = {};
};

// What the log of this process's rank holds.
RankEvents LocalEvents(int rank, const device::OpLog& log);

// Collective: rank 0 gets the events of all ranks, in rank order; the others get nothing. Times of
// ranks on other hosts are moved onto the clock of rank 0, as exactly as a barrier is left at the
// same time; on one host all ranks have the same clock.
std::vector<RankEvents> GatherEvents(comm::Communicator& world, const device::OpLog& log);

// A process per rank, its thread "stream", the events in it (core/trace_writer.h); the first one
// starts at 0. Throws core::Error when the file cannot be written.
void WriteTrace(const std::filesystem::path& path, const spec::Mesh& mesh,
                const std::vector<RankEvents>& ranks);

}  // namespace autodist::infer

#endif  // AUTODIST_INFER_OP_TRACE_H_
