#include "autodist/model/rotary.h"

#include <algorithm>

#include "autodist/model/rope_frequencies.h"

namespace autodist::model {
namespace {

kernels::RopeTable TableFor(const spec::ModelConfig& config, int64_t length, int64_t positions) {
  const RopeFrequencies frequencies = ComputeRopeFrequencies(config.rope, length);
  return kernels::MakeRopeTable(frequencies.inverse, frequencies.attention_factor, positions);
}

}  // namespace

Rotary::Rotary(const spec::ModelConfig& config, int64_t max_positions) : config_(config) {
  if (config.position == spec::PositionKind::kRope) table_ = TableFor(config, 1, max_positions);
}

void Rotary::Apply(device::Stream& stream, std::span<const int32_t> positions_T,
                   std::span<const int32_t> lengths_T, core::TensorView x_TD) const {
  if (config_.position != spec::PositionKind::kRope) return;
  if (config_.rope.kind != spec::RopeKind::kDynamic) {
    kernels::Rope(stream, positions_T, table_, config_.head_dim, x_TD);
    return;
  }
  // Runs of rows that see the same length share a table; only lengths beyond the original context
  // need their own.
  for (size_t begin = 0, end = 0; begin < positions_T.size(); begin = end) {
    while (end < positions_T.size() && lengths_T[end] == lengths_T[begin]) ++end;
    const auto count = static_cast<int64_t>(end - begin);
    const auto positions = positions_T.subspan(begin, end - begin);
    const core::TensorView rows = x_TD.Rows(static_cast<int64_t>(begin), count);
    if (lengths_T[begin] <= config_.rope.original_max_position) {
      kernels::Rope(stream, positions, table_, config_.head_dim, rows);
    } else {
      const int64_t needed = int64_t{*std::max_element(positions.begin(), positions.end())} + 1;
      kernels::Rope(stream, positions, TableFor(config_, lengths_T[begin], needed),
                    config_.head_dim, rows);
    }
  }
}

}  // namespace autodist::model
