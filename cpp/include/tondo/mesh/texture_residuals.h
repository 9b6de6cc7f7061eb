// What a texture lacks of a photograph. src/tondo/kernels/texture_residuals_torch.py is the
// definition.
#pragma once
#include <cstdint>

namespace tondo {

// at [P, N, 2] texel coordinates (x, y; centres at +0.5) of N samples of each of P pixels, colors
// [P, 3] of the photograph; image [height, width, 3] as it is. up [height, width, 3] and down
// [height, width] += the residuals of the pixels by the bilinear weights of their samples, and
// these weights.
// Returns the sum of the squared residuals.
double texture_residuals(const float* at, const float* colors, int64_t pixels, int64_t samples,
                         const float* image, int64_t height, int64_t width, float* up,
                         float* down);

}  // namespace tondo
