// Cases out, traces in: driven by a launcher that writes what a simulated machine would give.
#include "autodist/tune/external_backend.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>

#include "autodist/arch/known_models.h"
#include "autodist/core/error.h"
#include "autodist/core/random.h"
#include "autodist/core/testing/child_process.h"
#include "autodist/tune/overlap_tuner.h"
#include "autodist/tune/report_files.h"
#include "autodist/tune/report_text.h"
#include "autodist/tune/simulated_backend.h"
#include "autodist/tune/testing/synthetic_trace.h"

namespace autodist::tune {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Mode = ExternalBackend::Mode;

class ExternalBackendTest : public ::testing::Test {
 protected:
  ExternalBackendTest()
      : directory_(std::filesystem::temp_directory_path() /
                   fmt::format("autodist_external_{}", ::getpid())),
        model_(*arch::FindKnownModel("Qwen3-8B")) {
    options_.machine = planner::FindMachine("H100-SXM");
    Fresh();
  }
  ~ExternalBackendTest() override {
    ::unsetenv("FAKE_LAUNCHER_FAILS");
    ::unsetenv("FAKE_LAUNCHER_LOG");
    ::unsetenv("FAKE_LAUNCHER_NCCL_BESIDE");
    std::filesystem::remove_all(directory_);
  }

  void Fresh() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }

  static std::string Launcher() {
    return fmt::format("{}/libraries/tune/fake_launcher H100-SXM 0", AUTODIST_BINARY_DIR);
  }

  CaseStore Store(Mode mode = Mode::kRun) const {
    return CaseStore(directory_, model_, options_,
                     mode == Mode::kRead ? CaseStore::Access::kRead : CaseStore::Access::kWrite);
  }

  // What a launcher makes of one case.
  CaseResult Measure(const std::string& launcher, double timeout_s, OverlapCase overlap_case = {}) {
    ExternalBackend backend(
        Store(), {.mode = Mode::kRun, .launcher = launcher, .case_timeout_s = timeout_s});
    return backend.Measure({overlap_case}).at(overlap_case.Id());
  }

