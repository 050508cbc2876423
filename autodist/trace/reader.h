// Kineto JSON -> RawTrace, in one pass over a window of the text.
#ifndef AUTODIST_TRACE_READER_H_
#define AUTODIST_TRACE_READER_H_

#include <string>
#include <string_view>

#include "autodist/trace/byte_source.h"
#include "autodist/trace/classifier.h"
#include "autodist/trace/raw_trace.h"

namespace autodist::trace {

// `name` stands in messages and in Trace::file. Throws core::Error as ReadTrace does.
RawTrace ReadRaw(ByteSource& source, std::string name, const Classifier& classifier);

// ReadRaw and attribution.
Trace ReadTrace(ByteSource& source, std::string name, const Classifier& classifier);

// Decimal microseconds, "12.345" or "1.2e6", to nanoseconds; digits below one are dropped. False:
// no number, or beyond int64.
bool ParseMicroseconds(std::string_view text, int64_t& ns);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_READER_H_
