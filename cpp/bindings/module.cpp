// Python bindings only: shapes and dtypes are checked by nanobind's ndarray signatures, sizes
// against each other here.
#include "bindings.h"

#include "tondo/core/adam.h"
#include "tondo/core/cpu.h"
#include "tondo/splats/median_depth.h"
#include "tondo/mesh/mesh_depth.h"
#include "tondo/splats/project.h"
#include "tondo/splats/rasterize.h"
#include "tondo/splats/batch.h"
#include "tondo/core/ssim_l1.h"
#include "tondo/core/threads.h"
#include "tondo/mesh/tsdf.h"

namespace {

using F4 = Array<float, nb::shape<-1, 4>>;
using FN = Array<float, nb::shape<-1, -1>>;
using FSh = Array<float, nb::shape<-1, -1, 3>>;
using FImage = Array<float, nb::shape<-1, -1, -1>>;
using FMap = Array<float, nb::shape<-1, -1>>;
using FView = Array<float, nb::shape<4, 4>>;
using FK = Array<float, nb::shape<3, 3>>;
using FVec3 = Array<float, nb::shape<3>>;
using I2 = Array<int32_t, nb::shape<-1, 2>>;
using U8Image = Array<uint8_t, nb::shape<-1, -1, 3>>;
using U8Map = Array<uint8_t, nb::shape<-1, -1>>;

template <class A>
float* data_or_null(const Maybe<A>& a) {
  return a ? a->data() : nullptr;
}

tondo::PinholeCamera camera_of(const FView& viewmat, const FK& K, int width, int height) {
  tondo::PinholeCamera c;
  for (int r = 0; r < 3; ++r) {
    for (int k = 0; k < 3; ++k) c.R[3 * r + k] = viewmat(r, k);
    c.t[r] = viewmat(r, 3);
  }
  c.fx = K(0, 0);
  c.fy = K(1, 1);
  c.cx = K(0, 2);
  c.cy = K(1, 2);
  c.width = width;
  c.height = height;
  return c;
}

tondo::SplatsOnScreen on_screen(const F2& means2d, const F3& conics, const F1& depths,
                                const I2& radii, const F1& opacities, const FN& colors) {
  const size_t n = means2d.shape(0);
  need(conics.shape(0) == n && depths.shape(0) == n && radii.shape(0) == n &&
           opacities.shape(0) == n && colors.shape(0) == n,
       "means2d, conics, depths, radii, opacities, colors");
  need(colors.shape(1) >= 1 && colors.shape(1) <= tondo::kMaxChannels, "1 to 8 channels");
  return {static_cast<int64_t>(n), means2d.data(),   conics.data(), depths.data(),
          radii.data(),            opacities.data(), colors.data(), static_cast<int>(colors.shape(1))};
}

void project_forward(F3 means, F4 quats, F3 scales, F1 opacities, FView viewmat, FK K, int width,
                     int height, float near_plane, float far_plane, float radius_clip, float eps2d,
                     F2 means2d, F1 depths, F3 conics, I2 radii, Maybe<F1> compensations) {
  const size_t n = means.shape(0);
  need(quats.shape(0) == n && scales.shape(0) == n && opacities.shape(0) == n &&
           means2d.shape(0) == n && depths.shape(0) == n && conics.shape(0) == n &&
           radii.shape(0) == n && (!compensations || compensations->shape(0) == n),
       "project_forward");
  const auto camera = camera_of(viewmat, K, width, height);
  const tondo::ProjectOptions options{near_plane, far_plane, radius_clip, eps2d};
  const tondo::ProjectedOut out{means2d.data(), depths.data(), conics.data(), radii.data(),
                                data_or_null(compensations)};
  nb::gil_scoped_release release;
  tondo::project_forward(static_cast<int64_t>(n), means.data(), quats.data(), scales.data(),
                         opacities.data(), camera, options, out);
}

void project_backward(F3 means, F4 quats, F3 scales, FView viewmat, FK K, int width, int height,
                      float eps2d, I2 radii, F2 v_means2d, Maybe<F1> v_depths, F3 v_conics,
                      Maybe<F1> v_compensations, F3 v_means, F4 v_quats, F3 v_scales,
                      Maybe<FMap> v_viewmat) {
  const size_t n = means.shape(0);
  need(quats.shape(0) == n && scales.shape(0) == n && radii.shape(0) == n &&
           v_means2d.shape(0) == n && v_conics.shape(0) == n && v_means.shape(0) == n &&
           v_quats.shape(0) == n && v_scales.shape(0) == n,
       "project_backward");
  need(!v_viewmat || (v_viewmat->shape(0) == 3 && v_viewmat->shape(1) == 4), "v_viewmat [3, 4]");
  const auto camera = camera_of(viewmat, K, width, height);
  tondo::ProjectOptions options;
  options.eps2d = eps2d;
  const tondo::ProjectGrads grads{v_means2d.data(), data_or_null(v_depths), v_conics.data(),
                                  data_or_null(v_compensations)};
  nb::gil_scoped_release release;
  tondo::project_backward(static_cast<int64_t>(n), means.data(), quats.data(), scales.data(), camera,
                          options, radii.data(), grads, v_means.data(), v_quats.data(),
                          v_scales.data(), data_or_null(v_viewmat));
}

void sh_forward(int degree, F3 means, FVec3 position, FSh sh, I2 radii, F3 colors) {
  const size_t n = means.shape(0);
  need(sh.shape(0) == n && radii.shape(0) == n && colors.shape(0) == n, "sh_forward");
  need(degree >= 0 && degree <= 3 && static_cast<int>(sh.shape(1)) >= (degree + 1) * (degree + 1),
       "sh has fewer coefficients than its degree asks for");
  nb::gil_scoped_release release;
  tondo::sh_forward(static_cast<int64_t>(n), degree, static_cast<int>(sh.shape(1)), means.data(),
                    position.data(), sh.data(), radii.data(), colors.data());
}

void sh_backward(int degree, F3 means, FVec3 position, FSh sh, I2 radii, F3 colors, F3 v_colors,
                 F3 v_means, FSh v_sh, Maybe<FVec3> v_position) {
  const size_t n = means.shape(0);
  need(sh.shape(0) == n && radii.shape(0) == n && colors.shape(0) == n && v_colors.shape(0) == n &&
           v_means.shape(0) == n && v_sh.shape(0) == n && v_sh.shape(1) == sh.shape(1),
       "sh_backward");
  need(degree >= 0 && degree <= 3 && static_cast<int>(sh.shape(1)) >= (degree + 1) * (degree + 1),
       "sh has fewer coefficients than its degree asks for");
  nb::gil_scoped_release release;
  tondo::sh_backward(static_cast<int64_t>(n), degree, static_cast<int>(sh.shape(1)), means.data(),
                     position.data(), sh.data(), radii.data(), colors.data(), v_colors.data(),
                     v_means.data(), v_sh.data(), data_or_null(v_position));
}

void bin_splats(tondo::Bins& bins, F2 means2d, F3 conics, F1 depths, I2 radii, F1 opacities,
                FN colors, int width, int height) {
  const auto s = on_screen(means2d, conics, depths, radii, opacities, colors);
  need(width > 0 && height > 0, "width and height must be positive");
  nb::gil_scoped_release release;
  tondo::bin_splats(s, width, height, bins);
}

void rasterize_forward(tondo::Bins& bins, F2 means2d, F3 conics, F1 depths, I2 radii, F1 opacities,
                       FN colors, Maybe<F1> background, FImage image, FMap alphas) {
  const auto s = on_screen(means2d, conics, depths, radii, opacities, colors);
  const size_t h = static_cast<size_t>(bins.height), w = static_cast<size_t>(bins.width);
  need(image.shape(0) == h && image.shape(1) == w && image.shape(2) == colors.shape(1) &&
           alphas.shape(0) == h && alphas.shape(1) == w &&
           (!background || background->shape(0) == colors.shape(1)),
       "rasterize_forward: image, alphas, background");
  nb::gil_scoped_release release;
  tondo::rasterize_forward(s, data_or_null(background), bins, image.data(), alphas.data());
}

void rasterize_backward(tondo::Bins& bins, F2 means2d, F3 conics, F1 depths, I2 radii, F1 opacities,
                        FN colors, FImage image, FImage v_image, Maybe<FMap> v_alphas, F2 v_means2d,
                        F3 v_conics, F1 v_opacities, FN v_colors, Maybe<F1> v_background) {
  const auto s = on_screen(means2d, conics, depths, radii, opacities, colors);
  const size_t h = static_cast<size_t>(bins.height), w = static_cast<size_t>(bins.width);
  const size_t n = means2d.shape(0);
  for (const auto* a : {&image, &v_image})
    need(a->shape(0) == h && a->shape(1) == w && a->shape(2) == colors.shape(1),
         "rasterize_backward: image, v_image");
  need(!v_alphas || (v_alphas->shape(0) == h && v_alphas->shape(1) == w), "v_alphas");
  need(v_means2d.shape(0) == n && v_conics.shape(0) == n && v_opacities.shape(0) == n &&
           v_colors.shape(0) == n && v_colors.shape(1) == colors.shape(1) &&
           (!v_background || v_background->shape(0) == colors.shape(1)),
       "rasterize_backward: gradients");
  const tondo::ScreenGrads grads{v_means2d.data(), v_conics.data(), v_opacities.data(),
                                 v_colors.data()};
  nb::gil_scoped_release release;
  tondo::rasterize_backward(s, bins, image.data(), v_image.data(), data_or_null(v_alphas), grads,
                            data_or_null(v_background));
}

nb::tuple ssim_l1(tondo::LossScratch& scratch, FImage image, Maybe<U8Image> target8,
                  Maybe<FImage> target, Maybe<U8Map> valid, Maybe<FMap> exposure,
                  float ssim_weight, Maybe<FImage> v_image, Maybe<FMap> v_exposure) {
  const size_t h = image.shape(0), w = image.shape(1);
  need(image.shape(2) == 3 && h > 0 && w > 0, "image [H, W, 3]");
  need(target8.has_value() != target.has_value(), "one of target8 and target");
  need(!target8 || (target8->shape(0) == h && target8->shape(1) == w), "target8");
  for (const auto* a : {&target, &v_image})
    need(!*a || ((*a)->shape(0) == h && (*a)->shape(1) == w && (*a)->shape(2) == 3),
         "target, v_image");
  need(!valid || (valid->shape(0) == h && valid->shape(1) == w), "valid");
  for (const auto* a : {&exposure, &v_exposure})
    need(!*a || ((*a)->shape(0) == 3 && (*a)->shape(1) == 4), "exposure [3, 4]");
  const tondo::LossIn in{static_cast<int>(h),
                         static_cast<int>(w),
                         image.data(),
                         target8 ? target8->data() : nullptr,
                         data_or_null(target),
                         valid ? valid->data() : nullptr,
                         data_or_null(exposure),
                         ssim_weight};
  tondo::LossOut out{0, 0, 0, data_or_null(v_image), exposure ? data_or_null(v_exposure) : nullptr};
  {
    nb::gil_scoped_release release;
    tondo::ssim_l1(in, scratch, out);
  }
  return nb::make_tuple(out.loss, out.l1, out.ssim);
}

void adam_visible(FN params, FN grads, FN exp_avg, FN exp_avg_sq, Maybe<I2> radii, F1 lr,
                  float beta1, float beta2, float eps, int64_t step, bool touched) {
  const size_t n = params.shape(0), d = params.shape(1);
  for (const auto* a : {&grads, &exp_avg, &exp_avg_sq})
    need(a->shape(0) == n && a->shape(1) == d, "adam_visible: grads, exp_avg, exp_avg_sq");
  need(lr.shape(0) == d && (!radii || radii->shape(0) == n) && step >= 1, "adam_visible: lr, radii");
  need(!touched || d % 8 == 0, "adam_visible: touched rows are of whole vectors");
  nb::gil_scoped_release release;
  tondo::adam_visible(static_cast<int64_t>(n), static_cast<int>(d), params.data(), grads.data(),
                      exp_avg.data(), exp_avg_sq.data(), radii ? radii->data() : nullptr, lr.data(),
                      {beta1, beta2, eps, step, touched});
}

void tsdf_integrate(Array<float, nb::shape<6, -1, -1, -1>> planes, Array<float, nb::shape<4>> grid,
                    FView viewmat, FK K, Array<float, nb::shape<-1, -1, 6>> pixels,
                    float truncation) {
  const tondo::TsdfVolume volume{planes.data(), static_cast<int64_t>(planes.shape(1)),
                                 static_cast<int64_t>(planes.shape(2)),
                                 static_cast<int64_t>(planes.shape(3)), grid.data()};
  const tondo::TsdfView view{viewmat.data(), K.data(), pixels.data(),
                             static_cast<int64_t>(pixels.shape(1)),
                             static_cast<int64_t>(pixels.shape(0))};
  need(truncation > grid(3), "truncation must exceed the voxel spacing");
  nb::gil_scoped_release release;
  tondo::tsdf_integrate(volume, view, truncation);
}

using FBatch = Array<float, nb::shape<-1, -1, -1>>;     // [B, N, columns]
using FPictures = Array<float, nb::shape<-1, -1, -1, tondo::kSceneChannels>>;

// The scenes of the last forward pass and what their backward pass needs.
struct SceneBatch {
  std::vector<tondo::SceneState> states;
  std::vector<tondo::PinholeCamera> cameras;
  tondo::ProjectOptions options;
};

tondo::Scenes scenes_of(const SceneBatch& batch, const FBatch& means, const FBatch& quats,
                        const FBatch& scales, const FMap& opacities, const FBatch& colors) {
  const size_t b = batch.cameras.size(), n = means.shape(1);
  const auto fits = [&](const FBatch& a, size_t columns) {
    return a.shape(0) == b && a.shape(1) == n && a.shape(2) == columns;
  };
  need(fits(means, 3) && fits(quats, 4) && fits(scales, 3) && fits(colors, 3) &&
           opacities.shape(0) == b && opacities.shape(1) == n,
       "means, quats, scales, opacities, colors of the scenes");
  return {static_cast<int64_t>(b), static_cast<int64_t>(n), means.data(),         quats.data(),
          scales.data(),           opacities.data(),        colors.data(),        batch.cameras.data(),
          batch.options};
}

void scenes_forward(SceneBatch& batch, FBatch means, FBatch quats, FBatch scales, FMap opacities,
                    FBatch colors, FBatch viewmats, FBatch Ks, float near_plane, float eps2d,
                    FPictures images, FBatch alphas) {
  const size_t b = means.shape(0), height = images.shape(1), width = images.shape(2);
  need(viewmats.shape(0) == b && viewmats.shape(1) == 4 && viewmats.shape(2) == 4 &&
           Ks.shape(0) == b && Ks.shape(1) == 3 && Ks.shape(2) == 3 && images.shape(0) == b &&
           alphas.shape(0) == b && alphas.shape(1) == height && alphas.shape(2) == width,
       "viewmats, Ks, images, alphas of the scenes");
  batch.cameras.clear();
  for (size_t i = 0; i < b; ++i) {
    tondo::PinholeCamera c;
    for (int r = 0; r < 3; ++r) {
      for (int k = 0; k < 3; ++k) c.R[3 * r + k] = viewmats(i, r, k);
      c.t[r] = viewmats(i, r, 3);
    }
    c.fx = Ks(i, 0, 0);
    c.fy = Ks(i, 1, 1);
    c.cx = Ks(i, 0, 2);
    c.cy = Ks(i, 1, 2);
    c.width = static_cast<int>(width);
    c.height = static_cast<int>(height);
    batch.cameras.push_back(c);
  }
  batch.options = {near_plane, 1e10f, 0.0f, eps2d};
  const tondo::Scenes scenes = scenes_of(batch, means, quats, scales, opacities, colors);
  nb::gil_scoped_release release;
  tondo::scenes_forward(scenes, batch.states, images.data(), alphas.data());
}

void scenes_backward(SceneBatch& batch, FBatch means, FBatch quats, FBatch scales, FMap opacities,
                     FBatch colors, FPictures images, FPictures v_images, FBatch v_alphas,
                     FBatch v_means, FBatch v_quats, FBatch v_scales, FMap v_opacities,
                     FBatch v_colors, Maybe<FBatch> v_viewmats) {
  const tondo::Scenes scenes = scenes_of(batch, means, quats, scales, opacities, colors);
  scenes_of(batch, v_means, v_quats, v_scales, v_opacities, v_colors);
  const size_t b = batch.cameras.size();
  need(batch.states.size() == b && images.shape(0) == b && v_images.shape(0) == b &&
           v_alphas.shape(0) == b && v_images.shape(1) == images.shape(1) &&
           v_images.shape(2) == images.shape(2) && v_alphas.shape(1) == images.shape(1) &&
           v_alphas.shape(2) == images.shape(2) &&
           (!b || (images.shape(1) == static_cast<size_t>(batch.cameras[0].height) &&
                   images.shape(2) == static_cast<size_t>(batch.cameras[0].width))),
       "images, v_images, v_alphas of the scenes");
  need(!v_viewmats || (v_viewmats->shape(0) == b && v_viewmats->shape(1) == 3 &&
                       v_viewmats->shape(2) == 4),
       "v_viewmats [B, 3, 4]");
  nb::gil_scoped_release release;
  tondo::scenes_backward(scenes, batch.states, images.data(), v_images.data(), v_alphas.data(),
                         {v_means.data(), v_quats.data(), v_scales.data(), v_opacities.data(),
                          v_colors.data(), data_or_null(v_viewmats)});
}

void median_depth(tondo::Bins& bins, F2 means2d, F3 conics, F1 depths, I2 radii, F1 opacities,
                  Array<float, nb::shape<-1, tondo::kRayDepth>> ray_depths, float level,
                  FMap depth) {
  const auto s = on_screen(means2d, conics, depths, radii, opacities, FN(ray_depths));
  need(depth.shape(0) == static_cast<size_t>(bins.height) &&
           depth.shape(1) == static_cast<size_t>(bins.width),
       "median_depth: depth");
  nb::gil_scoped_release release;
  tondo::median_depth(s, ray_depths.data(), bins, level, depth.data());
}

void mesh_depth(F3 vertices, Array<int64_t, nb::shape<-1, 3>> faces, float near, FMap depth,
                Array<int64_t, nb::shape<-1, -1>> face) {
  need(face.shape(0) == depth.shape(0) && face.shape(1) == depth.shape(1), "depth, face");
  const int64_t corners = static_cast<int64_t>(faces.shape(0)) * 3;
  for (int64_t i = 0; i < corners; ++i)
    need(faces.data()[i] >= 0 && faces.data()[i] < static_cast<int64_t>(vertices.shape(0)),
         "a face names a vertex that is not there");
  nb::gil_scoped_release release;
  tondo::mesh_depth(vertices.data(), faces.data(), corners / 3, near,
                    static_cast<int>(depth.shape(1)), static_cast<int>(depth.shape(0)),
                    depth.data(), face.data());
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

  m.def("project_forward", &project_forward, "means"_a, "quats"_a, "scales"_a, "opacities"_a,
        "viewmat"_a, "K"_a, "width"_a, "height"_a, "near_plane"_a, "far_plane"_a, "radius_clip"_a,
        "eps2d"_a, "means2d"_a, "depths"_a, "conics"_a, "radii"_a, "compensations"_a.none());
  m.def("project_backward", &project_backward, "means"_a, "quats"_a, "scales"_a, "viewmat"_a, "K"_a,
        "width"_a, "height"_a, "eps2d"_a, "radii"_a, "v_means2d"_a, "v_depths"_a.none(),
        "v_conics"_a, "v_compensations"_a.none(), "v_means"_a, "v_quats"_a, "v_scales"_a,
        "v_viewmat"_a.none());
  m.def("sh_forward", &sh_forward, "degree"_a, "means"_a, "position"_a, "sh"_a, "radii"_a,
        "colors"_a);
  m.def("sh_backward", &sh_backward, "degree"_a, "means"_a, "position"_a, "sh"_a, "radii"_a,
        "colors"_a, "v_colors"_a, "v_means"_a, "v_sh"_a, "v_position"_a.none());

  nb::class_<tondo::Bins>(m, "Bins")
      .def(nb::init<>())
      .def_prop_ro("evaluations", [](const tondo::Bins& b) { return b.evaluations; })
      .def_prop_ro("instances", [](const tondo::Bins& b) { return b.instances.size(); })
      .def_prop_ro("visible", [](const tondo::Bins& b) { return b.order.size(); });
  m.def("bin_splats", &bin_splats, "bins"_a, "means2d"_a, "conics"_a, "depths"_a, "radii"_a,
        "opacities"_a, "colors"_a, "width"_a, "height"_a);
  m.def("rasterize_forward", &rasterize_forward, "bins"_a, "means2d"_a, "conics"_a, "depths"_a,
        "radii"_a, "opacities"_a, "colors"_a, "background"_a.none(), "image"_a, "alphas"_a);
  m.def("rasterize_backward", &rasterize_backward, "bins"_a, "means2d"_a, "conics"_a, "depths"_a,
        "radii"_a, "opacities"_a, "colors"_a, "image"_a, "v_image"_a, "v_alphas"_a.none(),
        "v_means2d"_a, "v_conics"_a, "v_opacities"_a, "v_colors"_a, "v_background"_a.none());

  nb::class_<SceneBatch>(m, "SceneBatch").def(nb::init<>());
  m.def("scenes_forward", &scenes_forward, "batch"_a, "means"_a, "quats"_a, "scales"_a,
        "opacities"_a, "colors"_a, "viewmats"_a, "Ks"_a, "near_plane"_a, "eps2d"_a, "images"_a,
        "alphas"_a);
  m.def("scenes_backward", &scenes_backward, "batch"_a, "means"_a, "quats"_a, "scales"_a,
        "opacities"_a, "colors"_a, "images"_a, "v_images"_a, "v_alphas"_a, "v_means"_a, "v_quats"_a,
        "v_scales"_a, "v_opacities"_a, "v_colors"_a, "v_viewmats"_a.none());

  m.def("median_depth", &median_depth, "bins"_a, "means2d"_a, "conics"_a, "depths"_a, "radii"_a,
        "opacities"_a, "ray_depths"_a, "level"_a, "depth"_a);

  m.def("mesh_depth", &mesh_depth, "vertices"_a, "faces"_a, "near"_a, "depth"_a, "face"_a);

  nb::class_<tondo::LossScratch>(m, "LossScratch").def(nb::init<>());
  m.def("ssim_l1", &ssim_l1, "scratch"_a, "image"_a, "target8"_a.none(), "target"_a.none(),
        "valid"_a.none(), "exposure"_a.none(), "ssim_weight"_a, "v_image"_a.none(),
        "v_exposure"_a.none());

  m.def("adam_visible", &adam_visible, "params"_a, "grads"_a, "exp_avg"_a, "exp_avg_sq"_a,
        "radii"_a.none(), "lr"_a, "beta1"_a, "beta2"_a, "eps"_a, "step"_a, "touched"_a = false);

  m.def("tsdf_integrate", &tsdf_integrate, "planes"_a, "grid"_a, "viewmat"_a, "K"_a, "pixels"_a,
        "truncation"_a);
  bind_field(m);
  bind_planes(m);
  bind_sphere(m);
}
