// Splats as planes: each stands for the plane through its mean across its shortest axis. Summed by
// weight along a pixel's ray they give one plane, whose depth and normal can be compared.
#pragma once
#include <cstdint>
#include <vector>

#include "tondo/splats/project.h"

namespace tondo {

constexpr int kPlane = 4;  // numbers of a plane: unit normal in camera space, distance

// planes [N, 4]: the shortest axis (the first of equally short ones) in camera space, turned towards
// the camera, and -normal . mean >= 0, the camera's distance from the plane; 0 for culled splats.
void splat_planes_forward(int64_t n, const float* means, const float* quats, const float* scales,
                          const PinholeCamera& camera, const int32_t* radii, float* planes);

// v_means [N, 3] and v_quats [N, 4] are added to, for visible splats only.
void splat_planes_backward(int64_t n, const float* means, const float* quats, const float* scales,
                           const PinholeCamera& camera, const int32_t* radii,
                           const float* v_planes, float* v_means, float* v_quats);

// Buffers that live from call to call; sized on use.
struct PlaneScratch {
  std::vector<float> depth;   // [H, W], 0 where the sums give none
  std::vector<float> v_across, v_down;  // [H, W, 3] of the differences of points
  std::vector<double> rows;   // [H] loss of each row
};

// The mean over all pixels of alpha - normal . n, where n is the unit normal of the depths of the
// pixel's four neighbours, over those pixels that have them (Huang et al. 2024, 2D Gaussian
// Splatting, equation 14; depths as in Chen et al. 2024, PGSR, equation 5).
//
// planes [H, W, 4]: sums of splats' planes by weight. alphas [H, W], no gradient. v_planes
// [H, W, 4] is set to the loss's gradient.
double depth_normal_loss(const PinholeCamera& camera, const float* planes, const float* alphas,
                         PlaneScratch& scratch, float* v_planes);

}  // namespace tondo
