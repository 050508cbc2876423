// A small llama checkpoint with pseudo-random weights, in the shape a test asks for, and broken
// where it wants it.
#ifndef AUTODIST_TESTS_END_TO_END_TINY_MODEL_H_
#define AUTODIST_TESTS_END_TO_END_TINY_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "autodist/checkpoint/testing/safetensors_builder.h"
#include "autodist/core/json.h"

namespace autodist::testing {

using checkpoint::testing::BuildSafetensors;
using checkpoint::testing::BuiltTensor;
using checkpoint::testing::RawSafetensors;
using checkpoint::testing::ReadBytes;
using checkpoint::testing::WriteBytes;

struct TinyShape {
  int64_t hidden = 32;
  int64_t ffn = 44;
  int64_t layers = 4;
  int64_t heads = 4;
  int64_t kv_heads = 2;
  int64_t vocab =
      263;  // at least 259: the tokenizer has one id per byte, behind three special ones
  int64_t positions = 256;
  bool tied = false;
};

// The files of a model directory before they are written. Tests change what they want to break.
struct TinyModel {
  explicit TinyModel(const TinyShape& shape = {});

  // config.json, tokenizer.json, model.safetensors. The directory is created.
  void Write(const std::filesystem::path& directory) const;
  BuiltTensor& Tensor(const std::string& name);

  core::Json config;
  core::Json tokenizer;              // the id of byte b is b + 3; 0 <unk>, 1 <s>, 2 </s>
  std::vector<BuiltTensor> tensors;  // F32
};

}  // namespace autodist::testing

#endif  // AUTODIST_TESTS_END_TO_END_TINY_MODEL_H_
