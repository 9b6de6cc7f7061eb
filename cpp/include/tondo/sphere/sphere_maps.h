// Maps of the sphere, rows of latitude and an even number of columns of longitude: the passes
// between a generator's convolutions. Every plane is one task, so the outcome is the same for any
// number of threads. What each of them is, is in kernels/sphere/sphere_maps_torch.py.
#pragma once
#include <cstdint>

namespace tondo {

struct SphereMaps {
  int64_t planes;
  int rows, columns;
};

// x: [planes, rows, columns], style: [planes] or null for ones; out: [planes, rows+2, columns+2].
void sphere_padded(const SphereMaps& maps, const float* x, const float* style, float* out);
// v_style: [planes], null where style is.
void sphere_padded_backward(const SphereMaps& maps, const float* x, const float* style,
                            const float* v_out, float* v_x, float* v_style);

// out: [planes, 2 rows, 2 columns]
void sphere_doubled(const SphereMaps& maps, const float* x, float* out);
void sphere_doubled_backward(const SphereMaps& maps, const float* v_out, float* v_x);

// x: [4 planes, rows, columns], scale: [4 planes], bias: [4 channels] of planes = batch * channels;
// out: [planes, 2 rows, 2 columns].
struct SphereFiner {
  SphereMaps maps;
  int64_t channels;
  float leak;
  const float *x, *scale, *bias;
};
void sphere_finer(const SphereFiner& in, float* out);
// v_bias: [4 planes], to be summed over the batch.
void sphere_finer_backward(const SphereFiner& in, const float* out, const float* v_out, float* v_x,
                           float* v_scale, float* v_bias);

// grid: [planes, 3, rows, columns]; quats: [planes, rows * columns, 4], reach: [planes, 3, rows,
// columns], its third a share `thin` of the smaller of the others.
void sphere_frames(const SphereMaps& maps, const float* grid, float thin, float* quats,
                   float* reach);

}  // namespace tondo
