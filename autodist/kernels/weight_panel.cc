#include "autodist/kernels/weight_panel.h"

#include <algorithm>
#include <cstring>

#include "autodist/core/check.h"

namespace autodist::kernels {
namespace {

constexpr int64_t kBlock = PackedLayout::kBlock;
constexpr size_t kPanelBytes = size_t{1} << 20;

size_t InputBytes(core::DType dtype) { return static_cast<size_t>(kBlock) * core::SizeOf(dtype); }

}  // namespace

WeightPanel::WeightPanel(const PackedLayout& layout, core::DType dtype)
    : layout_(layout),
      dtype_(dtype),
      codes_bytes_(static_cast<size_t>(layout.padded_k()) * InputBytes(dtype)),
      // Kernels take whole steps of up to 32 inputs. Beginning at the first input of x, they read
      // beyond a block, and meet zeros of x there: what they read must be finite, and is not what
      // another output's weights happen to be.
      block_bytes_(codes_bytes_ + (layout.lead != 0
                                       ? static_cast<size_t>(core::kGroupInputs) * InputBytes(dtype)
                                       : 0)) {
  AUTODIST_CHECK(layout.quantised() && Possible(layout, dtype));
  blocks_ =
      std::max<int64_t>(1, static_cast<int64_t>(kPanelBytes / std::max<size_t>(1, block_bytes_)));
}

cpu::LinearTask WeightPanel::Fill(device::Isa isa, const cpu::LinearTask& share, int64_t block,
                                  void* memory) const {
  const int64_t output = block * kBlock;
  cpu::LinearTask part = share;
  part.outputs = std::min(share.outputs - output, blocks_ * kBlock);
  part.y += output;
  if (part.bias != nullptr) part.bias += output;
  const int64_t blocks = (part.outputs + kBlock - 1) / kBlock;
  const auto* const codes =
      static_cast<const uint8_t*>(share.weight) + static_cast<size_t>(block) * share.block_bytes;
  auto* const panel = static_cast<uint8_t*>(memory);
  for (int64_t i = 0; i < blocks; ++i) {
    uint8_t* const at = panel + static_cast<size_t>(i) * block_bytes_;
    cpu::TableFor(isa).dequantise(layout_.format,
                                  codes + static_cast<size_t>(i) * share.block_bytes,
                                  layout_.padded_k() / core::kGroupInputs, dtype_, at);
    std::memset(at + codes_bytes_, 0, block_bytes_ - codes_bytes_);
  }
  part.weight = panel + static_cast<size_t>(layout_.lead) * InputBytes(dtype_);
  part.block_bytes = block_bytes_;
  return part;
}

}  // namespace autodist::kernels
