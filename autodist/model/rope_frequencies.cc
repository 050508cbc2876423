#include "autodist/model/rope_frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "autodist/core/check.h"

namespace autodist::model {
namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;

// base^(2j/dim), rounded to f32 once per step.
std::vector<float> Powers(double base, int64_t dim) {
  std::vector<float> powers;
  for (int64_t j = 0; j < dim / 2; ++j) {
    const float exponent = static_cast<float>(2 * j) / static_cast<float>(dim);
    powers.push_back(
        static_cast<float>(std::pow(static_cast<double>(static_cast<float>(base)), exponent)));
  }
  return powers;
}

std::vector<float> Inverse(const std::vector<float>& powers) {
  std::vector<float> inverse;
  for (const float power : powers) inverse.push_back(1.0f / power);
  return inverse;
}

double DynamicBase(const spec::RopeConfig& config, int64_t sequence_length) {
  const double original = static_cast<double>(config.original_max_position);
  const double length = std::max(static_cast<double>(sequence_length), original);
  const double dim = static_cast<double>(config.dim);
  const double stretch = config.factor * length / original - (config.factor - 1.0);
  return config.theta * std::pow(stretch, dim / (dim - 2.0));
}

void ApplyLlama3(const spec::RopeConfig& config, std::vector<float>& inverse) {
  const double original = static_cast<double>(config.original_max_position);
  const float low_wavelength = static_cast<float>(original / config.low_freq_factor);
  const float high_wavelength = static_cast<float>(original / config.high_freq_factor);
  const float factor = static_cast<float>(config.factor);
  const float low = static_cast<float>(config.low_freq_factor);
  const float span = static_cast<float>(config.high_freq_factor - config.low_freq_factor);
  for (float& frequency : inverse) {
    const float wavelength = static_cast<float>(kTwoPi) / frequency;
    if (wavelength > low_wavelength) {
      frequency /= factor;
    } else if (wavelength >= high_wavelength) {
      const float smooth = (static_cast<float>(original) / wavelength - low) / span;
      frequency = (1.0f - smooth) * frequency / factor + smooth * frequency;
    }
  }
}

// The index j at which a wave turns `rotations` times within the original context.
double CorrectionIndex(const spec::RopeConfig& config, double rotations) {
  return static_cast<double>(config.dim) *
         std::log(static_cast<double>(config.original_max_position) / (rotations * kTwoPi)) /
         (2.0 * std::log(config.theta));
}

std::vector<float> YarnFrequencies(const spec::RopeConfig& config,
                                   const std::vector<float>& powers) {
  double low = CorrectionIndex(config, config.beta_fast);
  double high = CorrectionIndex(config, config.beta_slow);
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(config.dim - 1));
  if (low == high) high += 0.001;
  std::vector<float> inverse;
  for (size_t j = 0; j < powers.size(); ++j) {
    const float slope =
        (static_cast<float>(j) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float keep = 1.0f - std::clamp(slope, 0.0f, 1.0f);
    const float interpolated = 1.0f / (static_cast<float>(config.factor) * powers[j]);
    inverse.push_back(interpolated * (1.0f - keep) + 1.0f / powers[j] * keep);
  }
  return inverse;
}

double YarnScale(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

double YarnAttentionFactor(const spec::RopeConfig& config) {
  if (config.attention_factor != 0.0) return config.attention_factor;
  if (config.mscale != 0.0 && config.mscale_all_dim != 0.0)
    return YarnScale(config.factor, config.mscale) /
           YarnScale(config.factor, config.mscale_all_dim);
  return YarnScale(config.factor, 1.0);
}

}  // namespace

RopeFrequencies ComputeRopeFrequencies(const spec::RopeConfig& config, int64_t sequence_length) {
  AUTODIST_CHECK_GT(config.dim, 0);
  AUTODIST_CHECK_EQ(config.dim % 2, 0);
  RopeFrequencies result;
  switch (config.kind) {
    case spec::RopeKind::kDefault:
      result.inverse = Inverse(Powers(config.theta, config.dim));
      break;
    case spec::RopeKind::kLinear:
      result.inverse = Inverse(Powers(config.theta, config.dim));
      for (float& frequency : result.inverse) frequency /= static_cast<float>(config.factor);
      break;
    case spec::RopeKind::kDynamic:
      result.inverse = Inverse(Powers(DynamicBase(config, sequence_length), config.dim));
      break;
    case spec::RopeKind::kYarn:
      result.inverse = YarnFrequencies(config, Powers(config.theta, config.dim));
      result.attention_factor = static_cast<float>(YarnAttentionFactor(config));
      break;
    case spec::RopeKind::kLlama3:
      result.inverse = Inverse(Powers(config.theta, config.dim));
      ApplyLlama3(config, result.inverse);
      break;
  }
  return result;
}

}  // namespace autodist::model
