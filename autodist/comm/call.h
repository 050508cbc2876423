// What a rank asks of its group: recorded with every collective, so that a time-out can say who is
// missing where and a mismatch can name both sides.
#ifndef AUTODIST_COMM_CALL_H_
#define AUTODIST_COMM_CALL_H_

#include <cstdint>
#include <string>

#include "autodist/comm/communicator.h"
#include "autodist/core/dtype.h"

namespace autodist::comm {

enum class CallKind : uint8_t {
  kAllReduce,
  kAllGather,
  kReduceScatter,
  kBroadcast,
  kAllToAll,
  kBarrier,
  kMessage
};

struct Call {
  CallKind kind = CallKind::kBarrier;
  core::DType dtype = core::DType::kU8;
  ReduceOp op = ReduceOp::kSum;
  int16_t root = 0;
  int64_t elements = 0;  // of the tensor that each rank gives

  // The call with which a rank gives `data`.
  static Call Of(CallKind kind, core::ConstTensorView data, ReduceOp op = ReduceOp::kSum,
                 int root = 0) {
    return {kind, data.dtype(), op, static_cast<int16_t>(root), data.elements()};
  }

  uint64_t bytes() const { return static_cast<uint64_t>(elements) * core::SizeOf(dtype); }
  // All but the count in one word: two calls belong together when Code() and elements are equal.
  uint64_t Code() const;
  static Call FromCode(uint64_t code, int64_t elements);

  std::string Name() const;      // "all_reduce"
  std::string Describe() const;  // "all_reduce(12 x float32, sum)"
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_CALL_H_
