// Overlap of tensor-parallel communication with matrix products, as data: which operators there
// are, which pass, and how each one is overlapped.
//
// A sequence-parallel layer has four linear operators and three passes of each. A site is one
// operator in one pass: one matrix product, and at most one collective of [tokens, hidden] beside
// it. Names are those of TransformerEngine's configuration, "qkv_fprop".
#ifndef AUTODIST_SPEC_OVERLAP_H_
#define AUTODIST_SPEC_OVERLAP_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/core/json.h"

namespace autodist::spec {

enum class LinearOp { kQkv, kProj, kFc1, kFc2 };
enum class LinearPass { kFprop, kDgrad, kWgrad };

inline constexpr LinearOp kLinearOps[] = {LinearOp::kQkv, LinearOp::kProj, LinearOp::kFc1,
                                          LinearOp::kFc2};
inline constexpr LinearPass kLinearPasses[] = {LinearPass::kFprop, LinearPass::kDgrad,
                                               LinearPass::kWgrad};

struct OverlapSite {
  LinearOp op = LinearOp::kQkv;
  LinearPass pass = LinearPass::kFprop;
  auto operator<=>(const OverlapSite&) const = default;
};

// What is communicated beside, before or after the product of a site.
//   kGather   an operand of this product is gathered: the product depends on it
//   kScatter  this product's result is reduced and scattered: it depends on the product
//   kBeside   tensors of another product of the same operator: neither depends on the other
//   kNothing  no collective
enum class SiteCollective { kGather, kScatter, kBeside, kNothing };

// How a site is overlapped. kSequential: not at all. kExternal: on the streams of the matching
// dgrad (MXFP8 only). The others as TransformerEngine calls them.
enum class OverlapMethod { kSequential, kRingExchange, kPipeline, kBulk, kExternal };

struct OverlapSetting {
  OverlapMethod method = OverlapMethod::kSequential;
  int num_sm = 0;          // thread blocks of the communication kernel; 0: the method takes none
  int num_splits = 0;      // pipeline: parts of the product; 0 for the others
  bool aggregate = false;  // ring gather: exchange pairs first, then half as many products
  bool set_sm_margin = false;  // the product is told to leave num_sm multiprocessors alone
  int cga_size = 1;            // blocks per cluster
  auto operator<=>(const OverlapSetting&) const = default;
};

// "qkv", "fprop", "ring_exchange".
std::string_view NameOf(LinearOp op);
std::string_view NameOf(LinearPass pass);
std::string_view NameOf(OverlapMethod method);
std::string KeyOf(OverlapSite site);  // "qkv_fprop"

// The inverse of NameOf and KeyOf. Throw core::Error (bad input) listing what there is; `source`
// starts the message.
LinearOp ParseLinearOp(std::string_view name, std::string_view source);
OverlapMethod ParseOverlapMethod(std::string_view name, std::string_view source);
OverlapSite ParseSite(std::string_view key, std::string_view source);

bool IsColumn(LinearOp op);  // output split over ranks: qkv and fc1; proj and fc2 split the input
SiteCollective CollectiveOf(OverlapSite site);

// "sequential", "ring", "ring, pairs first", "bulk, 8 SMs", "pipeline, 4 splits, 16 SMs".
std::string Describe(const OverlapSetting& setting);

core::Json ToJson(const OverlapSetting& setting);
// Throws core::Error (bad input) naming the field.
OverlapSetting ParseOverlapSetting(const core::Json& json, std::string_view source);

// The dimensions that decide about overlap. `q_size` = heads * head size. Sizes are in elements.
struct OverlapModel {
  std::string name;
  int64_t num_layers = 0;
  int64_t hidden_size = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t q_size = 0;    // inputs of proj
  int64_t kv_size = 0;   // of k, and of v; 0: there is no qkv operator (latent attention)
  int64_t ffn_size = 0;  // 0: there are neither fc1 nor fc2 (all layers are experts)
  bool gated_mlp = true;
  int64_t parameters = 0;               // of the whole model; 0: not known, memory is not checked
  std::vector<std::string> notes = {};  // which linears are left out, and why

  bool Has(LinearOp op) const;
  std::vector<LinearOp> Operators() const;
};

// Weight of an operator, unsharded: [inputs, outputs] as the tuner's requirement writes them.
struct LinearShape {
  int64_t inputs = 0;
  int64_t outputs = 0;
  bool operator==(const LinearShape&) const = default;
};
// REQUIRES model.Has(op).
LinearShape ShapeOf(const OverlapModel& model, LinearOp op);

// Why the operators cannot be cut by `tp`, or "" when they can: heads, kv heads, ffn and tokens
// must divide, and tp be 1 or one of the sizes for which TransformerEngine has kernels.
std::string WhyNotDivisible(const OverlapModel& model, int tp, int64_t tokens);

}  // namespace autodist::spec

#endif  // AUTODIST_SPEC_OVERLAP_H_
