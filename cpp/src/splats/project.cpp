// Projection of 3D Gaussians, eight splats at a time (Zwicker et al. 2001, EWA splatting, with the
// exact Jacobian of the perspective division at each splat's centre).
#include "tondo/splats/project.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lanes.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int64_t kChunk = 1024;  // fixed, so that sums over chunks don't depend on the threads
constexpr float kMinAlpha = 1.0f / 255.0f;

// Everything between the splats and their 2D covariance; both passes need it.
struct Screen {
  Mat3 R;          // splat's rotation
  Mat3 Mc;         // camera rotation . splat rotation . scales
  f8 t[3];         // centre in camera space
  f8 inv_z, u, v;  // 1 / t_z and the clamped t_x / t_z, t_y / t_z
  i8 u_free, v_free;
  f8 P[2][3];      // J Mc, so that cov2d = P P^T
  f8 xx, xy, yy;   // cov2d before the low-pass term
};

TONDO_INLINE Screen to_screen(const Lanes& s, const PinholeCamera& cam) {
  Screen o;
  o.R = rotation(s.quat);
  for (int i = 0; i < 3; ++i) {
    o.t[i] = cam.R[3 * i] * s.mean[0] + cam.R[3 * i + 1] * s.mean[1] +
             cam.R[3 * i + 2] * s.mean[2] + cam.t[i];
    for (int k = 0; k < 3; ++k)
      o.Mc.m[i][k] = s.scale[k] * (cam.R[3 * i] * o.R.m[0][k] + cam.R[3 * i + 1] * o.R.m[1][k] +
                                   cam.R[3 * i + 2] * o.R.m[2][k]);
  }
  const float w = static_cast<float>(cam.width), h = static_cast<float>(cam.height);
  const float u_hi = (w - cam.cx) / cam.fx + 0.15f * w / cam.fx;
  const float u_lo = -(cam.cx / cam.fx + 0.15f * w / cam.fx);
  const float v_hi = (h - cam.cy) / cam.fy + 0.15f * h / cam.fy;
  const float v_lo = -(cam.cy / cam.fy + 0.15f * h / cam.fy);
  o.inv_z = 1.0f / o.t[2];
  const f8 u = o.t[0] * o.inv_z, v = o.t[1] * o.inv_z;
  o.u = min8(max8(u, splat8(u_lo)), splat8(u_hi));
  o.v = min8(max8(v, splat8(v_lo)), splat8(v_hi));
  o.u_free = (u >= u_lo) & (u <= u_hi);
  o.v_free = (v >= v_lo) & (v <= v_hi);
  for (int k = 0; k < 3; ++k) {
    o.P[0][k] = cam.fx * o.inv_z * (o.Mc.m[0][k] - o.u * o.Mc.m[2][k]);
    o.P[1][k] = cam.fy * o.inv_z * (o.Mc.m[1][k] - o.v * o.Mc.m[2][k]);
  }
  o.xx = o.P[0][0] * o.P[0][0] + o.P[0][1] * o.P[0][1] + o.P[0][2] * o.P[0][2];
  o.xy = o.P[0][0] * o.P[1][0] + o.P[0][1] * o.P[1][1] + o.P[0][2] * o.P[1][2];
  o.yy = o.P[1][0] * o.P[1][0] + o.P[1][1] * o.P[1][1] + o.P[1][2] * o.P[1][2];
  return o;
}

// det(P P^T) as |row x row|^2: no cancellation for needles.
TONDO_INLINE f8 sharp_det(const Screen& o) {
  const f8 a = o.P[0][1] * o.P[1][2] - o.P[0][2] * o.P[1][1];
  const f8 b = o.P[0][2] * o.P[1][0] - o.P[0][0] * o.P[1][2];
  const f8 c = o.P[0][0] * o.P[1][1] - o.P[0][1] * o.P[1][0];
  return a * a + b * b + c * c;
}

