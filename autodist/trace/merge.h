// Several ranks on one clock, as one trace-event file.
#ifndef AUTODIST_TRACE_MERGE_H_
#define AUTODIST_TRACE_MERGE_H_

#include <filesystem>
#include <span>

#include "autodist/trace/trace.h"

namespace autodist::trace {

// Writes what the devices did, for ui.perfetto.dev: a process per trace (its rank, or its place in
// `traces` where ranks are not known), a thread per stream, and one per operator with its windows.
// Times count from the earliest event; clocks are aligned by base_time_ns. Events of several
// devices of one trace are told apart by thread. It is for looking: what the host did is not in it,
// so that ReadTrace finds neither launches nor steps there, and takes userbuffers' signals, known
// by their launch, for communication. Throws core::Error
// when the file cannot be written.
void WriteMerged(std::span<const Trace> traces, const std::filesystem::path& path);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_MERGE_H_
