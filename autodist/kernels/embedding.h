// Looking up rows of a table.
#ifndef AUTODIST_KERNELS_EMBEDDING_H_
#define AUTODIST_KERNELS_EMBEDDING_H_

#include <cstdint>
#include <span>

#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"
#include "autodist/kernels/matmul.h"

namespace autodist::kernels {

// y[t] = table[ids[t] - first_id], or zeros when the table does not hold that id: with the
// vocabulary split over ranks, the sum over ranks is the embedding. Shapes: ids [T]; table [ids
// held, D] of f32, bf16 or f16; y [T, D] f32, row strides free.
void Embed(device::Stream& stream, std::span<const int32_t> ids_T, int64_t first_id,
           core::ConstTensorView table_VD, core::TensorView y_TD);

// The same from a packed weight [ids held, D]: an embedding tied to the head is stored once, as the
// head wants it.
void Embed(device::Stream& stream, std::span<const int32_t> ids_T, int64_t first_id,
           const PackedWeight& table_VD, core::TensorView y_TD);

// y[t] += table[rows[t]]: learned positions. REQUIRES every row within the table. Shapes and dtypes
// as above.
void AddRows(device::Stream& stream, std::span<const int32_t> rows_T,
             core::ConstTensorView table_PD, core::TensorView y_TD);

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_EMBEDDING_H_
