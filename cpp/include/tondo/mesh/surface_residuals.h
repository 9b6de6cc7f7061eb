// What moving a textured mesh's vertices would change of a picture.
// src/tondo/kernels/mesh/surface_residuals_torch.py is the definition.
#pragma once
#include <cstdint>

namespace tondo {

struct TexturedSurface {
  const float* vertices;    // [V, 3]
  const float* directions;  // [V, 3] in which each moves
  const int64_t* faces;     // [F, 3]
  const float* uvs;         // [F, 3, 2]
  const float* image;       // [image_height, image_width, 3] sRGB 0..1
  int64_t image_height, image_width;
};

struct SeenSurface {
  const float* viewmat;  // [4, 4]
  const float* K;        // [3, 3] of the pixels
  const int64_t* face;   // [samples height, samples width], -1 where nothing is
  const float* depth;    // [samples height, samples width]
  int64_t height, width, samples;
};

struct SurfaceTarget {
  const float* colors;   // [height, width, 4] sRGB by coverage, coverage
  const float* weights;  // [height, width]
};

struct ResidualRule {
  float tolerance, edge, flat;
};

// up [V] += how much closer the picture comes to its target as each vertex moves, down [V] += what
// the residuals are to be divided by. Returns the loss.
double surface_residuals(const TexturedSurface& on, const SeenSurface& seen,
                         const SurfaceTarget& target, const ResidualRule& rule, float* up,
                         float* down);

}  // namespace tondo
