// The module: the processor, the loss and the optimiser; what the rooms bind is in their own files.
#include "bindings.h"

#include <nanobind/stl/variant.h>

#include <variant>

#include "tondo/core/adam.h"
#include "tondo/core/cpu.h"
#include "tondo/core/ssim_l1.h"
#include "tondo/core/threads.h"

namespace {

using I2 = Array<int32_t, nb::shape<-1, 2>>;
using U8Image = Array<uint8_t, nb::shape<-1, -1, 3>>;
using U8Map = Array<uint8_t, nb::shape<-1, -1>>;
using Target = std::variant<U8Image, FImage>;               // 0..255, or 0..1
using Rates = std::tuple<F1, float, float, float, int64_t>;  // lr, beta1, beta2, eps, step

double ssim_l1(tondo::LossScratch& scratch, FImage image, const Target& target, Maybe<U8Map> valid,
               Maybe<FMap> exposure, float ssim_weight, Maybe<FImage> v_image,
               Maybe<FMap> v_exposure) {
  const size_t h = image.shape(0), w = image.shape(1);
  const auto fits = [h, w](const auto& a) {
    return a.shape(0) == h && a.shape(1) == w && a.shape(2) == 3;
  };
  need(fits(image) && h > 0 && w > 0, "image [H, W, 3]");
  need(std::visit(fits, target) && (!v_image || fits(*v_image)), "target, v_image");
  need(!valid || (valid->shape(0) == h && valid->shape(1) == w), "valid");
  for (const auto* a : {&exposure, &v_exposure})
    need(!*a || ((*a)->shape(0) == 3 && (*a)->shape(1) == 4), "exposure [3, 4]");
  const auto* bytes = std::get_if<U8Image>(&target);
  const auto* floats = std::get_if<FImage>(&target);
  const tondo::LossIn in{static_cast<int>(h),
                         static_cast<int>(w),
                         image.data(),
                         bytes ? bytes->data() : nullptr,
                         floats ? floats->data() : nullptr,
                         valid ? valid->data() : nullptr,
                         data_or_null(exposure),
                         ssim_weight};
  tondo::LossOut out{0, 0, 0, data_or_null(v_image), exposure ? data_or_null(v_exposure) : nullptr};
  nb::gil_scoped_release release;
  tondo::ssim_l1(in, scratch, out);
  return out.loss;
}

void adam_visible(FMap params, FMap grads, FMap exp_avg, FMap exp_avg_sq, const Rates& rates,
                  Maybe<I2> radii, bool touched) {
  const auto& [lr, beta1, beta2, eps, step] = rates;
  const size_t n = params.shape(0), d = params.shape(1);
  for (const auto* a : {&grads, &exp_avg, &exp_avg_sq})
    need(a->shape(0) == n && a->shape(1) == d, "adam_visible: grads, exp_avg, exp_avg_sq");
  need(lr.shape(0) == d && (!radii || radii->shape(0) == n) && step >= 1, "adam_visible: lr, radii");
  need(!touched || d % 8 == 0, "adam_visible: touched rows are of whole vectors");
  const tondo::AdamOptions options{beta1, beta2, eps, step, touched};
  nb::gil_scoped_release release;
  tondo::adam_visible(static_cast<int64_t>(n), static_cast<int>(d), params.data(), grads.data(),
                      exp_avg.data(), exp_avg_sq.data(), radii ? radii->data() : nullptr,
                      lr.data(), options);
}

bool cpu_supported() {
#if defined(__x86_64__) && defined(TONDO_X86_64_V3)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

}  // namespace

NB_MODULE(_native, m) {
  nb::set_leak_warnings(false);  // a graph that a notebook still holds at exit is no leak of ours
  if (!cpu_supported())
    throw nb::import_error(
        "tondo's native code needs a processor with AVX2 and FMA (x86-64-v3, about 2015 or newer)");
  m.def("num_threads", &tondo::num_threads);
  m.def("set_num_threads", &tondo::set_num_threads, "n"_a);
  m.def("simd", &tondo::simd_name);
  m.def("gather_peak", &tondo::gather_peak, "threads"_a, "bytes"_a,
        nb::call_guard<nb::gil_scoped_release>());
  m.def("fma_peak", &tondo::fma_peak, "threads"_a, nb::call_guard<nb::gil_scoped_release>());

  nb::class_<tondo::LossScratch>(m, "LossScratch").def(nb::init<>());
  m.def("ssim_l1", &ssim_l1, "scratch"_a, "image"_a, "target"_a.noconvert(), "valid"_a.none(),
        "exposure"_a.none(), "ssim_weight"_a, "v_image"_a.none(), "v_exposure"_a.none());
  m.def("adam_visible", &adam_visible, "params"_a, "grads"_a, "exp_avg"_a, "exp_avg_sq"_a,
        "rates"_a, "radii"_a.none(), "touched"_a = false);
  bind_splats(m);
  bind_fields(m);
  bind_sphere(m);
  bind_mesh(m);
}
