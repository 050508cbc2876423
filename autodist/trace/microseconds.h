// Times as Kineto writes them.
#ifndef AUTODIST_TRACE_MICROSECONDS_H_
#define AUTODIST_TRACE_MICROSECONDS_H_

#include <cstdint>
#include <string_view>

namespace autodist::trace {

// Decimal microseconds, "12.345" or "1.2e6", to nanoseconds; digits below one are dropped. False:
// no number, or beyond int64. Never through a double: microseconds since 1970 with three digits
// behind the point have more digits than one holds.
bool ParseMicroseconds(std::string_view text, int64_t& ns);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_MICROSECONDS_H_
