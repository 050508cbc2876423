#include "autodist/checkpoint/weight_reader.h"

#include <fcntl.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>

#include "autodist/checkpoint/safetensors.h"
#include "autodist/core/error.h"
#include "autodist/device/buffer.h"

namespace autodist::checkpoint {
namespace {

using core::BadInput;
using core::DType;

// A block stays in the second-level cache from the read to its packing.
constexpr int64_t kBlockBytes = int64_t{1} << 20;
// Announced to the kernel in larger steps, which a disk wants.
constexpr int64_t kBlocksAhead = 4;
// A transposed tensor is read in panels of outputs; shorter runs than this would cost more in calls
// than in bytes.
constexpr int64_t kMinPanelRunBytes = 1024;

// out[c][r] = in[r][c], in tiles turned in a buffer of their own: rows of `out` are often a power
// of two apart, and writing to them column by column would use a handful of cache sets.
template <typename T>
void Transpose(const T* in, int64_t rows, int64_t cols, T* out) {
  constexpr int64_t kTile = 64 / sizeof(T);  // a cache line of each row
  T tile[kTile * kTile];
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    const int64_t tile_rows = std::min(kTile, rows - r0);
    for (int64_t c0 = 0; c0 < cols; c0 += kTile) {
      const int64_t tile_cols = std::min(kTile, cols - c0);
      for (int64_t r = 0; r < tile_rows; ++r)
        for (int64_t c = 0; c < tile_cols; ++c) tile[c * kTile + r] = in[(r0 + r) * cols + c0 + c];
      for (int64_t c = 0; c < tile_cols; ++c)
        std::copy_n(tile + c * kTile, tile_rows, out + (c0 + c) * rows + r0);
    }
  }
}

}  // namespace

// Where a tensor lies: a row-major matrix [rows, cols] of the file, as stored.
struct WeightReader::Source {
  const spec::StoredTensor* stored;
  DType dtype;
  int64_t element_bytes;
  int64_t cols;          // stored columns
  int64_t first_output;  // of the tensor, in a fused source
};

WeightReader::WeightReader(const spec::TensorCatalog& catalog)
    : catalog_(catalog), files_(catalog.files.size()) {}

WeightReader::Source WeightReader::Locate(const spec::ModelTensor& tensor) const {
  const auto found = catalog_.tensors.find(tensor.source);
  if (found == catalog_.tensors.end())
    throw BadInput("the checkpoint has no tensor {} (for {})", QuotedName(tensor.source),
                   ToString(tensor.id));
  const spec::StoredTensor& stored = found->second;
  const auto& path = catalog_.files[static_cast<size_t>(stored.file)].path;

  Source source{&stored, DType::kF32, 4, 1, tensor.source_row};
  if (stored.dtype == "BF16" || stored.dtype == "F16") {
    source.dtype = stored.dtype == "F16" ? DType::kF16 : DType::kBF16;
    source.element_bytes = 2;
  } else if (stored.dtype != "F32") {
    throw BadInput("{}: tensor {} has dtype {}; weights are read from F32, F16 and BF16",
                   path.string(), QuotedName(tensor.source), stored.dtype);
  }
  const size_t dims = tensor.vector ? 1 : 2;
  bool fits = stored.shape.size() == dims;
  if (fits) {
    const int64_t outputs = stored.shape[tensor.transposed && !tensor.vector ? 1 : 0];
    fits = tensor.source_row + tensor.rows <= outputs;
    if (!tensor.vector) {
      source.cols = stored.shape[1];
      fits = fits && stored.shape[tensor.transposed ? 0 : 1] == tensor.cols;
    }
  }
  if (!fits)
    throw BadInput(
        "{}: tensor {} has shape [{}]{}, which does not hold the outputs {} to {} and {} inputs of "
        "{}",
        path.string(), QuotedName(tensor.source), fmt::join(stored.shape, ", "),
        tensor.transposed ? " (inputs first)" : "", tensor.source_row,
        tensor.source_row + tensor.rows - 1, tensor.cols, ToString(tensor.id));
  return source;
}

const core::InputFile& WeightReader::File(int index) const {
  const std::lock_guard lock(mutex_);
  auto& file = files_[static_cast<size_t>(index)];
  if (file == nullptr) {
    const spec::WeightFile& known = catalog_.files[static_cast<size_t>(index)];
    auto opened = std::make_unique<core::InputFile>(known.path);
    if (opened->size() != known.size_bytes)
      throw BadInput("{}: had {} bytes when its header was read, has {} now: it is being replaced",
                     known.path.string(), known.size_bytes, opened->size());
    file = std::move(opened);
  }
  return *file;
}

void WeightReader::Read(const spec::ModelTensor& tensor, spec::Range rows, spec::Range cols,
                        const Sink& sink) const {
  AUTODIST_CHECK(rows.first >= 0 && rows.last <= tensor.rows && cols.first >= 0 &&
                 cols.last <= tensor.cols);
  const Source source = Locate(tensor);
  if (rows.size() <= 0 || cols.size() <= 0) return;
  if (tensor.transposed && !tensor.vector) {
    ReadTransposed(source, rows, cols, sink);
  } else {
    ReadRows(source, rows, cols, sink);
  }
  bytes_needed_ += static_cast<uint64_t>(rows.size() * cols.size() * source.element_bytes);
}

