// Fusion of depth pictures into a truncated signed distance field (Curless & Levoy 1996).
// src/tondo/kernels/tsdf_torch.py is the definition.
#pragma once
#include <cstdint>

namespace tondo {

// volume: six planes [6, nx, ny, nz]: value, weight, red, green, blue, colour weight.
// grid: x, y, z of voxel (0, 0, 0)'s centre and the distance between voxels, world units.
struct TsdfVolume {
  float* planes;
  int64_t nx, ny, nz;
  const float* grid;
};

// viewmat [4, 4] and K [3, 3] row-major; pixels [height, width, 6]: depth (infinite: nothing there
// as far as one can see, 0: unknown), weight, red, green, blue, colour weight.
struct TsdfView {
  const float* viewmat;
  const float* K;
  const float* pixels;
  int64_t width, height;
};

// Updates the volume in place by what one camera sees. Every voxel is handled by one thread alone,
// so the result doesn't depend on the number of threads.
void tsdf_integrate(const TsdfVolume& volume, const TsdfView& view, float truncation);

}  // namespace tondo
