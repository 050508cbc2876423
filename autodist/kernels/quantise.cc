#include "autodist/kernels/quantise.h"

#include <algorithm>
#include <cstring>

#include "autodist/core/check.h"
#include "autodist/kernels/cpu/kernel_table.h"

namespace autodist::kernels {
namespace {

using core::DType;
using core::WeightFormat;

constexpr int64_t kBlock = PackedLayout::kBlock;
constexpr int64_t kGroup = core::kGroupInputs;
constexpr int64_t kQuarter = 16;  // outputs whose codes lie together
constexpr int64_t kLineBytes = 64;

constexpr int64_t LineInputs(WeightFormat format) { return format == WeightFormat::kInt8 ? 4 : 8; }

// Where the word of one output in a line of inputs is, in bytes from the codes of the group row.
size_t WordOffset(int64_t output, int64_t line) {
  return static_cast<size_t>((line * (kBlock / kQuarter) + output / kQuarter) * kLineBytes +
                             output % kQuarter * static_cast<int64_t>(sizeof(uint32_t)));
}

// The level of W[output, input of the group] in units of the scale.
int Level(WeightFormat format, const uint8_t* codes, int64_t output, int64_t input) {
  const int64_t inputs = LineInputs(format);
  const int64_t in_line = input % inputs;
  uint32_t word;
  std::memcpy(&word, codes + WordOffset(output, input / inputs), sizeof(word));
  const int64_t place = in_line / 2 + in_line % 2 * (inputs / 2);
  const uint32_t from_place = word >> (32 / inputs * place);
  return format == WeightFormat::kInt8 ? static_cast<int>(from_place & 255) - kInt8Zero
                                       : kInt4Levels[from_place & 15];
}

// Copies outputs [first, first + count) of one group row. The outputs of a block may come in
// several pieces; no byte belongs to two of them.
void CopyOutputs(WeightFormat format, const uint8_t* from, int64_t first, int64_t count,
                 uint8_t* to) {
  const auto copy = [&](size_t offset, size_t bytes) {
    std::memcpy(to + offset, from + offset, bytes);
  };
  copy(static_cast<size_t>(first) * 2, static_cast<size_t>(count) * 2);
  for (int64_t output = first; output < first + count; ++output) {
    for (int64_t line = 0; line < kGroup / LineInputs(format); ++line) {
      copy(kScaleBytes + WordOffset(output, line), sizeof(uint32_t));
    }
  }
}

}  // namespace

void QuantiseRows(device::Stream& stream, core::ConstTensorView piece_NK,
                  const PackedLayout& layout, int64_t first_n, void* packed) {
  AUTODIST_CHECK(layout.quantised());
  AUTODIST_CHECK(piece_NK.cols() >= layout.lead + layout.k && piece_NK.cols() <= layout.padded_k());
  if (piece_NK.elements() == 0) return;
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  const size_t group_bytes = GroupBytes(layout.format);
  const int64_t last_n = first_n + piece_NK.rows();
  const int64_t first_block = first_n / kBlock;
  const int64_t blocks = (last_n - 1) / kBlock + 1 - first_block;
  stream.pool().ParallelFor(blocks, [&](int64_t begin, int64_t end, int) {
    alignas(64) float rows[kBlock * kGroup];
    alignas(64) float columns[kGroup * kBlock];
    alignas(64) uint8_t group[GroupBytes(WeightFormat::kInt8)];
    for (int64_t block = first_block + begin; block < first_block + end; ++block) {
      const int64_t output = std::max(first_n, block * kBlock);
      const int64_t outputs = std::min(last_n, (block + 1) * kBlock) - output;
      auto* to = static_cast<uint8_t*>(packed) + static_cast<size_t>(block) * layout.block_bytes();
      for (int64_t input = 0; input < layout.padded_k(); input += kGroup, to += group_bytes) {
        const int64_t inputs = std::min(kGroup, piece_NK.cols() - input);
        std::fill(std::begin(columns), std::end(columns), 0.0f);
        for (int64_t i = 0; i < outputs; ++i) {
          const auto source = piece_NK.Rows(output - first_n + i, 1).Cols(input, inputs);
          table.convert(source.dtype(), source.data(), DType::kF32, rows, inputs);
          for (int64_t j = 0; j < inputs; ++j) columns[j * kBlock + output % kBlock + i] = rows[j];
        }
        table.quantise(layout.format, columns, group);
        CopyOutputs(layout.format, group, output % kBlock, outputs, to);
      }
    }
  });
}

void DequantiseRow(const PackedWeight& weight, int64_t output, float* y_K) {
  const PackedLayout& layout = weight.layout;
  const auto* const block = static_cast<const uint8_t*>(weight.data) +
                            static_cast<size_t>(output / kBlock) * layout.block_bytes();
  const int64_t in_block = output % kBlock;
  for (int64_t input = 0; input < layout.k; ++input) {
    const int64_t at = layout.lead + input;
    const uint8_t* const group =
        block + static_cast<size_t>(at / kGroup) * GroupBytes(layout.format);
    core::Float16 scale;
    std::memcpy(&scale, group + in_block * 2, sizeof(scale));
    y_K[input] = core::ToFloat(scale) * static_cast<float>(Level(layout.format, group + kScaleBytes,
                                                                 in_block, at % kGroup));
  }
}

}  // namespace autodist::kernels
