// Matcap shading of splats: a picture of a lit ball says what a splat's colour becomes, by its normal in
// camera space alone. src/tondo/kernels/sphere/matcap_torch.py is the definition.
#pragma once
#include <cstdint>

namespace tondo {

// Of every object [batch]: quats [splats, 4], turns [2, 3] (the camera's right and down), light
// [2, side, side] (log gain and what is added), colors [splats, 3].
struct Matcap {
  int64_t batch, splats;
  int side;
  const float *quats, *turns, *light, *colors;
};

void matcap_forward(const Matcap& in, float* out);
void matcap_backward(const Matcap& in, const float* v_out, float* v_light, float* v_colors);

}  // namespace tondo
