#include <emmintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "autodist/core/check.h"
#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/matmul.h"
#include "autodist/kernels/quantise.h"

namespace autodist::kernels {
namespace {

using core::BFloat16;
using core::DType;

// Of an element, of a layout that is not quantised.
DType DTypeOf(const PackedLayout& layout) {
  AUTODIST_CHECK(!layout.quantised());
  return layout.format == core::WeightFormat::kF32 ? DType::kF32 : DType::kBF16;
}

constexpr int64_t kBlock = PackedLayout::kBlock;
constexpr int64_t kInputs =
    128;  // inputs that one pass takes: 64 rows of them stay in the first-level cache

// W[output, input] for outputs of one block and at most kInputs inputs, in the layout's dtype, from
// either source.
struct Piece {
  const PackedLayout& layout;
  int64_t first_output;
  int64_t outputs;
  int64_t first_input;
  int64_t inputs;
};

// `rows` holds the piece as [outputs][kInputs]. Writes run along the packed memory, reads stay in
// the cache.
void StoreF32(const Piece& piece, const float* rows, float* packed) {
  float* const to = packed + piece.layout.Index(piece.first_output, piece.first_input);
  for (int64_t input = 0; input < piece.inputs; ++input) {
    for (int64_t output = 0; output < piece.outputs; ++output) {
      to[input * kBlock + output] = rows[output * kInputs + input];
    }
  }
}

// Pairs of bf16, as many as the narrowest vectors of all machines hold: this is bound by memory,
// and wider ones gain little (bench/results/2026-11-22-zen4.md).
constexpr int64_t kLanes = 4;
using Pairs [[gnu::vector_size(16)]] = uint32_t;

// kLanes pairs of inputs of a whole block, turned so that the outputs of a pair lie together. Goes
// past the caches: nobody reads the weight until all of it is packed, and a store through them
// would read every line first. `to` is aligned to 64.
void StorePairs(const BFloat16* rows, BFloat16* to) {
  constexpr int64_t kPair = 2;
  for (int64_t output = 0; output < kBlock; output += kLanes) {
    Pairs in[kLanes];
    for (int64_t i = 0; i < kLanes; ++i)
      std::memcpy(&in[i], rows + (output + i) * kInputs, sizeof(Pairs));
    const Pairs low01 = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5);
    const Pairs low23 = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5);
    const Pairs high01 = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7);
    const Pairs high23 = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);
    const Pairs out[kLanes] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5),
                               __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                               __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
                               __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
    for (int64_t pair = 0; pair < kLanes; ++pair) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + (pair * kBlock + output) * kPair),
                       std::bit_cast<__m128i>(out[pair]));
    }
  }
}

void StoreBf16(const Piece& piece, const BFloat16* rows, BFloat16* packed) {
  int64_t input = 0;
  const auto store_one = [&](int64_t at) {
    for (int64_t output = 0; output < piece.outputs; ++output) {
      packed[piece.layout.Index(piece.first_output + output, piece.first_input + at)] =
          rows[output * kInputs + at];
    }
  };
  if (piece.first_input % 2 != 0) store_one(input++);
  BFloat16* const to = packed + piece.layout.Index(piece.first_output, piece.first_input + input);
  const int64_t first = input;
  if (piece.outputs == kBlock) {
    for (; input + 2 * kLanes <= piece.inputs; input += 2 * kLanes)
      StorePairs(rows + input, to + (input - first) * kBlock);
  }
  for (; input + 2 <= piece.inputs; input += 2) {
    for (int64_t output = 0; output < piece.outputs; ++output) {
      std::memcpy(to + (input - first) * kBlock + output * 2, rows + output * kInputs + input,
                  2 * sizeof(BFloat16));
    }
  }
  if (input < piece.inputs) store_one(input);
}

void StorePiece(const Piece& piece, const void* rows, void* packed) {
  if (piece.layout.format == core::WeightFormat::kF32) {
    StoreF32(piece, static_cast<const float*>(rows), static_cast<float*>(packed));
  } else {
    StoreBf16(piece, static_cast<const BFloat16*>(rows), static_cast<BFloat16*>(packed));
  }
}

