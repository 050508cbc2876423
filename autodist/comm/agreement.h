// Decisions that all ranks must take alike: refusals and comparisons of what each was given.
#ifndef AUTODIST_COMM_AGREEMENT_H_
#define AUTODIST_COMM_AGREEMENT_H_

#include <optional>
#include <string_view>

#include "autodist/comm/communicator.h"
#include "autodist/core/error.h"

namespace autodist::comm {

// Collective. When any rank brings an error, every rank throws the one of the lowest such rank,
// kind and text; so all refuse together, and rank 0 alone needs to print. The job is not aborted
// and may go on.
void AgreeOnError(Communicator& comm, const std::optional<core::Error>& error);

// Collective. Every rank gives what must be the same everywhere: a version, a hash, a plan as text.
// Throws kBadInput on every rank, naming `label` and both values, when a rank differs from rank 0.
// Texts are compared whole and shown up to 200 bytes.
void CheckSame(Communicator& comm, std::string_view label, std::string_view value);

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_AGREEMENT_H_
