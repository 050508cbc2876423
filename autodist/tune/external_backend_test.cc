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
#include <iterator>
#include <thread>

#include "autodist/arch/known_models.h"
#include "autodist/core/error.h"
#include "autodist/core/random.h"
#include "autodist/tune/case_traces.h"
#include "autodist/tune/overlap_tuner.h"
#include "autodist/tune/report_files.h"
#include "autodist/tune/report_text.h"
#include "autodist/tune/simulated_backend.h"
#include "autodist/tune/testing/synthetic_trace.h"

namespace autodist::tune {
namespace {

using ::testing::HasSubstr;
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
    std::filesystem::remove_all(directory_);
  }

  void Fresh() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }

  static std::string Launcher() {
    return fmt::format("{}/libraries/tune/fake_launcher H100-SXM 0", AUTODIST_BINARY_DIR);
  }

  OverlapReport Call(Mode mode, std::string* script = nullptr) {
    ExternalBackend backend(CaseStore(directory_, model_, options_),
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

// Nothing is recommended where the comparison has no start.
TEST_F(ExternalBackendTest, WithoutTp1NothingIsDecided) {
  ::setenv("FAKE_LAUNCHER_FAILS", "tp1_fc2_wgrad", 1);
  const OverlapReport report = Call(Mode::kRun);
  ASSERT_TRUE(report.final());
  EXPECT_EQ(VerdictText(report), "not decided");
  EXPECT_THAT(ToText(report), HasSubstr("nothing can be recommended"));
  EXPECT_THAT(ToText(report), HasSubstr("tp1_fc2_wgrad_baseline failed: the launcher ended with"));
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
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      Call(Mode::kRun);
      ::_exit(0);
    }
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
    if (WIFEXITED(status)) break;
    ASSERT_LT(++kills, 1000);
  }
  EXPECT_EQ(Content(Call(Mode::kRead)), expected);
  std::ifstream lines(log);
  const auto launches = std::count(std::istreambuf_iterator<char>(lines), {}, '\n');
  EXPECT_LE(launches, static_cast<int64_t>(expected["analyses"].size()) + kills);
  RecordProperty("kills", kills);
}

TEST_F(ExternalBackendTest, ALauncherThatHangsIsEnded) {
  ExternalBackend backend(
      CaseStore(directory_, model_, options_),
      {.mode = Mode::kRun, .launcher = "sleep 60; true", .case_timeout_s = 0.05});
  const OverlapCase overlap_case{.tp = 1};
  EXPECT_THAT(backend.Measure({overlap_case}).at(overlap_case.Id()).error,
              HasSubstr("did not end within 0.05 s"));
}

TEST_F(ExternalBackendTest, AnotherRunsDirectoryIsRefused) {
  std::string script;
  Call(Mode::kEmit, &script);
  options_.max_token_len = 4096;
  try {
    Call(Mode::kEmit);
    ADD_FAILURE();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), HasSubstr("max_token_len is 8192 there and 4096 now"));
  }
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
            "userbuffers:\n  # What TransformerEngine is given:\n  fc1_dgrad:\n"
            "    method: bulk\n    num_sm: 6\n    cga_size: 2\n    set_sm_margin: false\n"
            "    num_splits: 1\n    aggregate: false\n    atomic_gemm: false\n    use_ce: false\n"
            "    fp8_buf: false\n    pipeline_rs_overlap_first_gemm: false\n");
}

// What the trace reader makes of a trace is what the trace was made from.
TEST_F(ExternalBackendTest, SyntheticTracesHaveKnownAnswers) {
  const CaseSample sample{.wall_s = 100e-6, .gemm_s = 80e-6, .comm_s = 60e-6};
  for (const char* const key : {"qkv_fprop", "proj_fprop", "fc1_dgrad", "fc2_dgrad", "qkv_wgrad"}) {
    for (const spec::OverlapMethod method :
         {spec::OverlapMethod::kSequential, spec::OverlapMethod::kRingExchange,
          spec::OverlapMethod::kBulk}) {
      const OverlapCase overlap_case{
          .tp = 2, .site = spec::ParseSite(key, "test"), .setting = {.method = method}};
      Fresh();
      for (int rank = 0; rank < 2; ++rank)
        std::ofstream(directory_ / fmt::format("rank{}.json", rank))
            << SyntheticTrace(overlap_case, rank, {sample, sample});
      const CaseResult result = ReadCaseTraces(overlap_case, directory_);
      ASSERT_EQ(result.error, "") << overlap_case.Id();
      ASSERT_EQ(result.samples.size(), 2u) << overlap_case.Id();
      EXPECT_NEAR(result.samples[1].wall_s, 100e-6, 2e-9) << overlap_case.Id();
      EXPECT_NEAR(result.samples[1].gemm_s, 80e-6, 2e-9) << overlap_case.Id();
      EXPECT_NEAR(result.samples[1].comm_s, 60e-6, 2e-9) << overlap_case.Id();
      EXPECT_NEAR(result.samples[1].exposed_s, 20e-6, 2e-9) << overlap_case.Id();
    }
  }
}

// A product that covers a whole copy between devices hides all of it.
TEST_F(ExternalBackendTest, ACopyBetweenDevicesUnderAProductIsHidden) {
  const OverlapCase ring{.tp = 2,
                         .site = spec::ParseSite("fc1_fprop", "test"),
                         .setting = {.method = spec::OverlapMethod::kRingExchange}};
  for (int rank = 0; rank < 2; ++rank)
    std::ofstream(directory_ / fmt::format("rank{}.json", rank))
        << SyntheticTrace(ring, rank, {{.wall_s = 90e-6, .gemm_s = 90e-6, .comm_s = 30e-6}});
  const CaseResult result = ReadCaseTraces(ring, directory_);
  EXPECT_NEAR(result.samples.at(0).comm_s, 30e-6, 2e-9);
  EXPECT_EQ(result.samples.at(0).exposed_s, 0);
}

TEST_F(ExternalBackendTest, TracesThatLackSomethingFailTheirCase) {
  const OverlapCase overlap_case{.tp = 2, .site = spec::ParseSite("fc1_fprop", "test")};
  const CaseSample sample{.wall_s = 2e-6, .gemm_s = 1e-6, .comm_s = 1e-6};
  EXPECT_THAT(ReadCaseTraces(overlap_case, directory_).error,
              HasSubstr("traces of 0 ranks, must be 2"));
  std::ofstream(directory_ / "rank0.json") << SyntheticTrace(overlap_case, 0, {sample, sample});
  std::ofstream(directory_ / "rank1.json") << SyntheticTrace(overlap_case, 1, {sample});
  EXPECT_THAT(ReadCaseTraces(overlap_case, directory_).error,
              HasSubstr("ran 1 times, on another rank 2 times"));
  std::ofstream(directory_ / "rank1.json") << "{\"traceEvents\": [";
  EXPECT_THAT(ReadCaseTraces(overlap_case, directory_).error, HasSubstr("rank1.json"));
}

}  // namespace
}  // namespace autodist::tune
