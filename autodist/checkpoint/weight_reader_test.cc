#include "autodist/checkpoint/weight_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>
#include <numeric>
#include <thread>

#include "autodist/checkpoint/direct_reader.h"
#include "autodist/checkpoint/safetensors.h"
#include "autodist/checkpoint/testing/safetensors_builder.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"

namespace autodist::checkpoint {
namespace {

using core::DType;
using spec::ModelTensor;
using spec::Range;
using testing::BuildSafetensors;
using testing::BytesOf;
using ::testing::HasSubstr;
using testing::WriteBytes;

// A matrix of f32 whose element [r][c] is r * 1000 + c.
std::vector<float> Numbered(int64_t rows, int64_t cols) {
  std::vector<float> values;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) values.push_back(static_cast<float>(r * 1000 + c));
  return values;
}

ModelTensor Matrix(std::string source, int64_t rows, int64_t cols) {
  return {.id = {spec::Slot::kQ}, .rows = rows, .cols = cols, .source = std::move(source)};
}

// Collects a rectangle from its blocks and checks what the sink is promised.
struct Collected {
  DType dtype = DType::kU8;
  int64_t cols = 0;
  int blocks = 0;
  std::string bytes;

  std::vector<float> Floats() const {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
};

Collected Collect(const WeightReader& reader, const ModelTensor& tensor, Range rows, Range cols) {
  Collected result;
  int64_t next = 0;
  reader.Read(tensor, rows, cols, [&](int64_t first_row, core::ConstTensorView block) {
    EXPECT_EQ(first_row, next);
    EXPECT_TRUE(block.contiguous());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.data()) % core::SizeOf(block.dtype()), 0u);
    EXPECT_EQ(block.cols(), cols.size());
    result.dtype = block.dtype();
    result.bytes.append(static_cast<const char*>(block.data()), block.bytes());
    next += block.rows();
    ++result.blocks;
  });
  EXPECT_EQ(next, cols.size() > 0 ? rows.size() : 0);
  result.cols = cols.size();
  return result;
}

class WeightReaderTest : public ::testing::Test {
 protected:
  // "odd" shifts everything behind it to addresses that no dtype is aligned to.
  void Write(std::vector<testing::BuiltTensor> tensors) {
    tensors.insert(tensors.begin(), {"odd", "U8", {3}, "odd"});
    WriteBytes(scratch_ / "model.safetensors", BuildSafetensors(tensors));
    catalog_ = ReadCatalog(scratch_.path());
  }

  testing::ScratchDirectory scratch_;
  spec::TensorCatalog catalog_;
};

// Fault 13 as well: the data lies at an odd offset.
TEST_F(WeightReaderTest, ARectangleIsItsRowsAndColumns) {
  Write({{"w", "F32", {7, 5}, BytesOf(Numbered(7, 5))}});
  const WeightReader reader(catalog_);
  EXPECT_EQ(Collect(reader, Matrix("w", 7, 5), {0, 7}, {0, 5}).Floats(), Numbered(7, 5));
  EXPECT_EQ(Collect(reader, Matrix("w", 7, 5), {2, 4}, {0, 5}).Floats(),
            (std::vector<float>{2000, 2001, 2002, 2003, 2004, 3000, 3001, 3002, 3003, 3004}));
  EXPECT_EQ(Collect(reader, Matrix("w", 7, 5), {5, 7}, {1, 3}).Floats(),
            (std::vector<float>{5001, 5002, 6001, 6002}));
  EXPECT_EQ(Collect(reader, Matrix("w", 7, 5), {3, 3}, {0, 5}).blocks, 0);
  EXPECT_EQ(Collect(reader, Matrix("w", 7, 5), {0, 7}, {2, 2}).blocks, 0);
}

TEST_F(WeightReaderTest, AVectorHasOneColumn) {
  Write({{"b", "F32", {4}, BytesOf(std::vector<float>{1, 2, 3, 4})}});
  const WeightReader reader(catalog_);
  const ModelTensor bias = {
      .id = {spec::Slot::kQ}, .rows = 4, .cols = 1, .vector = true, .source = "b"};
  EXPECT_EQ(Collect(reader, bias, {1, 3}, {0, 1}).Floats(), (std::vector<float>{2, 3}));
}