  std::string Refusal(const std::function<void()>& call, core::ErrorKind kind) {
    try {
      call();
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "not refused";
    return "";
  }

  OverlapReport Call(Mode mode, std::string* script = nullptr) {
    ExternalBackend backend(Store(mode),
                            {.mode = mode, .launcher = Launcher(), .case_timeout_s = 60});
    OverlapReport report = TuneOverlap(model_, options_, backend);
    if (script != nullptr) *script = backend.script();
    return report;
  }

  // What a report says, without when it was made.
  static core::Json Content(const OverlapReport& report) {
    core::Json json = ToJson(report);
    json.erase("timestamp");
    return json;
  }

  std::filesystem::path directory_;
  spec::OverlapModel model_;
  OverlapOptions options_;
};

TEST_F(ExternalBackendTest, RunsItselfAndAgreesWithTheSimulation) {
  const OverlapReport report = Call(Mode::kRun);
  ASSERT_TRUE(report.final());
  SimulatedBackend simulated(model_, options_.max_token_len, options_.machine, 0, 5);
  const OverlapReport expected = TuneOverlap(model_, options_, simulated);
  EXPECT_EQ(report.outcome.optimal_tp, expected.outcome.optimal_tp);
  EXPECT_EQ(report.measurements, expected.measurements);
  for (const TpFindings& size : expected.outcome.sizes) {
    const TpFindings* const other = report.outcome.Find(size.tp);
    ASSERT_NE(other, nullptr);
    EXPECT_NEAR(other->layer_s / size.layer_s, 1, 1e-4) << size.tp;
    EXPECT_EQ(other->flags.flags, size.flags.flags) << size.tp;
  }
  const MeasuredSetting& setting = report.outcome.Find(2)->sites[0].settings[0];
  EXPECT_EQ(setting.applied, "sequential");
}

// What the engine does by itself is not taken for the product alone, and is said.
TEST_F(ExternalBackendTest, AnEngineThatOverlapsWithoutUserbuffers) {
  const OverlapReport plain = Call(Mode::kRun);
  EXPECT_THAT(ToText(plain), Not(HasSubstr("run beside their product already")));
  Fresh();
  ::setenv("FAKE_LAUNCHER_NCCL_BESIDE", "1", 1);
  const OverlapReport report = Call(Mode::kRun);
  EXPECT_THAT(ToText(report), HasSubstr("run beside their product already"));
  for (const SiteFindings& site : report.outcome.Find(2)->sites) {
    const bool beside = spec::CollectiveOf(site.context.site) == spec::SiteCollective::kBeside;
    EXPECT_EQ(site.hidden_anyway > 0.9, beside) << spec::KeyOf(site.context.site);
    EXPECT_NEAR(site.context.measured.gemm_s / site.context.believed.gemm_s, 1, 1e-3);
  }
}

// By hand: call, run the script, call again, until the report is final.
TEST_F(ExternalBackendTest, EmitsRoundsOfCases) {
  int rounds = 0;
  OverlapReport report{.model = model_, .options = options_};
  while (true) {
    std::string script;
    report = Call(Mode::kEmit, &script);
    if (report.final()) break;
    ASSERT_LT(++rounds, 30);
    ASSERT_NE(script, "");
    for (const OverlapCase& wanted : report.outcome.wanted)
      EXPECT_TRUE(std::filesystem::exists(directory_ / "test_cases" / (wanted.Id() + ".yaml")));
    ASSERT_EQ(std::system(script.c_str()), 0);
  }
  EXPECT_GE(rounds, 3);
  const OverlapReport again = Call(Mode::kRead);  // nothing to run, nothing to write
  EXPECT_EQ(Content(again), Content(report));
  EXPECT_TRUE(std::filesystem::exists(directory_ / "test_cases/test_cases.json"));
}

TEST_F(ExternalBackendTest, AFailedCaseIsRecordedAndTheRestGoesOn) {
  ::setenv("FAKE_LAUNCHER_FAILS", "tp2_fc2_fprop_ring", 1);
  const OverlapReport report = Call(Mode::kRun);
  ASSERT_TRUE(report.final());
  const std::filesystem::path traces = directory_ / "traces/tp2_fc2_fprop_ring_agg0";
  std::ifstream log(traces / "log.txt");
  std::string line;
  std::getline(log, line);
  EXPECT_EQ(line, "CUDA error: out of memory");
  bool found = false;
  for (const SiteFindings& site : report.outcome.Find(2)->sites) {
    for (const MeasuredSetting& setting : site.settings) {
      if (!setting.failed()) continue;
      found = true;
      EXPECT_EQ(setting.overlap_case.Id(), "tp2_fc2_fprop_ring_agg0");
      EXPECT_THAT(setting.error, HasSubstr("the launcher ended with status 3; its log is"));
    }
  }
  EXPECT_TRUE(found);
  // Without its error file the case is tried again.
  ::unsetenv("FAKE_LAUNCHER_FAILS");
  std::filesystem::remove(traces / "error.txt");
  const OverlapReport again = Call(Mode::kRun);
  for (const SiteFindings& site : again.outcome.Find(2)->sites)
    for (const MeasuredSetting& setting : site.settings) EXPECT_FALSE(setting.failed());
}

// Nothing is recommended where the comparison has no start, no second size, or where the size that
// memory needs could not be judged; what is left of an earlier answer goes.
TEST_F(ExternalBackendTest, FailedCasesDecideNothing) {
  for (const char* const fails : {"tp1_fc2_wgrad", "tp2_fc2_wgrad"}) {
    Fresh();
    std::ofstream(directory_ / "megatron_flags.txt") << "--tensor-model-parallel-size 8\n";
    ::setenv("FAKE_LAUNCHER_FAILS", fails, 1);
    const OverlapReport report = Call(Mode::kRun);
    ASSERT_TRUE(report.final());
    EXPECT_EQ(VerdictText(report), "not decided") << fails;
    EXPECT_THAT(ToText(report), HasSubstr("nothing can be recommended"));
    EXPECT_THAT(ToText(report),
                HasSubstr(std::string(fails) + "_baseline failed: the launcher ended with"));
    EXPECT_TRUE(ToJson(report)["tp_scaling"]["optimal_tp_size"].is_null());
    WriteReportFiles(report, directory_);
    EXPECT_FALSE(std::filesystem::exists(directory_ / "megatron_flags.txt"));
  }
}

TEST_F(ExternalBackendTest, ASizeThatMemoryNeedsButFailedIsNoAnswer) {
  options_.machine.memory_bytes = 60'000'000'000;  // 8 billion parameters fit at tp 2
  ::setenv("FAKE_LAUNCHER_FAILS", "tp2_fc2_wgrad", 1);
  EXPECT_EQ(VerdictText(Call(Mode::kRun)), "not decided");
}

TEST_F(ExternalBackendTest, ALargerSizeThatFailedIsNamed) {
  ::setenv("FAKE_LAUNCHER_FAILS", "tp4_fc2_wgrad", 1);
  const OverlapReport report = Call(Mode::kRun);
  EXPECT_EQ(VerdictText(report), "tp 2");
  EXPECT_THAT(ToText(report), HasSubstr("tp 4 could not be judged, and may be better"));
}

// Killed again and again at moments that differ each time, it ends with the same report, and no
// case that was done is measured again.
TEST_F(ExternalBackendTest, KilledAtAnyPointItResumes) {
  const core::Json expected = Content(Call(Mode::kRun));
  Fresh();
  const std::filesystem::path log = directory_ / "launches.log";
  ::setenv("FAKE_LAUNCHER_LOG", log.c_str(), 1);
  int kills = 0;
  while (true) {
    const pid_t child = core::testing::StartChild([&] {
      Call(Mode::kRun);
      return 0;
    });
    ASSERT_GT(child, 0);
    // Longer from kill to kill, so that a slow machine gets to the end too.
    const double random = core::UniformDouble(3, 1, static_cast<uint64_t>(kills));
    const auto patience_us = static_cast<int64_t>((1000 + 150000 * random) * (1 + kills / 10.0));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(patience_us);
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        continue;
      }
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      break;
    }
    if (WIFEXITED(status)) {
      ASSERT_EQ(WEXITSTATUS(status), 0);
      break;
    }
    ASSERT_LT(++kills, 1000);
  }
  EXPECT_EQ(Content(Call(Mode::kRead)), expected);
  std::ifstream lines(log);
  const auto launches = std::count(std::istreambuf_iterator<char>(lines), {}, '\n');
  EXPECT_LE(launches, static_cast<int64_t>(expected["analyses"].size()) + kills);
  RecordProperty("kills", kills);
}

