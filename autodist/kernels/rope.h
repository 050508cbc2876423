// Rotary position embedding, half pairing (as HuggingFace stores its weights): within a head,
// element j turns with element j + R / 2, where R <= head_dim is the rotary dim; elements from R on
// stay as they are.
#ifndef AUTODIST_KERNELS_ROPE_H_
#define AUTODIST_KERNELS_ROPE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"

namespace autodist::kernels {

// cos and sin of every position's angles, scaled by the attention factor (1 but for yarn).
struct RopeTable {
  int64_t positions = 0;
  int64_t rotary_dim = 0;
  std::vector<float> cos;  // [positions, rotary_dim / 2]
  std::vector<float> sin;
};

// angle[p][j] = p * inverse_frequency[j], the product rounded to f32 as the transformers library
// does.
RopeTable MakeRopeTable(std::span<const float> inverse_frequency, float attention_factor,
                        int64_t positions);

// Turns each head of each row in place. Shapes: x [T, heads * head_dim], f32, row stride free;
// position[T] in [0, table.positions). REQUIRES table.rotary_dim <= head_dim.
void Rope(device::Stream& stream, std::span<const int32_t> position_T, const RopeTable& table,
          int64_t head_dim, core::TensorView x_TD);

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_ROPE_H_
