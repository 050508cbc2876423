// Finds a family's tensors in a checkpoint's catalog. For arch/ only.
#ifndef AUTODIST_ARCH_TENSOR_MATCH_H_
#define AUTODIST_ARCH_TENSOR_MATCH_H_

#include <filesystem>

#include "autodist/arch/family.h"
#include "autodist/arch/registry.h"
#include "autodist/spec/tensor_catalog.h"

namespace autodist::arch {

// The description of a checkpoint whose config.json was parsed into `parsed`.
//
// Tied embeddings, as transformers decides them, from names alone:
//   both tables stored            each is used: when the flag ties them they are equal, or
//   transformers unties them too one stored, flag true/absent  it serves both ends head missing,
//   flag false      refused
//
// Throws core::Error (bad input): missing tensors (all in one message), a wrong shape, a type that
// is not read.
ModelDescription MatchTensors(const Family& family, ParsedConfig parsed,
                              const std::filesystem::path& model_dir,
                              const spec::TensorCatalog& catalog);

}  // namespace autodist::arch

#endif  // AUTODIST_ARCH_TENSOR_MATCH_H_
