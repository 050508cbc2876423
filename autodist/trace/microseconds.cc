#include "autodist/trace/microseconds.h"

#include <charconv>
#include <limits>
#include <system_error>

namespace autodist::trace {

bool ParseMicroseconds(std::string_view text, int64_t& ns) {
  constexpr int64_t kMaxExponent = 1000;
  size_t at = 0;
  const auto more = [&] { return at < text.size(); };
  const bool negative = text.starts_with('-');
  if (negative) ++at;
  uint64_t mantissa = 0;
  int64_t scale = 3;  // ns = mantissa * 10^scale
  bool point = false;
  size_t digits = 0;
  for (; more() && (text[at] == '.' || (text[at] >= '0' && text[at] <= '9')); ++at) {
    if (text[at] == '.') {
      if (point) return false;
      point = true;
      continue;
    }
    ++digits;
    if (mantissa < 1'844'674'407'370'955'161) {  // one more digit fits 64 bits
      mantissa = mantissa * 10 + static_cast<uint64_t>(text[at] - '0');
      if (point) --scale;
    } else if (!point) {
      ++scale;
    }
  }
  if (digits == 0) return false;
  if (more()) {
    if (text[at] != 'e' && text[at] != 'E') return false;
    ++at;
    if (more() && text[at] == '+') ++at;
    int64_t exponent = 0;
    const auto [end, error] =
        std::from_chars(text.data() + at, text.data() + text.size(), exponent);
    if (error != std::errc() || end != text.data() + text.size()) return false;
    if (exponent < -kMaxExponent || exponent > kMaxExponent) return mantissa == 0 && (ns = 0, true);
    scale += exponent;
  }
  for (; scale < 0 && mantissa != 0; ++scale) mantissa /= 10;
  for (; scale > 0 && mantissa != 0; --scale)
    if (__builtin_mul_overflow(mantissa, uint64_t{10}, &mantissa)) return false;
  if (mantissa > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
  ns = negative ? -static_cast<int64_t>(mantissa) : static_cast<int64_t>(mantissa);
  return true;
}

}  // namespace autodist::trace
