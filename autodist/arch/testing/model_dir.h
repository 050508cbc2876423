// A model directory in the temporary directory, and hand-made catalogs, for tests of arch/.
#ifndef AUTODIST_ARCH_TESTING_MODEL_DIR_H_
#define AUTODIST_ARCH_TESTING_MODEL_DIR_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "autodist/core/error.h"
#include "autodist/core/json.h"
#include "autodist/spec/tensor_catalog.h"

namespace autodist::arch::testing {

// Removed with everything in it when it goes out of scope.
class ModelDir {
 public:
  explicit ModelDir(const core::Json& config) {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "autodist_arch_XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw core::RuntimeFailure("cannot make {}", pattern);
    path_ = pattern;
    Write("config.json", core::DumpJson(config));
  }
  ~ModelDir() { std::filesystem::remove_all(path_); }
  ModelDir(const ModelDir&) = delete;
  ModelDir& operator=(const ModelDir&) = delete;

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A catalog of one file, "model.safetensors", with tensors of one type.
inline spec::TensorCatalog CatalogOf(
    const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors,
    const std::string& dtype = "F32") {
  spec::TensorCatalog catalog;
  catalog.files.push_back({.path = "model.safetensors"});
  for (const auto& [name, shape] : tensors)
    catalog.tensors[name] = {.name = name, .dtype = dtype, .shape = shape};
  return catalog;
}

// The message of the core::Error (bad input) that `call` throws; a failure of the test when it
// throws none.
template <typename Call>
std::string RefusalOf(Call&& call) {
  try {
    call();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

}  // namespace autodist::arch::testing

#endif  // AUTODIST_ARCH_TESTING_MODEL_DIR_H_
