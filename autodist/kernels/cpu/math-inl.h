// Functions of a vector, and the loop over a row. Included after a vec_*-inl.h, in its target
// region.

// How ForEachVector's body loads and stores: a whole vector, or the part that a row ends with.
struct WholeVector {
  template <typename T>
  Vec Read(const T* p) const {
    return Load(p);
  }
  template <typename T>
  void Write(Vec v, T* p) const {
    Store(v, p);
  }
};
struct PartOfVector {
  int64_t n;  // lanes; reads give zero in the others
  template <typename T>
  Vec Read(const T* p) const {
    return LoadN(p, n);
  }
  template <typename T>
  void Write(Vec v, T* p) const {
    StoreN(v, p, n);
  }
};

// body(offset, lanes) over the vectors of n elements.
template <typename Body>
inline void ForEachVector(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, WholeVector{});
  if (i < n) body(i, PartOfVector{n - i});
}

// The polynomial with these coefficients, of the highest power first.
template <typename... Lower>
inline Vec Horner(Vec x, float highest, Lower... lower) {
  Vec sum = Broadcast(highest);
  ((sum = Fma(sum, x, Broadcast(lower))), ...);
  return sum;
}

// e^x, relative error below 2^-22; below -87.3 it fades to 0, at most 2^127 * 1.7; NaN stays NaN. x
// = k ln 2 + r with |r| <= ln(2) / 2; the polynomial is a fit of e^r of least relative error, exact
// at 0, made for this file.
inline Vec Exp(Vec x) {
  const Vec clamped = Min(Broadcast(88.37626f), Max(Broadcast(-104.0f), x));
  const Vec k = Round(clamped * Broadcast(1.44269504f));
  // ln 2 in two parts: the first has few enough bits that k times it is exact.
  const Vec r = Fma(k, Broadcast(2.12194440e-4f), Fma(k, Broadcast(-0.693359375f), clamped));
  const Vec p = Horner(r, 0.00138146128f, 0.00836871006f, 0.041668389f, 0.166665211f, 0.49999994f,
                       1.0f, 1.0f);
  return ScaleByPower(p, k);
}

// 2^x for x <= 0, relative error below 2^-22; NaN stays NaN. Both polynomials are fits of 2^f on
// [0, 1) of least relative error, exact at 0, made for this file.
inline Vec Exp2(Vec x) {
  const Vec f = Fraction(x);
  const Vec p = Horner(f, 0.000216129163f, 0.00124678458f, 0.00967545155f, 0.0554852821f,
                       0.240229309f, 0.693147063f, 1.0f);
  return ScaleByPower(p, x);
}

// The same with a relative error below 2^-13, for results that are rounded to bf16 next.
inline Vec Exp2Coarse(Vec x) {
  const Vec f = Fraction(x);
  const Vec p = Horner(f, 0.0770670548f, 0.22764498f, 0.695116818f, 1.0f);
  return ScaleByPower(p, x);
}

inline Vec Sigmoid(Vec x) { return Reciprocal(Broadcast(1.0f) + Exp(-x)); }

// x / 2 * erfc(-x / sqrt 2), the exact gelu. With z = |x| / sqrt 2 and t = 1 / (1 + 0.4 z), erfc(z)
// = e^(-z^2) * t * p(t): p is a least-maximum fit of relative error 4e-8 on z in [0, 7.5], made for
// this file.
inline Vec Gelu(Vec x) {
  const Vec z = Abs(x) * Broadcast(0.707106781f);
  const Vec t = Reciprocal(Fma(Broadcast(0.4f), z, Broadcast(1.0f)));
  const Vec p = Horner(t, 0.0346383415f, -0.10724403f, 0.013460719f, 0.171552449f, 0.019656403f,
                       0.220181108f, 0.19467324f, 0.227514714f, 0.225567088f);
  const Vec half_erfc = Broadcast(0.5f) * (t * p) * Exp(-(z * z));
  return x * Select(Less(x, Zero()), half_erfc, Broadcast(1.0f) - half_erfc);
}

// x / 2 * (1 + tanh u) = x * sigmoid(2 u), u = sqrt(2 / pi) * (x + 0.044715 x^3).
inline Vec GeluTanh(Vec x) {
  const Vec u = x * Fma(Broadcast(0.044715f), x * x, Broadcast(1.0f));
  return x * Sigmoid(Broadcast(1.59576912f) * u);
}
