// The window is separable and the picture is channel-interleaved, so a horizontal tap is a shift by
// three floats and no plane has to be taken apart. Zero padding, as in 3D Gaussian Splatting.
//
// Instead of the pictures x and t their sum s and difference d are blurred: SSIM needs the means of
// x, t, x x + t t and x t, and these follow from the means of s, d, s s and d d, four maps, not five.
#include "tondo/core/ssim_l1.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "tondo/core/simd.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int kReach = 5;      // 11 taps
constexpr int kPad = 16;       // floats before a row buffer's first value, >= 3 * kReach
constexpr int kBand = 8;       // rows a task
constexpr float kC1 = 0.01f * 0.01f, kC2 = 0.03f * 0.03f;

struct Window {
  float w[kReach + 1];  // by distance from the middle, sigma 1.5, sums to 1 over 11 taps
  Window() {
    double sum = 0, g[kReach + 1];
    for (int k = 0; k <= kReach; ++k) {
      g[k] = std::exp(-k * k / (2.0 * 1.5 * 1.5));
      sum += k ? 2 * g[k] : g[k];
    }
    for (int k = 0; k <= kReach; ++k) w[k] = static_cast<float>(g[k] / sum);
  }
};

TONDO_INLINE f8 blur_at(const Window& win, const float* p) {
  f8 sum = win.w[0] * load8(p);
  for (int k = 1; k <= kReach; ++k) sum += win.w[k] * (load8(p - 3 * k) + load8(p + 3 * k));
  return sum;
}

struct Layout {
  int height, width, row;  // row: floats of a picture row
  int stride;              // of the scratch planes: row rounded up to whole vectors, rest is 0
  int buffer;              // floats of a padded row buffer
};

// Sum and difference of the picture (exposure applied) and the photograph, and the mask, in
// whole-vector rows.
void load_rows(const LossIn& in, const Layout& lay, LossScratch& s, int y) {
  float* x = s.sum.data() + static_cast<size_t>(y) * lay.stride;
  float* t = s.difference.data() + static_cast<size_t>(y) * lay.stride;
  const size_t at = static_cast<size_t>(y) * lay.row;
  if (in.exposure) {
    const float* E = in.exposure;
    for (int p = 0; p < lay.width; ++p) {
      const float* c = in.image + at + 3 * p;
      for (int k = 0; k < 3; ++k)
        x[3 * p + k] = E[4 * k] * c[0] + E[4 * k + 1] * c[1] + E[4 * k + 2] * c[2] + E[4 * k + 3];
    }
  } else {
    std::memcpy(x, in.image + at, lay.row * sizeof(float));
  }
  if (in.target8)
    for (int k = 0; k < lay.row; ++k) t[k] = in.target8[at + k] * (1.0f / 255.0f);
  else
    std::memcpy(t, in.target + at, lay.row * sizeof(float));
  for (int k = lay.row; k < lay.stride; ++k) x[k] = t[k] = 0;
  for (int k = 0; k < lay.stride; k += 8) {
    const f8 a = load8(x + k), b = load8(t + k);
    store8(x + k, a + b);
    store8(t + k, a - b);
  }
  if (!in.valid) return;
  float* m = s.mask.data() + static_cast<size_t>(y) * lay.stride;
  for (int p = 0; p < lay.width; ++p)
    m[3 * p] = m[3 * p + 1] = m[3 * p + 2] = in.valid[y * lay.width + p] ? 1.0f : 0.0f;
  for (int k = lay.row; k < lay.stride; ++k) m[k] = 0;
}

struct Sums {
  double l1 = 0, ssim = 0;
};

// Means of s, d, s s and d d around rows y and y + 1, vertically blurred, into four row buffers
// each. Two rows at once share their loads and products: memory, not arithmetic, is short.
void blur_columns(const Window& win, const Layout& lay, const LossScratch& s, int y,
                  float* const rows[2][4]) {
  const int k0 = std::max(-kReach, -y), k1 = std::min(kReach + 1, lay.height - 1 - y);
  float w0[2 * kReach + 2] = {}, w1[2 * kReach + 2] = {};  // by input row, from k = -kReach
  for (int k = -kReach; k <= kReach; ++k) {
    w0[k + kReach] = win.w[k < 0 ? -k : k];
    w1[k + kReach + 1] = win.w[k < 0 ? -k : k];
  }
  for (int i = 0; i < lay.stride; i += 8) {
    f8 p[4], q[4];
    for (int m = 0; m < 4; ++m) p[m] = q[m] = splat8(0);
    const float* sum = s.sum.data() + static_cast<ptrdiff_t>(y + k0) * lay.stride + i;
    const float* difference = s.difference.data() + static_cast<ptrdiff_t>(y + k0) * lay.stride + i;
    for (int k = k0; k <= k1; ++k, sum += lay.stride, difference += lay.stride) {
      const f8 a = load8(sum), b = load8(difference);
      const f8 aa = a * a, bb = b * b;
      const f8 u = splat8(w0[k + kReach]), v = splat8(w1[k + kReach]);
      p[0] += u * a;
      p[1] += u * b;
      p[2] += u * aa;
      p[3] += u * bb;
      q[0] += v * a;
      q[1] += v * b;
      q[2] += v * aa;
      q[3] += v * bb;
    }
    for (int m = 0; m < 4; ++m) {
      store8(rows[0][m] + kPad + i, p[m]);
      store8(rows[1][m] + kPad + i, q[m]);
    }
  }
}