// Also what left its group and session, as torchrun's workers do; TERM comes before KILL.
TEST_F(ExternalBackendTest, ALauncherThatHangsIsEndedWithAllThatItStarted) {
  const std::filesystem::path told = directory_ / "told", worker = directory_ / "worker";
  const std::string launcher = fmt::format(
      "setsid sh -c 'trap \"echo > {}; exit\" TERM; echo $$ > {}; while :; do sleep 0.01; done' & "
      "while [ ! -s {} ]; do sleep 0.01; done; sleep 60; true",
      told.string(), worker.string(), worker.string());
  EXPECT_THAT(Measure(launcher, 1).error, HasSubstr("did not end within 1 s"));
  pid_t pid = 0;
  ASSERT_TRUE(std::ifstream(worker) >> pid);
  EXPECT_EQ(::kill(pid, 0), -1) << "a worker is left";
  EXPECT_TRUE(std::filesystem::exists(told));
}

TEST_F(ExternalBackendTest, ALauncherThatCannotBeStartedIsRefusedAndNothingIsRecorded) {
  EXPECT_THAT(
      Refusal([&] { Measure("no-such-program", 60); }, core::ErrorKind::kBadInput),
      AllOf(HasSubstr("--launcher no-such-program: cannot be started"), HasSubstr("not found")));
  EXPECT_TRUE(std::filesystem::is_empty(directory_ / "traces"));
}

TEST_F(ExternalBackendTest, ALauncherThatAlwaysFailsIsNotTriedForEver) {
  ::setenv("FAKE_LAUNCHER_FAILS", "tp1", 1);
  EXPECT_THAT(Refusal([&] { Call(Mode::kRun); }, core::ErrorKind::kRuntime),
              AllOf(HasSubstr("the first 3 cases failed"), HasSubstr("status 3"),
                    HasSubstr("--retry-failed")));
  ::unsetenv("FAKE_LAUNCHER_FAILS");
  Store().ForgetFailed();
  EXPECT_TRUE(Call(Mode::kRun).final());
}

TEST_F(ExternalBackendTest, ForgetMeasuresAllAgain) {
  Call(Mode::kRun);
  const std::filesystem::path log = directory_ / "launches.log";
  ::setenv("FAKE_LAUNCHER_LOG", log.c_str(), 1);
  Call(Mode::kRun);
  EXPECT_FALSE(std::filesystem::exists(log));
  Store().Forget();
  Call(Mode::kRun);
  EXPECT_TRUE(std::filesystem::exists(log));
}

