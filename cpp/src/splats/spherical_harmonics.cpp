// View-dependent colour from real spherical harmonics up to degree 3, in the sign convention of
// 3D Gaussian Splatting (Sloan 2013, Efficient Spherical Harmonic Evaluation).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/harmonics.h"
#include "tondo/splats/project.h"
#include "tondo/core/simd.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int64_t kChunk = 1024;

struct Directions {
  f8 x, y, z, inv_length;
};

TONDO_INLINE Directions directions(const float* means, const float position[3], int64_t i,
                                   int count) {
  f8 d[3];
  for (int k = 0; k < 3; ++k)
    for (int l = 0; l < 8; ++l)
      d[k][l] = means[(i + std::min(l, count - 1)) * 3 + k] - position[k];
  const f8 n2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
  const f8 inv = 1.0f / sqrt8(max8(n2, splat8(1e-24f)));
  return {d[0] * inv, d[1] * inv, d[2] * inv, inv};
}

// v_dir = sum_k g_k dY_k / d(x, y, z)
template <int DEGREE>
TONDO_INLINE void basis_backward(const Directions& d, const f8* g, f8 v[3]) {
  const f8 x = d.x, y = d.y, z = d.z;
  v[0] = v[1] = v[2] = splat8(0);
  if constexpr (DEGREE >= 1) {
    v[0] += -0.48860251190292f * g[3];
    v[1] += -0.48860251190292f * g[1];
    v[2] += 0.48860251190292f * g[2];
  }
  if constexpr (DEGREE >= 2) {
    const float a = 1.0925484305920792f;
    v[0] += a * (y * g[4] - z * g[7] + x * g[8]);
    v[1] += a * (x * g[4] - z * g[5] - y * g[8]);
    v[2] += -a * (y * g[5] + x * g[7]) + 1.8923493915151202f * z * g[6];
  }
  if constexpr (DEGREE >= 3) {
    const f8 c1 = x * x - y * y, s1 = 2.0f * x * y, zz = z * z;
    const f8 k = -2.285228997322329f * zz + 0.4570457994644658f;
    const f8 dk = -4.570457994644658f * z;
    const float e = 1.445305721320277f, h = -1.7701307697799305f;  // 3 * -0.59004...
    v[0] += h * (s1 * g[9] + c1 * g[15]) + 2.0f * e * z * (y * g[10] + x * g[14]) + k * g[13];
    v[1] += h * (c1 * g[9] - s1 * g[15]) + 2.0f * e * z * (x * g[10] - y * g[14]) + k * g[11];
    v[2] += e * (s1 * g[10] + c1 * g[14]) + dk * (y * g[11] + x * g[13]) +
            (5.597644988851731f * zz - 1.119528997770346f) * g[12];
  }
}

template <int DEGREE>
void forward(int64_t n, int stored, const float* means, const float position[3], const float* sh,
             const int32_t* radii, float* colors) {
  constexpr int K = (DEGREE + 1) * (DEGREE + 1);
  parallel_chunks(n, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 8) {
      const int count = static_cast<int>(std::min<int64_t>(8, end - i));
      f8 Y[K];
      const Directions d = directions(means, position, i, count);
      harmonics<DEGREE>(d.x, d.y, d.z, Y);
      for (int l = 0; l < count; ++l) {
        float* out = colors + 3 * (i + l);
        float sum[3] = {0.5f, 0.5f, 0.5f};
        if (radii[2 * (i + l)] <= 0) {
          out[0] = out[1] = out[2] = 0;
          continue;
        }
        const float* p = sh + (i + l) * stored * 3;
        for (int k = 0; k < K; ++k)
          for (int c = 0; c < 3; ++c) sum[c] += Y[k][l] * p[3 * k + c];
        for (int c = 0; c < 3; ++c) out[c] = std::max(0.0f, sum[c]);
      }
    }
  });
}

template <int DEGREE>
void backward(int64_t n, int stored, const float* means, const float position[3], const float* sh,
              const int32_t* radii, const float* colors, const float* v_colors, float* v_means,
              float* v_sh, float* v_position) {
  constexpr int K = (DEGREE + 1) * (DEGREE + 1);
  const int64_t chunks = (n + kChunk - 1) / kChunk;
  std::vector<double> partial(chunks * 3, 0.0);
  parallel_for(chunks, [&](int64_t chunk) {
    const int64_t end = std::min(n, (chunk + 1) * kChunk);
    for (int64_t i = chunk * kChunk; i < end; i += 8) {
      const int count = static_cast<int>(std::min<int64_t>(8, end - i));
      const Directions d = directions(means, position, i, count);
      f8 Y[K], g[K], v[3];
      for (f8& q : g) q = splat8(0);
      harmonics<DEGREE>(d.x, d.y, d.z, Y);
      for (int l = 0; l < count; ++l) {
        const int64_t k = i + l;
        if (radii[2 * k] <= 0) continue;
        float vc[3];
        for (int c = 0; c < 3; ++c) vc[c] = colors[3 * k + c] > 0 ? v_colors[3 * k + c] : 0.0f;
        const float* p = sh + k * stored * 3;
        float* out = v_sh + k * stored * 3;
        for (int q = 0; q < K; ++q) {
          const float y = Y[q][l];
          for (int c = 0; c < 3; ++c) out[3 * q + c] = y * vc[c];
          g[q][l] = p[3 * q] * vc[0] + p[3 * q + 1] * vc[1] + p[3 * q + 2] * vc[2];
        }
        if (stored > K) std::memset(out + 3 * K, 0, 3 * (stored - K) * sizeof(float));
      }
      basis_backward<DEGREE>(d, g, v);
      const f8 dot = v[0] * d.x + v[1] * d.y + v[2] * d.z;  // the length is divided out
      v[0] = (v[0] - dot * d.x) * d.inv_length;
      v[1] = (v[1] - dot * d.y) * d.inv_length;
      v[2] = (v[2] - dot * d.z) * d.inv_length;
      for (int l = 0; l < count; ++l) {
        if (radii[2 * (i + l)] <= 0) continue;
        for (int c = 0; c < 3; ++c) {
          v_means[3 * (i + l) + c] = v[c][l];
          partial[3 * chunk + c] -= v[c][l];
        }
      }
    }
  });
  if (!v_position) return;
  for (int c = 0; c < 3; ++c) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += partial[3 * chunk + c];
    v_position[c] = static_cast<float>(sum);
  }
}

}  // namespace

void sh_forward(int64_t n, int degree, int stored, const float* means, const float position[3],
                const float* sh, const int32_t* radii, float* colors) {
  switch (degree) {
    case 0: return forward<0>(n, stored, means, position, sh, radii, colors);
    case 1: return forward<1>(n, stored, means, position, sh, radii, colors);
    case 2: return forward<2>(n, stored, means, position, sh, radii, colors);
    default: return forward<3>(n, stored, means, position, sh, radii, colors);
  }
}

void sh_backward(int64_t n, int degree, int stored, const float* means, const float position[3],
                 const float* sh, const int32_t* radii, const float* colors, const float* v_colors,
                 float* v_means, float* v_sh, float* v_position) {
  const auto call = [&](auto f) {
    f(n, stored, means, position, sh, radii, colors, v_colors, v_means, v_sh, v_position);
  };
  switch (degree) {
    case 0: return call(backward<0>);
    case 1: return call(backward<1>);
    case 2: return call(backward<2>);
    default: return call(backward<3>);
  }
}

}  // namespace tondo
