// Depth pictures of a triangle mesh. src/tondo/kernels/mesh_depth_torch.py is the definition.
#pragma once
#include <cstdint>

namespace tondo {

// vertices [V, 3] in pixels and depth (u, v, z) of one camera; faces [F, 3], indices below V.
// depth [H, W] is the nearest depth along the camera's z axis at each pixel centre, face [H, W] the
// face there; 0 and -1 where nothing is. Faces with a corner at z <= near are left out.
void mesh_depth(const float* vertices, const int64_t* faces, int64_t count, float near, int width,
                int height, float* depth, int64_t* face);

}  // namespace tondo
