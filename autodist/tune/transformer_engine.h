// What each version of TransformerEngine accepts for the userbuffers of a site.
//
// Source: transformer_engine/pytorch/module/base.py, initialize_ub, and what its C++ side does with
// it. A pair that passes its start-up checks but fails, or acts as another method, when it runs
// does not count as accepted.
#ifndef AUTODIST_TUNE_TRANSFORMER_ENGINE_H_
#define AUTODIST_TUNE_TRANSFORMER_ENGINE_H_

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/spec/overlap.h"

namespace autodist::tune {

struct TeVersion {
  int major = 2;
  int minor = 18;
  auto operator<=>(const TeVersion&) const = default;
};

// "2.7"; what follows a second point is not looked at. Throws core::Error (bad input) for anything
// else and for versions below 1.5, which have another interface.
TeVersion ParseTeVersion(std::string_view text);
std::string ToText(TeVersion version);

// The newest version whose source the rules here were read from; later ones are taken to be alike.
inline constexpr TeVersion kNewestTeVersion = {2, 18};

// The limit of num_sm, whatever the method.
inline constexpr int kMaxNumSm = 32;

// The methods that work at a site, the default one first; never kSequential, which is not a method
// but the absence of one. kExternal is among them where it works, and only for MXFP8.
std::vector<spec::OverlapMethod> AcceptedMethods(TeVersion version, spec::OverlapSite site);
bool Accepts(TeVersion version, spec::OverlapSite site, spec::OverlapMethod method);

// Since which version a field may be written: an unknown field ends the run with a TypeError.
bool KnowsField(TeVersion version, std::string_view field);

// Ring and pipeline at qkv_dgrad and fc1_dgrad scatter the gradient's own product instead of
// gathering the saved input: with tp_comm_overlap_rs_dgrad, and without the *_wgrad key.
bool ScattersDgrad(spec::OverlapSite site, spec::OverlapMethod method);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_TRANSFORMER_ENGINE_H_
