#include "tondo/splats/batch.h"

#include <algorithm>

#include "tondo/core/threads.h"

namespace tondo {
namespace {

SplatsOnScreen on_screen(const Scenes& s, const SceneState& state, int64_t scene) {
  return {s.n,
          state.means2d.data(),
          state.conics.data(),
          state.depths.data(),
          state.radii.data(),
          s.opacities + scene * s.n,
          state.channels.data(),
          kSceneChannels};
}

void forward_one(const Scenes& s, SceneState& state, int64_t scene, float* image, float* alphas) {
  const size_t n = static_cast<size_t>(s.n);
  const PinholeCamera& camera = s.cameras[scene];
  state.means2d.resize(2 * n);
  state.depths.resize(n);
  state.conics.resize(3 * n);
  state.radii.resize(2 * n);
  state.channels.resize(kSceneChannels * n);
  project_forward(s.n, s.means + 3 * scene * s.n, s.quats + 4 * scene * s.n,
                  s.scales + 3 * scene * s.n, s.opacities + scene * s.n, camera, s.options,
                  {state.means2d.data(), state.depths.data(), state.conics.data(),
                   state.radii.data(), nullptr});
  const float* colors = s.colors + 3 * scene * s.n;
  for (size_t i = 0; i < n; ++i) {
    for (int c = 0; c < 3; ++c) state.channels[kSceneChannels * i + c] = colors[3 * i + c];
    state.channels[kSceneChannels * i + 3] = state.depths[i];
  }
  const SplatsOnScreen splats = on_screen(s, state, scene);
  bin_splats(splats, camera.width, camera.height, state.bins);
  rasterize_forward(splats, nullptr, state.bins, image, alphas);
}

void backward_one(const Scenes& s, SceneState& state, int64_t scene, const float* image,
                  const float* v_image, const float* v_alphas, const SceneGrads& out) {
  const size_t n = static_cast<size_t>(s.n);
  state.v_means2d.resize(2 * n);
  state.v_depths.resize(n);
  state.v_conics.resize(3 * n);
  state.v_channels.resize(kSceneChannels * n);
  rasterize_backward(on_screen(s, state, scene), state.bins, image, v_image, v_alphas,
                     {state.v_means2d.data(), state.v_conics.data(),
                      out.v_opacities + scene * s.n, state.v_channels.data()},
                     nullptr);
  float* v_colors = out.v_colors + 3 * scene * s.n;
  for (size_t i = 0; i < n; ++i) {
    for (int c = 0; c < 3; ++c) v_colors[3 * i + c] = state.v_channels[kSceneChannels * i + c];
    state.v_depths[i] = state.v_channels[kSceneChannels * i + 3];
  }
  float* v_means = out.v_means + 3 * scene * s.n;
  float* v_quats = out.v_quats + 4 * scene * s.n;
  float* v_scales = out.v_scales + 3 * scene * s.n;
  std::fill_n(v_means, 3 * n, 0.0f);
  std::fill_n(v_quats, 4 * n, 0.0f);
  std::fill_n(v_scales, 3 * n, 0.0f);
  project_backward(s.n, s.means + 3 * scene * s.n, s.quats + 4 * scene * s.n,
                   s.scales + 3 * scene * s.n, s.cameras[scene], s.options, state.radii.data(),
                   {state.v_means2d.data(), state.v_depths.data(), state.v_conics.data(), nullptr},
                   v_means, v_quats, v_scales,
                   out.v_viewmats ? out.v_viewmats + 12 * scene : nullptr);
}

}  // namespace

void scenes_forward(const Scenes& scenes, std::vector<SceneState>& states, float* images,
                    float* alphas) {
  states.resize(static_cast<size_t>(scenes.batch));
  if (!scenes.batch) return;
  const int64_t pixels = int64_t{scenes.cameras[0].width} * scenes.cameras[0].height;
  parallel_for(scenes.batch, [&](int64_t b) {
    forward_one(scenes, states[b], b, images + kSceneChannels * pixels * b, alphas + pixels * b);
  });
}

void scenes_backward(const Scenes& scenes, std::vector<SceneState>& states, const float* images,
                     const float* v_images, const float* v_alphas, const SceneGrads& out) {
  if (!scenes.batch) return;
  const int64_t pixels = int64_t{scenes.cameras[0].width} * scenes.cameras[0].height;
  parallel_for(scenes.batch, [&](int64_t b) {
    const int64_t at = kSceneChannels * pixels * b;
    backward_one(scenes, states[b], b, images + at, v_images + at, v_alphas + pixels * b, out);
  });
}

}  // namespace tondo
