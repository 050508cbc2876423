#include "autodist/tune/transformer_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "autodist/core/error.h"

namespace autodist::tune {
namespace {

using spec::OverlapMethod;
using spec::OverlapSite;
using spec::SiteCollective;

constexpr TeVersion kFirst = {1, 5};

struct Rule {
  OverlapMethod method;
  TeVersion since;
};

// In the order: default first.
std::vector<Rule> RulesOf(OverlapSite site) {
  switch (spec::CollectiveOf(site)) {
    case SiteCollective::kGather:
      return {{OverlapMethod::kRingExchange, kFirst}};
    case SiteCollective::kScatter:
      return {{OverlapMethod::kPipeline, kFirst}, {OverlapMethod::kRingExchange, {1, 6}}};
    case SiteCollective::kBeside:
      if (site.pass == spec::LinearPass::kWgrad) return {{OverlapMethod::kBulk, kFirst}};
      return {{OverlapMethod::kBulk, kFirst},
              {OverlapMethod::kPipeline, {1, 6}},
              {OverlapMethod::kRingExchange, {1, 10}}};
    case SiteCollective::kNothing:
      return {{OverlapMethod::kExternal, {2, 7}}};
  }
  return {};
}

constexpr struct {
  std::string_view name;
  TeVersion since;
} kFields[] = {
    {"method", kFirst},        {"num_sm", kFirst},
    {"cga_size", kFirst},      {"set_sm_margin", kFirst},
    {"num_splits", kFirst},    {"aggregate", kFirst},
    {"atomic_gemm", {1, 6}},   {"fp8_buf", {1, 6}},
    {"use_ce", {1, 8}},        {"comm_priority", {2, 0}},
    {"gemm_priority", {2, 0}}, {"pipeline_rs_overlap_first_gemm", {2, 0}},
};

// The digits at the front of `text`, which are taken off; -1 when there are none.
int TakeNumber(std::string_view& text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || number > 999) return -1;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

}  // namespace

TeVersion ParseTeVersion(std::string_view text) {
  std::string_view rest = text;
  const auto refuse = [&] {
    return core::BadInput("--te-version {}: must be a version such as 2.7, and at least {}", text,
                          ToText(kFirst));
  };
  TeVersion version;
  version.major = TakeNumber(rest);
  if (version.major < 0 || !rest.starts_with('.')) throw refuse();
  rest.remove_prefix(1);
  version.minor = TakeNumber(rest);
  if (version.minor < 0 || (!rest.empty() && rest.front() != '.')) throw refuse();
  if (version < kFirst) throw refuse();
  return version;
}

std::string ToText(TeVersion version) { return fmt::format("{}.{}", version.major, version.minor); }

std::vector<OverlapMethod> AcceptedMethods(TeVersion version, OverlapSite site) {
  std::vector<OverlapMethod> methods;
  for (const Rule& rule : RulesOf(site))
    if (version >= rule.since) methods.push_back(rule.method);
  return methods;
}

bool Accepts(TeVersion version, OverlapSite site, OverlapMethod method) {
  const std::vector<OverlapMethod> methods = AcceptedMethods(version, site);
  return std::find(methods.begin(), methods.end(), method) != methods.end();
}

bool KnowsField(TeVersion version, std::string_view field) {
  return std::any_of(std::begin(kFields), std::end(kFields), [&](const auto& known) {
    return known.name == field && version >= known.since;
  });
}

bool ScattersDgrad(OverlapSite site, OverlapMethod method) {
  return site.pass == spec::LinearPass::kDgrad && spec::IsColumn(site.op) &&
         (method == OverlapMethod::kRingExchange || method == OverlapMethod::kPipeline);
}

}  // namespace autodist::tune
