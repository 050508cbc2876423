#include "autodist/comm/call.h"

#include <fmt/format.h>

#include "autodist/core/check.h"

namespace autodist::comm {

uint64_t Call::Code() const {
  return static_cast<uint64_t>(kind) | static_cast<uint64_t>(dtype) << 8 |
         static_cast<uint64_t>(op) << 16 | static_cast<uint64_t>(static_cast<uint16_t>(root)) << 32;
}

Call Call::FromCode(uint64_t code, int64_t elements) {
  Call call;
  call.kind = static_cast<CallKind>(code & 0xff);
  call.dtype = static_cast<core::DType>(code >> 8 & 0xff);
  call.op = static_cast<ReduceOp>(code >> 16 & 0xff);
  call.root = static_cast<int16_t>(code >> 32 & 0xffff);
  call.elements = elements;
  return call;
}

std::string Call::Name() const {
  switch (kind) {
    case CallKind::kAllReduce:
      return "all_reduce";
    case CallKind::kAllGather:
      return "all_gather";
    case CallKind::kReduceScatter:
      return "reduce_scatter";
    case CallKind::kBroadcast:
      return "broadcast";
    case CallKind::kAllToAll:
      return "all_to_all";
    case CallKind::kBarrier:
      return "barrier";
    case CallKind::kMessage:
      return "message";
  }
  core::CheckFailed(__FILE__, __LINE__, "unknown CallKind");
}

std::string Call::Describe() const {
  if (kind == CallKind::kBarrier) return Name();
  std::string text = fmt::format("{}({} x {}", Name(), elements, core::NameOf(dtype));
  if (kind == CallKind::kAllReduce || kind == CallKind::kReduceScatter) {
    text += op == ReduceOp::kSum ? ", sum" : ", max";
  }
  if (kind == CallKind::kBroadcast) text += fmt::format(", root {}", root);
  return text + ")";
}

}  // namespace autodist::comm
