// CHECK: a condition that only a bug of ours can break. A failure prints file, line and the two
// values, then aborts; it is active in every build type.
#ifndef AUTODIST_CORE_CHECK_H_
#define AUTODIST_CORE_CHECK_H_

#include <fmt/format.h>

#include <string>

namespace autodist::core {

[[noreturn]] void CheckFailed(const char* file, int line, const std::string& what);

}  // namespace autodist::core

#define AUTODIST_CHECK(condition)                                                    \
  do {                                                                               \
    if (!(condition)) ::autodist::core::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

#define AUTODIST_CHECK_OP_(a, op, b)                                                \
  do {                                                                              \
    const auto& autodist_a = (a);                                                   \
    const auto& autodist_b = (b);                                                   \
    if (!(autodist_a op autodist_b))                                                \
      ::autodist::core::CheckFailed(                                                \
          __FILE__, __LINE__,                                                       \
          fmt::format("{} {} {} ({} vs {})", #a, #op, #b, autodist_a, autodist_b)); \
  } while (false)

#define AUTODIST_CHECK_EQ(a, b) AUTODIST_CHECK_OP_(a, ==, b)
#define AUTODIST_CHECK_NE(a, b) AUTODIST_CHECK_OP_(a, !=, b)
#define AUTODIST_CHECK_LT(a, b) AUTODIST_CHECK_OP_(a, <, b)
#define AUTODIST_CHECK_LE(a, b) AUTODIST_CHECK_OP_(a, <=, b)
#define AUTODIST_CHECK_GT(a, b) AUTODIST_CHECK_OP_(a, >, b)
#define AUTODIST_CHECK_GE(a, b) AUTODIST_CHECK_OP_(a, >=, b)

#endif  // AUTODIST_CORE_CHECK_H_
