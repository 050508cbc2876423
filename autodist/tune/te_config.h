// What Megatron-LM and TransformerEngine are told: the userbuffers file and the switches.
#ifndef AUTODIST_TUNE_TE_CONFIG_H_
#define AUTODIST_TUNE_TE_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>

#include "autodist/tune/overlap_search.h"
#include "autodist/tune/transformer_engine.h"

namespace autodist::tune {

// Settings by site. An omitted site is not switched off: TransformerEngine takes its default there,
// and only the switches turn things off.
using TeConfig = std::map<spec::OverlapSite, spec::OverlapSetting>;

// The sites that run overlapped under the chosen switches. A *_wgrad in bulk brings its *_dgrad
// along, since TransformerEngine refuses it otherwise.
TeConfig ConfigOf(const TpFindings& size);
// The one site of a case; empty for a sequential one.
TeConfig ConfigOf(const OverlapCase& overlap_case);
// The switches under which a case runs its site so, and nothing else.
OverlapFlags FlagsOf(const OverlapCase& overlap_case);

// Why TransformerEngine would refuse the configuration, or run it as something else; "" when it is
// good: (a) a *_wgrad beside a *_dgrad that is not bulk; (b) a method that the site does not take;
// (c) num_sm outside 1 to 32 or not divisible by cga_size; (d) num_splits that does not divide the
// outputs of a rank, aggregate with an odd tp; (e) a tp without kernels, tokens that tp does not
// divide.
std::string WhyInvalid(const TeConfig& config, const spec::OverlapModel& model, int tp,
                       int64_t tokens, TeVersion version);

// The text of the file, with every field that the version knows and whose default does not depend
// on the device; `heading` becomes its first comment. An empty configuration is "{}".
std::string ToYaml(const TeConfig& config, int tp, TeVersion version, const std::string& heading);

// Megatron-LM's arguments, one a line, for a tp with these switches, whose file is `config_file`.
// Switches that are no arguments but fields of its transformer configuration stand in comments.
std::string MegatronFlags(int tp, const OverlapFlags& flags, const std::string& config_file);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_TE_CONFIG_H_