// GPT-2: q, k and v are one stored tensor, and Conv1D stores it [inputs, outputs].
TEST_F(WeightReaderTest, FusedAndTransposedStorage) {
  constexpr int64_t kInputs = 4;
  constexpr int64_t kOutputs = 9;  // q, k, v of 3 outputs each
  Write({{"c_attn", "F32", {kInputs, kOutputs}, BytesOf(Numbered(kInputs, kOutputs))},
         {"bias", "F32", {kOutputs}, BytesOf(Numbered(1, kOutputs))}});
  const WeightReader reader(catalog_);
  ModelTensor k = Matrix("c_attn", 3, kInputs);
  k.transposed = true;
  k.source_row = 3;
  // Output o of k is stored column 3 + o; its inputs are the stored rows.
  EXPECT_EQ(Collect(reader, k, {1, 3}, {0, 4}).Floats(),
            (std::vector<float>{4, 1004, 2004, 3004, 5, 1005, 2005, 3005}));
  EXPECT_EQ(Collect(reader, k, {0, 3}, {2, 3}).Floats(), (std::vector<float>{2003, 2004, 2005}));

  ModelTensor bias = {.id = {spec::Slot::kK},
                      .rows = 3,
                      .cols = 1,
                      .vector = true,
                      .source = "bias",
                      .source_row = 3};
  bias.transposed = true;  // says nothing about a vector
  EXPECT_EQ(Collect(reader, bias, {0, 3}, {0, 1}).Floats(), (std::vector<float>{3, 4, 5}));
}

TEST_F(WeightReaderTest, LargeTensorsComeInBlocks) {
  constexpr int64_t kRows = 1001;
  constexpr int64_t kCols = 517;
  std::vector<uint16_t> values(kRows * kCols);
  std::iota(values.begin(), values.end(), uint16_t{0});
  Write({{"w", "BF16", {kRows, kCols}, BytesOf(values)}});
  const WeightReader reader(catalog_);
  const auto reference = [&](Range rows, Range cols, bool transposed) {
    std::vector<uint16_t> part;
    for (int64_t r = rows.first; r < rows.last; ++r)
      for (int64_t c = cols.first; c < cols.last; ++c)
        part.push_back(values[static_cast<size_t>(transposed ? c * kCols + r : r * kCols + c)]);
    return BytesOf(part);
  };
  const auto check = [&](const ModelTensor& tensor, Range rows, Range cols) {
    const Collected part = Collect(reader, tensor, rows, cols);
    EXPECT_EQ(part.dtype, DType::kBF16);
    EXPECT_TRUE(part.bytes == reference(rows, cols, tensor.transposed))
        << rows.first << " " << cols.first;
    return part.blocks;
  };
  EXPECT_EQ(check(Matrix("w", kRows, kCols), {0, kRows}, {0, kCols}), 1);
  ModelTensor transposed = Matrix("w", kCols, kRows);
  transposed.transposed = true;
  check(transposed, {100, 517}, {1, kRows});

  // The same bytes as a matrix of wider rows, which need more than one block.
  std::vector<uint16_t> wide(size_t{4000} * 1031);
  std::iota(wide.begin(), wide.end(), uint16_t{7});
  Write({{"wide", "F16", {4000, 1031}, BytesOf(wide)}});
  const WeightReader wide_reader(catalog_);
  const Collected all = Collect(wide_reader, Matrix("wide", 4000, 1031), {0, 4000}, {0, 1031});
  EXPECT_GT(all.blocks, 1);
  EXPECT_TRUE(all.bytes == BytesOf(wide));
  ModelTensor wide_transposed = Matrix("wide", 1031, 4000);
  wide_transposed.transposed = true;
  const Collected turned = Collect(wide_reader, wide_transposed, {0, 1031}, {0, 4000});
  EXPECT_GT(turned.blocks, 1);
  uint16_t at_700_3999 = 0;
  std::memcpy(&at_700_3999, turned.bytes.data() + (700 * 4000 + 3999) * 2, 2);
  EXPECT_EQ(at_700_3999, wide[size_t{3999} * 1031 + 700]);
}

