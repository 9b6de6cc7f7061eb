#include "tondo/fields/occupancy.h"

#include <algorithm>
#include <cmath>

namespace tondo {
namespace {

// Length of a step in the middle of a cell, seen from the space's centre.
float step_length(const Space& space, const Marching& marching, const int64_t cell[3]) {
  float squared = 0;
  for (int k = 0; k < 3; ++k) {
    const float u = (static_cast<float>(cell[k]) + 0.5f) / static_cast<float>(space.cells);
    const float y = (space.contracted ? 4.0f : 2.0f) * (u - 0.5f);
    squared += y * y;
  }
  float reach = std::sqrt(squared);
  if (space.contracted && reach > 1.0f) reach = 1.0f / (2.0f - std::min(reach, 1.999f));
  return std::max(marching.step, marching.cone * reach * space.radius);
}

}  // namespace

void remember(const Space& space, const Marching& marching, const MemoryRule& rule,
              const CellMemory& memory, const Points& places, const float* sigmas, int64_t apart) {
  const float* u[3] = {places.x, places.y, places.z};
  for (int64_t i = 0; i < places.count; ++i) {
    int64_t cell[3];
    for (int k = 0; k < 3; ++k)
      cell[k] = std::clamp<int64_t>(
          static_cast<int64_t>(u[k][i] * static_cast<float>(space.cells)), 0, space.cells - 1);
    const int64_t at = (cell[2] * space.cells + cell[1]) * space.cells + cell[0];
    const float density = std::max(memory.densities[at] * rule.decay, sigmas[i * apart]);
    memory.densities[at] = density;
    float stride = 0;
    if (density > rule.least) {
      const float optical = density * step_length(space, marching, cell);
      stride = std::clamp(rule.thin / std::max(optical, 1e-9f), 1.0f, static_cast<float>(rule.most));
    }
    memory.strides[at] = static_cast<uint8_t>(stride);
  }
}

}  // namespace tondo
