// (1 - weight) L1 + weight (1 - SSIM) between a rendered picture and a photograph, with the
// gradient, in two passes over the picture.
#pragma once
#include <cstdint>
#include <vector>

namespace tondo {

struct LossScratch {
  std::vector<float> sum, difference, mask, d_mean, d_sum2, d_difference2;
};

struct LossIn {
  int height, width;
  const float* image;       // [H, W, 3] 0..1
  const uint8_t* target8;   // [H, W, 3] 0..255, or null
  const float* target;      // [H, W, 3] 0..1, where target8 is null
  const uint8_t* valid;     // [H, W] 0 = leave this pixel out, or null
  const float* exposure;    // [3, 4] applied to the image first, or null
  float ssim_weight;
};

struct LossOut {
  double loss, l1, ssim;    // l1 and ssim: means over valid pixels and channels
  float* v_image;           // [H, W, 3] or null
  float* v_exposure;        // [3, 4] or null
};

void ssim_l1(const LossIn& in, LossScratch& scratch, LossOut& out);

}  // namespace tondo
