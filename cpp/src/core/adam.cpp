#include "tondo/core/adam.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tondo/core/simd.h"
#include "tondo/core/threads.h"

namespace tondo {

void adam_visible(int64_t rows, int columns, float* params, const float* grads, float* exp_avg,
                  float* exp_avg_sq, const int32_t* radii, const float* lr,
                  const AdamOptions& o) {
  const double correction1 = 1.0 - std::pow(double(o.beta1), double(o.step));
  const double correction2 = 1.0 - std::pow(double(o.beta2), double(o.step));
  const float rate = static_cast<float>(1.0 / correction1);
  const float root = static_cast<float>(1.0 / std::sqrt(correction2));

  const auto one = [&](int64_t e, float step) {
    const float g = grads[e];
    const float m = exp_avg[e] = o.beta1 * exp_avg[e] + (1.0f - o.beta1) * g;
    const float v = exp_avg_sq[e] = o.beta2 * exp_avg_sq[e] + (1.0f - o.beta2) * g * g;
    params[e] -= step * m / (std::sqrt(v) * root + o.eps);
  };
  const auto eight = [&](int64_t e, f8 step) {
    const f8 g = load8(grads + e);
    if (o.touched && !bits8(g != splat8(0.0f))) return;
    const f8 m = o.beta1 * load8(exp_avg + e) + (1.0f - o.beta1) * g;
    const f8 v = o.beta2 * load8(exp_avg_sq + e) + (1.0f - o.beta2) * g * g;
    store8(exp_avg + e, m);
    store8(exp_avg_sq + e, v);
    store8(params + e, load8(params + e) - step * m / (sqrt8(v) * root + o.eps));
  };

  if (columns % 8 == 0) {  // harmonics of odd degree: whole vectors within a row
    std::vector<float> steps(columns);
    for (int c = 0; c < columns; ++c) steps[c] = lr[c] * rate;
    parallel_chunks(rows, 512, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        if (radii && radii[2 * r] <= 0) continue;
        for (int c = 0; c < columns; c += 8) eight(r * columns + c, load8(steps.data() + c));
      }
    });
    return;
  }
  // Narrow rows: eight visible rows at once are `columns` whole vectors.
  std::vector<float> steps(8 * static_cast<size_t>(columns));
  for (size_t k = 0; k < steps.size(); ++k) steps[k] = lr[k % columns] * rate;
  parallel_chunks(rows, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r += 8) {
      const int64_t count = std::min<int64_t>(8, end - r);
      bool all = count == 8;
      for (int64_t l = 0; radii && l < count; ++l) all = all && radii[2 * (r + l)] > 0;
      if (all) {
        for (int c = 0; c < columns; ++c) eight(r * columns + 8 * c, load8(&steps[8 * c]));
        continue;
      }
      for (int64_t l = 0; l < count; ++l) {
        if (radii && radii[2 * (r + l)] <= 0) continue;
        for (int c = 0; c < columns; ++c) one((r + l) * columns + c, steps[c]);
      }
    }
  });
}

}  // namespace tondo
