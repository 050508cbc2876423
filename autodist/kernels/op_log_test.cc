// Every door records itself when the stream has a log: its kind, and what it must move and compute.
#include "autodist/device/op_log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "autodist/device/buffer.h"
#include "autodist/kernels/activation.h"
#include "autodist/kernels/attention.h"
#include "autodist/kernels/elementwise.h"
#include "autodist/kernels/embedding.h"
#include "autodist/kernels/matmul.h"
#include "autodist/kernels/norm.h"
#include "autodist/kernels/rope.h"
#include "autodist/kernels/sampling.h"

namespace autodist::kernels {
namespace {

using core::DType;
using core::TensorView;
using device::OpKind;

class OpLogTest : public ::testing::Test {
 protected:
  OpLogTest() { stream_.set_log(&log_); }

  TensorView F32(int64_t rows, int64_t cols) {
    buffers_.emplace_back(static_cast<size_t>(rows * cols) * sizeof(float));
    return {buffers_.back().as<float>(), rows, cols};
  }
  const device::OpEvent& Last() const { return log_.events().back(); }

  device::ThreadPool pool_{2};
  device::Stream stream_{pool_, device::Isa::kAvx2};
  device::OpLog log_{/*keep_events=*/true};
  std::vector<device::Buffer> buffers_;
};

void ExpectOp(const device::OpEvent& event, OpKind kind, const std::string& name, uint64_t bytes,
              double flops) {
  EXPECT_EQ(event.name, name);
  EXPECT_EQ(event.kind, kind) << name;
  EXPECT_EQ(event.bytes, bytes) << name;
  EXPECT_EQ(event.flops, flops) << name;
}

TEST_F(OpLogTest, ALinearReadsItsPackedWeightAndIsAGemmFromEightRowsOn) {
  const PackedLayout layout(DType::kF32, 65, 3);  // two blocks of 64 outputs
  const device::Buffer weight(layout.bytes());
  const PackedWeight packed{layout, weight.data()};
  for (const int64_t rows : {7, 8}) {
    Linear(stream_, F32(rows, 3), packed, F32(rows, 65));
    ExpectOp(Last(), rows == 8 ? OpKind::kGemm : OpKind::kMatrixVector, "linear",
             4u * static_cast<uint64_t>(128 * 3 + rows * 3 + rows * 65),
             2.0 * static_cast<double>(rows) * 65 * 3);
    EXPECT_EQ(Last().rows, rows);
  }
}

TEST_F(OpLogTest, RowKernelsMoveEachOperandOnce) {
  const TensorView x = F32(5, 6), y = F32(5, 6), weight = F32(1, 6);
  RmsNorm(stream_, x, weight, 1e-5f, y);
  ExpectOp(Last(), OpKind::kRows, "rms_norm", 4 * (30 + 30 + 6), 4 * 30);
  LayerNorm(stream_, x, weight, {}, 1e-5f, y);
  ExpectOp(Last(), OpKind::kRows, "layer_norm", 4 * (30 + 30 + 6), 8 * 30);
  Add(stream_, x, y);
  ExpectOp(Last(), OpKind::kRows, "add", 4 * 90, 30);
  AddBias(stream_, weight, y);
  ExpectOp(Last(), OpKind::kRows, "add_bias", 4 * 66, 30);
  Convert(stream_, x, y);
  ExpectOp(Last(), OpKind::kRows, "convert", 4 * 60, 0);
  Activate(stream_, ActivationKind::kGelu, x, y);
  ExpectOp(Last(), OpKind::kRows, "activate", 4 * 60, 4 * 30);
  ActivateGated(stream_, ActivationKind::kSilu, x, x, y);
  ExpectOp(Last(), OpKind::kRows, "activate_gated", 4 * 90, 5 * 30);
  const float frequency[] = {1.0f};
  const std::vector<int32_t> positions(5, 0);
  Rope(stream_, positions, MakeRopeTable(frequency, 1, 1), 2, x);
  ExpectOp(Last(), OpKind::kRows, "rope", 4 * 60, 3 * 30);
}

TEST_F(OpLogTest, LookUpsReadTheirRowsAndNotTheTable) {
  const std::vector<int32_t> ids = {0, 3};
  Embed(stream_, ids, 0, F32(100, 6), F32(2, 6));
  ExpectOp(Last(), OpKind::kEmbedding, "embed", 4 * 24, 0);
  AddRows(stream_, ids, F32(100, 6), F32(2, 6));
  ExpectOp(Last(), OpKind::kEmbedding, "add_rows", 4 * 36, 12);
}

TEST_F(OpLogTest, SamplingReadsTheLogits) {
  std::vector<ValueIndex> best(3);
  Argmax(stream_, F32(3, 50), best);
  ExpectOp(Last(), OpKind::kSampling, "argmax", 4 * 150, 150);
  TopK(stream_, F32(1, 50), 4);
  ExpectOp(Last(), OpKind::kSampling, "top_k", 4 * 50, 50);
}

// Two q heads on one kv head of 4 elements. A prompt of 5: queries see 1 + 2 + 3 + 4 + 5 = 15 keys;
// in a window of 2: 1 + 2 + 2 + 2 + 2 = 9. Position 4 alone, in that window: 2 of the keys.
TEST_F(OpLogTest, AttentionReadsWhatIsVisible) {
  const KvPageLayout layout{.dtype = DType::kF32, .kv_heads = 1, .page_tokens = 64, .head_dim = 4};
  const device::Buffer keys(layout.page_bytes()), values(layout.page_bytes());
  void* const k_page = keys.data();
  void* const v_page = values.data();
  const std::vector<int32_t> heads = {0, 0};
  const auto sequence = [&](int64_t first, int64_t tokens) {
    return KvSequence{.row = 0,
                      .tokens = tokens,
                      .first_position = first,
                      .k_pages = {&k_page, 1},
                      .v_pages = {&v_page, 1}};
  };
  const KvSequence prompt = sequence(0, 5), token = sequence(4, 1);
  KvWrite(stream_, F32(5, 4), F32(5, 4), {&prompt, 1}, layout);
  ExpectOp(Last(), OpKind::kAttention, "kv_write", 4 * (40 + 40), 0);
  const auto attend = [&](const KvSequence& rows, int64_t window) {
    Attention(stream_, F32(rows.tokens, 8), {&rows, 1}, layout,
              {.sliding_window = window, .kv_head_of_q = heads}, F32(rows.tokens, 8));
  };
  attend(prompt, 0);
  ExpectOp(Last(), OpKind::kAttention, "attention", 4 * (2 * 5 * 4 + 2 * 40), 4 * 8 * 15);
  attend(prompt, 2);
  ExpectOp(Last(), OpKind::kAttention, "attention", 4 * (2 * 5 * 4 + 2 * 40), 4 * 8 * 9);
  attend(token, 2);
  ExpectOp(Last(), OpKind::kAttention, "attention", 4 * (2 * 2 * 4 + 2 * 8), 4 * 8 * 2);
  attend(token, 0);
  ExpectOp(Last(), OpKind::kAttention, "attention", 4 * (2 * 5 * 4 + 2 * 8), 4 * 8 * 5);
}

}  // namespace
}  // namespace autodist::kernels
