#include "tondo/mesh/gather_view.h"

#include <algorithm>
#include <cmath>

#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int64_t kGrain = 4096;  // points

// Colour 0..255 of an image at pixel coordinates, bilinear, the border repeated.
void bilinear(const ViewMaps& view, float u, float v, float out[3]) {
  const float x = std::clamp(u - 0.5f, 0.0f, static_cast<float>(view.width - 1));
  const float y = std::clamp(v - 0.5f, 0.0f, static_cast<float>(view.height - 1));
  const int64_t left = std::min(static_cast<int64_t>(x), std::max<int64_t>(0, view.width - 2));
  const int64_t top = std::min(static_cast<int64_t>(y), std::max<int64_t>(0, view.height - 2));
  const float fx = x - static_cast<float>(left), fy = y - static_cast<float>(top);
  const int64_t right = std::min(left + 1, view.width - 1);
  const int64_t below = std::min(top + 1, view.height - 1);
  const uint8_t* a = view.image + 3 * (top * view.width + left);
  const uint8_t* b = view.image + 3 * (top * view.width + right);
  const uint8_t* c = view.image + 3 * (below * view.width + left);
  const uint8_t* d = view.image + 3 * (below * view.width + right);
  for (int k = 0; k < 3; ++k) {
    const float upper = static_cast<float>(a[k]) * (1 - fx) + static_cast<float>(b[k]) * fx;
    const float lower = static_cast<float>(c[k]) * (1 - fx) + static_cast<float>(d[k]) * fx;
    out[k] = upper * (1 - fy) + lower * fy;
  }
}

void gather_point(const SurfacePoints& surface, const ViewMaps& view, const GatherRule& rule,
                  const float* eye, int64_t i, const float* mean, float* total, float* weights) {
  const float* p = surface.points + 3 * i;
  const float* n = surface.normals + 3 * i;
  const float* m = view.viewmat;
  const float z = m[8] * p[0] + m[9] * p[1] + m[10] * p[2] + m[11];
  if (!(z > 0)) return;
  const float x = m[0] * p[0] + m[1] * p[1] + m[2] * p[2] + m[3];
  const float y = m[4] * p[0] + m[5] * p[1] + m[6] * p[2] + m[7];
  const float* K = view.K;
  const float u = (K[0] * x + K[1] * y + K[2] * z) / z, v = (K[3] * x + K[4] * y + K[5] * z) / z;
  const float w = static_cast<float>(view.width), h = static_cast<float>(view.height);
  if (!(u >= 0 && v >= 0 && u < w && v < h)) return;
  const float to[3] = {eye[0] - p[0], eye[1] - p[1], eye[2] - p[2]};
  const float length = std::sqrt(to[0] * to[0] + to[1] * to[1] + to[2] * to[2]);
  const float cosine = (to[0] * n[0] + to[1] * n[1] + to[2] * n[2]) / std::max(length, 1e-30f);
  if (!(cosine > 0)) return;
  const int64_t column = static_cast<int64_t>(u), row = static_cast<int64_t>(v);
  const uint8_t use = view.use[row * view.width + column];
  if (use == 0) return;
  const float scale = static_cast<float>(view.scale);
  const int64_t fine = view.scale * view.width;
  const float depth =
      view.front[static_cast<int64_t>(v * scale) * fine + static_cast<int64_t>(u * scale)];
  const float pixel = z / K[0];
  const float slope =
      std::sqrt(std::max(0.0f, 1 - cosine * cosine)) / std::max(cosine, rule.flat);
  if (!(depth > 0 && std::fabs(z - depth) < pixel * (rule.slack + slope / scale))) return;
  float raw[3], color[3];
  bilinear(view, u, v, raw);
  for (int k = 0; k < 3; ++k) {
    const float* e = view.unexposed + 4 * k;
    color[k] = std::clamp((e[0] * raw[0] + e[1] * raw[1] + e[2] * raw[2]) / 255.0f + e[3], 0.0f,
                          1.0f);
  }
  float weight = rule.weight * std::pow(cosine / pixel, rule.power);
  if (use < 2 || !(cosine > rule.flat)) weight *= rule.faint;
  if (mean != nullptr) {
    float off = 0;
    for (int k = 0; k < 3; ++k)
      off += (color[k] - mean[3 * i + k]) * (color[k] - mean[3 * i + k]) / 3;
    weight *= std::max(std::exp(-0.5f * off / (rule.tolerance * rule.tolerance)), rule.faint);
  }
  for (int k = 0; k < 3; ++k) total[3 * i + k] += weight * color[k];
  weights[i] += weight;
}

}  // namespace

void gather_view(const SurfacePoints& surface, const ViewMaps& view, const GatherRule& rule,
                 const float* mean, float* total, float* weights) {
  const float* m = view.viewmat;
  float eye[3];
  for (int k = 0; k < 3; ++k) eye[k] = -(m[k] * m[3] + m[4 + k] * m[7] + m[8 + k] * m[11]);
  parallel_chunks(surface.count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      if (surface.facing[surface.face[i]] != 0)
        gather_point(surface, view, rule, eye, i, mean, total, weights);
  });
}

}  // namespace tondo