// SSIM and L1 of one row from its four blurred rows; writes the row's derivatives: with respect to
// the mean of x (through both means), the mean of s s and the mean of d d.
Sums compare_row(const Window& win, const Layout& lay, bool masked, LossScratch& s, int y,
                 float* const rows[4]) {
  const f8 lane = f8{0, 1, 2, 3, 4, 5, 6, 7};
  f8 row_ssim = splat8(0), row_l1 = splat8(0);
  for (int i = 0; i < lay.stride; i += 8) {
    const f8 S = blur_at(win, rows[0] + kPad + i), D = blur_at(win, rows[1] + kPad + i);
    const f8 SS = S * S, DD = D * D;
    const f8 var_s = blur_at(win, rows[2] + kPad + i) - SS;
    const f8 var_d = blur_at(win, rows[3] + kPad + i) - DD;
    // 2 mx mt, 2 cov, mx^2 + mt^2 and var x + var t of the SSIM formula
    const f8 a1 = 0.5f * (SS - DD) + kC1, a2 = 0.5f * (var_s - var_d) + kC2;
    const f8 b1 = 0.5f * (SS + DD) + kC1, b2 = 0.5f * (var_s + var_d) + kC2;
    const f8 r12 = 1.0f / (b1 * b2);
    const f8 ssim = a1 * a2 * r12;
    const size_t at = static_cast<size_t>(y) * lay.stride + i;
    const i8 inside = (lane + static_cast<float>(i)) < static_cast<float>(lay.row);
    const f8 m = masked ? load8(s.mask.data() + at) : keep8(inside, splat8(1.0f));
    row_ssim += m * ssim;
    row_l1 += m * abs8(load8(s.difference.data() + at));
    // ssim / b1 = ssim b2 r12, ssim / b2 = ssim b1 r12
    const f8 scale = m * r12, a = a2 - a1, b = ssim * (b2 - b1);
    store8(s.d_mean.data() + at, scale * (S * (a - b) - D * (a + b)));
    store8(s.d_sum2.data() + at, scale * (a1 - ssim * b1));
    store8(s.d_difference2.data() + at, -scale * (a1 + ssim * b1));
  }
  return {sum8(row_l1), sum8(row_ssim)};
}

Sums compare_band(const Window& win, const Layout& lay, bool masked, LossScratch& s, int y0,
                  int y1) {
  std::vector<float> buffer(8 * static_cast<size_t>(lay.buffer), 0.0f);
  float* rows[2][4];
  for (int k = 0; k < 8; ++k) rows[k / 4][k % 4] = buffer.data() + k * size_t(lay.buffer);
  Sums sums;
  for (int y = y0; y < y1; y += 2) {
    blur_columns(win, lay, s, y, rows);
    for (int k = 0; k < 2 && y + k < y1; ++k) {
      const Sums row = compare_row(win, lay, masked, s, y + k, rows[k]);
      sums.l1 += row.l1;
      sums.ssim += row.ssim;
    }
  }
  return sums;
}

// The three derivative planes around rows y and y + 1, vertically blurred.
void blur_planes(const Window& win, const Layout& lay, const float* const planes[3], int y,
                 float* const rows[2][3]) {
  const int k0 = std::max(-kReach, -y), k1 = std::min(kReach + 1, lay.height - 1 - y);
  float w0[2 * kReach + 2] = {}, w1[2 * kReach + 2] = {};
  for (int k = -kReach; k <= kReach; ++k) {
    w0[k + kReach] = win.w[k < 0 ? -k : k];
    w1[k + kReach + 1] = win.w[k < 0 ? -k : k];
  }
  for (int i = 0; i < lay.stride; i += 8) {
    f8 p[3], q[3];
    for (int m = 0; m < 3; ++m) p[m] = q[m] = splat8(0);
    for (int k = k0; k <= k1; ++k) {
      const size_t at = static_cast<size_t>(y + k) * lay.stride + i;
      for (int m = 0; m < 3; ++m) {
        const f8 a = load8(planes[m] + at);
        p[m] += w0[k + kReach] * a;
        q[m] += w1[k + kReach] * a;
      }
    }
    for (int m = 0; m < 3; ++m) {
      store8(rows[0][m] + kPad + i, p[m]);
      store8(rows[1][m] + kPad + i, q[m]);
    }
  }
}

struct GradientScale {
  float l1, ssim;
};

