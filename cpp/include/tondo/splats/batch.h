// Many small scenes at once, one camera each: what a generator of splats is trained through. The
// scenes run beside each other, one thread each, since one small picture has too few tiles to share.
#pragma once
#include <cstdint>
#include <vector>

#include "tondo/splats/project.h"
#include "tondo/splats/rasterize.h"

namespace tondo {

constexpr int kSceneChannels = 4;  // red, green, blue, depth

struct Scenes {
  int64_t batch, n;             // every scene has n splats
  const float* means;           // [B, N, 3]
  const float* quats;           // [B, N, 4]
  const float* scales;          // [B, N, 3]
  const float* opacities;       // [B, N]
  const float* colors;          // [B, N, 3]
  const PinholeCamera* cameras; // [B], all of one width and height
  ProjectOptions options;
};

// What one scene keeps for its backward pass; its vectors keep their memory.
struct SceneState {
  std::vector<float> means2d, depths, conics, channels;
  std::vector<float> v_means2d, v_depths, v_conics, v_channels;
  std::vector<int32_t> radii;
  Bins bins;
};

// images [B, H, W, 4]: colour and depth, summed by weight, no background; alphas [B, H, W].
void scenes_forward(const Scenes& scenes, std::vector<SceneState>& states, float* images,
                    float* alphas);

struct SceneGrads {
  float* v_means;      // [B, N, 3]
  float* v_quats;      // [B, N, 4]
  float* v_scales;     // [B, N, 3]
  float* v_opacities;  // [B, N]
  float* v_colors;     // [B, N, 3]
  float* v_viewmats;   // [B, 3, 4] or null
};

// All gradients are set, 0 for splats that their camera did not see.
void scenes_backward(const Scenes& scenes, std::vector<SceneState>& states, const float* images,
                     const float* v_images, const float* v_alphas, const SceneGrads& out);

}  // namespace tondo
