#include "tondo/mesh/texture_residuals.h"

#include <algorithm>
#include <vector>

namespace tondo {
namespace {

struct Taps {
  int64_t index[4];
  float weights[4];
};

Taps taps_at(float u, float v, int64_t height, int64_t width) {
  const float x = std::clamp(u - 0.5f, 0.0f, static_cast<float>(width - 1));
  const float y = std::clamp(v - 0.5f, 0.0f, static_cast<float>(height - 1));
  const int64_t left = std::min(static_cast<int64_t>(x), std::max<int64_t>(0, width - 2));
  const int64_t top = std::min(static_cast<int64_t>(y), std::max<int64_t>(0, height - 2));
  const int64_t right = std::min(left + 1, width - 1), below = std::min(top + 1, height - 1);
  const float fx = x - static_cast<float>(left), fy = y - static_cast<float>(top);
  return {{top * width + left, top * width + right, below * width + left, below * width + right},
          {(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy}};
}

}  // namespace

// On one thread: pixels share texels, so that threads would have to wait for each other or add in
// any order; and reading memory is what takes the time.
double texture_residuals(const float* at, const float* colors, int64_t pixels, int64_t samples,
                         const float* image, int64_t height, int64_t width, float* up,
                         float* down) {
  std::vector<Taps> taps(static_cast<size_t>(samples));
  const float share = 1.0f / static_cast<float>(samples);
  double total = 0;
  for (int64_t p = 0; p < pixels; ++p) {
    float off[3] = {colors[3 * p], colors[3 * p + 1], colors[3 * p + 2]};
    for (int64_t s = 0; s < samples; ++s) {
      const float* place = at + 2 * (p * samples + s);
      const Taps& one = taps[static_cast<size_t>(s)] =
          taps_at(place[0], place[1], height, width);
      for (int k = 0; k < 4; ++k)
        for (int c = 0; c < 3; ++c)
          off[c] -= share * one.weights[k] * image[3 * one.index[k] + c];
    }
    for (const Taps& one : taps)
      for (int k = 0; k < 4; ++k) {
        const float weight = share * one.weights[k];
        for (int c = 0; c < 3; ++c) up[3 * one.index[k] + c] += weight * off[c];
        down[one.index[k]] += weight;
      }
    for (int c = 0; c < 3; ++c) total += static_cast<double>(off[c]) * off[c];
  }
  return total;
}

}  // namespace tondo
