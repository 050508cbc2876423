#include "autodist/tune/site_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autodist/arch/known_models.h"
#include "autodist/tune/site_verdict.h"

namespace autodist::tune {
namespace {

using spec::OverlapMethod;
using ::testing::HasSubstr;

class SiteSearchTest : public ::testing::Test {
 protected:
  SiteSearchTest() { options_.machine = planner::FindMachine("H100-SXM"); }

  SiteContext Context(const char* key, int tp) const {
    return ContextOf(*arch::FindKnownModel("Qwen3-8B"), options_, spec::ParseSite(key, "test"), tp);
  }

  // The findings with `settings` measured, in microseconds.
  SiteFindings Search(const SiteContext& context,
                      const std::vector<std::pair<spec::OverlapSetting, CaseSample>>& settings) {
    CaseResults results;
    for (const auto& [setting, sample] : settings) {
      const OverlapCase overlap_case{.tp = context.tp, .site = context.site, .setting = setting};
      const CaseSample seconds{.wall_s = sample.wall_s * 1e-6,
                               .gemm_s = sample.gemm_s * 1e-6,
                               .comm_s = sample.comm_s * 1e-6,
                               .exposed_s = sample.exposed_s * 1e-6};
      results[overlap_case.Id()].samples.assign(7, seconds);
    }
    Replay replay(results);
    return SearchSite(context, options_, replay);
  }

  OverlapOptions options_;
};

TEST_F(SiteSearchTest, PartsOfASequentialSiteAreThoseAlone) {
  const SiteFindings site =
      Search(Context("fc1_fprop", 2),
             {{{}, {.wall_s = 1300, .gemm_s = 1200, .comm_s = 100, .exposed_s = 100}}});
  EXPECT_NEAR(site.context.measured.gemm_s, 1200e-6, 1e-12);
  EXPECT_NEAR(site.context.measured.comm_s, 100e-6, 1e-12);
  EXPECT_EQ(site.hidden_anyway, 0);
}

// TransformerEngine runs NCCL beside these products without being asked: both are slower than
// alone, for which the operator's fprop stands.
TEST_F(SiteSearchTest, WhatTheEngineHidesByItselfIsNotTakenForAlone) {
  SiteContext context = Context("fc1_wgrad", 2);
  const CaseSample contended{.wall_s = 1500, .gemm_s = 1500, .comm_s = 180, .exposed_s = 0};
  EXPECT_EQ(Search(context, {{{}, contended}}).context.measured.gemm_s, context.believed.gemm_s);
  context.fprop = planner::SiteTimes{.gemm_s = 1200e-6, .comm_s = 100e-6};
  const SiteFindings site = Search(context, {{{}, contended}});
  EXPECT_EQ(site.context.measured.gemm_s, 1200e-6);
  EXPECT_EQ(site.context.measured.comm_s, 100e-6);
  EXPECT_EQ(site.hidden_anyway, 1);
}

// The four reasons, each from the times that show it.
class BoundTest : public SiteSearchTest {
 protected:
  SiteVerdict Judge(const char* key, int tp, const CaseSample& sequential,
                    const spec::OverlapSetting& setting, const CaseSample& overlapped) {
    TpFindings size{.tp = tp};
    size.sites.push_back(Search(Context(key, tp), {{{}, sequential}, {setting, overlapped}}));
    size.flags.flags = {.overlap_ag = true, .bulk_dgrad = true, .bulk_wgrad = true};
    return JudgeSite(size, size.sites.front(), options_);
  }

  static constexpr spec::OverlapSetting kRing{.method = OverlapMethod::kRingExchange};
};

// The collective is shorter than the product, but each of its 3 steps longer than a quarter of it.
TEST_F(BoundTest, ARingIsBoundByTheLinkStepByStep) {
  const SiteVerdict verdict =
      Judge("qkv_fprop", 4, {.wall_s = 303, .gemm_s = 158, .comm_s = 145, .exposed_s = 145}, kRing,
            {.wall_s = 205, .gemm_s = 165, .comm_s = 145, .exposed_s = 40});
  EXPECT_EQ(verdict.bound, OverlapBound::kBandwidth);
  EXPECT_THAT(verdict.reason, HasSubstr("bandwidth: a step of the ring takes 1.22 times as long"));
}

TEST_F(BoundTest, ShortMessagesAreBoundByLatency) {
  options_.machine.latency_s = 40e-6;
  const SiteVerdict verdict =
      Judge("qkv_fprop", 4, {.wall_s = 303, .gemm_s = 158, .comm_s = 145, .exposed_s = 145}, kRing,
            {.wall_s = 205, .gemm_s = 165, .comm_s = 145, .exposed_s = 40});
  EXPECT_EQ(verdict.bound, OverlapBound::kLatency);
  EXPECT_THAT(verdict.reason, HasSubstr("latency: a step of the ring"));
}

TEST_F(BoundTest, ProductsInPartsAreLessEfficient) {
  const SiteVerdict verdict =
      Judge("fc1_fprop", 2, {.wall_s = 700, .gemm_s = 640, .comm_s = 60, .exposed_s = 60}, kRing,
            {.wall_s = 690, .gemm_s = 680, .comm_s = 60, .exposed_s = 10});
  EXPECT_EQ(verdict.bound, OverlapBound::kGemm);
  EXPECT_THAT(verdict.reason, HasSubstr("GEMM efficiency: in parts the site takes 690.0 us"));
}

// Of bulk, the waves on fewer multiprocessors explain a part; what is beyond is contention.
TEST_F(BoundTest, BulkSlowerThanItsWavesIsContention) {
  const CaseSample sequential{.wall_s = 1300, .gemm_s = 1200, .comm_s = 100, .exposed_s = 100};
  const spec::OverlapSetting bulk = BulkSetting(8, options_);
  const SiteFindings site = Search(Context("fc1_dgrad", 2), {{{}, sequential}});
  planner::OverlapMachine calm = options_.machine;
  calm.contention = 1;
  const double waves_us =
      planner::BulkSeconds(site.context.problem, site.context.measured, 8, calm).gemm_s * 1e6;
  const auto judged = [&](double slowdown) {
    options_.min_num_sm = options_.max_num_sm = 8;
    return Judge("fc1_dgrad", 2, sequential, bulk,
                 {.wall_s = waves_us * slowdown + 10,
                  .gemm_s = waves_us * slowdown,
                  .comm_s = 100,
                  .exposed_s = 10});
  };
  EXPECT_EQ(judged(1.02).bound, OverlapBound::kGemm);
  EXPECT_THAT(judged(1.02).reason, HasSubstr("on fewer multiprocessors"));
  EXPECT_EQ(judged(1.2).bound, OverlapBound::kContention);
  EXPECT_THAT(judged(1.2).reason, HasSubstr("contention: the product is 20 % slower"));
}

}  // namespace
}  // namespace autodist::tune
