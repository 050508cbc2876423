#include <cmath>

#include "autodist/core/check.h"
#include "autodist/kernels/rope.h"

namespace autodist::kernels {

RopeTable MakeRopeTable(std::span<const float> inverse_frequency, float attention_factor, int64_t positions) {
  AUTODIST_CHECK_GE(positions, 0);
  const size_t pairs = inverse_frequency.size();
  RopeTable table{positions, static_cast<int64_t>(2 * pairs), {}, {}};
  table.cos.resize(static_cast<size_t>(positions) * pairs);
  table.sin.resize(table.cos.size());
  size_t at = 0;
  for (int64_t position = 0; position < positions; ++position) {
    for (const float frequency : inverse_frequency) {
      const double angle = static_cast<float>(position) * frequency;
      table.cos[at] = static_cast<float>(std::cos(angle)) * attention_factor;
      table.sin[at] = static_cast<float>(std::sin(angle)) * attention_factor;
      ++at;
    }
  }
  return table;
}

}  // namespace autodist::kernels
