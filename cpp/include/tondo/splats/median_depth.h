// Depth at which the light through the splats has fallen to a given level.
// src/tondo/kernels/splats/median_depth_torch.py is the definition.
#pragma once
#include "tondo/splats/rasterize.h"

namespace tondo {

// What a splat says about depth, [N, kRayDepth]: bx, by, cxx, 2 cxy, cyy, depth, spread, reach.
constexpr int kRayDepth = 8;

// bins: from bin_splats for the same splats, whose colours are not looked at. depth [H, W] along
// the camera's z axis, 0 where more light than `level` passes all splats.
void median_depth(const SplatsOnScreen& splats, const float* ray_depths, const Bins& bins,
                  float level, float* depth);

}  // namespace tondo
