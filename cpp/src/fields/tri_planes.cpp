#include "tondo/fields/tri_planes.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tondo/core/simd.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int kFeatures = kPlaneFeatures;
constexpr float kLog2e = 1.44269504088896341f, kLn2 = 0.693147180559945309f;
constexpr float kLeak = 0.2f, kGain = 1.41421356237309505f;
constexpr float kSharp = 4.0f, kVivid = 2.0f;  // gains of the raw density and colours
constexpr float kDark = 1e-5f;                 // light left at which a ray ends

// Eight samples of a ray, one a lane.
struct Group {
  f8 depth;
  int32_t base[3][8];      // node of each plane: row * cells + column
  float right[3][8], down[3][8];  // shares of the next column and row
  f8 feature[kFeatures];
  f8 hidden[kPlaneMostHidden];  // before the leaky ReLU
  f8 x;                         // softplus(x) is the density in units of `density`
  f8 keep;                      // exp(-optical)
  f8 color[3];
};

struct Ray {
  float o[3], d[3], near, step, length;  // step in depth; length of a step in space
};

TONDO_INLINE f8 exp8(f8 a) {
  return exp2_8(min8(max8(a * kLog2e, splat8(-126.0f)), splat8(126.0f)));
}

// log(1 + a) for a >= 0; for small a by its own series.
TONDO_INLINE f8 log1p8(f8 a) {
  const f8 series = a * (1.0f - a * (0.5f - a * (1.0f / 3.0f)));
  return select8(a < 1e-3f, series, log2_8(a + 1.0f) * kLn2);
}

TONDO_INLINE f8 sigmoid8(f8 a) { return 1.0f / (1.0f + exp8(-a)); }
TONDO_INLINE f8 softplus8(f8 a) { return max8(a, splat8(0)) + log1p8(exp8(-abs8(a))); }

TONDO_INLINE void transpose8(f8 v[8]) {
  float rows[8][8];
  for (int i = 0; i < 8; ++i) store8(rows[i], v[i]);
  for (int i = 0; i < 8; ++i)
    v[i] = f8{rows[0][i], rows[1][i], rows[2][i], rows[3][i],
              rows[4][i], rows[5][i], rows[6][i], rows[7][i]};
}

// False where the ray misses the unit sphere.
bool aim(const TriPlanes& t, int64_t b, int64_t p, Ray& ray) {
  float a = 0, along = 0, off = 0;
  for (int k = 0; k < 3; ++k) {
    ray.o[k] = t.origins[3 * b + k];
    ray.d[k] = t.directions[3 * (b * t.rays + p) + k];
    a += ray.d[k] * ray.d[k];
    along += ray.d[k] * ray.o[k];
  }
  const float middle = -along / a;
  for (int k = 0; k < 3; ++k) {
    const float nearest = ray.o[k] + ray.d[k] * middle;
    off += nearest * nearest;
  }
  if (!(off < 1)) return false;
  const float half = std::sqrt((1.0f - off) / a);
  ray.near = middle - half;
  ray.step = 2 * half / static_cast<float>(t.samples);
  ray.length = ray.step * std::sqrt(a);
  return true;
}

// Where the samples lie on the planes xy, xz and zy: columns by the first, rows by the second.
void place(const TriPlanes& t, const f8 point[3], Group& g) {
  static constexpr int across[3] = {0, 0, 2}, down[3] = {1, 2, 1};
  const float cells = static_cast<float>(t.cells);
  f8 node[3], share[3];
  for (int k = 0; k < 3; ++k) {
    const f8 at = (point[k] * 0.5f + 0.5f) * cells - 0.5f;
    const f8 held = min8(max8(at, splat8(0)), splat8(cells - 1.0f));
    node[k] = min8(floor8(held), splat8(cells - 2.0f));
    share[k] = held - node[k];
  }
  for (int plane = 0; plane < 3; ++plane) {
    const i8 base = __builtin_convertvector(node[down[plane]] * cells + node[across[plane]], i8);
    std::memcpy(g.base[plane], &base, sizeof(base));
    store8(g.right[plane], share[across[plane]]);
    store8(g.down[plane], share[down[plane]]);
  }
}

TONDO_INLINE void corners(const Group& g, int plane, int lane, float weight[4]) {
  const float x = g.right[plane][lane], y = g.down[plane][lane];
  weight[0] = (1 - y) * (1 - x);
  weight[1] = (1 - y) * x;
  weight[2] = y * (1 - x);
  weight[3] = y * x;
}