void forward_lanes(int64_t i, int count, const Lanes& s, const float* opacities,
                   const PinholeCamera& cam, const ProjectOptions& opt, const ProjectedOut& out) {
  const Screen o = to_screen(s, cam);
  const f8 before = sharp_det(o);
  const f8 xx = o.xx + opt.eps2d, yy = o.yy + opt.eps2d;
  const f8 det = before + opt.eps2d * (o.xx + o.yy + opt.eps2d);
  const f8 inv = 1.0f / det;
  const f8 compensation = sqrt8(max8(before * inv, splat8(0)));
  const f8 x2d = cam.fx * (o.t[0] * o.inv_z) + cam.cx, y2d = cam.fy * (o.t[1] * o.inv_z) + cam.cy;
  i8 seen = (o.t[2] >= opt.near_plane) & (o.t[2] <= opt.far_plane) & (det > 0.0f);
  const f8 sd_x = sqrt8(xx), sd_y = sqrt8(yy);
  const f8 c0 = yy * inv, c1 = -o.xy * inv, c2 = xx * inv;
  for (int l = 0; l < count; ++l) {
    const int64_t k = i + l;
    float opacity = opacities[k];
    if (out.compensations) opacity *= compensation[l];
    bool keep = seen[l] && opacity >= kMinAlpha;
    float rx = 0, ry = 0;
    if (keep) {
      const float extent = std::min(3.33f, std::sqrt(2.0f * std::log(opacity / kMinAlpha)));
      rx = std::ceil(extent * sd_x[l]);
      ry = std::ceil(extent * sd_y[l]);
      keep = !(rx <= opt.radius_clip && ry <= opt.radius_clip) && rx > 0 && ry > 0 &&
             x2d[l] + rx > 0 && x2d[l] - rx < static_cast<float>(cam.width) && y2d[l] + ry > 0 &&
             y2d[l] - ry < static_cast<float>(cam.height);  // false for NaN
    }
    out.radii[2 * k] = keep ? static_cast<int32_t>(std::min(rx, 1e9f)) : 0;
    out.radii[2 * k + 1] = keep ? static_cast<int32_t>(std::min(ry, 1e9f)) : 0;
    out.means2d[2 * k] = keep ? x2d[l] : 0.0f;
    out.means2d[2 * k + 1] = keep ? y2d[l] : 0.0f;
    out.depths[k] = keep ? o.t[2][l] : 0.0f;
    out.conics[3 * k] = keep ? c0[l] : 0.0f;
    out.conics[3 * k + 1] = keep ? c1[l] : 0.0f;
    out.conics[3 * k + 2] = keep ? c2[l] : 0.0f;
    if (out.compensations) out.compensations[k] = keep ? compensation[l] : 0.0f;
  }
}

// Gradients that leave the screen: with respect to P, the centre in camera space and Mc.
struct Back {
  f8 t[3];
  Mat3 Mc;
};

TONDO_INLINE Back back_from_screen(const Screen& o, const PinholeCamera& cam, float eps2d,
                                   const f8 v_mean[2], f8 v_depth, const f8 v_conic[3],
                                   const f8* v_compensation) {
  const f8 xx = o.xx + eps2d, yy = o.yy + eps2d;
  const f8 sharp = sharp_det(o);
  const f8 inv = 1.0f / (sharp + eps2d * (o.xx + o.yy + eps2d));
  const f8 a = yy * inv, b = -o.xy * inv, c = xx * inv;
  // d(cov^-1) = -cov^-1 dcov cov^-1; the conic's xy counts twice in the matrix
  const f8 h = 0.5f * v_conic[1];
  const f8 m00 = v_conic[0] * a + h * b, m01 = v_conic[0] * b + h * c;
  const f8 m10 = h * a + v_conic[2] * b, m11 = h * b + v_conic[2] * c;
  f8 vxx = -(a * m00 + b * m10), vxy = -(a * m01 + b * m11), vyy = -(b * m01 + c * m11);
  if (v_compensation) {
    const f8 ratio = max8(sharp * inv, splat8(0));
    const f8 v_ratio = *v_compensation * 0.5f / max8(sqrt8(ratio), splat8(1e-6f));
    vxx += v_ratio * ((1.0f - ratio) * a - eps2d * inv);
    vxy += v_ratio * ((1.0f - ratio) * b);
    vyy += v_ratio * ((1.0f - ratio) * c - eps2d * inv);
  }
  Back g;
  const f8 jx = cam.fx * o.inv_z, jy = cam.fy * o.inv_z;
  f8 v_jx = splat8(0), v_jy = splat8(0), v_u = splat8(0), v_v = splat8(0);
  for (int k = 0; k < 3; ++k) {
    const f8 p0 = 2.0f * (vxx * o.P[0][k] + vxy * o.P[1][k]);
    const f8 p1 = 2.0f * (vxy * o.P[0][k] + vyy * o.P[1][k]);
    g.Mc.m[0][k] = jx * p0;
    g.Mc.m[1][k] = jy * p1;
    g.Mc.m[2][k] = -(jx * o.u * p0 + jy * o.v * p1);
    v_jx += p0 * (o.Mc.m[0][k] - o.u * o.Mc.m[2][k]);
    v_jy += p1 * (o.Mc.m[1][k] - o.v * o.Mc.m[2][k]);
    v_u += -jx * p0 * o.Mc.m[2][k];
    v_v += -jy * p1 * o.Mc.m[2][k];
  }
  v_u = keep8(o.u_free, v_u);
  v_v = keep8(o.v_free, v_v);
  const f8 u = o.t[0] * o.inv_z, v = o.t[1] * o.inv_z;  // unclamped, for the mean
  const f8 all_u = v_u + cam.fx * v_mean[0], all_v = v_v + cam.fy * v_mean[1];
  g.t[0] = all_u * o.inv_z;
  g.t[1] = all_v * o.inv_z;
  g.t[2] = v_depth - o.inv_z * (all_u * u + all_v * v + v_jx * jx + v_jy * jy);
  return g;
}

