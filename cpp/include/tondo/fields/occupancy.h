// What the cells of a field's space hold, as remembered from the densities that were seen there, and
// how many steps of a ray a sample may stand for in each.
#pragma once
#include <cstdint>

#include "tondo/fields/field.h"

namespace tondo {

struct MemoryRule {
  float decay;  // of what a cell remembers, at each place that is seen in it
  float least;  // density, per world unit, up to which a cell counts as empty
  float thin;   // optical depth up to which steps are taken together
  int most;     // and how many, 1 to 255
};

struct CellMemory {
  float* densities;  // [cells^3] per world unit, x fastest
  uint8_t* strides;  // [cells^3] steps that a sample stands for, 0 where nothing is
};

// Seen places, one after the other: points of the unit cube and densities, those of place i at
// sigmas[i * apart].
void remember(const Space& space, const Marching& marching, const MemoryRule& rule,
              const CellMemory& memory, const Points& places, const float* sigmas, int64_t apart);

}  // namespace tondo
