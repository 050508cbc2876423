// From what a user calls a model to the directory that holds it. Never downloads.
#ifndef AUTODIST_CHECKPOINT_MODEL_DIRECTORY_H_
#define AUTODIST_CHECKPOINT_MODEL_DIRECTORY_H_

#include <filesystem>
#include <string>
#include <string_view>

namespace autodist::checkpoint {

// `model` is a directory, or `org/name[@revision]` (or `name[@revision]`) in the HuggingFace cache,
// where a revision is a branch, a tag or a whole commit hash and defaults to "main". A directory of
// that name wins. The cache is $HF_HUB_CACHE, else $HF_HOME/hub, else
// $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub.
//
// Throws core::Error (bad input) with the command that downloads what is missing, or, for a cached
// model whose revision is not known, with the revisions that could be asked for.
std::filesystem::path ResolveModelDirectory(std::string_view model);

// A name for files made from the model in `directory`: its last component, or "org--name" for a
// snapshot of the HuggingFace cache; other bytes than letters, digits, '.', '_' and '-' become '_',
// 64 at most.
std::string ModelSlug(const std::filesystem::path& directory);

}  // namespace autodist::checkpoint

#endif  // AUTODIST_CHECKPOINT_MODEL_DIRECTORY_H_