void backward_lanes(int64_t i, int count, const Lanes& s, const PinholeCamera& cam,
                    const ProjectOptions& opt, const int32_t* radii, const ProjectGrads& grads,
                    float* v_means, float* v_quats, float* v_scales, double* v_view) {
  const Screen o = to_screen(s, cam);
  f8 v_mean[2], v_conic[3], v_comp;
  for (int k = 0; k < 2; ++k) v_mean[k] = gather(grads.v_means2d, i, count, 2, k);
  for (int k = 0; k < 3; ++k) v_conic[k] = gather(grads.v_conics, i, count, 3, k);
  const f8 v_depth = grads.v_depths ? gather(grads.v_depths, i, count, 1, 0) : splat8(0);
  if (grads.v_compensations) v_comp = gather(grads.v_compensations, i, count, 1, 0);
  const Back g = back_from_screen(o, cam, opt.eps2d, v_mean, v_depth, v_conic,
                                  grads.v_compensations ? &v_comp : nullptr);
  f8 world[3], v_scale[3], v_quat[4];
  Mat3 v_R;
  for (int r = 0; r < 3; ++r) {
    world[r] = cam.R[r] * g.t[0] + cam.R[3 + r] * g.t[1] + cam.R[6 + r] * g.t[2];
    for (int k = 0; k < 3; ++k)
      v_R.m[r][k] = cam.R[r] * g.Mc.m[0][k] + cam.R[3 + r] * g.Mc.m[1][k] +
                    cam.R[6 + r] * g.Mc.m[2][k];
  }
  for (int k = 0; k < 3; ++k) {
    v_scale[k] = v_R.m[0][k] * o.R.m[0][k] + v_R.m[1][k] * o.R.m[1][k] + v_R.m[2][k] * o.R.m[2][k];
    for (int r = 0; r < 3; ++r) v_R.m[r][k] = v_R.m[r][k] * s.scale[k];
  }
  back_to_quat(v_R, s, v_quat);
  for (int l = 0; l < count; ++l) {
    const int64_t k = i + l;
    if (radii[2 * k] <= 0) continue;
    for (int d = 0; d < 3; ++d) v_means[3 * k + d] += world[d][l];
    for (int d = 0; d < 3; ++d) v_scales[3 * k + d] = v_scale[d][l];
    for (int d = 0; d < 4; ++d) v_quats[4 * k + d] = v_quat[d][l];
    if (!v_view) continue;
    for (int r = 0; r < 3; ++r) {
      for (int d = 0; d < 3; ++d) {
        double sum = double(g.t[r][l]) * s.mean[d][l];
        for (int q = 0; q < 3; ++q) sum += double(g.Mc.m[r][q][l]) * o.R.m[d][q][l] * s.scale[q][l];
        v_view[4 * r + d] += sum;
      }
      v_view[4 * r + 3] += g.t[r][l];
    }
  }
}

}  // namespace

void project_forward(int64_t n, const float* means, const float* quats, const float* scales,
                     const float* opacities, const PinholeCamera& camera,
                     const ProjectOptions& options, const ProjectedOut& out) {
  parallel_chunks(n, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 8) {
      const int count = static_cast<int>(std::min<int64_t>(8, end - i));
      forward_lanes(i, count, load_lanes(means, quats, scales, i, count), opacities, camera,
                    options, out);
    }
  });
}

void project_backward(int64_t n, const float* means, const float* quats, const float* scales,
                      const PinholeCamera& camera, const ProjectOptions& options,
                      const int32_t* radii, const ProjectGrads& grads, float* v_means,
                      float* v_quats, float* v_scales, float* v_viewmat) {
  const int64_t chunks = (n + kChunk - 1) / kChunk;
  std::vector<double> partial(v_viewmat ? chunks * 12 : 0, 0.0);
  parallel_for(chunks, [&](int64_t c) {
    const int64_t end = std::min(n, (c + 1) * kChunk);
    for (int64_t i = c * kChunk; i < end; i += 8) {
      const int count = static_cast<int>(std::min<int64_t>(8, end - i));
      bool any = false;
      for (int l = 0; l < count; ++l) any = any || radii[2 * (i + l)] > 0;
      if (!any) continue;
      backward_lanes(i, count, load_lanes(means, quats, scales, i, count), camera, options, radii,
                     grads, v_means, v_quats, v_scales,
                     v_viewmat ? partial.data() + 12 * c : nullptr);
    }
  });
  if (!v_viewmat) return;
  for (int k = 0; k < 12; ++k) {
    double sum = 0;
    for (int64_t c = 0; c < chunks; ++c) sum += partial[12 * c + k];
    v_viewmat[k] = static_cast<float>(sum);
  }
}

}  // namespace tondo
