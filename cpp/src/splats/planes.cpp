#include "tondo/splats/planes.h"

#include "lanes.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int64_t kChunk = 1024;

// Eight splats' planes, and what their gradients need.
struct Planes {
  Mat3 R;            // splat's rotation
  i8 first, second;  // whether its first, or else its second axis is the shortest
  f8 t[3];           // mean in camera space
  f8 sign;           // of the axis, so that it looks at the camera
  f8 normal[3];      // in camera space
};

TONDO_INLINE Planes planes_of(const Lanes& s, const PinholeCamera& cam) {
  Planes o;
  o.R = rotation(s.quat);
  o.first = (s.scale[0] <= s.scale[1]) & (s.scale[0] <= s.scale[2]);
  o.second = ~o.first & (s.scale[1] <= s.scale[2]);
  f8 axis[3];
  for (int r = 0; r < 3; ++r)
    axis[r] = select8(o.first, o.R.m[r][0], select8(o.second, o.R.m[r][1], o.R.m[r][2]));
  f8 away = splat8(0.0f);
  for (int r = 0; r < 3; ++r) {
    const float* R = cam.R + 3 * r;
    o.t[r] = R[0] * s.mean[0] + R[1] * s.mean[1] + R[2] * s.mean[2] + cam.t[r];
    o.normal[r] = R[0] * axis[0] + R[1] * axis[1] + R[2] * axis[2];
    away += o.normal[r] * o.t[r];
  }
  o.sign = select8(away > 0.0f, splat8(-1.0f), splat8(1.0f));
  for (f8& x : o.normal) x *= o.sign;
  return o;
}

// Calls fn(first splat, count) for every eight splats of which one is visible.
template <class Fn>
void each_lanes(int64_t n, const int32_t* radii, const Fn& fn) {
  parallel_chunks(n, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 8) {
      const int count = static_cast<int>(std::min<int64_t>(8, end - i));
      bool any = false;
      for (int l = 0; l < count; ++l) any = any || radii[2 * (i + l)] > 0;
      if (any) fn(i, count);
    }
  });
}

}  // namespace

void splat_planes_forward(int64_t n, const float* means, const float* quats, const float* scales,
                          const PinholeCamera& camera, const int32_t* radii, float* planes) {
  std::fill_n(planes, n * kPlane, 0.0f);
  each_lanes(n, radii, [&](int64_t i, int count) {
    const Planes o = planes_of(load_lanes(means, quats, scales, i, count), camera);
    const f8 distance = -(o.normal[0] * o.t[0] + o.normal[1] * o.t[1] + o.normal[2] * o.t[2]);
    for (int l = 0; l < count; ++l) {
      if (radii[2 * (i + l)] <= 0) continue;
      float* out = planes + kPlane * (i + l);
      for (int r = 0; r < 3; ++r) out[r] = o.normal[r][l];
      out[3] = distance[l];
    }
  });
}

void splat_planes_backward(int64_t n, const float* means, const float* quats, const float* scales,
                           const PinholeCamera& camera, const int32_t* radii,
                           const float* v_planes, float* v_means, float* v_quats) {
  each_lanes(n, radii, [&](int64_t i, int count) {
    const Lanes s = load_lanes(means, quats, scales, i, count);
    const Planes o = planes_of(s, camera);
    const f8 v_distance = gather(v_planes, i, count, kPlane, 3);
    f8 v_axis[3], v_t[3];  // in camera space
    for (int r = 0; r < 3; ++r) {
      v_axis[r] = o.sign * (gather(v_planes, i, count, kPlane, r) - v_distance * o.t[r]);
      v_t[r] = -v_distance * o.normal[r];
    }
    const float* R = camera.R;
    f8 v_mean[3], v_quat[4];
    Mat3 v_R;
    for (int r = 0; r < 3; ++r) {
      v_mean[r] = R[r] * v_t[0] + R[3 + r] * v_t[1] + R[6 + r] * v_t[2];
      const f8 v = R[r] * v_axis[0] + R[3 + r] * v_axis[1] + R[6 + r] * v_axis[2];
      v_R.m[r][0] = keep8(o.first, v);
      v_R.m[r][1] = keep8(o.second, v);
      v_R.m[r][2] = keep8(~(o.first | o.second), v);
    }
    back_to_quat(v_R, s, v_quat);
    for (int l = 0; l < count; ++l) {
      if (radii[2 * (i + l)] <= 0) continue;
      for (int r = 0; r < 3; ++r) v_means[3 * (i + l) + r] += v_mean[r][l];
      for (int r = 0; r < 4; ++r) v_quats[4 * (i + l) + r] += v_quat[r][l];
    }
  });
}

}  // namespace tondo
