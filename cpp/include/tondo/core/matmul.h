// Matrix products of networks whose layers fit the first caches.
#pragma once
#include <cstdint>

namespace tondo {

// A matrix whose element (r, k) is data[r * row + k * step]: as it lies, or transposed.
struct Factor {
  const float* data;
  int64_t row, step;
};

// c[r * n + j] += sum over k of a(r, k) b[k * n + j], for r in [0, m) and j in [0, n); n must be a
// multiple of 8. A layer is this forwards, to its inputs and to its weights.
void add_product(int64_t m, int64_t n, int64_t steps, Factor a, const float* b, float* c);

}  // namespace tondo
