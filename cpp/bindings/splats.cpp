// Bindings of projection, harmonics and rasterisation of splats.
#include "bindings.h"

#include "tondo/splats/batch.h"
#include "tondo/splats/median_depth.h"
#include "tondo/splats/planes.h"
#include "tondo/splats/project.h"
#include "tondo/splats/rasterize.h"

namespace {

using FSh = Array<float, nb::shape<-1, -1, 3>>;
using FVec3 = Array<float, nb::shape<3>>;
using I2 = Array<int32_t, nb::shape<-1, 2>>;
using FPictures = Array<float, nb::shape<-1, -1, -1, tondo::kSceneChannels>>;

using Gaussians = std::tuple<F3, F4, F3, F1>;          // means, quats, scales, opacities
using Camera = std::tuple<F4x4, F3x3, int, int>;       // viewmat, K, width, height
using Culling = std::tuple<float, float, float, float>;  // near_plane, far_plane, radius_clip, eps2d
using Projected = std::tuple<F2, F1, F3, I2, Maybe<F1>>;  // means2d, depths, conics, radii,
                                                          // compensations
using ProjectedGrads = std::tuple<F2, Maybe<F1>, F3, Maybe<F1>>;  // ... without radii
using Screen = std::tuple<F2, F3, F1, I2, F1, FMap>;  // means2d, conics, depths, radii, opacities,
                                                      // channels
using ScreenGrads = std::tuple<F2, F3, F1, FMap>;     // means2d, conics, opacities, channels
using Scenes = std::tuple<FImage, FImage, FImage, FMap, FImage>;  // Gaussians [B, N, ...], colors

tondo::PinholeCamera camera_of(const float* viewmat, const float* K, size_t width, size_t height) {
  tondo::PinholeCamera c;
  for (int r = 0; r < 3; ++r) {
    for (int k = 0; k < 3; ++k) c.R[3 * r + k] = viewmat[4 * r + k];
    c.t[r] = viewmat[4 * r + 3];
  }
  c.fx = K[0];
  c.fy = K[4];
  c.cx = K[2];
  c.cy = K[5];
  c.width = static_cast<int>(width);
  c.height = static_cast<int>(height);
  return c;
}

tondo::PinholeCamera camera_of(const Camera& camera) {
  const auto& [viewmat, K, width, height] = camera;
  need(width > 0 && height > 0, "width and height must be positive");
  return camera_of(viewmat.data(), K.data(), static_cast<size_t>(width),
                   static_cast<size_t>(height));
}

void project_forward(const Gaussians& gaussians, const Camera& camera, const Culling& culling,
                     const Projected& out) {
  const auto& [means, quats, scales, opacities] = gaussians;
  const auto& [means2d, depths, conics, radii, compensations] = out;
  const size_t n = means.shape(0);
  need(quats.shape(0) == n && scales.shape(0) == n && opacities.shape(0) == n &&
           means2d.shape(0) == n && depths.shape(0) == n && conics.shape(0) == n &&
           radii.shape(0) == n && (!compensations || compensations->shape(0) == n),
       "project_forward");
  const auto seen_by = camera_of(camera);
  const auto& [near_plane, far_plane, radius_clip, eps2d] = culling;
  const tondo::ProjectOptions options{near_plane, far_plane, radius_clip, eps2d};
  const tondo::ProjectedOut into{means2d.data(), depths.data(), conics.data(), radii.data(),
                                 data_or_null(compensations)};
  nb::gil_scoped_release release;
  tondo::project_forward(static_cast<int64_t>(n), means.data(), quats.data(), scales.data(),
                         opacities.data(), seen_by, options, into);
}

void project_backward(const Gaussians& gaussians, const Camera& camera, float eps2d, I2 radii,
                      const ProjectedGrads& grads, const std::tuple<F3, F4, F3>& out,
                      Maybe<FMap> v_viewmat) {
  const auto& [means, quats, scales, opacities] = gaussians;
  const auto& [v_means2d, v_depths, v_conics, v_compensations] = grads;
  const auto& [v_means, v_quats, v_scales] = out;
  const size_t n = means.shape(0);
  need(quats.shape(0) == n && scales.shape(0) == n && radii.shape(0) == n &&
           v_means2d.shape(0) == n && v_conics.shape(0) == n && v_means.shape(0) == n &&
           v_quats.shape(0) == n && v_scales.shape(0) == n &&
           (!v_depths || v_depths->shape(0) == n) &&
           (!v_compensations || v_compensations->shape(0) == n),
       "project_backward");
  need(!v_viewmat || (v_viewmat->shape(0) == 3 && v_viewmat->shape(1) == 4), "v_viewmat [3, 4]");
  const auto seen_by = camera_of(camera);
  tondo::ProjectOptions options;
  options.eps2d = eps2d;
  const tondo::ProjectGrads from{v_means2d.data(), data_or_null(v_depths), v_conics.data(),
                                 data_or_null(v_compensations)};
  nb::gil_scoped_release release;
  tondo::project_backward(static_cast<int64_t>(n), means.data(), quats.data(), scales.data(), seen_by,
                          options, radii.data(), from, v_means.data(), v_quats.data(),
                          v_scales.data(), data_or_null(v_viewmat));
}

void need_harmonics(int degree, const FSh& sh) {
  need(degree >= 0 && degree <= 3 && static_cast<int>(sh.shape(1)) >= (degree + 1) * (degree + 1),
       "sh has fewer coefficients than its degree asks for");
}

void sh_forward(int degree, F3 means, FVec3 position, FSh sh, I2 radii, F3 colors) {
  const size_t n = means.shape(0);
  need(sh.shape(0) == n && radii.shape(0) == n && colors.shape(0) == n, "sh_forward");
  need_harmonics(degree, sh);
  nb::gil_scoped_release release;
  tondo::sh_forward(static_cast<int64_t>(n), degree, static_cast<int>(sh.shape(1)), means.data(),
                    position.data(), sh.data(), radii.data(), colors.data());
}

void sh_backward(int degree, F3 means, FVec3 position, FSh sh, I2 radii, F3 colors, F3 v_colors,
                 const std::tuple<F3, FSh, Maybe<FVec3>>& out) {
  const auto& [v_means, v_sh, v_position] = out;
  const size_t n = means.shape(0);
  need(sh.shape(0) == n && radii.shape(0) == n && colors.shape(0) == n && v_colors.shape(0) == n &&
           v_means.shape(0) == n && v_sh.shape(0) == n && v_sh.shape(1) == sh.shape(1),
       "sh_backward");
  need_harmonics(degree, sh);
  nb::gil_scoped_release release;
  tondo::sh_backward(static_cast<int64_t>(n), degree, static_cast<int>(sh.shape(1)), means.data(),
                     position.data(), sh.data(), radii.data(), colors.data(), v_colors.data(),
                     v_means.data(), v_sh.data(), data_or_null(v_position));
}

tondo::SplatsOnScreen on_screen(const Screen& splats) {
  const auto& [means2d, conics, depths, radii, opacities, channels] = splats;
  const size_t n = means2d.shape(0);
  need(conics.shape(0) == n && depths.shape(0) == n && radii.shape(0) == n &&
           opacities.shape(0) == n && channels.shape(0) == n,
       "means2d, conics, depths, radii, opacities, channels");
  need(channels.shape(1) >= 1 && channels.shape(1) <= tondo::kMaxChannels, "1 to 8 channels");
  return {static_cast<int64_t>(n), means2d.data(),   conics.data(),   depths.data(),
          radii.data(),            opacities.data(), channels.data(),
          static_cast<int>(channels.shape(1))};
}

void bin_splats(tondo::Bins& bins, const Screen& splats, int width, int height) {
  const auto s = on_screen(splats);
  need(width > 0 && height > 0, "width and height must be positive");
  nb::gil_scoped_release release;
  tondo::bin_splats(s, width, height, bins);
}

// Pictures of what is binned.
void need_pictures(const tondo::Bins& bins, size_t channels, const FImage& image,
                   const Maybe<FMap>& alphas) {
  const size_t h = static_cast<size_t>(bins.height), w = static_cast<size_t>(bins.width);
  need(image.shape(0) == h && image.shape(1) == w && image.shape(2) == channels &&
           (!alphas || (alphas->shape(0) == h && alphas->shape(1) == w)),
       "image and alphas of what was binned");
}

void rasterize_forward(tondo::Bins& bins, const Screen& splats, Maybe<F1> background, FImage image,
                       FMap alphas) {
  const auto s = on_screen(splats);
  const size_t channels = static_cast<size_t>(s.channels);
  need_pictures(bins, channels, image, alphas);
  need(!background || background->shape(0) == channels, "background");
  nb::gil_scoped_release release;
  tondo::rasterize_forward(s, data_or_null(background), bins, image.data(), alphas.data());
}

void rasterize_backward(tondo::Bins& bins, const Screen& splats, FImage image, FImage v_image,
                        Maybe<FMap> v_alphas, const ScreenGrads& out, Maybe<F1> v_background) {
  const auto s = on_screen(splats);
  const auto& [v_means2d, v_conics, v_opacities, v_channels] = out;
  const size_t n = static_cast<size_t>(s.n), channels = static_cast<size_t>(s.channels);
  need_pictures(bins, channels, image, {});
  need_pictures(bins, channels, v_image, v_alphas);
  need(v_means2d.shape(0) == n && v_conics.shape(0) == n && v_opacities.shape(0) == n &&
           v_channels.shape(0) == n && v_channels.shape(1) == channels &&
           (!v_background || v_background->shape(0) == channels),
       "rasterize_backward: gradients");
  const tondo::ScreenGrads grads{v_means2d.data(), v_conics.data(), v_opacities.data(),
                                 v_channels.data()};
  nb::gil_scoped_release release;
  tondo::rasterize_backward(s, bins, image.data(), v_image.data(), data_or_null(v_alphas), grads,
                            data_or_null(v_background));
}

void median_depth(tondo::Bins& bins, const Screen& splats, float level, FMap depth) {
  const auto s = on_screen(splats);
  need(s.channels == tondo::kRayDepth, "channels: what splats say about depth");
  need(depth.shape(0) == static_cast<size_t>(bins.height) &&
           depth.shape(1) == static_cast<size_t>(bins.width),
       "median_depth: depth");
  nb::gil_scoped_release release;
  tondo::median_depth(s, s.colors, bins, level, depth.data());
}

void splat_planes_forward(const Gaussians& gaussians, const Camera& camera, I2 radii, F4 planes) {
  const auto& [means, quats, scales, opacities] = gaussians;
  const size_t n = means.shape(0);
  need(quats.shape(0) == n && scales.shape(0) == n && radii.shape(0) == n && planes.shape(0) == n,
       "splat_planes_forward");
  const auto seen_by = camera_of(camera);
  nb::gil_scoped_release release;
  tondo::splat_planes_forward(static_cast<int64_t>(n), means.data(), quats.data(), scales.data(),
                              seen_by, radii.data(), planes.data());
}

void splat_planes_backward(const Gaussians& gaussians, const Camera& camera, I2 radii, F4 v_planes,
                           const std::tuple<F3, F4>& out) {
  const auto& [means, quats, scales, opacities] = gaussians;
  const auto& [v_means, v_quats] = out;
  const size_t n = means.shape(0);
  need(quats.shape(0) == n && scales.shape(0) == n && radii.shape(0) == n &&
           v_planes.shape(0) == n && v_means.shape(0) == n && v_quats.shape(0) == n,
       "splat_planes_backward");
  const auto seen_by = camera_of(camera);
  nb::gil_scoped_release release;
  tondo::splat_planes_backward(static_cast<int64_t>(n), means.data(), quats.data(), scales.data(),
                               seen_by, radii.data(), v_planes.data(), v_means.data(),
                               v_quats.data());
}

double depth_normal_loss(tondo::PlaneScratch& scratch, F3x3 K, FImage planes, FMap alphas,
                         FImage v_planes) {
  const size_t height = alphas.shape(0), width = alphas.shape(1);
  const auto fits = [&](const FImage& a) {
    return a.shape(0) == height && a.shape(1) == width && a.shape(2) == tondo::kPlane;
  };
  need(fits(planes) && fits(v_planes), "depth_normal_loss: planes of the picture");
  const float eye[16] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
  const auto seen_by = camera_of(eye, K.data(), width, height);
  nb::gil_scoped_release release;
  return tondo::depth_normal_loss(seen_by, planes.data(), alphas.data(), scratch, v_planes.data());
}

// The scenes of the last forward pass and what their backward pass needs.
struct SceneBatch {
  std::vector<tondo::SceneState> states;
  std::vector<tondo::PinholeCamera> cameras;
  tondo::ProjectOptions options;
};

tondo::Scenes scenes_of(const SceneBatch& batch, const Scenes& scenes) {
  const auto& [means, quats, scales, opacities, colors] = scenes;
  const size_t b = batch.cameras.size(), n = means.shape(1);
  const auto fits = [b, n](const FImage& a, size_t columns) {
    return a.shape(0) == b && a.shape(1) == n && a.shape(2) == columns;
  };
  need(fits(means, 3) && fits(quats, 4) && fits(scales, 3) && fits(colors, 3) &&
           opacities.shape(0) == b && opacities.shape(1) == n,
       "means, quats, scales, opacities, colors of the scenes");
  return {static_cast<int64_t>(b), static_cast<int64_t>(n), means.data(),         quats.data(),
          scales.data(),           opacities.data(),        colors.data(),        batch.cameras.data(),
          batch.options};
}

void need_scene_pictures(const SceneBatch& batch, const FPictures& images, const FImage* alphas) {
  const size_t b = batch.cameras.size();
  need(images.shape(0) == b &&
           (!b || (images.shape(1) == static_cast<size_t>(batch.cameras[0].height) &&
                   images.shape(2) == static_cast<size_t>(batch.cameras[0].width))) &&
           (!alphas || (alphas->shape(0) == b && alphas->shape(1) == images.shape(1) &&
                        alphas->shape(2) == images.shape(2))),
       "images and alphas of the scenes");
}

void scenes_forward(SceneBatch& batch, const Scenes& scenes, FImage viewmats, FImage Ks,
                    float near_plane, float eps2d, FPictures images, FImage alphas) {
  const size_t b = std::get<0>(scenes).shape(0);
  need(viewmats.shape(0) == b && viewmats.shape(1) == 4 && viewmats.shape(2) == 4 &&
           Ks.shape(0) == b && Ks.shape(1) == 3 && Ks.shape(2) == 3,
       "viewmats and Ks of the scenes");
  batch.cameras.clear();
  for (size_t i = 0; i < b; ++i)
    batch.cameras.push_back(camera_of(viewmats.data() + 16 * i, Ks.data() + 9 * i, images.shape(2),
                                      images.shape(1)));
  batch.options = {near_plane, 1e10f, 0.0f, eps2d};
  need_scene_pictures(batch, images, &alphas);
  const tondo::Scenes given = scenes_of(batch, scenes);
  nb::gil_scoped_release release;
  tondo::scenes_forward(given, batch.states, images.data(), alphas.data());
}

void scenes_backward(SceneBatch& batch, const Scenes& scenes, FPictures images, FPictures v_images,
                     FImage v_alphas, const Scenes& out, Maybe<FImage> v_viewmats) {
  const tondo::Scenes given = scenes_of(batch, scenes);
  scenes_of(batch, out);
  const size_t b = batch.cameras.size();
  need(batch.states.size() == b, "the batch is of other scenes");
  need_scene_pictures(batch, images, nullptr);
  need_scene_pictures(batch, v_images, &v_alphas);
  need(!v_viewmats || (v_viewmats->shape(0) == b && v_viewmats->shape(1) == 3 &&
                       v_viewmats->shape(2) == 4),
       "v_viewmats [B, 3, 4]");
  const auto& [v_means, v_quats, v_scales, v_opacities, v_colors] = out;
  const tondo::SceneGrads grads{v_means.data(),     v_quats.data(),  v_scales.data(),
                                v_opacities.data(), v_colors.data(), data_or_null(v_viewmats)};
  nb::gil_scoped_release release;
  tondo::scenes_backward(given, batch.states, images.data(), v_images.data(), v_alphas.data(),
                         grads);
}

}  // namespace

