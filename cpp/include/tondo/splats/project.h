// Projection of 3D Gaussians to the image plane, and colours from spherical harmonics.
#pragma once
#include <cstdint>

namespace tondo {

struct PinholeCamera {
  float R[9];  // world-to-camera rotation, row-major
  float t[3];
  float fx, fy, cx, cy;
  int width, height;
};

struct ProjectOptions {
  float near_plane = 0.01f;
  float far_plane = 1e10f;
  float radius_clip = 0.0f;
  float eps2d = 0.3f;  // low-pass term added to the diagonal of the 2D covariance, pixels^2
};

// All arrays are contiguous, rows of splats. radii 0 means culled; the other outputs of a culled
// splat are 0.
struct ProjectedOut {
  float* means2d;         // [N, 2] pixels
  float* depths;          // [N] camera z
  float* conics;          // [N, 3] inverse 2D covariance (xx, xy, yy)
  int32_t* radii;         // [N, 2] pixels
  float* compensations;   // [N] or null: sqrt(det before / det after the low-pass term)
};

void project_forward(int64_t n, const float* means, const float* quats, const float* scales,
                     const float* opacities, const PinholeCamera& camera,
                     const ProjectOptions& options, const ProjectedOut& out);

struct ProjectGrads {
  const float* v_means2d;        // [N, 2]
  const float* v_depths;         // [N] or null
  const float* v_conics;         // [N, 3]
  const float* v_compensations;  // [N] or null
};

// v_means is added to (the harmonics may have written into it before); v_quats and v_scales are
// set, for visible splats only. v_viewmat [12] (3x4, row-major) is set if not null.
void project_backward(int64_t n, const float* means, const float* quats, const float* scales,
                      const PinholeCamera& camera, const ProjectOptions& options,
                      const int32_t* radii, const ProjectGrads& grads, float* v_means,
                      float* v_quats, float* v_scales, float* v_viewmat);

// colors [N, 3] = max(0, 0.5 + sum_k sh_k Y_k(normalised(mean - position))) for visible splats.
// sh is [N, stored, 3]; the first (degree + 1)^2 coefficients are used.
void sh_forward(int64_t n, int degree, int stored, const float* means, const float position[3],
                const float* sh, const int32_t* radii, float* colors);

// v_means and v_sh are set for visible splats (harmonics above `degree` get 0).
// v_position [3] is set if not null.
void sh_backward(int64_t n, int degree, int stored, const float* means, const float position[3],
                 const float* sh, const int32_t* radii, const float* colors, const float* v_colors,
                 float* v_means, float* v_sh, float* v_position);

}  // namespace tondo