void look(const TriPlanes& t, const float* maps, Group& g) {
  const int64_t row = int64_t{t.cells} * kFeatures, whole = row * t.cells;
  for (int lane = 0; lane < 8; ++lane) {
    f8 sum = splat8(0);
    for (int plane = 0; plane < 3; ++plane) {
      const float* at = maps + plane * whole + int64_t{g.base[plane][lane]} * kFeatures;
      float weight[4];
      corners(g, plane, lane, weight);
      sum += weight[0] * load8(at) + weight[1] * load8(at + kFeatures) +
             weight[2] * load8(at + row) + weight[3] * load8(at + row + kFeatures);
    }
    g.feature[lane] = sum * (1.0f / 3.0f);
  }
  transpose8(g.feature);
}

TONDO_INLINE f8 leaky8(f8 a) { return kGain * max8(a, kLeak * a); }

void decode(const TriPlanes& t, const Ray& ray, f8 squared, Group& g) {
  f8 raw[4];
  for (int c = 0; c < 4; ++c) raw[c] = splat8(t.b2[c]);
  for (int j = 0; j < t.hidden; ++j) {
    const float* weights = t.w1 + j * kFeatures;
    f8 sum = splat8(t.b1[j]);
    for (int k = 0; k < kFeatures; ++k) sum += weights[k] * g.feature[k];
    g.hidden[j] = sum;
    const f8 active = leaky8(sum);
    for (int c = 0; c < 4; ++c) raw[c] += t.w2[c * t.hidden + j] * active;
  }
  g.x = kSharp * raw[0] + t.edge * (t.radius - sqrt8(squared));
  g.keep = exp8(-(t.density * ray.length) * softplus8(g.x));
  for (int c = 0; c < 3; ++c) g.color[c] = sigmoid8(kVivid * raw[c + 1]);
}

// Fills groups until the light is gone; `weights` of all their samples, and how many groups.
int march(const TriPlanes& t, const float* maps, const Ray& ray, float shift, Group* groups,
          float* weights, float* left) {
  const f8 lanes = {0, 1, 2, 3, 4, 5, 6, 7};
  float light = 1.0f;
  int count = 0;
  while (8 * count < t.samples && light > kDark) {
    Group& g = groups[count];
    g.depth = ray.near + ray.step * (lanes + (static_cast<float>(8 * count) + shift));
    f8 point[3], squared = splat8(0);
    for (int k = 0; k < 3; ++k) {
      point[k] = ray.o[k] + ray.d[k] * g.depth;
      squared += point[k] * point[k];
    }
    place(t, point, g);
    look(t, maps, g);
    decode(t, ray, squared, g);
    for (int lane = 0; lane < 8; ++lane) {
      const float keep = g.keep[lane];
      weights[8 * count + lane] = light * (1.0f - keep);
      light *= keep;
      left[8 * count + lane] = light;
    }
    ++count;
  }
  return count;
}

// Sums of gradients of the decoder, a lane for each sample of a group.
struct DecoderSums {
  std::vector<f8> w1, b1, w2;
  f8 b2[4];
  explicit DecoderSums(int hidden)
      : w1(static_cast<size_t>(hidden) * kFeatures, splat8(0)),
        b1(static_cast<size_t>(hidden), splat8(0)),
        w2(4 * static_cast<size_t>(hidden), splat8(0)),
        b2{splat8(0), splat8(0), splat8(0), splat8(0)} {}
};

void scatter(const TriPlanes& t, f8 v_feature[kFeatures], const Group& g, float* v_maps) {
  const int64_t row = int64_t{t.cells} * kFeatures, whole = row * t.cells;
  transpose8(v_feature);
  for (int lane = 0; lane < 8; ++lane) {
    const f8 v = v_feature[lane] * (1.0f / 3.0f);
    for (int plane = 0; plane < 3; ++plane) {
      float* to = v_maps + plane * whole + int64_t{g.base[plane][lane]} * kFeatures;
      float weight[4];
      corners(g, plane, lane, weight);
      store8(to, load8(to) + weight[0] * v);
      store8(to + kFeatures, load8(to + kFeatures) + weight[1] * v);
      store8(to + row, load8(to + row) + weight[2] * v);
      store8(to + row + kFeatures, load8(to + row + kFeatures) + weight[3] * v);
    }
  }
}

void decode_backward(const TriPlanes& t, const f8 v_raw[4], Group& g, DecoderSums& sums,
                     float* v_maps) {
  f8 v_feature[kFeatures];
  for (int k = 0; k < kFeatures; ++k) v_feature[k] = splat8(0);
  for (int c = 0; c < 4; ++c) sums.b2[c] += v_raw[c];
  for (int j = 0; j < t.hidden; ++j) {
    const f8 before = g.hidden[j], active = leaky8(before);
    f8 v = splat8(0);
    for (int c = 0; c < 4; ++c) {
      v += t.w2[c * t.hidden + j] * v_raw[c];
      sums.w2[c * t.hidden + j] += v_raw[c] * active;
    }
    v *= select8(before > 0.0f, splat8(kGain), splat8(kGain * kLeak));
    sums.b1[j] += v;
    const float* weights = t.w1 + j * kFeatures;
    for (int k = 0; k < kFeatures; ++k) {
      sums.w1[j * kFeatures + k] += v * g.feature[k];
      v_feature[k] += weights[k] * v;
    }
  }
  scatter(t, v_feature, g, v_maps);
}

