// Reads rectangles of weights: only the bytes a rank needs, each once.
//
// Files are read with pread, never through a mapping: a file truncated meanwhile is an error that
// names it, not a SIGBUS. Whole rows come from the page cache in blocks of about a MiB, or, where
// they are not in it, from the disk past it in blocks of 8 MiB, rounded to its sectors. A column
// cut is one exact pread per stored row; the kernel is told about some MiB before they are read, so
// that a cold disk sees large sequential reads there too.
#ifndef AUTODIST_CHECKPOINT_WEIGHT_READER_H_
#define AUTODIST_CHECKPOINT_WEIGHT_READER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "autodist/core/tensor_view.h"
#include "autodist/device/buffer.h"
#include "autodist/spec/model_tensor.h"
#include "autodist/spec/parallel_plan.h"
#include "autodist/spec/tensor_catalog.h"

namespace autodist::checkpoint {

// Thread-safe: several threads may read at once, each with a block buffer of its own, which is kept
// for the next read: 8 MiB of address space, or a row, of which reads of the page cache touch 1 MiB
// (a column panel of a transposed tensor needs at least 1 KiB for each of its inputs, twice). Files
// are opened when first needed.
class WeightReader {
 public:
  // Gets rows [rows.first + first_row, + block.rows()) of the rectangle: row-major, contiguous,
  // aligned as the dtype of the file, which it is in. The block is valid until the call returns.
  using Sink = std::function<void(int64_t first_row, core::ConstTensorView block)>;

  // `catalog` must outlive this.
  explicit WeightReader(const spec::TensorCatalog& catalog);
  ~WeightReader();
  WeightReader(const WeightReader&) = delete;
  WeightReader& operator=(const WeightReader&) = delete;

  // Delivers tensor[rows, cols] (rows = outputs, cols = inputs; a vector has one column) as
  // consecutive blocks of rows, in order. An empty rectangle delivers nothing. REQUIRES the ranges
  // lie inside the tensor. Throws core::Error: bad input when the checkpoint lacks the source,
  // holds it in a shape that does not fit or in a type other than F32, F16 and BF16, or when the
  // file shrank since its header was read; runtime when a read fails.
  void Read(const spec::ModelTensor& tensor, spec::Range rows, spec::Range cols,
            const Sink& sink) const;

  // Tells the kernel that Read() of this will come, so that a disk is busy meanwhile; nothing of
  // what is cached, or will come past the cache. REQUIRES and throws as Read(), but for failing
  // reads.
  void Announce(const spec::ModelTensor& tensor, spec::Range rows, spec::Range cols) const;

  // Whether some of it would now come past the page cache: its reader waits for the disk meanwhile,
  // and leaves its core to others. REQUIRES and throws as Announce().
  bool WaitsForDisk(const spec::ModelTensor& tensor, spec::Range rows, spec::Range cols) const;

  // Elements delivered times their stored size.
  uint64_t bytes_needed() const { return bytes_needed_; }
  // Bytes asked of the files: those needed, and at most 2 % more for the disk's sectors; headers,
  // which ReadCatalog reads, are not counted.
  uint64_t bytes_requested() const { return bytes_requested_; }

 private:
  struct Source;
  struct OpenFile;
  class Block;

  Source Locate(const spec::ModelTensor& tensor) const;
  const OpenFile& File(int index) const;
  static std::vector<spec::Range> DirectParts(const Source& source, spec::Range rows,
                                              spec::Range cols);
  bool IsDirect(const Source& source, spec::Range stored_rows, spec::Range stored_cols) const;
  const uint8_t* ReadDirect(const Source& source, spec::Range stored_rows,
                            const Block& block) const;
  void ReadRows(const Source& source, spec::Range rows, spec::Range cols, const Sink& sink) const;
  void ReadTransposed(const Source& source, spec::Range rows, spec::Range cols,
                      const Sink& sink) const;
  void ReadRuns(const Source& source, spec::Range stored_rows, spec::Range stored_cols,
                uint8_t* out) const;
  void Prefetch(const Source& source, spec::Range stored_rows, spec::Range stored_cols) const;

  const spec::TensorCatalog& catalog_;
  mutable std::mutex mutex_;  // guards files_ and idle_blocks_
  mutable std::vector<std::unique_ptr<OpenFile>> files_;
  mutable std::vector<device::Buffer> idle_blocks_;
  mutable std::atomic<uint64_t> bytes_needed_ = 0;
  mutable std::atomic<uint64_t> bytes_requested_ = 0;
};

// NaN and infinite elements of a block of f32, f16 or bf16. Such weights load; `verify` reports
// them by tensor.
uint64_t CountNonFinite(core::ConstTensorView block);

}  // namespace autodist::checkpoint

#endif  // AUTODIST_CHECKPOINT_WEIGHT_READER_H_
