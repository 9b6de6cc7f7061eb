// Multi-resolution hash encoding (Mueller et al. 2022, Instant Neural Graphics Primitives, section 3).
#pragma once
#include <cstdint>

namespace tondo {

struct HashGrid {
  int levels, features;        // features: 2 or 4 numbers an entry
  int64_t entries;             // of a level's table, a power of two
  const float* tables;         // [levels, entries, features]
  const int32_t* resolutions;  // [levels] cells along a side of the unit cube
};

// Points of the unit cube, one array a coordinate, each readable up to a multiple of 8.
struct Points {
  int64_t count;
  const float *x, *y, *z;
};

// features[s * levels * F + level * F + f] of `count` points.
void hash_encode(const HashGrid& grid, const Points& points, float* features);

// Adds to v_table [entries, F] of one level what v_features [count, F] asks for.
void hash_encode_backward(const HashGrid& grid, int level, const Points& points,
                          const float* v_features, float* v_table);

}  // namespace tondo
