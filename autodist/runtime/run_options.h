// How a checkpoint is to be run: which model, how it is split, what it may use.
#ifndef AUTODIST_RUNTIME_RUN_OPTIONS_H_
#define AUTODIST_RUNTIME_RUN_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "autodist/spec/cluster.h"

namespace autodist::runtime {

// How much of what the ranks do is recorded (device/op_log.h).
enum class OpRecording {
  kCommunication,  // totals of transfers alone: what Timing needs
  kTotals,         // totals of every operation; each costs two looks at the clock
  kEvents,         // and each operation as an event, for a trace
};

// Checked by BringUp(), which throws core::Error naming the flag, its value and the limit.
struct RunOptions {
  // A directory, or org/name[@revision] in the HuggingFace cache. Never downloads.
  std::string model_name_or_path = {};
  // "cpu".
  std::string device = "cpu";
  // auto, float32, bfloat16 or float16; auto: bfloat16 for bfloat16 checkpoints, else float32.
  // float16 is computed in float32.
  std::string dtype = "auto";
  // auto, int8 or int4; auto: as dtype. Matrices, embedding and head are quantised when they are
  // loaded, activations and the KV cache are not (kernels/quantise.h).
  std::string weights = "auto";

  // Parameters that affect the split.

  int tensor_parallel_size = 1;
  int pipeline_parallel_size = 1;
  int data_parallel_size = 1;
  // > 0: instead of the three sizes; the planner chooses and says why in plan().reasons.
  int ranks = 0;
  // Layers per stage, summing to the layer count; empty: by bytes.
  std::vector<int64_t> stage_layers = {};
  // Memory of each rank, or one value for all; empty: what the host has.
  std::vector<uint64_t> rank_memory_bytes = {};
  // What the plan's predictions rest on (--cluster); its memory is not used. Unset: typical rates.
  std::optional<spec::Cluster> cluster = {};
  // Of this process; -1 / 0: as the launcher says. Given, they must agree with it.
  int local_rank = -1;
  int world_size = 0;

  // Parameters that affect memory and speed.

  // Sequences in flight, and per micro-batch (0: ceil(batch_size / pipeline_parallel_size)).
  int64_t batch_size = 1;
  int64_t micro_batch_size = 0;
  // Positions per sequence, prompt and output together; 0: the model's context. The KV cache itself
  // has the size of the largest request so far.
  int64_t max_model_len = 0;
  // Of those, in the plan's predictions; 0: half.
  int64_t prompt_length = 0;
  // Per rank; 0: usable cores / ranks of this host.
  int threads = 0;
  // Record work as graphs and replay it: needs a GPU. Unset: the device's default.
  std::optional<bool> capture_graph = {};
  // The result does not depend on what else is in the batch. On the CPU that is so for float32 and
  // bfloat16 weights: every product is one chain of additions per element, whatever the other rows
  // are. Products with quantised weights take the way of few rows for any number: prompts are
  // slower.
  bool deterministic = false;

  // Shard cache: packed weights of earlier runs, mapped instead of read.

  bool use_cache = true;
  // Empty: $XDG_CACHE_HOME/autodist, else ~/.cache/autodist. A given directory that cannot be used
  // is refused.
  std::string cache_dir = {};
  bool rebuild_cache = false;

  // Longest wait for a peer, in seconds.
  double collective_timeout_s = 60;
  OpRecording record_ops = OpRecording::kCommunication;
  // No progress lines.
  bool quiet = true;
  // All ranks are threads of this process, whatever launcher started it.
  bool in_process = false;
  // Called while weights are read, with bytes of the checkpoint: by one rank thread at a time, and
  // not at all for what comes from the shard cache. May be empty.
  std::function<void(uint64_t done, uint64_t total)> on_load_progress = {};
};

struct LoadReport {
  double seconds = 0;
  uint64_t bytes_needed = 0;     // of the checkpoint, by the ranks of this process
  uint64_t bytes_requested = 0;  // asked of its files
  int ranks_from_cache = 0;      // ranks of this process that mapped a cache entry
};

}  // namespace autodist::runtime

#endif  // AUTODIST_RUNTIME_RUN_OPTIONS_H_
