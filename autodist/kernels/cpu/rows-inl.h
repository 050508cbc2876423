// Kernels that walk along a row. Included after math-inl.h, in its target region.

inline void AddRow(const float* x, float* y, int64_t n) {
  ForEachVector(
      n, [&](int64_t i, auto lanes) { lanes.Write(lanes.Read(y + i) + lanes.Read(x + i), y + i); });
}

template <typename From, typename To>
void ConvertTyped(const void* x, void* y, int64_t n) {
  const auto* const from = static_cast<const From*>(x);
  auto* const to = static_cast<To*>(y);
  ForEachVector(n, [&](int64_t i, auto lanes) { lanes.Write(lanes.Read(from + i), to + i); });
}

inline void ConvertRow(core::DType from, const void* x, core::DType to, void* y, int64_t n) {
  using core::DType;
  if (from == to) {
    __builtin_memmove(y, x, static_cast<size_t>(n) * core::SizeOf(from));
  } else if (from == DType::kF32) {
    (to == DType::kBF16 ? ConvertTyped<float, core::BFloat16>
                        : ConvertTyped<float, core::Float16>)(x, y, n);
  } else {
    (from == DType::kBF16 ? ConvertTyped<core::BFloat16, float>
                          : ConvertTyped<core::Float16, float>)(x, y, n);
  }
}

// Sum of f(x[i]) in four chains, so that additions overlap.
template <typename Function>
inline float SumOf(const float* x, int64_t n, const Function& function) {
  Vec sums[4] = {Zero(), Zero(), Zero(), Zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int part = 0; part < 4; ++part)
      sums[part] = sums[part] + function(Load(x + i + part * kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) sums[0] = sums[0] + function(Load(x + i));
  if (i < n) {  // lanes beyond the row hold f(0)
    const Vec part = function(LoadN(x + i, n - i));
    sums[1] = sums[1] + Select(Less(Iota(), Broadcast(static_cast<float>(n - i))), part, Zero());
  }
  return Sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <typename To>
void RmsNormTyped(const float* x, const float* weight, float epsilon, To* y, int64_t n) {
  const float squares = SumOf(x, n, [](Vec v) { return v * v; });
  const Vec factor = Broadcast(1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + epsilon));
  ForEachVector(n, [&](int64_t i, auto lanes) {
    lanes.Write(lanes.Read(x + i) * factor * lanes.Read(weight + i), y + i);
  });
}

inline void RmsNormRow(const float* x, const float* weight, float epsilon, core::DType dtype,
                       void* y, int64_t n) {
  if (dtype == core::DType::kF32) {
    RmsNormTyped(x, weight, epsilon, static_cast<float*>(y), n);
  } else {
    RmsNormTyped(x, weight, epsilon, static_cast<core::BFloat16*>(y), n);
  }
}

template <typename To>
void LayerNormTyped(const float* x, const float* weight, const float* bias, float epsilon, To* y,
                    int64_t n) {
  const float mean = SumOf(x, n, [](Vec v) { return v; }) / static_cast<float>(n);
  const Vec means = Broadcast(mean);
  const float squares = SumOf(x, n, [&](Vec v) { return (v - means) * (v - means); });
  const Vec factor = Broadcast(1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + epsilon));
  ForEachVector(n, [&](int64_t i, auto lanes) {
    const Vec scaled = (lanes.Read(x + i) - means) * factor * lanes.Read(weight + i);
    lanes.Write(bias == nullptr ? scaled : scaled + lanes.Read(bias + i), y + i);
  });
}

inline void LayerNormRow(const float* x, const float* weight, const float* bias, float epsilon,
                         core::DType dtype, void* y, int64_t n) {
  if (dtype == core::DType::kF32) {
    LayerNormTyped(x, weight, bias, epsilon, static_cast<float*>(y), n);
  } else {
    LayerNormTyped(x, weight, bias, epsilon, static_cast<core::BFloat16*>(y), n);
  }
}

inline void RopeRow(const float* cos, const float* sin, int64_t pairs, float* x) {
  ForEachVector(pairs, [&](int64_t i, auto lanes) {
    const Vec first = lanes.Read(x + i);
    const Vec second = lanes.Read(x + pairs + i);
    const Vec c = lanes.Read(cos + i);
    const Vec s = lanes.Read(sin + i);
    lanes.Write(first * c - second * s, x + i);
    lanes.Write(second * c + first * s, x + pairs + i);
  });
}

template <typename Function, typename To>
inline void ActivateTyped(const Function& function, const float* x, const float* up, To* y,
                          int64_t n) {
  if (up == nullptr) {
    ForEachVector(n,
                  [&](int64_t i, auto lanes) { lanes.Write(function(lanes.Read(x + i)), y + i); });
  } else {
    ForEachVector(n, [&](int64_t i, auto lanes) {
      lanes.Write(function(lanes.Read(x + i)) * lanes.Read(up + i), y + i);
    });
  }
}

template <typename To>
void ActivateKind(ActivationKind kind, const float* x, const float* up, To* y, int64_t n) {
  switch (kind) {
    case ActivationKind::kSilu:
      return ActivateTyped([](Vec v) { return v * Sigmoid(v); }, x, up, y, n);
    case ActivationKind::kGelu:
      return ActivateTyped([](Vec v) { return Gelu(v); }, x, up, y, n);
    case ActivationKind::kGeluTanh:
      return ActivateTyped([](Vec v) { return GeluTanh(v); }, x, up, y, n);
    case ActivationKind::kRelu:
      return ActivateTyped([](Vec v) { return Max(Zero(), v); }, x, up, y, n);  // NaN stays NaN
    case ActivationKind::kQuickGelu:
      return ActivateTyped([](Vec v) { return v * Sigmoid(Broadcast(1.702f) * v); }, x, up, y, n);
  }
}

inline void ActivateRow(ActivationKind kind, const float* x, const float* up, core::DType dtype,
                        void* y, int64_t n) {
  if (dtype == core::DType::kF32) {
    ActivateKind(kind, x, up, static_cast<float*>(y), n);
  } else {
    ActivateKind(kind, x, up, static_cast<core::BFloat16*>(y), n);
  }
}

inline float MaxOfRow(const float* x, int64_t n) {
  Vec best = Broadcast(-__builtin_inff());
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) best = Max(Load(x + i), best);  // the second wins over NaN
  float max = MaxLane(best);
  for (; i < n; ++i) max = x[i] > max ? x[i] : max;
  return max;
}
