// bf16 pairs as operands of vectors and of attention's products. Included after gemm-inl.h and
// attention_state-inl.h, in the target region of AVX-512 BF16.

// A and B are pairs of bf16; the instruction adds both products of a pair to the f32 sum.
struct PairOperand {
  using A = core::BFloat16;
  using B = core::BFloat16;
  using Loaded = Pairs;
  static constexpr int kPerStep = 2;
  static Loaded LoadB(const B* b) { return LoadPairs(b); }
  template <int V>
  static void MultiplyAdd(const A* a, const Loaded* b, Vec* sums) {
    int pair;
    __builtin_memcpy(&pair, a, sizeof(pair));
    const auto value = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v)
      sums[v] = _mm512_dpbf16_ps(sums[v], value, reinterpret_cast<__m512bh>(b[v]));
  }
};

// Weights of the values rounded to bf16, in the first half of their row of scores.
struct PairWeights {
  static Vec Of(Vec x) { return Exp2Coarse(x); }
  static void Write(const Vec* weights, float* scores, int64_t i) {
    static_assert(kGroupVectors == 2);
    _mm512_storeu_si512(reinterpret_cast<core::BFloat16*>(scores) + i,
                        reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(weights[1], weights[0])));
  }
  static void Clear(float* scores, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kWeightGroup) {
      _mm512_storeu_si512(reinterpret_cast<core::BFloat16*>(scores) + i, _mm512_setzero_si512());
    }
  }
};
