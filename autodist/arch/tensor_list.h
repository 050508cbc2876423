// The tensors that a family's checkpoint must hold, collected by the family's list_tensors. For
// arch/ only.
#ifndef AUTODIST_ARCH_TENSOR_LIST_H_
#define AUTODIST_ARCH_TENSOR_LIST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "autodist/spec/model_config.h"
#include "autodist/spec/model_tensor.h"

namespace autodist::arch {

// One tensor of the model, and the shape its source must have on disk.
struct ExpectedTensor {
  spec::ModelTensor tensor;
  std::vector<int64_t> stored_shape;
};

// How a linear layer lies on disk.
struct LinearStorage {
  bool transposed = false;  // [inputs, outputs]
  int64_t source_row = 0;   // first output inside a fused source
  int64_t source_rows = 0;  // outputs of the whole fused source; 0: not fused
};

// Shape and role follow from the slot and the configuration; the family says only how a tensor is
// called and stored.
class TensorList {
 public:
  // `config` must outlive this.
  explicit TensorList(const spec::ModelConfig& config) : config_(config) {}

  // <name>.weight [rows, cols] and, with `bias`, <name>.bias [rows].
  void Linear(spec::Slot slot, int layer, const std::string& name, bool bias,
              LinearStorage storage = {});
  // <name>.weight [size] and, with `bias`, <name>.bias [size].
  void Norm(spec::Slot slot, int layer, const std::string& name, bool bias);
  // <name>.weight [rows, cols] of the token or position table, or of the head.
  void Table(spec::Slot slot, const std::string& name);

  const spec::ModelConfig& config() const { return config_; }
  const std::vector<ExpectedTensor>& entries() const { return entries_; }

 private:
  const spec::ModelConfig& config_;
  std::vector<ExpectedTensor> entries_;
};

}  // namespace autodist::arch

#endif  // AUTODIST_ARCH_TENSOR_LIST_H_
