#include "tondo/fields/plane_grid.h"

#include <algorithm>
#include <cmath>

#include "tondo/core/simd.h"

namespace tondo {
namespace {

// Two neighbouring nodes and the share of the second.
struct Between {
  int64_t first, second;
  float share;
};

TONDO_INLINE Between between(int cells, float u) {
  const float last = static_cast<float>(cells - 1);
  const float x = std::min(std::max(u * static_cast<float>(cells) - 0.5f, 0.0f), last);
  const float first = std::min(std::floor(x), std::max(last - 1.0f, 0.0f));
  const int64_t i = static_cast<int64_t>(first);
  return {i, std::min<int64_t>(i + 1, cells - 1), x - first};
}

// Where one point is on the plane and on the line of an axis.
struct Place {
  int64_t at[4];  // nodes of the plane
  float weight[4];
  Between line;
};

TONDO_INLINE Place place_of(const PlaneGrid& grid, int axis, const Points& p, int64_t s) {
  const float u[3] = {p.x[s], p.y[s], p.z[s]};
  const int across = axis == 0 ? 1 : 0, down = axis == 2 ? 1 : 2;
  const Between a = between(grid.cells, u[across]), d = between(grid.cells, u[down]);
  Place out;
  out.line = between(grid.cells, u[axis]);
  for (int k = 0; k < 4; ++k) {
    const int64_t row = k & 2 ? d.second : d.first, column = k & 1 ? a.second : a.first;
    out.at[k] = row * grid.cells + column;
    out.weight[k] = (k & 2 ? d.share : 1.0f - d.share) * (k & 1 ? a.share : 1.0f - a.share);
  }
  return out;
}

}  // namespace

void plane_encode(const PlaneGrid& grid, const Points& points, float* features) {
  const int64_t C = grid.features, R = grid.cells;
  for (int axis = 0; axis < 3; ++axis) {
    const float* plane = grid.planes + axis * R * R * C;
    const float* line = grid.lines + axis * R * C;
    for (int64_t s = 0; s < points.count; ++s) {
      const Place at = place_of(grid, axis, points, s);
      float* out = features + (s * 3 + axis) * C;
      for (int64_t c = 0; c < C; c += 8) {
        f8 on_plane = splat8(0);
        for (int k = 0; k < 4; ++k) on_plane += at.weight[k] * load8(plane + at.at[k] * C + c);
        const f8 on_line = (1.0f - at.line.share) * load8(line + at.line.first * C + c) +
                           at.line.share * load8(line + at.line.second * C + c);
        store8(out + c, on_plane * on_line);
      }
    }
  }
}

void plane_encode_backward(const PlaneGrid& grid, int axis, int first, const Points& points,
                           const float* v_features, float* v_planes, float* v_lines) {
  const int64_t C = grid.features, R = grid.cells;
  const int64_t of_plane = axis * R * R * C + first, of_line = axis * R * C + first;
  const float *plane = grid.planes + of_plane, *line = grid.lines + of_line;
  float *v_plane = v_planes + of_plane, *v_line = v_lines + of_line;
  for (int64_t s = 0; s < points.count; ++s) {
    const Place at = place_of(grid, axis, points, s);
    const f8 v = load8(v_features + s * 8);
    f8 on_plane = splat8(0);
    for (int k = 0; k < 4; ++k) on_plane += at.weight[k] * load8(plane + at.at[k] * C);
    const int64_t ends[2] = {at.line.first * C, at.line.second * C};
    const float shares[2] = {1.0f - at.line.share, at.line.share};
    f8 on_line = splat8(0);
    for (int k = 0; k < 2; ++k) on_line += shares[k] * load8(line + ends[k]);
    for (int k = 0; k < 2; ++k)
      store8(v_line + ends[k], load8(v_line + ends[k]) + shares[k] * v * on_plane);
    for (int k = 0; k < 4; ++k) {
      float* to = v_plane + at.at[k] * C;
      store8(to, load8(to) + at.weight[k] * v * on_line);
    }
  }
}

}  // namespace tondo
