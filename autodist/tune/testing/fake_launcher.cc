// Stands in for tools/megatron/profile_overlap_case.py where there is no device: reads the case,
// and writes the traces that a simulated machine would give.
//
// usage: fake_launcher MACHINE NOISE --case FILE --output DIR
// A case whose id contains $FAKE_LAUNCHER_FAILS ends with status 3; $FAKE_LAUNCHER_LOG gets a line
// per case. With $FAKE_LAUNCHER_NCCL_BESIDE, collectives that no product waits for run beside it
// even without userbuffers, and slow it down by a tenth, as TransformerEngine's do.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/planner/overlap_machine.h"
#include "autodist/tune/simulated_backend.h"
#include "autodist/tune/testing/synthetic_trace.h"

namespace autodist::tune {
namespace {

OverlapCase CaseOf(const YAML::Node& file) {
  const YAML::Node head = file["case"], setting = file["setting"];
  OverlapCase overlap_case;
  overlap_case.tp = head["tp"].as<int>();
  overlap_case.site = spec::ParseSite(
      head["operator"].as<std::string>() + "_" + head["pass"].as<std::string>(), "case");
  overlap_case.repeats = head["repeats"].as<int>();
  overlap_case.attempt = head["id"].as<std::string>().ends_with("_again") ? 1 : 0;
  overlap_case.setting = {
      .method = spec::ParseOverlapMethod(setting["method"].as<std::string>(), "case"),
      .num_sm = setting["num_sm"].as<int>(),
      .num_splits = setting["num_splits"].as<int>(),
      .aggregate = setting["aggregate"].as<bool>(),
      .set_sm_margin = setting["set_sm_margin"].as<bool>(),
      .cga_size = setting["cga_size"].as<int>()};
  return overlap_case;
}

// A model with this one operator of that shape.
spec::OverlapModel ModelOf(const YAML::Node& file, spec::LinearOp op) {
  const int64_t inputs = file["case"]["inputs"].as<int64_t>();
  const int64_t outputs = file["case"]["outputs"].as<int64_t>();
  spec::OverlapModel model{.name = "case", .num_layers = 1, .num_heads = 64, .num_kv_heads = 64};
  model.gated_mlp = false;
  model.hidden_size = spec::IsColumn(op) ? inputs : outputs;
  model.q_size = op == spec::LinearOp::kQkv ? outputs - 2 : inputs;
  model.kv_size = 1;
  model.ffn_size = op == spec::LinearOp::kFc1 ? outputs : inputs;
  return model;
}

// What the trace format can hold: nothing is longer than the whole, and nothing waits.
CaseSample Drawable(CaseSample sample) {
  sample.gemm_s = std::min(sample.gemm_s, sample.wall_s);
  sample.comm_s = std::min(sample.comm_s, sample.wall_s);
  return sample;
}

void RunBeside(CaseSample& sample) {
  sample.gemm_s *= 1.1;
  sample.wall_s = std::max(sample.gemm_s, sample.comm_s);
}

int Main(int argc, char** argv) {
  if (argc != 7) return 2;
  const planner::OverlapMachine machine = planner::FindMachine(argv[1]);
  const YAML::Node file = YAML::LoadFile(argv[4]);
  const std::filesystem::path output = argv[6];
  const OverlapCase overlap_case = CaseOf(file);
  const std::string id = file["case"]["id"].as<std::string>();
  if (const char* const log = std::getenv("FAKE_LAUNCHER_LOG"))
    std::ofstream(log, std::ios::app) << id + "\n";
  if (id != overlap_case.Id()) {
    fmt::print(stderr, "{} describes {}\n", id, overlap_case.Id());
    return 4;
  }
  const char* const fails = std::getenv("FAKE_LAUNCHER_FAILS");
  if (fails != nullptr && id.find(fails) != std::string::npos) {
    fmt::print(stderr, "CUDA error: out of memory\n");
    return 3;
  }
  SimulatedBackend backend(ModelOf(file, overlap_case.site.op),
                           file["case"]["tokens"].as<int64_t>(), machine, std::atof(argv[2]), 5);
  CaseResult result = backend.Measure({overlap_case}).at(id);
  const bool beside = std::getenv("FAKE_LAUNCHER_NCCL_BESIDE") != nullptr && overlap_case.tp > 1 &&
                      overlap_case.setting.method == spec::OverlapMethod::kSequential &&
                      spec::CollectiveOf(overlap_case.site) == spec::SiteCollective::kBeside;
  for (CaseSample& sample : result.samples) {
    if (beside) RunBeside(sample);
    sample = Drawable(sample);
  }
  for (int rank = 0; rank < overlap_case.tp; ++rank)
    core::WriteFileAtomically(output / fmt::format("rank{}.json", rank),
                              SyntheticTrace(overlap_case, rank, result.samples));
  const core::Json done = {
      {"id", id}, {"applied", spec::ToJson(overlap_case.setting)}, {"profiler_ratio", 1.0}};
  core::WriteFileAtomically(output / "result.json", core::DumpJson(done));
  return 0;
}

}  // namespace
}  // namespace autodist::tune

int main(int argc, char** argv) {
  try {
    return autodist::tune::Main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "fake_launcher: {}\n", error.what());
    return 1;
  }
}