// What the page cache lacks comes past it, where the file system can: the same bytes, and hardly
// more of them asked for.
TEST_F(WeightReaderTest, UncachedRowsAreTheSame) {
  constexpr int64_t kRows = 3001;
  constexpr int64_t kCols = 1733;
  std::vector<uint16_t> values(kRows * kCols);
  std::iota(values.begin(), values.end(), uint16_t{3});
  WriteBytes(scratch_ / "model.safetensors",
             BuildSafetensors({{"w", "BF16", {kRows, kCols}, BytesOf(values)}}));
  catalog_ = ReadCatalog(scratch_.path());
  for (const Range rows : {Range{0, kRows}, Range{7, kRows}, Range{1, 400}, Range{2999, 3001}}) {
    const core::InputFile file(scratch_ / "model.safetensors");
    testing::DropFromPageCache(file);
    const WeightReader reader(catalog_);
    reader.Announce(Matrix("w", kRows, kCols), rows, {0, kCols});
    const Collected part = Collect(reader, Matrix("w", kRows, kCols), rows, {0, kCols});
    EXPECT_TRUE(part.bytes == BytesOf(std::vector<uint16_t>(values.begin() + rows.first * kCols,
                                                            values.begin() + rows.last * kCols)))
        << rows.first << " " << rows.last;
    EXPECT_EQ(reader.bytes_needed(), part.bytes.size());
    EXPECT_LE(static_cast<double>(reader.bytes_requested()),
              1.02 * static_cast<double>(reader.bytes_needed()));
  }
}

// Of parts that are larger than a direct read, nothing comes through the page cache as well.
TEST_F(WeightReaderTest, WhatIsAnnouncedComesOnce) {
  constexpr int64_t kRows = 4096;
  constexpr int64_t kCols = 1024;
  WriteBytes(scratch_ / "model.safetensors",
             BuildSafetensors({{"w", "F32", {kRows, kCols}, BytesOf(Numbered(kRows, kCols))}}));
  catalog_ = ReadCatalog(scratch_.path());
  const core::InputFile file(scratch_ / "model.safetensors");
  const DirectReader pages(file);
  const bool dropped = testing::DropFromPageCache(file);
  constexpr size_t kMiB = size_t{1} << 20;
  const auto cached = [&] {
    int count = 0;
    for (uint64_t at = kMiB; at + kMiB < file.size(); at += kMiB)
      count += pages.ResidenceOf(at, kMiB) == DirectReader::Residence::kInMemory ? 1 : 0;
    return count;
  };
  const bool direct = pages.offered() && dropped;
  ASSERT_TRUE(!direct || cached() == 0);
  const WeightReader reader(catalog_);
  ModelTensor transposed = Matrix("w", kCols, kRows);
  transposed.transposed = true;
  EXPECT_EQ(reader.WaitsForDisk(Matrix("w", kRows, kCols), {0, kRows}, {0, kCols}), direct);
  EXPECT_EQ(reader.WaitsForDisk(Matrix("w", kRows, kCols), {9, 3000}, {0, kCols}), direct);
  EXPECT_FALSE(reader.WaitsForDisk(Matrix("w", kRows, kCols), {0, 8}, {0, kCols})) << "short";
  EXPECT_FALSE(reader.WaitsForDisk(Matrix("w", kRows, kCols), {7, 7}, {0, kCols})) << "nothing";
  EXPECT_FALSE(reader.WaitsForDisk(Matrix("w", kRows, kCols), {0, kRows}, {0, 512})) << "columns";
  EXPECT_FALSE(reader.WaitsForDisk(transposed, {0, kCols}, {0, kRows}));
  reader.Announce(Matrix("w", kRows, kCols), {0, kRows}, {0, kCols});
  const Collected all = Collect(reader, Matrix("w", kRows, kCols), {0, kRows}, {0, kCols});
  EXPECT_TRUE(all.bytes == BytesOf(Numbered(kRows, kCols)));
  if (direct) {
    EXPECT_EQ(cached(), 0);
    EXPECT_GT(reader.bytes_requested(), reader.bytes_needed()) << "sectors";
  } else {
    EXPECT_EQ(reader.bytes_requested(), reader.bytes_needed()) << "through the page cache";
  }
  std::vector<uint8_t> content(file.size());
  file.ReadAt(0, content.data(), content.size());
  EXPECT_FALSE(reader.WaitsForDisk(Matrix("w", kRows, kCols), {0, kRows}, {0, kCols})) << "cached";
}

// What t ranks of one host ask of the files is what they need, however narrow their cuts are.
TEST_F(WeightReaderTest, RanksTogetherReadEachByteOnce) {
  constexpr int64_t kRows = 19;
  constexpr int64_t kCols = 23;
  Write({{"w", "F32", {kRows, kCols}, BytesOf(Numbered(kRows, kCols))}});
  for (const bool transposed : {false, true}) {
    for (const bool split_rows : {false, true}) {
      const WeightReader reader(catalog_);
      ModelTensor tensor = transposed ? Matrix("w", kCols, kRows) : Matrix("w", kRows, kCols);
      tensor.transposed = transposed;
      const int64_t split = split_rows ? tensor.rows : tensor.cols;
      constexpr int64_t kRanks = 4;
      for (int64_t rank = 0; rank < kRanks; ++rank) {
        const Range part{split * rank / kRanks, split * (rank + 1) / kRanks};
        Collect(reader, tensor, split_rows ? part : Range{0, tensor.rows},
                split_rows ? Range{0, tensor.cols} : part);
      }
      EXPECT_EQ(reader.bytes_needed(), uint64_t{kRows * kCols * 4});
      EXPECT_EQ(reader.bytes_requested(), reader.bytes_needed());
    }
  }
}

