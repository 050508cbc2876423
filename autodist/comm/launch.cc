#include "autodist/comm/launch.h"

#include <charconv>
#include <string_view>
#include <vector>

#include "autodist/core/error.h"

namespace autodist::comm {
namespace {

// A number and where it comes from.
struct Given {
  std::string source;
  int value = 0;
};

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  std::string Text(const char* name) const {
    const char* value = environment_(name);
    return value == nullptr ? "" : value;
  }
  bool Has(const char* name) const { return !Text(name).empty(); }

  std::optional<Given> Number(const char* name) const {
    const std::string text = Text(name);
    if (text.empty()) return std::nullopt;
    Given given{name};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), given.value);
    if (error != std::errc() || end != text.data() + text.size() || given.value < 0) {
      throw core::BadInput("{} is '{}', must be a number that is not negative", name, text);
    }
    return given;
  }

 private:
  const Environment& environment_;
};

// One quantity as told by several sources.
class Fact {
 public:
  void Add(const std::optional<Given>& given) {
    if (!given) return;
    if (given_ && given_->value != given->value) {
      throw core::BadInput("{} is {}, but {} is {}: the launchers disagree", given_->source,
                           given_->value, given->source, given->value);
    }
    if (!given_) given_ = given;
  }
  bool known() const { return given_.has_value(); }
  int value() const { return given_->value; }
  const std::string& source() const { return given_->source; }

 private:
  std::optional<Given> given_;
};

struct Facts {
  Fact rank;
  Fact world_size;
  Fact local_rank;
  Fact local_world_size;
};

bool ReadMpi(const Reader& reader, Facts& facts) {
  if (!reader.Has("OMPI_COMM_WORLD_RANK") && !reader.Has("PMI_RANK")) return false;
  facts.rank.Add(reader.Number("OMPI_COMM_WORLD_RANK"));
  facts.world_size.Add(reader.Number("OMPI_COMM_WORLD_SIZE"));
  facts.local_rank.Add(reader.Number("OMPI_COMM_WORLD_LOCAL_RANK"));
  facts.local_world_size.Add(reader.Number("OMPI_COMM_WORLD_LOCAL_SIZE"));
  facts.rank.Add(reader.Number("PMI_RANK"));
  facts.world_size.Add(reader.Number("PMI_SIZE"));
  facts.local_rank.Add(reader.Number("MPI_LOCALRANKID"));
  facts.local_world_size.Add(reader.Number("MPI_LOCALNRANKS"));
  return true;
}

bool ReadTorchVariables(const Reader& reader, Facts& facts) {
  facts.rank.Add(reader.Number("RANK"));
  facts.world_size.Add(reader.Number("WORLD_SIZE"));
  facts.local_rank.Add(reader.Number("LOCAL_RANK"));
  facts.local_world_size.Add(reader.Number("LOCAL_WORLD_SIZE"));
  return reader.Has("RANK") || reader.Has("WORLD_SIZE") || reader.Has("LOCAL_RANK");
}

bool ReadFlags(const LaunchFlags& flags, Facts& facts) {
  if (flags.local_rank) facts.local_rank.Add(Given{"--local-rank", *flags.local_rank});
  if (flags.world_size) facts.world_size.Add(Given{"--world-size", *flags.world_size});
  return flags.local_rank.has_value() || flags.world_size.has_value();
}

// A batch script sees SLURM_PROCID too, but is not a step that srun started.
bool ReadSlurm(const Reader& reader, Facts& facts) {
  if (!reader.Has("SLURM_STEP_ID") || !reader.Has("SLURM_PROCID")) return false;
  facts.rank.Add(reader.Number("SLURM_PROCID"));
  facts.world_size.Add(reader.Has("SLURM_STEP_NUM_TASKS") ? reader.Number("SLURM_STEP_NUM_TASKS")
                                                          : reader.Number("SLURM_NTASKS"));
  facts.local_rank.Add(reader.Number("SLURM_LOCALID"));
  return true;
}

LaunchInfo Complete(Launcher launcher, const Facts& facts) {
  LaunchInfo info;
  info.launcher = launcher;
  if (facts.world_size.known()) {
    info.world_size = facts.world_size.value();
    if (info.world_size < 1)
      throw core::BadInput("{} is 0, must be at least 1", facts.world_size.source());
  } else if (facts.rank.known() && facts.rank.value() > 0) {
    throw core::BadInput("{} is {}, but the number of ranks is not given (WORLD_SIZE)",
                         facts.rank.source(), facts.rank.value());
  }
  info.local_world_size =
      facts.local_world_size.known() ? facts.local_world_size.value() : info.world_size;
  const bool one_host = info.local_world_size == info.world_size;
  // With one host, the rank here is the rank.
  const Fact& rank = facts.rank.known() || !one_host ? facts.rank : facts.local_rank;
  if (rank.known()) {
    info.rank = rank.value();
  } else if (info.world_size > 1) {
    throw core::BadInput("{} is {}, but this process's rank is not given (RANK)",
                         facts.world_size.source(), info.world_size);
  }
  if (info.rank >= info.world_size) {
    throw core::BadInput(
        "{} is {}, must be less than {}, the number of ranks{}", rank.source(), info.rank,
        info.world_size,
        facts.world_size.known() ? fmt::format(" ({})", facts.world_size.source()) : "");
  }
  info.local_rank = facts.local_rank.known() ? facts.local_rank.value() : one_host ? info.rank : 0;
  if (info.local_world_size < 1 || info.local_world_size > info.world_size) {
    throw core::BadInput("{} is {}, must be between 1 and {}, the number of ranks",
                         facts.local_world_size.source(), info.local_world_size, info.world_size);
  }
  if (info.local_rank >= info.local_world_size) {
    throw core::BadInput("{} is {}, must be less than {}, the number of ranks on this host",
                         facts.local_rank.source(), info.local_rank, info.local_world_size);
  }
  return info;
}

}  // namespace

LaunchInfo DetectLaunch(const Environment& environment, const LaunchFlags& flags) {
  const Reader reader(environment);
  Facts facts;
  const bool mpi = ReadMpi(reader, facts);
  const bool torch = ReadTorchVariables(reader, facts);
  const bool by_flags = ReadFlags(flags, facts);
  if (mpi) {
    LaunchInfo info = Complete(Launcher::kMpi, facts);
    // Of one mpirun. Other MPI libraries set nothing of the kind, nor always how many ranks are on
    // this host.
    const std::string job = reader.Text("PMIX_NAMESPACE");
    if (!job.empty() && facts.local_world_size.known()) info.job = "mpirun job " + job;
    return info;
  }
  if (torch || by_flags) {
    const bool elastic = reader.Has("TORCHELASTIC_RUN_ID");
    LaunchInfo info = Complete(elastic ? Launcher::kTorchrun : Launcher::kManual, facts);
    const std::optional<Given> port = reader.Number("MASTER_PORT");
    info.job = fmt::format("MASTER_PORT {}", port ? port->value : 29500);
    if (elastic) {
      info.job += fmt::format(", run {}, restart {}", reader.Text("TORCHELASTIC_RUN_ID"),
                              reader.Text("TORCHELASTIC_RESTART_COUNT"));
    }
    return info;
  }
  if (ReadSlurm(reader, facts)) {
    LaunchInfo info = Complete(Launcher::kSlurm, facts);
    info.job =
        fmt::format("Slurm step {}.{}", reader.Text("SLURM_JOB_ID"), reader.Text("SLURM_STEP_ID"));
    return info;
  }
  return LaunchInfo();
}

}  // namespace autodist::comm
