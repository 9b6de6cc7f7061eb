#include "tondo/mesh/mesh_depth.h"

#include <algorithm>
#include <cmath>

#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int64_t kBandRows = 32;

// First and last pixel centre between two coordinates, kept to [least, most].
int64_t first_centre(float from, int64_t least) {
  return std::max(least, static_cast<int64_t>(std::ceil(from - 0.5f)));
}
int64_t last_centre(float to, int64_t most) {
  return std::min(most, static_cast<int64_t>(std::floor(to - 0.5f)));
}

// Corners (u, v, z) of one face; draws its pixels in rows [top, bottom).
void draw(const float* a, const float* b, const float* c, int64_t index, int width, int64_t top,
          int64_t bottom, float* depth, int64_t* face) {
  const float w = static_cast<float>(width);
  const float ft = static_cast<float>(top), fb = static_cast<float>(bottom);
  const int64_t x0 = first_centre(std::max(0.0f, std::min({a[0], b[0], c[0]})), 0);
  const int64_t x1 = last_centre(std::min(w, std::max({a[0], b[0], c[0]})), width - 1);
  const int64_t y0 = first_centre(std::max(ft, std::min({a[1], b[1], c[1]})), top);
  const int64_t y1 = last_centre(std::min(fb, std::max({a[1], b[1], c[1]})), bottom - 1);
  const double bx = static_cast<double>(b[0]) - a[0], by = static_cast<double>(b[1]) - a[1];
  const double cx = static_cast<double>(c[0]) - a[0], cy = static_cast<double>(c[1]) - a[1];
  const double area = bx * cy - by * cx;
  if (!(std::fabs(area) > 0.0)) return;
  // 1/z, unlike z, is linear over the picture.
  const double near_a = 1.0 / a[2], near_b = 1.0 / b[2], near_c = 1.0 / c[2];
  for (int64_t y = y0; y <= y1; ++y) {
    const double py = static_cast<double>(y) + 0.5 - a[1];
    for (int64_t x = x0; x <= x1; ++x) {
      const double px = static_cast<double>(x) + 0.5 - a[0];
      const double of_b = (px * cy - py * cx) / area, of_c = (bx * py - by * px) / area;
      const double of_a = 1.0 - of_b - of_c;
      if (of_a < 0.0 || of_b < 0.0 || of_c < 0.0) continue;
      const float z = static_cast<float>(1.0 / (of_a * near_a + of_b * near_b + of_c * near_c));
      const int64_t at = y * width + x;
      if (face[at] >= 0 && !(z < depth[at])) continue;
      depth[at] = z;
      face[at] = index;
    }
  }
}

}  // namespace

void mesh_depth(const float* vertices, const int64_t* faces, int64_t count, float near, int width,
                int height, float* depth, int64_t* face) {
  const int64_t bands = (height + kBandRows - 1) / kBandRows;
  parallel_for(bands, [&](int64_t band) {
    const int64_t top = band * kBandRows, bottom = std::min<int64_t>(height, top + kBandRows);
    std::fill(depth + top * width, depth + bottom * width, 0.0f);
    std::fill(face + top * width, face + bottom * width, int64_t{-1});
    for (int64_t f = 0; f < count; ++f) {
      const float* a = vertices + 3 * faces[3 * f];
      const float* b = vertices + 3 * faces[3 * f + 1];
      const float* c = vertices + 3 * faces[3 * f + 2];
      if (!(std::min({a[2], b[2], c[2]}) > near)) continue;
      const float up = std::min({a[1], b[1], c[1]}), down = std::max({a[1], b[1], c[1]});
      if (!(down > static_cast<float>(top) && up < static_cast<float>(bottom))) continue;
      draw(a, b, c, f, width, top, bottom, depth, face);
    }
  });
}

}  // namespace tondo
