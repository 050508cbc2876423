#include "autodist/planner/device_memory.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/planner/memory_model.h"

namespace autodist::planner {
namespace {

uint64_t PlannableBytesOf(const DeviceBudget& device, const DeviceReserve& reserve) {
  AUTODIST_CHECK_LE(device.free_bytes, device.total_bytes);
  const uint64_t used = device.total_bytes - device.free_bytes;
  const auto allowed =
      static_cast<uint64_t>(static_cast<double>(device.total_bytes) * reserve.memory_utilization);
  if (allowed <= used)
    throw core::BadInput(
        "{}: {} of {} are in use by others, and --memory-utilization {:g} allows {} in all",
        device.name, FormatBytes(used), FormatBytes(device.total_bytes), reserve.memory_utilization,
        FormatBytes(allowed));
  uint64_t left = std::min(device.free_bytes, allowed - used);
  for (const auto& [part, bytes] :
       {std::pair<std::string_view, uint64_t>{"workspace", reserve.workspace_bytes},
        {"memory for graphs", reserve.graph_bytes}}) {
    if (bytes >= left)
      throw core::BadInput(
          "{}: the {} takes {}, and of {} {} are left at --memory-utilization {:g}", device.name,
          part, FormatBytes(bytes), FormatBytes(device.total_bytes), FormatBytes(left),
          reserve.memory_utilization);
    left -= bytes;
  }
  return left;
}

}  // namespace

std::vector<uint64_t> PlannableBytes(const std::vector<DeviceBudget>& devices,
                                     const DeviceReserve& reserve) {
  AUTODIST_CHECK(!devices.empty());
  if (!(reserve.memory_utilization > 0 && reserve.memory_utilization <= 1))
    throw core::BadInput("--memory-utilization is {:g}, must be more than 0 and at most 1",
                         reserve.memory_utilization);
  std::vector<uint64_t> bytes;
  for (const DeviceBudget& device : devices) bytes.push_back(PlannableBytesOf(device, reserve));
  const auto [least, most] = std::minmax_element(bytes.begin(), bytes.end());
  if (*most - *least <= *most / 64) return {*least};
  return bytes;
}

}  // namespace autodist::planner
