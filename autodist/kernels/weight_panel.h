// A few blocks of a quantised weight, dequantised for the kernels that multiply many rows. Private
// to kernels/.
#ifndef AUTODIST_KERNELS_WEIGHT_PANEL_H_
#define AUTODIST_KERNELS_WEIGHT_PANEL_H_

#include <cstddef>
#include <cstdint>

#include "autodist/core/dtype.h"
#include "autodist/device/topology.h"
#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/matmul.h"

namespace autodist::kernels {

// The panel's form is that of a packed weight of `dtype` (f32 or bf16), as many blocks as half of a
// usual second-level cache holds.
class WeightPanel {
 public:
  // REQUIRES a quantised layout and Possible().
  WeightPanel(const PackedLayout& layout, core::DType dtype);

  // Pairs of bf16 inputs cannot begin inside a pair: with an odd `lead` there is no panel.
  static bool Possible(const PackedLayout& layout, core::DType dtype) {
    return dtype == core::DType::kF32 || layout.lead % 2 == 0;
  }

  int64_t blocks() const { return blocks_; }
  size_t bytes() const { return static_cast<size_t>(blocks_) * block_bytes_; }

  // Dequantises blocks [block, block + blocks()) of the share, as far as it has them, into `memory`
  // (bytes(), aligned to 64): the part of the share that multiplies them.
  cpu::LinearTask Fill(device::Isa isa, const cpu::LinearTask& share, int64_t block,
                       void* memory) const;

 private:
  PackedLayout layout_;
  core::DType dtype_;
  int64_t blocks_;
  size_t codes_bytes_;  // of a block, dequantised
  size_t block_bytes_;  // from one block to the next
};

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_WEIGHT_PANEL_H_
