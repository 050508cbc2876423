#include "autodist/measure/gemm_slice.h"

#include <cpuid.h>
#include <omp.h>

#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>

#include "autodist/core/check.h"
#include "autodist/device/buffer.h"

namespace autodist::measure {
namespace {

using dnnl::memory;

// oneDNN configures the tiles as CPUID describes them. Some virtual machines have the tiles and
// hide that description; there its products die of an illegal instruction.
bool CpuidDescribesTiles() {
  unsigned max_palette = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(0x1d, 0, &max_palette, &ebx, &ecx, &edx) != 0 && max_palette > 0;
}

dnnl::cpu_isa IsaOf(device::Isa isa) {
  switch (isa) {
    case device::Isa::kAvx2:
      return dnnl::cpu_isa::avx2;
    case device::Isa::kAvx512:
      return dnnl::cpu_isa::avx512_core;
    case device::Isa::kAvx512Bf16:
      return dnnl::cpu_isa::avx512_core_bf16;
    case device::Isa::kAmx:
      return CpuidDescribesTiles() ? dnnl::cpu_isa::avx512_core_amx
                                   : dnnl::cpu_isa::avx512_core_bf16;
  }
  core::CheckFailed(__FILE__, __LINE__, "unknown Isa");
}

class OneDnnSlice final : public GemmSlice {
 public:
  // Throws dnnl::error when the library has no such product.
  OneDnnSlice(memory::data_type type, int64_t m, int64_t n, int64_t k)
      : cpu_(dnnl::engine::kind::cpu, 0), queue_(cpu_) {
    const memory::desc x({m, k}, type, memory::format_tag::ab);
    const memory::desc any_w({k, n}, type, memory::format_tag::any);
    const memory::desc y({m, n}, memory::data_type::f32, memory::format_tag::ab);
    const dnnl::matmul::primitive_desc plan(dnnl::matmul::desc(x, any_w, y), cpu_);
    x_ = Filled(x, x_bytes_);
    w_ = Filled(plan.weights_desc(), w_bytes_);
    y_ = Filled(y, y_bytes_);
    product_ = dnnl::matmul(plan);
  }

  void Run() override {
    omp_set_num_threads(1);  // of this thread: the library starts no others
    product_.execute(queue_, {{DNNL_ARG_SRC, x_}, {DNNL_ARG_WEIGHTS, w_}, {DNNL_ARG_DST, y_}});
    queue_.wait();
  }

 private:
  // In huge pages, as our own kernels have theirs.
  memory Filled(const memory::desc& desc, device::Buffer& bytes) const {
    bytes = device::Buffer(desc.get_size());
    // 0x3f3f... is a number near 0.75 in f32 and in bf16.
    std::memset(bytes.data(), 0x3f, desc.get_size());
    return {desc, cpu_, bytes.data()};
  }

  dnnl::engine cpu_;
  dnnl::stream queue_;
  device::Buffer x_bytes_, w_bytes_, y_bytes_;
  memory x_, w_, y_;
  dnnl::matmul product_;
};

}  // namespace

std::unique_ptr<GemmSlice> MakeGemmSlice(core::DType dtype, device::Isa isa, int64_t m, int64_t n,
                                         int64_t k) {
  AUTODIST_CHECK(dtype == core::DType::kF32 || dtype == core::DType::kBF16);
  omp_set_num_threads(1);  // products are planned for as many threads as the planning one has
  try {
    dnnl::set_max_cpu_isa(IsaOf(isa));  // refused once the library has begun: then it is set
    return std::make_unique<OneDnnSlice>(
        dtype == core::DType::kF32 ? memory::data_type::f32 : memory::data_type::bf16, m, n, k);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace autodist::measure
