#include "autodist/checkpoint/weight_reader.h"

#include <fcntl.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "autodist/checkpoint/direct_reader.h"
#include "autodist/checkpoint/safetensors.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"

namespace autodist::checkpoint {
namespace {

using core::BadInput;
using core::DType;

// A block stays in the second-level cache from the read to its packing.
constexpr int64_t kBlockBytes = int64_t{1} << 20;
// A block that comes straight from the disk is in no cache of the core, and some disks want large
// requests: where this was measured, 8 MiB came 1.6 times as fast as eight reads of 1 MiB.
constexpr int64_t kDirectBytes = int64_t{8} << 20;
// Below, rounding to sectors would read too much beside what is needed (here at most 1.6 %).
constexpr int64_t kMinDirectBytes = int64_t{512} << 10;
// Kernels pack this many rows together.
constexpr int64_t kRowsTogether = 64;
// Announced to the kernel in larger steps, which a disk wants.
constexpr int64_t kBlocksAhead = 4;
// A transposed tensor is read in panels of outputs; shorter runs than this would cost more in calls
// than in bytes.
constexpr int64_t kMinPanelRunBytes = 1024;

// How many of `rows` are read together.
int64_t RowsWithin(int64_t bytes, int64_t rows, int64_t row_bytes) {
  const int64_t fit = std::max(int64_t{1}, bytes / row_bytes);
  if (fit >= rows) return rows;
  return fit < kRowsTogether ? fit : fit / kRowsTogether * kRowsTogether;
}

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
  bool transposed;       // stored [inputs, outputs]

  int64_t RowBytes() const { return cols * element_bytes; }
  // Of an element, in the file.
  uint64_t Offset(int64_t row, int64_t col = 0) const {
    return stored->offset + static_cast<uint64_t>(row * RowBytes() + col * element_bytes);
  }
};

struct WeightReader::OpenFile {
  explicit OpenFile(const std::filesystem::path& path) : file(path), direct(file) {}

