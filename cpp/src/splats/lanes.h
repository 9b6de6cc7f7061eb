// Eight splats at a time: loading them, their rotations and what flows back through those.
#pragma once
#include <algorithm>
#include <cstdint>

#include "tondo/core/simd.h"

namespace tondo {

// Eight splats in lanes. Lanes past the end repeat the last splat.
struct Lanes {
  f8 mean[3], quat[4], inv_norm, scale[3];
};

TONDO_INLINE f8 gather(const float* p, int64_t i, int count, int stride, int offset) {
  f8 v;
  for (int l = 0; l < 8; ++l) v[l] = p[(i + std::min(l, count - 1)) * stride + offset];
  return v;
}

TONDO_INLINE Lanes load_lanes(const float* means, const float* quats, const float* scales,
                              int64_t i, int count) {
  Lanes s;
  for (int k = 0; k < 3; ++k) s.mean[k] = gather(means, i, count, 3, k);
  for (int k = 0; k < 3; ++k) s.scale[k] = gather(scales, i, count, 3, k);
  for (int k = 0; k < 4; ++k) s.quat[k] = gather(quats, i, count, 4, k);
  const f8 n2 = s.quat[0] * s.quat[0] + s.quat[1] * s.quat[1] + s.quat[2] * s.quat[2] +
                s.quat[3] * s.quat[3];
  s.inv_norm = 1.0f / sqrt8(max8(n2, splat8(1e-24f)));
  for (f8& q : s.quat) q = q * s.inv_norm;
  return s;
}

struct Mat3 {
  f8 m[3][3];
};

TONDO_INLINE Mat3 rotation(const f8 q[4]) {
  const f8 w = q[0], x = q[1], y = q[2], z = q[3];
  return {{{1.0f - 2.0f * (y * y + z * z), 2.0f * (x * y - w * z), 2.0f * (x * z + w * y)},
           {2.0f * (x * y + w * z), 1.0f - 2.0f * (x * x + z * z), 2.0f * (y * z - w * x)},
           {2.0f * (x * z - w * y), 2.0f * (y * z + w * x), 1.0f - 2.0f * (x * x + y * y)}}};
}

// v_R to v_quat, through the normalisation.
TONDO_INLINE void back_to_quat(const Mat3& g, const Lanes& s, f8 out[4]) {
  const f8 w = s.quat[0], x = s.quat[1], y = s.quat[2], z = s.quat[3];
  const auto& m = g.m;
  f8 v[4];
  v[0] = 2.0f * (x * (m[2][1] - m[1][2]) + y * (m[0][2] - m[2][0]) + z * (m[1][0] - m[0][1]));
  v[1] = 2.0f * (-2.0f * x * (m[1][1] + m[2][2]) + y * (m[1][0] + m[0][1]) +
                 z * (m[2][0] + m[0][2]) + w * (m[2][1] - m[1][2]));
  v[2] = 2.0f * (x * (m[1][0] + m[0][1]) - 2.0f * y * (m[0][0] + m[2][2]) +
                 z * (m[2][1] + m[1][2]) + w * (m[0][2] - m[2][0]));
  v[3] = 2.0f * (x * (m[2][0] + m[0][2]) + y * (m[2][1] + m[1][2]) -
                 2.0f * z * (m[0][0] + m[1][1]) + w * (m[1][0] - m[0][1]));
  const f8 dot = v[0] * w + v[1] * x + v[2] * y + v[3] * z;
  for (int k = 0; k < 4; ++k) out[k] = (v[k] - dot * s.quat[k]) * s.inv_norm;
}

}  // namespace tondo
