// Turns q and k by their positions: the tables behind it, and dynamic rope's dependence on the
// sequence's length.
#ifndef AUTODIST_MODEL_ROTARY_H_
#define AUTODIST_MODEL_ROTARY_H_

#include <cstdint>
#include <span>

#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"
#include "autodist/kernels/rope.h"
#include "autodist/spec/model_config.h"

namespace autodist::model {

class Rotary {
 public:
  // Does nothing for models with learned positions. `config` must outlive it.
  Rotary(const spec::ModelConfig& config, int64_t max_positions);

  // Shapes: x [T, heads * head_dim] f32; positions and lengths [T]. lengths[t] is the length that
  // dynamic rope sees (DecoderRows); other kinds ignore it.
  void Apply(device::Stream& stream, std::span<const int32_t> positions_T,
             std::span<const int32_t> lengths_T, core::TensorView x_TD) const;

 private:
  const spec::ModelConfig& config_;
  kernels::RopeTable table_;  // for sequences up to rope.original_max_position when the kind is
                              // dynamic, else for all
};

}  // namespace autodist::model

#endif  // AUTODIST_MODEL_ROTARY_H_
