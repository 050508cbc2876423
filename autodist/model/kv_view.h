// The KV cache as attention sees it during one forward call.
#ifndef AUTODIST_MODEL_KV_VIEW_H_
#define AUTODIST_MODEL_KV_VIEW_H_

#include <cstdint>
#include <span>

#include "autodist/kernels/attention.h"

namespace autodist::model {

// Who owns the pages implements it (infer/kv_cache.h). Valid during one forward call.
class KvView {
 public:
  virtual ~KvView() = default;
  virtual const kernels::KvPageLayout& layout() const = 0;
  // The call's sequences with their pages in one layer; `layer` counts from the first layer of the
  // stage.
  virtual std::span<const kernels::KvSequence> Sequences(int64_t layer) const = 0;
};

}  // namespace autodist::model

#endif  // AUTODIST_MODEL_KV_VIEW_H_
