// What devices with memory of their own have for a plan: the rank_memory_bytes of its cluster. From
// there on everything is as on hosts: stages by bytes where memories are unequal, the refusal that
// names what does not fit, the largest context that does.
//
// runtime/loaded_model.cc is to fill the cluster with it when ranks have accelerators
// (Accelerator::memory()); without kernels for GPUs only tests do.
#ifndef AUTODIST_PLANNER_DEVICE_MEMORY_H_
#define AUTODIST_PLANNER_DEVICE_MEMORY_H_

#include <cstdint>
#include <string>
#include <vector>

namespace autodist::planner {

// The device of one rank before anything of ours is on it.
struct DeviceBudget {
  std::string name;  // "cuda:0 (NVIDIA H200)"; used in messages
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;
};

// What is taken from a device before weights, KV cache, activations and buffers are placed.
struct DeviceReserve {
  // Of each device's memory, the part that may be in use while we run, by whomever: (0, 1]. The
  // rest is for what nobody can plan, such as fragments and code that is loaded late.
  double memory_utilization = 0.9;
  uint64_t workspace_bytes = 0;  // of matrix products and of the communication library
  uint64_t graph_bytes = 0;      // the limit that runtime/graph_cache.h keeps
};

// min(free, utilization * total - used by others) - workspace - graphs, per rank. One value for all
// when the smallest is within 1/64 of the largest: devices of a kind never have quite the same
// free, and that is no reason to cut stages by it. Throws core::Error (bad input) naming the device
// and the part that does not fit, or the utilization that is out of range. REQUIRES a device, and
// free_bytes <= total_bytes.
std::vector<uint64_t> PlannableBytes(const std::vector<DeviceBudget>& devices,
                                     const DeviceReserve& reserve);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_DEVICE_MEMORY_H_
