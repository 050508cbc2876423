// Kineto JSON -> RawTrace, in one pass over a window of the text.
#ifndef AUTODIST_TRACE_READER_H_
#define AUTODIST_TRACE_READER_H_

#include <string>

#include "autodist/trace/byte_source.h"
#include "autodist/trace/classifier.h"
#include "autodist/trace/raw_trace.h"

namespace autodist::trace {

// `name` stands in messages and in Trace::file. Throws core::Error as ReadTrace does.
RawTrace ReadRaw(ByteSource& source, std::string name, const Classifier& classifier);

// ReadRaw and attribution.
Trace ReadTrace(ByteSource& source, std::string name, const Classifier& classifier);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_READER_H_
