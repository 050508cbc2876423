#include "autodist/spec/overlap.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::spec {
namespace {

constexpr OverlapMethod kMethods[] = {OverlapMethod::kSequential, OverlapMethod::kRingExchange,
                                      OverlapMethod::kPipeline, OverlapMethod::kBulk,
                                      OverlapMethod::kExternal};

// The element of `all` with that name.
template <typename Value, size_t kCount>
Value Parse(const Value (&all)[kCount], std::string_view name, std::string_view source,
            std::string_view what) {
  std::vector<std::string_view> names;
  for (const Value value : all) {
    if (NameOf(value) == name) return value;
    names.push_back(NameOf(value));
  }
  throw core::BadInput("{}: unknown {} \"{}\", must be one of {}", source, what, name,
                       fmt::join(names, ", "));
}

}  // namespace

std::string_view NameOf(LinearOp op) {
  constexpr std::string_view kNames[] = {"qkv", "proj", "fc1", "fc2"};
  return kNames[static_cast<size_t>(op)];
}

std::string_view NameOf(LinearPass pass) {
  constexpr std::string_view kNames[] = {"fprop", "dgrad", "wgrad"};
  return kNames[static_cast<size_t>(pass)];
}

std::string_view NameOf(OverlapMethod method) {
  constexpr std::string_view kNames[] = {"sequential", "ring_exchange", "pipeline", "bulk",
                                         "external"};
  return kNames[static_cast<size_t>(method)];
}

std::string KeyOf(OverlapSite site) {
  return fmt::format("{}_{}", NameOf(site.op), NameOf(site.pass));
}

LinearOp ParseLinearOp(std::string_view name, std::string_view source) {
  return Parse(kLinearOps, name, source, "operator");
}

OverlapMethod ParseOverlapMethod(std::string_view name, std::string_view source) {
  return Parse(kMethods, name, source, "method");
}

OverlapSite ParseSite(std::string_view key, std::string_view source) {
  const size_t end = std::min(key.find('_'), key.size());
  return {.op = ParseLinearOp(key.substr(0, end), source),
          .pass = Parse(kLinearPasses, key.substr(std::min(end + 1, key.size())), source, "pass")};
}

bool IsColumn(LinearOp op) { return op == LinearOp::kQkv || op == LinearOp::kFc1; }

SiteCollective CollectiveOf(OverlapSite site) {
  switch (site.pass) {
    case LinearPass::kFprop:
      return IsColumn(site.op) ? SiteCollective::kGather : SiteCollective::kScatter;
    case LinearPass::kDgrad:
      return IsColumn(site.op) ? SiteCollective::kBeside : SiteCollective::kGather;
    case LinearPass::kWgrad:
      return IsColumn(site.op) ? SiteCollective::kBeside : SiteCollective::kNothing;
  }
  return SiteCollective::kNothing;
}

std::string Describe(const OverlapSetting& setting) {
  switch (setting.method) {
    case OverlapMethod::kRingExchange:
      return setting.aggregate ? "ring, pairs first" : "ring";
    case OverlapMethod::kPipeline:
      return fmt::format("pipeline, {} splits, {} SMs", setting.num_splits, setting.num_sm);
    case OverlapMethod::kBulk:
      return fmt::format("bulk, {} {}", setting.num_sm, setting.num_sm == 1 ? "SM" : "SMs");
    default:
      return std::string(NameOf(setting.method));
  }
}

core::Json ToJson(const OverlapSetting& setting) {
  return {{"method", NameOf(setting.method)},       {"num_sm", setting.num_sm},
          {"num_splits", setting.num_splits},       {"aggregate", setting.aggregate},
          {"set_sm_margin", setting.set_sm_margin}, {"cga_size", setting.cga_size}};
}

OverlapSetting ParseOverlapSetting(const core::Json& json, std::string_view source) {
  const core::JsonFields fields(json, source);
  OverlapSetting setting;
  setting.method = ParseOverlapMethod(fields.RequiredString("method"), source);
  setting.num_sm = static_cast<int>(fields.Int("num_sm", 0, 1024).value_or(0));
  setting.num_splits = static_cast<int>(fields.Int("num_splits", 0, 1024).value_or(0));
  setting.aggregate = fields.Bool("aggregate").value_or(false);
  setting.set_sm_margin = fields.Bool("set_sm_margin").value_or(false);
  setting.cga_size = static_cast<int>(fields.Int("cga_size", 1, 16).value_or(1));
  return setting;
}

bool OverlapModel::Has(LinearOp op) const {
  if (op == LinearOp::kQkv) return kv_size > 0;
  return op == LinearOp::kProj || ffn_size > 0;
}

std::vector<LinearOp> OverlapModel::Operators() const {
  std::vector<LinearOp> operators;
  for (const LinearOp op : kLinearOps)
    if (Has(op)) operators.push_back(op);
  return operators;
}

LinearShape ShapeOf(const OverlapModel& model, LinearOp op) {
  AUTODIST_CHECK(model.Has(op));
  switch (op) {
    case LinearOp::kQkv:
      return {model.hidden_size, model.q_size + 2 * model.kv_size};
    case LinearOp::kProj:
      return {model.q_size, model.hidden_size};
    case LinearOp::kFc1:
      return {model.hidden_size, (model.gated_mlp ? 2 : 1) * model.ffn_size};
    case LinearOp::kFc2:
      return {model.ffn_size, model.hidden_size};
  }
  return {};
}

std::string WhyNotDivisible(const OverlapModel& model, int tp, int64_t tokens) {
  if (tp == 1) return "";
  constexpr int kKernelSizes[] = {2, 4, 8, 16, 32};
  if (std::find(std::begin(kKernelSizes), std::end(kKernelSizes), tp) == std::end(kKernelSizes))
    return fmt::format("tp {} is not 2, 4, 8, 16 or 32", tp);
  const std::pair<const char*, int64_t> sizes[] = {{"attention heads", model.num_heads},
                                                   {"key/value heads", model.num_kv_heads},
                                                   {"ffn_size", model.ffn_size},
                                                   {"tokens", tokens}};
  for (const auto& [name, size] : sizes)
    if (size % tp != 0) return fmt::format("{} {} are not divisible by {}", size, name, tp);
  return "";
}

}  // namespace autodist::spec