// A broken result fails its case, and the rest goes on.
TEST_F(ExternalBackendTest, WhatTheLauncherSaysIsChecked) {
  const OverlapCase overlap_case{.tp = 1, .site = spec::ParseSite("fc1_fprop", "test")};
  const CaseSample sample{.wall_s = 2e-6, .gemm_s = 2e-6};
  const std::filesystem::path traces = directory_ / "traces" / overlap_case.Id();
  const CaseStore store = Store();
  std::filesystem::create_directories(traces);
  const auto error = [&](int repeats, const std::string& result) {
    std::ofstream(traces / "rank0.json")
        << SyntheticTrace(overlap_case, 0, std::vector<CaseSample>(repeats, sample));
    std::ofstream(traces / "result.json") << result;
    return store.Read(overlap_case)->error;
  };
  spec::OverlapSetting applied;
  const auto result = [&] { return core::DumpJson({{"applied", spec::ToJson(applied)}}); };
  EXPECT_EQ(error(7, result()), "");
  EXPECT_EQ(error(7, R"({"profiler_ratio": 1.25})"), "");
  EXPECT_EQ(store.Read(overlap_case)->profiler_ratio, 1.25);
  EXPECT_THAT(error(6, result()), HasSubstr("result.json: 6 repeats, must be at least 7"));
  EXPECT_THAT(error(7, "{"), HasSubstr("result.json"));
  EXPECT_THAT(error(7, R"({"applied": 5})"), HasSubstr("result.json"));
  applied.cga_size = 2;  // differs in what the description does not show
  EXPECT_THAT(error(7, result()), AllOf(HasSubstr("was in effect where"), HasSubstr("cga_size")));
}

// Without overlap, the run of one pass serves the others.
TEST_F(ExternalBackendTest, PassesOfAnOperatorShareARun) {
  const OverlapCase dgrad{.tp = 1, .site = spec::ParseSite("fc1_dgrad", "test")};
  OverlapCase fprop = dgrad;
  fprop.site.pass = spec::LinearPass::kFprop;
  const CaseStore store = Store();
  const std::filesystem::path traces = directory_ / "traces" / fprop.Id();
  std::filesystem::create_directories(traces);
  const CaseSample sample{.wall_s = 2e-6, .gemm_s = 2e-6};
  std::ofstream(traces / "rank0.json")
      << SyntheticTrace(dgrad, 0, std::vector<CaseSample>(7, sample));
  std::ofstream(traces / "result.json") << "{}";
  EXPECT_EQ(store.Read(dgrad).value().samples.size(), 7u);
  OverlapCase wgrad = dgrad;
  wgrad.site.pass = spec::LinearPass::kWgrad;
  EXPECT_FALSE(store.Read(wgrad).has_value());  // not in that trace: to be measured
}

TEST_F(ExternalBackendTest, TwoWritersInOneDirectoryAreRefused) {
  const CaseStore first = Store();
  EXPECT_THAT(Refusal([&] { Store(); }, core::ErrorKind::kBadInput),
              AllOf(HasSubstr("--output-dir"), HasSubstr("is in use by pid")));
  Store(Mode::kRead);
}

// A reader makes nothing, and takes the traces of a tuner whose list looks otherwise.
TEST_F(ExternalBackendTest, ReadingNeedsTracesOnly) {
  EXPECT_THAT(Refusal([&] { Call(Mode::kRead); }, core::ErrorKind::kBadInput),
              HasSubstr("holds no traces"));
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
  const OverlapReport report = Call(Mode::kRun);
  std::ofstream(directory_ / "test_cases/test_cases.json") << "[]";
  for (const auto& entry : std::filesystem::directory_iterator(directory_ / "traces"))
    std::filesystem::remove(entry.path() / "result.json");
  EXPECT_EQ(Call(Mode::kRead).outcome.optimal_tp, report.outcome.optimal_tp);
}