void ray_backward(const TriPlanes& t, const Ray& ray, int count, Group* groups,
                  const float* weights, const float* left, const float* v_image, float v_alpha,
                  DecoderSums& sums, float* v_maps) {
  float behind = 0;  // of the samples further on: weight times gradient
  for (int i = count - 1; i >= 0; --i) {
    Group& g = groups[i];
    f8 gain = v_alpha + v_image[3] * g.depth;
    for (int c = 0; c < 3; ++c) gain += v_image[c] * g.color[c];
    f8 v_optical;
    for (int lane = 7; lane >= 0; --lane) {
      const int s = 8 * i + lane;
      v_optical[lane] = left[s] * gain[lane] - behind;
      behind += weights[s] * gain[lane];
    }
    const f8 weight = load8(weights + 8 * i);
    f8 v_raw[4];
    v_raw[0] = v_optical * sigmoid8(g.x) * (kSharp * t.density * ray.length);
    for (int c = 0; c < 3; ++c)
      v_raw[c + 1] = weight * v_image[c] * kVivid * g.color[c] * (1.0f - g.color[c]);
    decode_backward(t, v_raw, g, sums, v_maps);
  }
}

void add_sums(const std::vector<f8>& from, float* to) {
  for (size_t i = 0; i < from.size(); ++i) to[i] += sum8(from[i]);
}

}  // namespace

void tri_planes_forward(const TriPlanes& t, float* images, float* alphas) {
  parallel_for(t.batch, [&](int64_t b) {
    const float* maps = t.maps + b * 3 * t.cells * t.cells * kFeatures;
    std::vector<Group> groups(static_cast<size_t>(t.samples / 8));
    float weights[8 * kPlaneMostGroups], left[8 * kPlaneMostGroups];
    Ray ray;
    for (int64_t p = 0; p < t.rays; ++p) {
      float* image = images + 4 * (b * t.rays + p);
      std::fill_n(image, 4, 0.0f);
      float alpha = 0;
      if (aim(t, b, p, ray)) {
        const int count = march(t, maps, ray, t.shifts[p], groups.data(), weights, left);
        f8 sums[5] = {splat8(0), splat8(0), splat8(0), splat8(0), splat8(0)};
        for (int i = 0; i < count; ++i) {
          const f8 weight = load8(weights + 8 * i);
          for (int c = 0; c < 3; ++c) sums[c] += weight * groups[i].color[c];
          sums[3] += weight * groups[i].depth;
          sums[4] += weight;
        }
        for (int c = 0; c < 4; ++c) image[c] = sum8(sums[c]);
        alpha = sum8(sums[4]);
      }
      alphas[b * t.rays + p] = alpha;
    }
  });
}

void tri_planes_backward(const TriPlanes& t, const float* v_images, const float* v_alphas,
                         const TriPlaneGrads& out) {
  const int64_t whole = int64_t{3} * t.cells * t.cells * kFeatures;
  std::vector<DecoderSums> sums(static_cast<size_t>(t.batch), DecoderSums(t.hidden));
  parallel_for(t.batch, [&](int64_t b) {
    float* v_maps = out.v_maps + b * whole;
    std::fill_n(v_maps, whole, 0.0f);
    std::vector<Group> groups(static_cast<size_t>(t.samples / 8));
    float weights[8 * kPlaneMostGroups], left[8 * kPlaneMostGroups];
    Ray ray;
    for (int64_t p = 0; p < t.rays; ++p) {
      const int64_t at = b * t.rays + p;
      const float* v_image = v_images + 4 * at;
      if (!aim(t, b, p, ray)) continue;
      const int count = march(t, t.maps + b * whole, ray, t.shifts[p], groups.data(), weights, left);
      ray_backward(t, ray, count, groups.data(), weights, left, v_image, v_alphas[at],
                   sums[static_cast<size_t>(b)], v_maps);
    }
  });
  std::fill_n(out.v_w1, t.hidden * kFeatures, 0.0f);
  std::fill_n(out.v_b1, t.hidden, 0.0f);
  std::fill_n(out.v_w2, 4 * t.hidden, 0.0f);
  std::fill_n(out.v_b2, 4, 0.0f);
  for (const DecoderSums& one : sums) {  // in the order of the objects: the same for any threads
    add_sums(one.w1, out.v_w1);
    add_sums(one.b1, out.v_b1);
    add_sums(one.w2, out.v_w2);
    for (int c = 0; c < 4; ++c) out.v_b2[c] += sum8(one.b2[c]);
  }
}

}  // namespace tondo
