#include "tondo/mesh/patch_scores.h"

#include <algorithm>
#include <cmath>

#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int64_t kGrain = 256;  // points
constexpr int64_t kMostSamples = kMostPatchSide * kMostPatchSide;
constexpr int64_t kMostPairs = kMostPatchViews * (kMostPatchViews - 1) / 2;

// A point's patches in the photographs that show it.
struct Patches {
  int64_t photos[kMostPatchViews];
  float centre[kMostPatchViews][3], along[kMostPatchViews][3];  // projected: the point, its normal
  float across[kMostPatchViews][3], down[kMostPatchViews][3];   // and the patch's two axes
  float values[kMostPatchViews][3 * kMostSamples];              // red, then green, then blue
  bool usable[kMostPatchViews];
};

// Two unit vectors at right angles to n and to each other (Duff et al. 2017).
void tangents(const float* n, float* a, float* b) {
  const float sign = std::copysign(1.0f, n[2]);
  const float s = -1.0f / (sign + n[2]), t = n[0] * n[1] * s;
  a[0] = 1.0f + sign * n[0] * n[0] * s, a[1] = sign * t, a[2] = -sign * n[0];
  b[0] = t, b[1] = sign + n[1] * n[1] * s, b[2] = -n[1];
}

void project(const float* m, const float* v, float last, float* out) {
  for (int k = 0; k < 3; ++k)
    out[k] = m[4 * k] * v[0] + m[4 * k + 1] * v[1] + m[4 * k + 2] * v[2] + m[4 * k + 3] * last;
}

// The patch of one photograph, each colour less its mean, all by their length; false where a sample
// is behind the camera or outside of the picture.
bool sample_patch(const PatchPhotos& photos, const PatchRule& rule, float offset, int64_t view,
                  Patches& of) {
  const int64_t photo = of.photos[view], side = rule.side, count = side * side;
  const int64_t width = photos.size[2 * photo], height = photos.size[2 * photo + 1];
  const uint8_t* pixels = photos.pixels + 3 * photos.start[photo];
  float u[kMostSamples], v[kMostSamples];
  const float middle = 0.5f * static_cast<float>(side - 1);
  float origin[3];
  for (int k = 0; k < 3; ++k) origin[k] = of.centre[view][k] + offset * of.along[view][k];
  bool inside = true;
  for (int64_t i = 0; i < count; ++i) {
    const float y = static_cast<float>(i / side) - middle;
    const float x = static_cast<float>(i % side) - middle;
    float p[3];
    for (int k = 0; k < 3; ++k) p[k] = origin[k] + x * of.across[view][k] + y * of.down[view][k];
    u[i] = p[0] / p[2] - 0.5f, v[i] = p[1] / p[2] - 0.5f;
    inside = inside && p[2] > 0 && u[i] >= 0 && v[i] >= 0 &&
             u[i] < static_cast<float>(width - 1) && v[i] < static_cast<float>(height - 1);
  }
  if (!inside) return false;
  float* values = of.values[view];
  for (int64_t i = 0; i < count; ++i) {
    const int64_t left = static_cast<int64_t>(u[i]), top = static_cast<int64_t>(v[i]);
    const float fx = u[i] - static_cast<float>(left), fy = v[i] - static_cast<float>(top);
    const uint8_t* a = pixels + 3 * (top * width + left);
    const uint8_t* b = a + 3 * width;
    const float w[4] = {(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy};
    for (int k = 0; k < 3; ++k)
      values[k * count + i] = w[0] * static_cast<float>(a[k]) + w[1] * static_cast<float>(a[3 + k]) +
                              w[2] * static_cast<float>(b[k]) + w[3] * static_cast<float>(b[3 + k]);
  }
  float squares = 0;
  for (int k = 0; k < 3; ++k) {
    float* colour = values + k * count;
    float sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += colour[i];
    const float mean = sum / static_cast<float>(count);
    for (int64_t i = 0; i < count; ++i) colour[i] -= mean, squares += colour[i] * colour[i];
  }
  const float floor = 3.0f * static_cast<float>(count) * rule.noise * rule.noise;
  const float scale = 1.0f / std::sqrt(squares + floor);
  for (int64_t i = 0; i < 3 * count; ++i) values[i] *= scale;
  return true;
}

// The mean of the best pairs of the patches that are usable.
float agreement(const Patches& of, int64_t views, int64_t length, float keep) {
  float pairs[kMostPairs];
  int64_t count = 0;
  for (int64_t i = 0; i < views; ++i)
    for (int64_t j = 0; j < i; ++j) {
      if (!of.usable[i] || !of.usable[j]) continue;
      float parts[8] = {};
      int64_t k = 0;
      for (; k + 8 <= length; k += 8)
        for (int l = 0; l < 8; ++l) parts[l] += of.values[i][k + l] * of.values[j][k + l];
      for (; k < length; ++k) parts[0] += of.values[i][k] * of.values[j][k];
      float sum = 0;
      for (int l = 0; l < 8; ++l) sum += parts[l];
      pairs[count++] = sum;
    }
  if (count == 0) return 0;
  const auto kept = std::max<int64_t>(1, std::llround(keep * static_cast<float>(count)));
  std::sort(pairs, pairs + count);
  float total = 0;
  for (int64_t i = count - kept; i < count; ++i) total += pairs[i];
  return total / static_cast<float>(kept);
}

void score_point(const PatchPoints& at, const PatchPhotos& photos, const PatchRule& rule,
                 int64_t hypotheses, int64_t i, Patches& of, float* scores) {
  const float* n = at.normals + 3 * i;
  float a[3], b[3];
  tangents(n, a, b);
  int64_t views = 0;
  for (int64_t k = 0; k < at.most; ++k) {
    const int64_t photo = at.views[i * at.most + k];
    if (photo < 0) continue;
    const float* m = photos.projection + 12 * photo;
    of.photos[views] = photo;
    project(m, at.points + 3 * i, 1, of.centre[views]);
    project(m, n, 0, of.along[views]);
    project(m, a, 0, of.across[views]);
    project(m, b, 0, of.down[views]);
    for (int k3 = 0; k3 < 3; ++k3) {
      of.across[views][k3] *= at.spacing[i];
      of.down[views][k3] *= at.spacing[i];
    }
    ++views;
  }
  const float middle = 0.5f * static_cast<float>(hypotheses - 1);
  for (int64_t h = 0; h < hypotheses; ++h) {
    const float offset = (static_cast<float>(h) - middle) * at.step[i];
    for (int64_t view = 0; view < views; ++view)
      of.usable[view] = sample_patch(photos, rule, offset, view, of);
    scores[i * hypotheses + h] = agreement(of, views, 3 * rule.side * rule.side, rule.keep);
  }
}

}  // namespace

void patch_scores(const PatchPoints& at, const PatchPhotos& photos, const PatchRule& rule,
                  int64_t hypotheses, float* scores) {
  parallel_chunks(at.count, kGrain, [&](int64_t begin, int64_t end) {
    Patches of;
    for (int64_t i = begin; i < end; ++i)
      score_point(at, photos, rule, hypotheses, i, of, scores);
  });
}

}  // namespace tondo
