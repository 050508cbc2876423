// What quantised weights cost, on stories that the models have not seen: the Kullback-Leibler
// divergence of the next token's distribution from that of the checkpoint's own weights must not
// exceed that of llama.cpp's q8_0 (8.5 bits a weight) and q4_0 (4.5), the formats of the same size,
// computed here from their published formulas.
//
// data/held_out_stories.txt: the first lines of tools/make_story_corpus.py --stories 40 --seed 2
// (the bundled model was trained on seed 1).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "autodist/checkpoint/safetensors.h"
#include "autodist/checkpoint/testing/safetensors_builder.h"
#include "autodist/infer/model_runner.h"
#include "autodist/text/tokenizer.h"

namespace autodist {
namespace {

namespace fs = std::filesystem;
namespace safetensors = checkpoint::testing;

constexpr int64_t kTokens = 2048;
constexpr int64_t kWindow = 512;

const fs::path kSource = AUTODIST_SOURCE_DIR;

// Absent on most machines; its tests then skip.
fs::path Shared() {
  const char* shared = std::getenv("AUTODIST_SHARED");
  return shared != nullptr ? fs::path(shared) : kSource / ".." / "shared";
}

float ToF16AndBack(float value) { return core::ToFloat(core::ToFloat16(value)); }

// q8_0: blocks of 32, d = max|w| / 127 kept in f16, codes round(w / d).
void RoundTripQ8(float* w, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(w[i]));
  const float d = largest / 127;
  const float inverse = d > 0 ? 1 / d : 0;
  for (int64_t i = 0; i < count; ++i) w[i] = ToF16AndBack(d) * std::round(w[i] * inverse);
}

// q4_0: blocks of 32, d = (the w of largest magnitude) / -8 kept in f16, codes trunc(w / d + 8.5)
// up to 15, less 8.
void RoundTripQ4(float* w, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i)
    if (std::abs(w[i]) > std::abs(largest)) largest = w[i];
  const float d = largest / -8;
  const float inverse = d != 0 ? 1 / d : 0;
  for (int64_t i = 0; i < count; ++i)
    w[i] = ToF16AndBack(d) * (std::min(15.0f, std::trunc(w[i] * inverse + 8.5f)) - 8);
}

// The checkpoint with every matrix, embedding and head included, as blocks of 32 inputs give it
// back; the last block of a row may be shorter.
void WriteRoundTripped(const fs::path& from, const fs::path& to,
                       const std::function<void(float*, int64_t)>& round_trip) {
  const spec::TensorCatalog catalog = checkpoint::ReadCatalog(from);
  ASSERT_EQ(catalog.files.size(), 1u);
  const std::string file = safetensors::ReadBytes(catalog.files[0].path);
  std::vector<safetensors::BuiltTensor> tensors;
  for (const auto& [name, tensor] : catalog.tensors) {
    std::vector<float> w;
    const char* const bytes = file.data() + tensor.offset;
    if (tensor.dtype == "BF16") {
      for (size_t i = 0; i < tensor.bytes; i += 2) {
        core::BFloat16 element;
        std::memcpy(&element, bytes + i, sizeof(element));
        w.push_back(core::ToFloat(element));
      }
    } else {
      ASSERT_EQ(tensor.dtype, "F32");
      w.resize(tensor.bytes / sizeof(float));
      std::memcpy(w.data(), bytes, tensor.bytes);
    }
    if (tensor.shape.size() == 2) {
      const int64_t cols = tensor.shape[1];
      for (int64_t row = 0; row < tensor.shape[0]; ++row)
        for (int64_t col = 0; col < cols; col += 32)
          round_trip(w.data() + row * cols + col, std::min<int64_t>(32, cols - col));
    }
    tensors.push_back({name, "F32", tensor.shape, safetensors::BytesOf(w)});
  }
  safetensors::WriteBytes(to / "config.json", safetensors::ReadBytes(from / "config.json"));
  safetensors::WriteBytes(to / "model.safetensors", safetensors::BuildSafetensors(tensors));
}

// Log-probabilities of every next token, window by window. In float32, so that only the weights
// differ.
std::vector<double> LogProbabilities(const fs::path& model, const std::vector<int32_t>& ids,
                                     const std::string& weights = "auto") {
  ModelRunner runner({.model_name_or_path = model.string(),
                      .dtype = "float32",
                      .weights = weights,
                      .use_cache = false});
  std::vector<double> result;
  for (int64_t first = 0; first < kTokens; first += kWindow) {
    const std::vector<int32_t> window(ids.begin() + first, ids.begin() + first + kWindow);
    runner.Logits(window, [&](int64_t, core::ConstTensorView rows) {
      for (int64_t r = 0; r < rows.rows(); ++r) {
        const float* const logits = rows.row<float>(r);
        const double largest = *std::max_element(logits, logits + rows.cols());
        double sum = 0;
        for (int64_t v = 0; v < rows.cols(); ++v) sum += std::exp(logits[v] - largest);
        for (int64_t v = 0; v < rows.cols(); ++v)
          result.push_back(logits[v] - largest - std::log(sum));
      }
    });
  }
  return result;
}

// KL(p || q), mean over the positions.
double Divergence(const std::vector<double>& p, const std::vector<double>& q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += std::exp(p[i]) * (p[i] - q[i]);
  return sum / static_cast<double>(kTokens);
}

class QuantisationTest : public ::testing::TestWithParam<fs::path> {};

TEST_P(QuantisationTest, DivergesLessThanTheFormatsOfTheSameSize) {
  if (!fs::exists(GetParam())) GTEST_SKIP() << GetParam() << " is not here";
  const auto tokenizer = text::Tokenizer::Load(GetParam());
  const std::vector<int32_t> ids =
      tokenizer->Encode(safetensors::ReadBytes(kSource / "tests/golden/data/held_out_stories.txt"),
                        /*add_special_tokens=*/true);
  ASSERT_GE(static_cast<int64_t>(ids.size()), kTokens);
  const std::vector<double> exact = LogProbabilities(GetParam(), ids);
  const auto plain = [&](const std::function<void(float*, int64_t)>& round_trip) {
    const safetensors::ScratchDirectory directory;
    WriteRoundTripped(GetParam(), directory.path(), round_trip);
    return Divergence(exact, LogProbabilities(directory.path(), ids));
  };
  const double q8 = plain(RoundTripQ8), q4 = plain(RoundTripQ4);
  const double int8 = Divergence(exact, LogProbabilities(GetParam(), ids, "int8"));
  const double int4 = Divergence(exact, LogProbabilities(GetParam(), ids, "int4"));
  for (const auto& [name, value] :
       {std::pair("int8", int8), {"q8_0", q8}, {"int4", int4}, {"q4_0", q4}})
    RecordProperty(name, fmt::format("{:.3g}", value));
  EXPECT_LE(int8, q8);
  EXPECT_LE(int4, 0.9 * q4);
  EXPECT_GT(int8, 0);  // something was quantised
  EXPECT_LT(int8, int4);
}

INSTANTIATE_TEST_SUITE_P(RealModels, QuantisationTest,
                         ::testing::Values(kSource / "models" / "story-2m",
                                           Shared() / "data" / "checkpoints" / "stories260K-hf"),
                         [](const auto& test) {
                           return test.index == 0 ? "story2m" : "stories260K";
                         });

}  // namespace
}  // namespace autodist