// What was measured of an unfinished search is in the report.
TEST_F(ExternalBackendTest, AnUnfinishedReportHoldsWhatWasMeasured) {
  std::string script;
  Call(Mode::kEmit, &script);
  ASSERT_EQ(std::system(script.c_str()), 0);
  const OverlapReport report = Call(Mode::kRead);
  EXPECT_FALSE(report.final());
  const core::Json json = ToJson(report);
  EXPECT_EQ(static_cast<int64_t>(json["analyses"].size()), report.measurements);
  EXPECT_THAT(json["analyses"].dump(), HasSubstr("tp2_qkv_fprop_baseline"));
}

// The directory and its scripts may go to another machine, and back.
TEST_F(ExternalBackendTest, ScriptsRunWhereverTheyAre) {
  std::string script;
  Call(Mode::kEmit, &script);
  const std::filesystem::path moved = directory_.string() + "_moved";
  std::filesystem::rename(directory_, moved);
  const std::string there =
      (moved / std::filesystem::path(script).lexically_relative(directory_)).string();
  EXPECT_EQ(std::system(there.c_str()), 0);
  std::filesystem::rename(moved, directory_);
  EXPECT_GT(Call(Mode::kRead).measurements, 0);
}

TEST_F(ExternalBackendTest, AScriptRecordsLaunchersThatFailOrWriteNothing) {
  const OverlapCase overlap_case{.tp = 1};
  for (const auto& [launcher, error] :
       {std::pair{"true", "wrote no result.json"}, std::pair{"false", "ended with status 1"},
        std::pair{"sleep 9; true", "ended with status 124"}}) {
    Fresh();
    CaseStore store = Store();
    store.Add({overlap_case});
    const std::string script = store.WriteScript({overlap_case}, launcher, 0.1).string();
    EXPECT_EQ(std::system(script.c_str()), 0);
    EXPECT_THAT(store.Read(overlap_case).value().error, HasSubstr(error));
  }
}

TEST_F(ExternalBackendTest, AnotherRunsDirectoryIsRefused) {
  std::string script;
  Call(Mode::kEmit, &script);
  const OverlapOptions options = options_;
  options_.max_token_len = 4096;
  EXPECT_THAT(Refusal([&] { Call(Mode::kEmit); }, core::ErrorKind::kBadInput),
              HasSubstr("max_token_len is 8192 there and 4096 now"));
  options_ = options;
  options_.machine = planner::FindMachine("A100-80");
  EXPECT_THAT(Refusal([&] { Call(Mode::kEmit); }, core::ErrorKind::kBadInput),
              HasSubstr("machine name is \"H100-SXM\" there and \"A100-80\" now"));
}

TEST_F(ExternalBackendTest, ACaseIsOneYamlWithEveryField) {
  const OverlapCase bulk{
      .tp = 4,
      .site = spec::ParseSite("fc1_dgrad", "test"),
      .setting = {.method = spec::OverlapMethod::kBulk, .num_sm = 6, .cga_size = 2}};
  EXPECT_EQ(CaseYaml(bulk, model_, options_),
            "case:\n  id: tp4_fc1_dgrad_bulk_sm6\n  tp: 4\n  operator: fc1\n  pass: dgrad\n"
            "  tokens: 8192\n  inputs: 4096\n  outputs: 24576\n  repeats: 7\n"
            "setting:\n  method: bulk\n  num_sm: 6\n  num_splits: 0\n  aggregate: false\n"
            "  set_sm_margin: false\n  cga_size: 2\n"
            "switches:\n  ub_overlap_ag: false\n  ub_overlap_rs: false\n"
            "  ub_overlap_rs_dgrad: false\n  ub_bulk_dgrad: true\n  ub_bulk_wgrad: false\n"
            "megatron:\n  - \"--tensor-model-parallel-size 4\"\n  - \"--sequence-parallel\"\n"
            "  - \"--tp-comm-overlap\"\n"
            "  - \"--tp-comm-overlap-cfg <userbuffers, as a file>\"\n"
            "  - \"--disable-tp-comm-overlap-ag\"\n  - \"--disable-tp-comm-overlap-rs\"\n"
            "  - \"--disable-tp-comm-bulk-wgrad\"\n"
            "userbuffers:\n  # What TransformerEngine is given:\n  fc1_dgrad:\n"
            "    method: bulk\n    num_sm: 6\n    cga_size: 2\n    set_sm_margin: false\n"
            "    num_splits: 1\n    aggregate: false\n    atomic_gemm: false\n    use_ce: false\n"
            "    fp8_buf: false\n    pipeline_rs_overlap_first_gemm: false\n");
}

}  // namespace
}  // namespace autodist::tune
