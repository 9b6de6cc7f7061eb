// How well photographs agree about places along the normals of a surface.
// src/tondo/kernels/mesh/patch_scores_torch.py is the definition.
#pragma once
#include <cstdint>

namespace tondo {

struct PatchPoints {
  const float* points;    // [V, 3]
  const float* normals;   // [V, 3] unit vectors
  const float* spacing;   // [V] between the samples of a patch
  const float* step;      // [V] between hypotheses
  const int32_t* views;   // [V, K] photographs that show the point, -1 where there are no more
  int64_t count;          // V
  int64_t most;           // K
};

struct PatchPhotos {
  const uint8_t* pixels;    // [T, 3] sRGB, one photograph after the other
  const int64_t* start;     // [P] the first pixel of each
  const int64_t* size;      // [P, 2] width, height
  const float* projection;  // [P, 3, 4] K [R | t]
};

struct PatchRule {
  int64_t side;  // samples along each side of a patch, 2 to kMostPatchSide
  float noise;   // 0..255, of a sample: patches with no more contrast say nothing
  float keep;    // share of the pairs of photographs that counts
};

constexpr int64_t kMostPatchSide = 9, kMostPatchViews = 16;

// scores [V, hypotheses]: the mean correlation of the best pairs of patches; 0 with less than two.
void patch_scores(const PatchPoints& at, const PatchPhotos& photos, const PatchRule& rule,
                  int64_t hypotheses, float* scores);

}  // namespace tondo