TEST_F(WeightReaderTest, SeveralThreadsRead) {
  Write({{"w", "F32", {64, 64}, BytesOf(Numbered(64, 64))}});
  const WeightReader reader(catalog_);
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&reader, t] {
      const auto part =
          Collect(reader, Matrix("w", 64, 64), {t * 16, t * 16 + 16}, {0, 64}).Floats();
      EXPECT_EQ(part[64 + 1], static_cast<float>((t * 16 + 1) * 1000 + 1));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(reader.bytes_needed(), uint64_t{64 * 64 * 4});
}

std::string Refusal(const WeightReader& reader, const ModelTensor& tensor) {
  try {
    Collect(reader, tensor, {0, tensor.rows}, {0, tensor.cols});
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    return error.what();
  }
  return "(read)";
}

TEST_F(WeightReaderTest, WhatTheCheckpointDoesNotHold) {
  Write({{"w", "F32", {3, 2}, BytesOf(Numbered(3, 2))}, {"i", "I8", {2, 2}, "abcd"}});
  const WeightReader reader(catalog_);
  EXPECT_THAT(Refusal(reader, Matrix("absent", 3, 2)),
              HasSubstr("no tensor \"absent\" (for q.weight)"));
  EXPECT_THAT(Refusal(reader, Matrix("i", 2, 2)),
              HasSubstr("\"i\" has dtype I8; weights are read from F32, F16 and BF16"));
  EXPECT_THAT(Refusal(reader, Matrix("w", 4, 2)), HasSubstr("has shape [3, 2]"));
  EXPECT_THAT(Refusal(reader, Matrix("w", 3, 1)), HasSubstr("has shape [3, 2]"));
  ModelTensor late = Matrix("w", 2, 2);
  late.source_row = 2;
  EXPECT_THAT(Refusal(reader, late), HasSubstr("outputs 2 to 3 and 2 inputs of q.weight"));
  ModelTensor vector = Matrix("w", 3, 1);
  vector.vector = true;
  EXPECT_THAT(Refusal(reader, vector), HasSubstr("has shape [3, 2]"));
}

// Fault 14: a file that shrinks after its header was read, before and after it was opened.
TEST_F(WeightReaderTest, FilesThatShrink) {
  Write({{"a", "F32", {2, 2}, BytesOf(Numbered(2, 2))},
         {"w", "F32", {3, 2}, BytesOf(Numbered(3, 2))}});
  const WeightReader opened(catalog_);
  Collect(opened, Matrix("a", 2, 2), {0, 2}, {0, 2});
  std::filesystem::resize_file(scratch_ / "model.safetensors", catalog_.files[0].size_bytes - 1);
  EXPECT_THAT(Refusal(opened, Matrix("w", 3, 2)), HasSubstr("model.safetensors: truncated"));
  EXPECT_THAT(Refusal(WeightReader(catalog_), Matrix("w", 3, 2)), HasSubstr("is being replaced"));
  std::filesystem::remove(scratch_ / "model.safetensors");
  EXPECT_THAT(Refusal(WeightReader(catalog_), Matrix("w", 3, 2)), HasSubstr("cannot be read"));
}

// Fault 15: such weights load; verify counts them.
TEST_F(WeightReaderTest, NonFiniteElementsAreCounted) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {1.0f, kInf, -kInf, std::nanf(""), 3e38f, 1e-40f, 65504.0f};
  std::vector<core::BFloat16> bf16;
  std::vector<core::Float16> f16;
  for (const float value : values) {
    bf16.push_back(core::ToBFloat16(value));
    f16.push_back(core::ToFloat16(value));
  }
  const auto n = static_cast<int64_t>(values.size());
  EXPECT_EQ(CountNonFinite({values.data(), 1, n}), 3u);
  EXPECT_EQ(CountNonFinite({bf16.data(), n, 1}), 3u);
  EXPECT_EQ(CountNonFinite({f16.data(), 1, n}), 4u) << "3e38 is infinite as a half";
}

}  // namespace
}  // namespace autodist::checkpoint