// f16 to bf16 goes through f32; both steps round once in total, as f16 to f32 is exact.
void ConvertRun(const cpu::KernelTable& table, DType from, const void* x, DType to, void* y,
                int64_t n) {
  if (from == to || from == DType::kF32 || to == DType::kF32)
    return table.convert(from, x, to, y, n);
  float wide[kInputs];
  AUTODIST_CHECK_LE(n, kInputs);
  table.convert(from, x, DType::kF32, wide, n);
  table.convert(DType::kF32, wide, to, y, n);
}

void CheckPiece(core::ConstTensorView piece, const PackedLayout& layout, int64_t first_n, int64_t n,
                int64_t first_k, int64_t k) {
  const DType from = piece.dtype();
  AUTODIST_CHECK(from == DType::kF32 || from == DType::kBF16 || from == DType::kF16);
  AUTODIST_CHECK(first_n >= 0 && first_n + n <= layout.n);
  AUTODIST_CHECK(first_k >= 0 && first_k + k <= layout.k);
}

// What the next piece takes of the same row, whose inputs of this piece end at `end`: a piece's
// rows are as far apart as W's, which no hardware follows, and what a disk has written to memory is
// in no cache. After the last piece this is the next row's start, and costs little.
void AskForNext(const uint8_t* end, size_t run_bytes) {
  for (size_t line = 0; line < run_bytes; line += 64) __builtin_prefetch(end + line);
}

// Calls body(Piece) for every part of [first_n, first_n + n) x [first_k, first_k + k), blocks over
// the threads.
template <typename Body>
void ForEachPiece(device::Stream& stream, const PackedLayout& layout, int64_t first_n, int64_t n,
                  int64_t first_k, int64_t k, const Body& body) {
  if (n == 0 || k == 0) return;
  const int64_t first_block = first_n / kBlock;
  const int64_t blocks = (first_n + n - 1) / kBlock + 1 - first_block;
  stream.pool().ParallelFor(blocks, [&](int64_t begin, int64_t end, int) {
    for (int64_t block = first_block + begin; block < first_block + end; ++block) {
      const int64_t output = std::max(first_n, block * kBlock);
      const int64_t outputs = std::min(first_n + n, (block + 1) * kBlock) - output;
      for (int64_t input = first_k; input < first_k + k; input += kInputs) {
        body(Piece{layout, output, outputs, input, std::min(kInputs, first_k + k - input)});
      }
    }
    _mm_sfence();  // StorePairs' stores are not ordered before those that hand over the weight
  });
}

}  // namespace

void PackRows(device::Stream& stream, core::ConstTensorView piece_NK, const PackedLayout& layout,
              int64_t first_n, int64_t first_k, void* packed) {
  if (layout.quantised()) {
    AUTODIST_CHECK_EQ(first_k, 0);
    CheckPiece(piece_NK.Cols(0, 0), layout, first_n, piece_NK.rows(), 0, 0);
    QuantiseRows(stream, piece_NK, layout, first_n, packed);
    return;
  }
  CheckPiece(piece_NK, layout, first_n, piece_NK.rows(), first_k, piece_NK.cols());
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  const DType to = DTypeOf(layout);
  const size_t size = core::SizeOf(to);
  ForEachPiece(stream, layout, first_n, piece_NK.rows(), first_k, piece_NK.cols(),
               [&](const Piece& piece) {
                 alignas(64) uint8_t rows[kBlock * kInputs * sizeof(float)];
                 const auto source = piece_NK.Rows(piece.first_output - first_n, piece.outputs)
                                         .Cols(piece.first_input - first_k, piece.inputs);
                 const size_t from_size = core::SizeOf(source.dtype());
                 const size_t run_bytes = static_cast<size_t>(piece.inputs) * from_size;
                 const auto* row = static_cast<const uint8_t*>(source.data());
                 const size_t row_bytes = static_cast<size_t>(source.stride()) * from_size;
                 for (int64_t i = 0; i < piece.outputs; ++i, row += row_bytes) {
                   AskForNext(row + run_bytes, run_bytes);
                   ConvertRun(table, source.dtype(), row, to,
                              rows + static_cast<size_t>(i * kInputs) * size, piece.inputs);
                 }
                 StorePiece(piece, rows, packed);
               });
}

}  // namespace autodist::kernels