  core::InputFile file;
  DirectReader direct;
};

// A buffer that one call of Read() borrows: clearing a fresh one would cost as much as the read.
class WeightReader::Block {
 public:
  Block(const WeightReader& reader, int64_t bytes) : reader_(reader) {
    const auto needed = static_cast<size_t>(bytes);
    {
      const std::lock_guard lock(reader.mutex_);
      if (!reader.idle_blocks_.empty()) {
        buffer_ = std::move(reader.idle_blocks_.back());
        reader.idle_blocks_.pop_back();
      }
    }
    if (buffer_.bytes() < needed)
      buffer_ = device::Buffer(
          std::max(needed, DirectReader::BufferBytes(static_cast<size_t>(kDirectBytes))));
  }
  ~Block() {
    const std::lock_guard lock(reader_.mutex_);
    reader_.idle_blocks_.push_back(std::move(buffer_));
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  const device::Buffer& buffer() const { return buffer_; }
  uint8_t* data() const { return buffer_.as<uint8_t>(); }

 private:
  const WeightReader& reader_;
  device::Buffer buffer_;
};

WeightReader::WeightReader(const spec::TensorCatalog& catalog)
    : catalog_(catalog), files_(catalog.files.size()) {}

WeightReader::~WeightReader() = default;

WeightReader::Source WeightReader::Locate(const spec::ModelTensor& tensor) const {
  const auto found = catalog_.tensors.find(tensor.source);
  if (found == catalog_.tensors.end())
    throw BadInput("the checkpoint has no tensor {} (for {})", QuotedName(tensor.source),
                   ToString(tensor.id));
  const spec::StoredTensor& stored = found->second;
  const auto& path = catalog_.files[static_cast<size_t>(stored.file)].path;

  const bool transposed = tensor.transposed && !tensor.vector;
  Source source{&stored, DType::kF32, 4, 1, tensor.source_row, transposed};
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
    const int64_t outputs = stored.shape[transposed ? 1 : 0];
    fits = tensor.source_row + tensor.rows <= outputs;
    if (!tensor.vector) {
      source.cols = stored.shape[1];
      fits = fits && stored.shape[transposed ? 0 : 1] == tensor.cols;
    }
  }
  if (!fits)
    throw BadInput(
        "{}: tensor {} has shape [{}]{}, which does not hold the outputs {} to {} and {} inputs of "
        "{}",
        path.string(), QuotedName(tensor.source), fmt::join(stored.shape, ", "),
        transposed ? " (inputs first)" : "", tensor.source_row, tensor.source_row + tensor.rows - 1,
        tensor.cols, ToString(tensor.id));
  return source;
}

const WeightReader::OpenFile& WeightReader::File(int index) const {
  const std::lock_guard lock(mutex_);
  auto& file = files_[static_cast<size_t>(index)];
  if (file == nullptr) {
    const spec::WeightFile& known = catalog_.files[static_cast<size_t>(index)];
    auto opened = std::make_unique<OpenFile>(known.path);
    if (opened->file.size() != known.size_bytes)
      throw BadInput("{}: had {} bytes when its header was read, has {} now: it is being replaced",
                     known.path.string(), known.size_bytes, opened->file.size());
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
  if (source.transposed) {
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
  if (source.transposed) {
    const int64_t first = source.first_output;
    return Prefetch(source, cols, {first + rows.first, first + rows.last});
  }
  for (const spec::Range part : DirectParts(source, rows, cols))
    if (!IsDirect(source, part, cols)) Prefetch(source, part, cols);
}

bool WeightReader::WaitsForDisk(const spec::ModelTensor& tensor, spec::Range rows,
                                spec::Range cols) const {
  const Source source = Locate(tensor);
  if (rows.size() <= 0 || cols.size() <= 0 || source.transposed) return false;
  const std::vector<spec::Range> parts = DirectParts(source, rows, cols);
  return std::any_of(parts.begin(), parts.end(),
                     [&](spec::Range part) { return IsDirect(source, part, cols); });
}

// The stored rows in the pieces that ReadRows() tries to read past the page cache.
std::vector<spec::Range> WeightReader::DirectParts(const Source& source, spec::Range rows,
                                                   spec::Range cols) {
  const spec::Range outputs{source.first_output + rows.first, source.first_output + rows.last};
  const int64_t step = RowsWithin(kDirectBytes, rows.size(), cols.size() * source.element_bytes);
  std::vector<spec::Range> parts;
  for (int64_t first = outputs.first; first < outputs.last; first += step)
    parts.push_back({first, std::min(outputs.last, first + step)});
  return parts;
}

void WeightReader::ReadRows(const Source& source, spec::Range rows, spec::Range cols,
                            const Sink& sink) const {
  const int64_t row_bytes = cols.size() * source.element_bytes;
  const auto stored_rows = [&](int64_t first, int64_t last) {
    return spec::Range{source.first_output + first,
                       source.first_output + std::min(rows.last, last)};
  };
  const int64_t block_rows = RowsWithin(kBlockBytes, rows.size(), row_bytes);
  const Block block(*this, block_rows * row_bytes);
  const int64_t direct_rows = RowsWithin(kDirectBytes, rows.size(), row_bytes);
  const int64_t ahead_rows = block_rows * kBlocksAhead;
  int64_t announced = rows.first;
  for (int64_t first = rows.first; first < rows.last;) {
    spec::Range part = stored_rows(first, first + direct_rows);
    const uint8_t* data = IsDirect(source, part, cols) ? ReadDirect(source, part, block) : nullptr;
    if (data == nullptr) {
      if (announced < std::min(rows.last, first + ahead_rows)) {
        Prefetch(source, stored_rows(std::max(announced, first), first + 2 * ahead_rows), cols);
        announced = first + 2 * ahead_rows;
      }
      part = stored_rows(first, first + block_rows);
      ReadRuns(source, part, cols, block.data());
      data = block.data();
    }
    sink(first - rows.first, {data, source.dtype, part.size(), cols.size()});
    first += part.size();
  }
}

void WeightReader::ReadTransposed(const Source& source, spec::Range rows, spec::Range cols,
                                  const Sink& sink) const {
  const int64_t output_bytes = cols.size() * source.element_bytes;
  const int64_t panel_rows =
      std::clamp(std::max(kBlockBytes / output_bytes, kMinPanelRunBytes / source.element_bytes),
                 int64_t{1}, rows.size());
  const Block panel(*this, panel_rows * output_bytes);  // [inputs, outputs of the panel]
  const Block block(*this, panel_rows * output_bytes);
  for (int64_t first = rows.first; first < rows.last; first += panel_rows) {
    const spec::Range outputs{source.first_output + first,
                              source.first_output + std::min(rows.last, first + panel_rows)};
    Prefetch(source, cols, outputs);
    ReadRuns(source, cols, outputs, panel.data());
    if (source.element_bytes == 2) {
      Transpose(panel.buffer().as<uint16_t>(), cols.size(), outputs.size(),
                block.buffer().as<uint16_t>());
    } else {
      Transpose(panel.buffer().as<uint32_t>(), cols.size(), outputs.size(),
                block.buffer().as<uint32_t>());
    }
    sink(first - rows.first, {block.data(), source.dtype, outputs.size(), cols.size()});
  }
}

// The stored rectangle, packed. One read when it is contiguous, else one for each stored row:
// over-reading to save calls would make the ranks of a host together read the tensor more than
// once.
void WeightReader::ReadRuns(const Source& source, spec::Range stored_rows, spec::Range stored_cols,
                            uint8_t* out) const {
  const core::InputFile& file = File(source.stored->file).file;
  const bool contiguous = stored_cols.size() == source.cols;
  const int64_t runs = contiguous ? 1 : stored_rows.size();
  const int64_t run_bytes =
      stored_cols.size() * source.element_bytes * (contiguous ? stored_rows.size() : 1);
  for (int64_t run = 0; run < runs; ++run) {
    file.ReadAt(source.Offset(stored_rows.first + run, stored_cols.first), out + run * run_bytes,
                static_cast<size_t>(run_bytes));
  }
  bytes_requested_ += static_cast<uint64_t>(runs * run_bytes);
}

// Whether the stored rectangle is to come past the page cache: it is one range of the file, large,
// not cached, and lies where its elements are aligned.
bool WeightReader::IsDirect(const Source& source, spec::Range stored_rows,
                            spec::Range stored_cols) const {
  const int64_t bytes = stored_rows.size() * source.RowBytes();
  const DirectReader& direct = File(source.stored->file).direct;
  return stored_cols.size() == source.cols && bytes >= kMinDirectBytes && bytes <= kDirectBytes &&
         source.stored->offset % static_cast<uint64_t>(source.element_bytes) == 0 &&
         direct.offered() &&
         direct.ResidenceOf(source.Offset(stored_rows.first), static_cast<size_t>(bytes)) ==
             DirectReader::Residence::kAbsent;
}

// The stored rows, somewhere in the block; nullptr when they cannot be read past the page cache.
const uint8_t* WeightReader::ReadDirect(const Source& source, spec::Range stored_rows,
                                        const Block& block) const {
  uint64_t requested = 0;
  const uint8_t* const data =
      File(source.stored->file)
          .direct.Read(source.Offset(stored_rows.first),
                       static_cast<size_t>(stored_rows.size() * source.RowBytes()), block.buffer(),
                       requested);
  bytes_requested_ += requested;
  return data;
}

// Announces everything between the first and the last byte of the rectangle, but for pieces that
// are in memory. Without it each short read of a column cut waits for the disk alone; the
// bytes between belong to other ranks, mostly of this host. A failure costs speed only.
void WeightReader::Prefetch(const Source& source, spec::Range stored_rows,
                            spec::Range stored_cols) const {
  const OpenFile& file = File(source.stored->file);
  const uint64_t last = source.Offset(stored_rows.last - 1, stored_cols.last);
  for (uint64_t first = source.Offset(stored_rows.first, stored_cols.first); first < last;) {
    const uint64_t bytes = std::min(last - first, static_cast<uint64_t>(kDirectBytes));
    if (file.direct.ResidenceOf(first, bytes) != DirectReader::Residence::kInMemory)
      ::posix_fadvise(file.file.descriptor(), static_cast<off_t>(first), static_cast<off_t>(bytes),
                      POSIX_FADV_WILLNEED);
    first += bytes;
  }
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
