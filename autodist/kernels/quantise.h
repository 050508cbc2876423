// The quantised forms of a packed weight: int8 and int4.
//
// 32 consecutive inputs of one output are a group: one f16 scale and 32 codes. 8.5 or 4.5 bits a
// weight, the scale included.
//   int8:  w = scale * (code - 128), code in [0, 255]
//   int4:  w = scale * kInt4Levels[code], code in [0, 15]
// The scale may be negative: the levels are not symmetric, and either end may serve the largest
// weight. Of 24 (int8) or 16 (int4) scales near largest weight / last level, each rounded to f16,
// that with the smallest sum of squared errors is taken; a code is the nearest level. No data is
// needed, and activations are not quantised (AVX2 multiplies those of bf16 in 16 bits, see
// cpu/quant_pairs_avx2-inl.h). A group that holds a NaN or an infinity is NaN.
//
// Memory of 64 outputs x 32 inputs (a group row of a PackedLayout block), read straight forward:
//   scales  [64] f16
//   int8    [8][4][16] words of 32 bits: for each 4 inputs, a line for each quarter of the outputs
//   int4    [4][4][16] words of 32 bits: for each 8 inputs, a line for each quarter of the outputs
// A word holds the inputs of one output, from the lowest bits on: 0 2 1 3, or 0 2 4 6 1 3 5 7. Its
// halves hold pairs (even, odd) of inputs at the same place, as dot products of pairs want.
// Outputs beyond N have scale 0, inputs beyond K (and those before `lead`, unless they were given)
// code 0 or what they were quantised to: x is taken as zero there.
#ifndef AUTODIST_KERNELS_QUANTISE_H_
#define AUTODIST_KERNELS_QUANTISE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "autodist/core/tensor_view.h"
#include "autodist/core/weight_format.h"
#include "autodist/device/stream.h"
#include "autodist/kernels/matmul.h"

namespace autodist::kernels {

// The 16 levels that, with the search above, give the smallest squared error on groups of 32
// normally distributed weights (Lloyd's iteration), rounded to whole numbers that bf16 holds; zero
// stays exact.
inline constexpr std::array<int8_t, 16> kInt4Levels = {-127, -100, -79, -62, -47, -34, -22, -10,
                                                       0,    12,   24,  36,  49,  65,  83,  107};

inline constexpr int kInt8Zero = 128;  // the code of zero

inline constexpr size_t kScaleBytes = PackedLayout::kBlock * sizeof(core::Float16);

// Of 64 outputs x 32 inputs. REQUIRES a quantised format.
constexpr size_t GroupBytes(core::WeightFormat format) {
  constexpr size_t kWeights = PackedLayout::kBlock * core::kGroupInputs;
  return kScaleBytes + (format == core::WeightFormat::kInt8 ? kWeights : kWeights / 2);
}

// Quantises rows [first_n, first_n + rows) of W into `packed`; see PackRows() for the columns and
// the dtypes of the piece.
void QuantiseRows(device::Stream& stream, core::ConstTensorView piece_NK,
                  const PackedLayout& layout, int64_t first_n, void* packed);

// y[input] = W[output, input], f32, for every input. REQUIRES a quantised weight.
void DequantiseRow(const PackedWeight& weight, int64_t output, float* y_K);

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_QUANTISE_H_
