// Splats under a light that stays with the camera (tondo.gan.networks.generator.Light): a picture of a lit
// ball says what a splat's colour becomes, by its normal in camera space alone.
#pragma once
#include <cstdint>

namespace tondo {

// Of every object [batch]: quats [splats, 4], turns [2, 3] (the camera's right and down), light
// [2, side, side] (log gain and what is added), colors [splats, 3].
struct Lit {
  int64_t batch, splats;
  int side;
  const float *quats, *turns, *light, *colors;
};

void lit_forward(const Lit& in, float* out);
void lit_backward(const Lit& in, const float* v_out, float* v_light, float* v_colors);

}  // namespace tondo
