// Colours of points on a surface from a picture of it. src/tondo/kernels/gather_view_torch.py is the
// definition.
#pragma once
#include <cstdint>

namespace tondo {

struct SurfacePoints {
  const float* points;   // [T, 3]
  const float* normals;  // [T, 3] unit vectors
  const int64_t* face;   // [T] the face that each lies on
  int64_t count;         // T
  const uint8_t* facing;  // [F] whether the camera is on a face's outer side
};

struct ViewMaps {
  const float* viewmat;     // [4, 4] world-to-camera
  const float* K;           // [3, 3] pixels
  const float* front;       // [scale * H, scale * W] depth of the surface, 0 where nothing is
  const uint8_t* use;       // [H, W] 0: not at all, 1: only where nothing else shows it, 2: fully
  const uint8_t* image;     // [H, W, 3] sRGB
  const float* unexposed;   // [3, 4] from its colours 0..1 to those of the scene
  int64_t width, height, scale;
};

struct GatherRule {
  float power;      // of the sharpness
  float flat;       // cosine below which a picture counts only where nothing else shows the point
  float faint;      // the factor of what counts only there
  float slack;      // pixels by which a point may be behind the surface and count as seen
  float weight;     // of the whole picture
  float tolerance;  // colours that are so far off `mean` count less; without `mean` not used
};

// total [T, 3] and weights [T] += colour times weight, and weight, of the points that are seen.
// mean [T, 3] or null.
void gather_view(const SurfacePoints& surface, const ViewMaps& view, const GatherRule& rule,
                 const float* mean, float* total, float* weights);

}  // namespace tondo
