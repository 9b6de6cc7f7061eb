#include "tondo/sphere/matcap.h"

#include <algorithm>
#include <cmath>

#include "tondo/core/threads.h"

namespace tondo {
namespace {

struct Place {  // four pixels of the light's picture, and their shares
  int at[4];
  float share[4];
};

// Pixel and share of the next one, of -1..1 across `side` pixels whose middles are half a pixel in.
float pixel_of(float across, int side, int* first) {
  const float x = 0.5f * ((across + 1) * static_cast<float>(side) - 1);
  const float inside = std::min(std::max(x, 0.0f), static_cast<float>(side - 1));
  *first = std::min(static_cast<int>(inside), side - 2);
  return inside - static_cast<float>(*first);
}

Place place_of(const float* q, const float* turns, int side) {
  const float w = q[0], x = q[1], y = q[2], z = q[3];
  const float out[3] = {2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)};
  float across[2];
  for (int k = 0; k < 2; ++k) {
    const float* t = turns + 3 * k;
    const float found = t[0] * out[0] + t[1] * out[1] + t[2] * out[2];
    across[k] = std::isfinite(found) ? found : 0.0f;
  }
  int column, row;
  const float right = pixel_of(across[0], side, &column), down = pixel_of(across[1], side, &row);
  const int at = row * side + column;
  return {{at, at + 1, at + side, at + side + 1},
          {(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right}};
}

float mixed(const float* picture, const Place& place) {
  float sum = 0;
  for (int k = 0; k < 4; ++k) sum += place.share[k] * picture[place.at[k]];
  return sum;
}

}  // namespace

void matcap_forward(const Matcap& in, float* out) {
  const int pixels = in.side * in.side;
  parallel_for(in.batch, [&](int64_t b) {
    const float *light = in.light + 2 * pixels * b, *turns = in.turns + 6 * b;
    for (int64_t n = b * in.splats; n < (b + 1) * in.splats; ++n) {
      const Place place = place_of(in.quats + 4 * n, turns, in.side);
      const float gain = std::exp(mixed(light, place)), shine = mixed(light + pixels, place);
      for (int c = 0; c < 3; ++c) out[3 * n + c] = in.colors[3 * n + c] * gain + shine;
    }
  });
}

void matcap_backward(const Matcap& in, const float* v_out, float* v_light, float* v_colors) {
  const int pixels = in.side * in.side;
  parallel_for(in.batch, [&](int64_t b) {
    const float *light = in.light + 2 * pixels * b, *turns = in.turns + 6 * b;
    float* v_gains = v_light + 2 * pixels * b;
    float* v_shines = v_gains + pixels;
    std::fill(v_gains, v_gains + 2 * pixels, 0.0f);
    for (int64_t n = b * in.splats; n < (b + 1) * in.splats; ++n) {
      const Place place = place_of(in.quats + 4 * n, turns, in.side);
      const float gain = std::exp(mixed(light, place));
      float v_gain = 0, v_shine = 0;
      for (int c = 0; c < 3; ++c) {
        const float v = v_out[3 * n + c];
        v_colors[3 * n + c] = v * gain;
        v_gain += v * gain * in.colors[3 * n + c];
        v_shine += v;
      }
      for (int k = 0; k < 4; ++k) {
        v_gains[place.at[k]] += place.share[k] * v_gain;
        v_shines[place.at[k]] += place.share[k] * v_shine;
      }
    }
  });
}

}  // namespace tondo
