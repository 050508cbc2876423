// The machine that an overlap is predicted for: rates as one rank sees them.
#ifndef AUTODIST_PLANNER_OVERLAP_MACHINE_H_
#define AUTODIST_PLANNER_OVERLAP_MACHINE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/core/json.h"

namespace autodist::planner {

struct OverlapMachine {
  std::string name;
  double flops_per_s = 0.0;         // of large bf16 matrix products
  double link_bytes_per_s = 0.0;    // of a collective, per rank and direction
  double latency_s = 0.0;           // of one step of a collective between two ranks
  int sm_count = 0;                 // multiprocessors
  double sm_bytes_per_s = 0.0;      // what one block of a communication kernel moves
  double memory_bytes_per_s = 0.0;  // device memory
  uint64_t memory_bytes = 0;        // per device; 0: not known, memory forces nothing
  double chunk_overhead_s = 0.0;    // of one more matrix product in a row
  double contention = 1.0;          // factor on a product while communication runs beside it
  bool nvlink = true;               // between all devices: without it no userbuffers
  int compute_capability = 80;      // 80, 89, 90, 100: clusters of blocks need 90
};

// A100-80, B200, H100-SXM, H200, L20-PCIe, RTX-4090: what is assumed of them until it is measured.
// Link and FLOP rates are 0.66 of the vendor's dense bf16 peak, 0.82 of NVLink's rate per direction
// and 0.7 of PCIe 4.0 x16's; 16 blocks fill an NVLink and 2 a PCIe link.
std::vector<OverlapMachine> BuiltinMachines();

// `text` is a built-in name, or a JSON file with the fields of ToJson (name, flops_per_s,
// link_bytes_per_s and sm_count are needed; latency_s 3e-6, sm_bytes_per_s a 16th of the link,
// memory_bytes_per_s 2e12, chunk_overhead_s 5e-6, contention 1.05, nvlink true and
// compute_capability 90 // otherwise). Throws core::Error (bad input) naming file, field and limit,
// or the built-in names.
OverlapMachine FindMachine(std::string_view text);

core::Json ToJson(const OverlapMachine& machine);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_OVERLAP_MACHINE_H_
