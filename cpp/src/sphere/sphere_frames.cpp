// How the splats on a map of the sphere lie: along the skin that the map's cells make.
#include <algorithm>
#include <cmath>
#include <vector>

#include "sphere_planes.h"
#include "tondo/sphere/sphere_maps.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

struct Vec {
  float x, y, z;
};
Vec scaled(Vec a, float s) { return {s * a.x, s * a.y, s * a.z}; }
Vec crossed(Vec a, Vec b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
float length(Vec a) { return std::sqrt(a.x * a.x + a.y * a.y + a.z * a.z); }

// Unit quaternion with w >= 0 of the rotation whose columns are a, b, c (Shepperd 1978).
void quat_of(Vec a, Vec b, Vec c, float* q) {
  const float xy = b.x + a.y, xz = c.x + a.z, yz = c.y + b.z;
  const float wx = b.z - c.y, wy = c.x - a.z, wz = a.y - b.x;
  const float own[4] = {1 + a.x + b.y + c.z, 1 + a.x - b.y - c.z, 1 - a.x + b.y - c.z,
                        1 - a.x - b.y + c.z};
  const bool first = own[0] >= own[1], second = own[2] >= own[3];
  const bool early = (first ? own[0] : own[1]) >= (second ? own[2] : own[3]);
  const float rows[4][4] = {{own[0], wx, wy, wz},
                            {wx, own[1], xy, xz},
                            {wy, xy, own[2], yz},
                            {wz, xz, yz, own[3]}};
  const float* row = rows[early ? (first ? 0 : 1) : (second ? 2 : 3)];
  const float size =
      std::sqrt(row[0] * row[0] + row[1] * row[1] + row[2] * row[2] + row[3] * row[3]);
  const float by = 1.0f / (row[0] < 0 ? -size : size);
  for (int k = 0; k < 4; ++k) q[k] = row[k] * by;
}

}  // namespace

void sphere_frames(const SphereMaps& maps, const float* grid, float thin, float* quats,
                   float* reach) {
  const int rows = maps.rows, columns = maps.columns, wide = columns + 2;
  const int64_t area = static_cast<int64_t>(rows) * columns;
  parallel_chunks(maps.planes, 1, [&](int64_t begin, int64_t end) {
    const int64_t padded = static_cast<int64_t>(rows + 2) * wide;
    std::vector<float> planes(3 * padded), soft(area), line(wide);
    for (int64_t b = begin; b < end; ++b) {
      for (int k = 0; k < 3; ++k) {  // light must not glitter on ripples
        float* plane = planes.data() + k * padded;
        fill_inside(plane, grid + (3 * b + k) * area, rows, columns);
        for (int twice = 0; twice < 2; ++twice) {
          close_border(plane, rows, columns);
          soften(plane, rows, columns, line.data(), soft.data());
          fill_inside(plane, soft.data(), rows, columns);
        }
        close_border(plane, rows, columns);
      }
      const auto half_way = [&](int64_t at, int64_t step) {
        const float* p = planes.data() + at;
        const float* q = p + padded;
        const float* r = q + padded;
        return Vec{0.5f * (p[step] - p[-step]), 0.5f * (q[step] - q[-step]),
                   0.5f * (r[step] - r[-step])};
      };
      for (int r = 0; r < rows; ++r)
        for (int c = 0; c < columns; ++c) {
          const int64_t at = (r + 1) * wide + c + 1, cell = r * columns + c;
          const Vec south = half_way(at, wide), east = half_way(at, 1);
          const float down = std::max(length(south), 1e-4f), across = std::max(length(east), 1e-4f);
          Vec outward = crossed(south, east);
          outward = scaled(outward, 1.0f / std::max(length(outward), 1e-8f));
          const Vec along = scaled(south, 1.0f / down);
          quat_of(along, crossed(outward, along), outward, quats + 4 * (b * area + cell));
          float* to = reach + 3 * b * area + cell;
          to[0] = down;
          to[area] = across;
          to[2 * area] = thin * std::min(down, across);
        }
    }
  });
}

}  // namespace tondo