void WeightReader::Announce(const spec::ModelTensor& tensor, spec::Range rows,
                            spec::Range cols) const {
  const Source source = Locate(tensor);
  if (rows.size() <= 0 || cols.size() <= 0) return;
  const spec::Range outputs{source.first_output + rows.first, source.first_output + rows.last};
  const bool transposed = tensor.transposed && !tensor.vector;
  Prefetch(source, transposed ? cols : outputs, transposed ? outputs : cols);
}

void WeightReader::ReadRows(const Source& source, spec::Range rows, spec::Range cols,
                            const Sink& sink) const {
  const int64_t row_bytes = cols.size() * source.element_bytes;
  const int64_t block_rows = std::clamp(kBlockBytes / row_bytes, int64_t{1}, rows.size());
  const device::Buffer block(static_cast<size_t>(block_rows * row_bytes));
  const int64_t ahead_rows = block_rows * kBlocksAhead;
  const auto stored_rows = [&](int64_t first, int64_t count) {
    return spec::Range{source.first_output + first,
                       source.first_output + std::min(rows.last, first + count)};
  };
  Prefetch(source, stored_rows(rows.first, ahead_rows), cols);
  for (int64_t first = rows.first; first < rows.last; first += block_rows) {
    if ((first - rows.first) % ahead_rows == 0 && first + ahead_rows < rows.last)
      Prefetch(source, stored_rows(first + ahead_rows, ahead_rows), cols);
    const spec::Range part = stored_rows(first, block_rows);
    ReadRuns(source, part, cols, block.as<uint8_t>());
    sink(first - rows.first, {block.data(), source.dtype, part.size(), cols.size()});
  }
}

void WeightReader::ReadTransposed(const Source& source, spec::Range rows, spec::Range cols,
                                  const Sink& sink) const {
  const int64_t output_bytes = cols.size() * source.element_bytes;
  const int64_t panel_rows =
      std::clamp(std::max(kBlockBytes / output_bytes, kMinPanelRunBytes / source.element_bytes),
                 int64_t{1}, rows.size());
  const device::Buffer panel(
      static_cast<size_t>(panel_rows * output_bytes));  // [inputs, outputs of the panel]
  const device::Buffer block(panel.bytes());
  for (int64_t first = rows.first; first < rows.last; first += panel_rows) {
    const spec::Range outputs{source.first_output + first,
                              source.first_output + std::min(rows.last, first + panel_rows)};
    Prefetch(source, cols, outputs);
    ReadRuns(source, cols, outputs, panel.as<uint8_t>());
    if (source.element_bytes == 2) {
      Transpose(panel.as<uint16_t>(), cols.size(), outputs.size(), block.as<uint16_t>());
    } else {
      Transpose(panel.as<uint32_t>(), cols.size(), outputs.size(), block.as<uint32_t>());
    }
    sink(first - rows.first, {block.data(), source.dtype, outputs.size(), cols.size()});
  }
}

// The stored rectangle, packed. One read when it is contiguous, else one for each stored row:
// over-reading to save calls would make the ranks of a host together read the tensor more than
// once.
void WeightReader::ReadRuns(const Source& source, spec::Range stored_rows, spec::Range stored_cols,
                            uint8_t* out) const {
  const core::InputFile& file = File(source.stored->file);
  const bool contiguous = stored_cols.size() == source.cols;
  const int64_t runs = contiguous ? 1 : stored_rows.size();
  const int64_t run_bytes =
      stored_cols.size() * source.element_bytes * (contiguous ? stored_rows.size() : 1);
  const int64_t start =
      (stored_rows.first * source.cols + stored_cols.first) * source.element_bytes;
  for (int64_t run = 0; run < runs; ++run) {
    const int64_t at = start + run * source.cols * source.element_bytes;
    file.ReadAt(source.stored->offset + static_cast<uint64_t>(at), out + run * run_bytes,
                static_cast<size_t>(run_bytes));
  }
  bytes_requested_ += static_cast<uint64_t>(runs * run_bytes);
}

// Announces everything between the first and the last byte of the rectangle. Without it each short
// read of a column cut waits for the disk alone; the bytes between belong to other ranks, mostly of
// this host. A failure costs speed only.
void WeightReader::Prefetch(const Source& source, spec::Range stored_rows,
                            spec::Range stored_cols) const {
  const core::InputFile& file = File(source.stored->file);
  const int64_t first = stored_rows.first * source.cols + stored_cols.first;
  const int64_t last = (stored_rows.last - 1) * source.cols + stored_cols.last;
  ::posix_fadvise(file.descriptor(),
                  static_cast<off_t>(source.stored->offset) + first * source.element_bytes,
                  (last - first) * source.element_bytes, POSIX_FADV_WILLNEED);
}

uint64_t CountNonFinite(core::ConstTensorView block) {
  // An exponent of all ones marks infinity and NaN in each of the three formats.
  const auto count = [&block]<typename T, typename Bits>(T, Bits exponent) {
    uint64_t found = 0;
    for (int64_t r = 0; r < block.rows(); ++r) {
      const T* row = block.row<T>(r);
      for (int64_t c = 0; c < block.cols(); ++c)
        found += (std::bit_cast<Bits>(row[c]) & exponent) == exponent;
    }
    return found;
  };
  switch (block.dtype()) {
    case DType::kF32:
      return count(float{}, uint32_t{0x7f800000});
    case DType::kBF16:
      return count(core::BFloat16{}, uint16_t{0x7f80});
    case DType::kF16:
      return count(core::Float16{}, uint16_t{0x7c00});
    default:
      AUTODIST_CHECK(false && "weights are f32, f16 or bf16");
  }
  return 0;
}

}  // namespace autodist::checkpoint
