// Pictures of fields on three planes (Chan et al. 2022): rays are marched through the unit sphere,
// features of the planes are averaged and decoded to density and colour, and composited. The torch
// twin, kernels/fields/tri_planes_torch.py, is the definition.
#pragma once
#include <cstdint>

namespace tondo {

constexpr int kPlaneFeatures = 8;     // one vector: channels of a plane
constexpr int kPlaneMostHidden = 64;  // of the decoder
constexpr int kPlaneMostGroups = 16;  // of 8 samples of a ray

struct TriPlanes {
  int64_t batch, rays;
  int cells, hidden, samples;  // samples: a multiple of 8
  const float* maps;           // [B, 3, R, R, 8]
  const float *w1, *b1;        // [hidden, 8], [hidden]
  const float *w2, *b2;        // [4, hidden], [4]
  const float* origins;        // [B, 3]
  const float* directions;     // [B, P, 3], camera z 1
  const float* shifts;         // [P] of the first sample, in steps
  float density, radius, edge;
};

// images [B, P, 4]: colour and depth, summed by weight, no background; alphas [B, P].
void tri_planes_forward(const TriPlanes& planes, float* images, float* alphas);

struct TriPlaneGrads {
  float* v_maps;         // [B, 3, R, R, 8]
  float *v_w1, *v_b1;    // as w1, b1
  float *v_w2, *v_b2;
};

// All gradients are set; none of the rays.
void tri_planes_backward(const TriPlanes& planes, const float* v_images, const float* v_alphas,
                         const TriPlaneGrads& out);

}  // namespace tondo
