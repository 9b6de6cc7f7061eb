// Features from three planes and three lines, multiplied pairwise (Chen et al. 2022, TensoRF,
// equation 8): of axis a, the plane over the two other axes times the line along a.
#pragma once
#include <cstdint>

#include "tondo/fields/hash_grid.h"

namespace tondo {

struct PlaneGrid {
  int cells, features;  // R nodes along a side, at (i + 1/2) / R; C numbers a node, a multiple of 8
  const float* planes;  // [3, R, R, C]: of axis 0 indexed [z, y], of 1 [z, x], of 2 [y, x]
  const float* lines;   // [3, R, C]
};

// features[s * 3 C + a * C + c] of points of the unit cube, interpolated linearly, at the border the
// border's own.
void plane_encode(const PlaneGrid& grid, const Points& points, float* features);

// Adds to the gradients, shaped as planes and lines, what v_features [count, 8] asks for: of the eight
// features from `first` on of one axis. Other features' gradients are not touched.
void plane_encode_backward(const PlaneGrid& grid, int axis, int first, const Points& points,
                           const float* v_features, float* v_planes, float* v_lines);

}  // namespace tondo
