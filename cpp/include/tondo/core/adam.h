// Adam over the rows that a camera has seen.
#pragma once
#include <cstdint>

namespace tondo {

struct AdamOptions {
  float beta1, beta2, eps;
  int64_t step;          // counts from 1
  bool touched = false;  // vectors of eight numbers whose gradients are all 0 are left alone, too
};

// params, grads, exp_avg, exp_avg_sq: [rows, columns]; radii: [rows, 2], a row with radii 0 is left
// alone (null: all rows). lr: [columns].
void adam_visible(int64_t rows, int columns, float* params, const float* grads, float* exp_avg,
                  float* exp_avg_sq, const int32_t* radii, const float* lr,
                  const AdamOptions& options);

}  // namespace tondo