// v_picture of one row; adds the exposure's gradient to v_exposure [12].
void gradient_row(const Window& win, const Layout& lay, const LossIn& in, const LossScratch& s,
                  GradientScale scale, int y, float* const rows[3], float* v_row, float* v_image,
                  double* v_exposure) {
  for (int i = 0; i < lay.stride; i += 8) {
    const size_t at = static_cast<size_t>(y) * lay.stride + i;
    const f8 sum = load8(s.sum.data() + at), difference = load8(s.difference.data() + at);
    const f8 g = blur_at(win, rows[0] + kPad + i) + sum * blur_at(win, rows[1] + kPad + i) +
                 difference * blur_at(win, rows[2] + kPad + i);
    f8 sign = keep8(difference > 0.0f, splat8(scale.l1));
    sign = select8(difference < 0.0f, splat8(-scale.l1), sign);
    if (in.valid) sign = sign * load8(s.mask.data() + at);
    store8(v_row + i, sign + scale.ssim * g);
  }
  float* out = v_image + static_cast<size_t>(y) * lay.row;
  if (!in.exposure) {
    std::memcpy(out, v_row, lay.row * sizeof(float));
    return;
  }
  const float* E = in.exposure;
  float sum[12] = {};
  for (int p = 0; p < lay.width; ++p) {
    const float* v = v_row + 3 * p;
    const float* c = in.image + static_cast<size_t>(y) * lay.row + 3 * p;
    for (int k = 0; k < 3; ++k) {
      for (int q = 0; q < 3; ++q) sum[4 * k + q] += v[k] * c[q];
      sum[4 * k + 3] += v[k];
      out[3 * p + k] = E[k] * v[0] + E[4 + k] * v[1] + E[8 + k] * v[2];
    }
  }
  for (int k = 0; k < 12; ++k) v_exposure[k] += sum[k];
}

void gradient_band(const Window& win, const Layout& lay, const LossIn& in, const LossScratch& s,
                   GradientScale scale, int y0, int y1, float* v_image, double* v_exposure) {
  std::vector<float> buffer(7 * static_cast<size_t>(lay.buffer), 0.0f);
  float* rows[2][3];
  for (int k = 0; k < 6; ++k) rows[k / 3][k % 3] = buffer.data() + k * size_t(lay.buffer);
  float* v_row = buffer.data() + 6 * static_cast<size_t>(lay.buffer);
  const float* planes[3] = {s.d_mean.data(), s.d_sum2.data(), s.d_difference2.data()};
  for (int y = y0; y < y1; y += 2) {
    blur_planes(win, lay, planes, y, rows);
    for (int k = 0; k < 2 && y + k < y1; ++k)
      gradient_row(win, lay, in, s, scale, y + k, rows[k], v_row, v_image, v_exposure);
  }
}

}  // namespace

void ssim_l1(const LossIn& in, LossScratch& s, LossOut& out) {
  Layout lay{in.height, in.width, 3 * in.width, (3 * in.width + 7) / 8 * 8, 0};
  lay.buffer = kPad + lay.stride + kPad + 8;
  const size_t size = static_cast<size_t>(lay.height) * lay.stride;
  for (auto* plane : {&s.sum, &s.difference, &s.d_mean, &s.d_sum2, &s.d_difference2}) plane->resize(size);
  if (in.valid) s.mask.resize(size);
  const Window win;
  const int64_t bands = (lay.height + kBand - 1) / kBand;
  const auto band = [&](int64_t b, auto fn) {
    fn(static_cast<int>(b) * kBand, std::min(lay.height, static_cast<int>(b + 1) * kBand));
  };

  parallel_for(bands, [&](int64_t b) {
    band(b, [&](int y0, int y1) {
      for (int y = y0; y < y1; ++y) load_rows(in, lay, s, y);
    });
  });
  std::vector<Sums> sums(bands);
  parallel_for(bands, [&](int64_t b) {
    band(b, [&](int y0, int y1) {
      sums[b] = compare_band(win, lay, in.valid != nullptr, s, y0, y1);
    });
  });
  Sums all;
  for (const Sums& band_sums : sums) {
    all.l1 += band_sums.l1;
    all.ssim += band_sums.ssim;
  }
  int64_t pixels = static_cast<int64_t>(lay.height) * lay.width;
  if (in.valid) {
    const int64_t total = pixels;
    pixels = 0;
    for (int64_t p = 0; p < total; ++p) pixels += in.valid[p] != 0;
  }
  const double values = std::max<double>(1.0, 3.0 * static_cast<double>(pixels));
  out.l1 = all.l1 / values;
  out.ssim = pixels ? all.ssim / values : 1.0;
  out.loss = (1.0 - in.ssim_weight) * out.l1 + in.ssim_weight * (1.0 - out.ssim);
  if (!out.v_image) return;

  const GradientScale scale{static_cast<float>((1.0 - in.ssim_weight) / values),
                            static_cast<float>(-in.ssim_weight / values)};
  std::vector<double> v_exposure(12 * bands, 0.0);
  parallel_for(bands, [&](int64_t b) {
    band(b, [&](int y0, int y1) {
      gradient_band(win, lay, in, s, scale, y0, y1, out.v_image, v_exposure.data() + 12 * b);
    });
  });
  if (!out.v_exposure) return;
  for (int k = 0; k < 12; ++k) {
    double sum = 0;
    for (int64_t b = 0; b < bands; ++b) sum += v_exposure[12 * b + k];
    out.v_exposure[k] = static_cast<float>(sum);
  }
}

}  // namespace tondo
