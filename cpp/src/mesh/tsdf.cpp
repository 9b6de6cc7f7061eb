#include "tondo/mesh/tsdf.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int kChannels = 6;

struct Sample {
  float depth, weight, r, g, b, color_weight;
};

// A row of voxels (i, j, 0..nz-1) in homogeneous pixel coordinates: p(k) = base + k step.
struct Row {
  float base[3], step[3];
};

// The range [begin, end) of k in which the row may be inside the picture. Each side of the frustum
// is a linear inequality a + k b > 0; one voxel is added at both ends against rounding.
void clip_row(const Row& row, const TsdfView& view, int64_t nz, int64_t* begin, int64_t* end) {
  const float w = static_cast<float>(view.width), h = static_cast<float>(view.height);
  const auto& p = row.base;
  const auto& s = row.step;
  const float a[5] = {p[2], p[0], w * p[2] - p[0], p[1], h * p[2] - p[1]};
  const float b[5] = {s[2], s[0], w * s[2] - s[0], s[1], h * s[2] - s[1]};
  double low = 0.0, high = static_cast<double>(nz);
  for (int n = 0; n < 5; ++n) {
    if (b[n] == 0.0f) {
      if (a[n] < 0.0f) high = low;
      continue;
    }
    const double cut = -static_cast<double>(a[n]) / static_cast<double>(b[n]);
    if (b[n] > 0.0f) {
      low = std::max(low, cut - 1.0);
    } else {
      high = std::min(high, cut + 2.0);
    }
  }
  *begin = static_cast<int64_t>(std::min(low, static_cast<double>(nz)));
  *end = static_cast<int64_t>(std::max(0.0, high));
}

void load(const float* pixel, Sample* s) {
  *s = {pixel[0], pixel[1], pixel[2], pixel[3], pixel[4], pixel[5]};
}

// Bilinear where the four neighbours lie on one surface (depths within `truncation`), otherwise
// the nearest pixel as it is: a mean over an edge would be a depth at which nothing is.
void refine(const TsdfView& view, float u, float v, float truncation, Sample* s) {
  const float x = u - 0.5f, y = v - 0.5f;
  const float fx = std::floor(x), fy = std::floor(y);
  const int64_t last_x = view.width - 1, last_y = view.height - 1;
  const int64_t x0 = std::clamp<int64_t>(static_cast<int64_t>(fx), 0, last_x);
  const int64_t y0 = std::clamp<int64_t>(static_cast<int64_t>(fy), 0, last_y);
  const int64_t x1 = std::clamp<int64_t>(static_cast<int64_t>(fx) + 1, 0, last_x);
  const int64_t y1 = std::clamp<int64_t>(static_cast<int64_t>(fy) + 1, 0, last_y);
  const float* corner[4] = {view.pixels + (y0 * view.width + x0) * kChannels,
                            view.pixels + (y0 * view.width + x1) * kChannels,
                            view.pixels + (y1 * view.width + x0) * kChannels,
                            view.pixels + (y1 * view.width + x1) * kChannels};
  float low = corner[0][0], high = corner[0][0];
  for (int n = 0; n < 4; ++n) {
    if (!(corner[n][1] > 0.0f)) return;
    low = std::min(low, corner[n][0]);
    high = std::max(high, corner[n][0]);
  }
  if (!(low > 0.0f && high - low < truncation)) return;  // infinite depths end here too
  const float ax = x - fx, ay = y - fy;
  const float share[4] = {(1 - ax) * (1 - ay), ax * (1 - ay), (1 - ax) * ay, ax * ay};
  float mean[kChannels] = {};
  for (int n = 0; n < 4; ++n) {
    for (int c = 0; c < kChannels; ++c) mean[c] += share[n] * corner[n][c];
  }
  load(mean, s);
}

void update(float* voxel, int64_t plane, float distance, float truncation, float spacing,
            const Sample& s) {
  float* value = voxel;
  float* weight = voxel + plane;
  if (distance < -truncation) {
    if (*weight == 0.0f) *value = -1.0f;  // behind a surface, and never seen so far
    return;
  }
  // Behind the surface the trust falls to nothing, so that the far side of thin parts survives.
  const float behind = std::min(1.0f, (distance + truncation) / (truncation - spacing));
  const float w = s.weight * behind;
  if (!(w > 0.0f)) return;
  const float target = std::min(1.0f, distance / truncation);
  *weight += w;
  *value += (target - *value) * (w / *weight);
  const float near = std::max(0.0f, 1.0f - std::fabs(distance) / truncation);
  const float cw = s.color_weight * near * near;
  if (!(cw > 0.0f)) return;
  float* color = voxel + 2 * plane;
  float* color_weight = voxel + 5 * plane;
  *color_weight += cw;
  const float share = cw / *color_weight;
  color[0] += (s.r - color[0]) * share;
  color[plane] += (s.g - color[plane]) * share;
  color[2 * plane] += (s.b - color[2 * plane]) * share;
}

void integrate_row(const TsdfVolume& volume, const TsdfView& view, const Row& row, float truncation,
                   float* voxels) {
  const int64_t plane = volume.nx * volume.ny * volume.nz;
  int64_t begin, end;
  clip_row(row, view, volume.nz, &begin, &end);
  end = std::min(end, volume.nz);
  const float w = static_cast<float>(view.width), h = static_cast<float>(view.height);
  for (int64_t k = begin; k < end; ++k) {
    const float t = static_cast<float>(k);
    const float z = row.base[2] + t * row.step[2];
    if (!(z > 0.0f)) continue;
    const float u = (row.base[0] + t * row.step[0]) / z;
    const float v = (row.base[1] + t * row.step[1]) / z;
    if (!(u >= 0.0f && u < w && v >= 0.0f && v < h)) continue;
    const int64_t px = static_cast<int64_t>(u), py = static_cast<int64_t>(v);
    const float* pixel = view.pixels + (py * view.width + px) * kChannels;
    if (!(pixel[0] > 0.0f && pixel[1] > 0.0f)) continue;
    Sample s;
    load(pixel, &s);
    // Only near the surface is it worth to look at the neighbours.
    if (std::fabs(s.depth - z) < 2.0f * truncation) refine(view, u, v, truncation, &s);
    update(voxels + k, plane, s.depth - z, truncation, volume.grid[3], s);
  }
}

}  // namespace

void tsdf_integrate(const TsdfVolume& volume, const TsdfView& view, float truncation) {
  float p[12];  // K [R | t], world to homogeneous pixels
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 4; ++c) {
      p[4 * r + c] = 0.0f;
      for (int n = 0; n < 3; ++n) p[4 * r + c] += view.K[3 * r + n] * view.viewmat[4 * n + c];
    }
  }
  const float* g = volume.grid;
  parallel_for(volume.nx, [&](int64_t i) {
    const float x = g[0] + static_cast<float>(i) * g[3];
    for (int64_t j = 0; j < volume.ny; ++j) {
      const float y = g[1] + static_cast<float>(j) * g[3];
      Row row;
      for (int r = 0; r < 3; ++r) {
        row.base[r] = p[4 * r] * x + p[4 * r + 1] * y + p[4 * r + 2] * g[2] + p[4 * r + 3];
        row.step[r] = p[4 * r + 2] * g[3];
      }
      float* voxels = volume.planes + (i * volume.ny + j) * volume.nz;
      integrate_row(volume, view, row, truncation, voxels);
    }
  });
}

}  // namespace tondo