void bind_splats(nb::module_& m) {
  m.def("project_forward", &project_forward, "gaussians"_a, "camera"_a, "culling"_a, "out"_a);
  m.def("project_backward", &project_backward, "gaussians"_a, "camera"_a, "eps2d"_a, "radii"_a,
        "grads"_a, "out"_a, "v_viewmat"_a.none());
  m.def("sh_forward", &sh_forward, "degree"_a, "means"_a, "position"_a, "sh"_a, "radii"_a,
        "colors"_a);
  m.def("sh_backward", &sh_backward, "degree"_a, "means"_a, "position"_a, "sh"_a, "radii"_a,
        "colors"_a, "v_colors"_a, "out"_a);

  nb::class_<tondo::Bins>(m, "Bins")
      .def(nb::init<>())
      .def_prop_ro("evaluations", [](const tondo::Bins& b) { return b.evaluations; })
      .def_prop_ro("instances", [](const tondo::Bins& b) { return b.instances.size(); })
      .def_prop_ro("visible", [](const tondo::Bins& b) { return b.order.size(); });
  m.def("bin_splats", &bin_splats, "bins"_a, "splats"_a, "width"_a, "height"_a);
  m.def("rasterize_forward", &rasterize_forward, "bins"_a, "splats"_a, "background"_a.none(),
        "image"_a, "alphas"_a);
  m.def("rasterize_backward", &rasterize_backward, "bins"_a, "splats"_a, "image"_a, "v_image"_a,
        "v_alphas"_a.none(), "out"_a, "v_background"_a.none());
  m.def("median_depth", &median_depth, "bins"_a, "splats"_a, "level"_a, "depth"_a);

  nb::class_<tondo::PlaneScratch>(m, "PlaneScratch").def(nb::init<>());
  m.def("splat_planes_forward", &splat_planes_forward, "gaussians"_a, "camera"_a, "radii"_a,
        "planes"_a);
  m.def("splat_planes_backward", &splat_planes_backward, "gaussians"_a, "camera"_a, "radii"_a,
        "v_planes"_a, "out"_a);
  m.def("depth_normal_loss", &depth_normal_loss, "scratch"_a, "K"_a, "planes"_a, "alphas"_a,
        "v_planes"_a);

  nb::class_<SceneBatch>(m, "SceneBatch").def(nb::init<>());
  m.def("scenes_forward", &scenes_forward, "batch"_a, "scenes"_a, "viewmats"_a, "Ks"_a,
        "near_plane"_a, "eps2d"_a, "images"_a, "alphas"_a);
  m.def("scenes_backward", &scenes_backward, "batch"_a, "scenes"_a, "images"_a, "v_images"_a,
        "v_alphas"_a, "out"_a, "v_viewmats"_a.none());
}
