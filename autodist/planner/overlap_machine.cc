#include "autodist/planner/overlap_machine.h"

#include <fmt/ranges.h>

#include "autodist/core/error.h"

namespace autodist::planner {
namespace {

constexpr double kLatency = 3e-6;
constexpr double kChunkOverhead = 5e-6;
constexpr double kContention = 1.05;
constexpr double kBlocksPerLink = 16;
constexpr double kNvlinkEfficiency = 0.82;

// From the vendor's peak rates, in the units of data sheets.
struct DataSheet {
  const char* name;
  double tflops;           // dense bf16
  double link_gb_per_s;    // per direction
  double link_efficiency;  // 0.82 for NVLink, 0.7 for PCIe
  double blocks_per_link;
  int sm_count;
  double memory_gb_per_s;
  uint64_t memory_gb;
  int compute_capability;
};

constexpr DataSheet kDataSheets[] = {
    {"A100-80", 312, 300, kNvlinkEfficiency, kBlocksPerLink, 108, 2039, 80, 80},
    {"B200", 2250, 900, kNvlinkEfficiency, kBlocksPerLink, 148, 8000, 180, 100},
    {"H100-SXM", 989, 450, kNvlinkEfficiency, kBlocksPerLink, 132, 3350, 80, 90},
    {"H200", 989, 450, kNvlinkEfficiency, kBlocksPerLink, 132, 4800, 141, 90},
    {"L20-PCIe", 119.5, 31.5, 0.7, 2, 92, 864, 48, 89},
    {"RTX-4090", 165.2, 31.5, 0.7, 2, 128, 1008, 24, 89},
};

OverlapMachine FromDataSheet(const DataSheet& sheet) {
  const double link = sheet.link_gb_per_s * 1e9 * sheet.link_efficiency;
  return {.name = sheet.name,
          .flops_per_s = sheet.tflops * 1e12 * 0.66,
          .link_bytes_per_s = link,
          .latency_s = kLatency,
          .sm_count = sheet.sm_count,
          .sm_bytes_per_s = link / sheet.blocks_per_link,
          .memory_bytes_per_s = sheet.memory_gb_per_s * 1e9,
          .memory_bytes = sheet.memory_gb * 1'000'000'000,
          .chunk_overhead_s = kChunkOverhead,
          .contention = kContention,
          .nvlink = sheet.link_efficiency == kNvlinkEfficiency,
          .compute_capability = sheet.compute_capability};
}

double NumberIn(const core::JsonFields& fields, std::string_view name, double fallback, double min,
                double max) {
  const std::optional<double> value = fields.Number(name);
  if (!value && fallback < 0)
    throw core::BadInput("{}: field {} is missing", fields.source(), name);
  if (value && !(*value >= min && *value <= max))
    throw core::BadInput("{}: field {} is {}, must be in [{}, {}]", fields.source(), name, *value,
                         min, max);
  return value.value_or(fallback);
}

OverlapMachine ReadMachine(const std::filesystem::path& path) {
  const std::string source = path.string();
  const core::Json json = core::ParseJsonFile(path, uint64_t{1} << 20);
  const core::JsonFields fields(json, source);
  constexpr double kNeeded = -1;
  OverlapMachine machine;
  machine.name = fields.RequiredString("name");
  machine.flops_per_s = NumberIn(fields, "flops_per_s", kNeeded, 1e6, 1e21);
  machine.link_bytes_per_s = NumberIn(fields, "link_bytes_per_s", kNeeded, 1e3, 1e18);
  machine.latency_s = NumberIn(fields, "latency_s", kLatency, 0, 10);
  machine.sm_count = static_cast<int>(fields.RequiredInt("sm_count", 2, 100000));
  machine.sm_bytes_per_s =
      NumberIn(fields, "sm_bytes_per_s", machine.link_bytes_per_s / kBlocksPerLink, 1, 1e18);
  machine.memory_bytes_per_s = NumberIn(fields, "memory_bytes_per_s", 2e12, 1e3, 1e18);
  machine.memory_bytes =
      static_cast<uint64_t>(fields.Int("memory_bytes", 0, int64_t{1} << 50).value_or(0));
  machine.chunk_overhead_s = NumberIn(fields, "chunk_overhead_s", kChunkOverhead, 0, 10);
  machine.contention = NumberIn(fields, "contention", kContention, 1, 10);
  machine.nvlink = fields.Bool("nvlink").value_or(true);
  machine.compute_capability =
      static_cast<int>(fields.Int("compute_capability", 10, 1000).value_or(90));
  for (const auto& [name, value] : json.items())
    if (!ToJson(machine).contains(name)) throw core::BadInput("{}: unknown field {}", source, name);
  return machine;
}

}  // namespace

std::vector<OverlapMachine> BuiltinMachines() {
  std::vector<OverlapMachine> machines;
  for (const DataSheet& sheet : kDataSheets) machines.push_back(FromDataSheet(sheet));
  return machines;
}

OverlapMachine FindMachine(std::string_view text) {
  std::vector<std::string> names;
  for (const OverlapMachine& machine : BuiltinMachines()) {
    if (machine.name == text) return machine;
    names.push_back(machine.name);
  }
  if (!std::filesystem::exists(text))
    throw core::BadInput("--machine {}: is neither a file nor one of {}", text,
                         fmt::join(names, ", "));
  return ReadMachine(text);
}

core::Json ToJson(const OverlapMachine& machine) {
  return {{"name", machine.name},
          {"flops_per_s", machine.flops_per_s},
          {"link_bytes_per_s", machine.link_bytes_per_s},
          {"latency_s", machine.latency_s},
          {"sm_count", machine.sm_count},
          {"sm_bytes_per_s", machine.sm_bytes_per_s},
          {"memory_bytes_per_s", machine.memory_bytes_per_s},
          {"memory_bytes", machine.memory_bytes},
          {"chunk_overhead_s", machine.chunk_overhead_s},
          {"contention", machine.contention},
          {"nvlink", machine.nvlink},
          {"compute_capability", machine.compute_capability}};
}

}  // namespace autodist::planner
