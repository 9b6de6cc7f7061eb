#include "tondo/core/matmul.h"

#include "tondo/core/simd.h"

namespace tondo {
namespace {

// R rows by V vectors of c stay in registers: 12 of them for R 6, V 2, which keeps both
// multiply-add units of an AVX2 core busy with 8 loads for 12 operations.
template <int R, int V>
TONDO_INLINE void tile(int64_t n, int64_t steps, Factor a, const float* b, float* c) {
  f8 sums[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sums[r][v] = load8(c + r * n + 8 * v);
  for (int64_t k = 0; k < steps; ++k) {
    f8 x[V];
    for (int v = 0; v < V; ++v) x[v] = load8(b + k * n + 8 * v);
    for (int r = 0; r < R; ++r) {
      const f8 w = splat8(a.data[r * a.row + k * a.step]);
      for (int v = 0; v < V; ++v) sums[r][v] += w * x[v];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store8(c + r * n + 8 * v, sums[r][v]);
}

template <int R>
void rows(int64_t n, int64_t steps, Factor a, const float* b, float* c) {
  int64_t j = 0;
  for (; j + 16 <= n; j += 16) tile<R, 2>(n, steps, a, b + j, c + j);
  if (j < n) tile<R, 1>(n, steps, a, b + j, c + j);
}

}  // namespace

void add_product(int64_t m, int64_t n, int64_t steps, Factor a, const float* b, float* c) {
  int64_t r = 0;
  const auto at = [&](int64_t row) { return Factor{a.data + row * a.row, a.row, a.step}; };
  for (; r + 6 <= m; r += 6) rows<6>(n, steps, at(r), b, c + r * n);
  switch (m - r) {
    case 5: return rows<5>(n, steps, at(r), b, c + r * n);
    case 4: return rows<4>(n, steps, at(r), b, c + r * n);
    case 3: return rows<3>(n, steps, at(r), b, c + r * n);
    case 2: return rows<2>(n, steps, at(r), b, c + r * n);
    case 1: return rows<1>(n, steps, at(r), b, c + r * n);
    default: return;
  }
}

}  // namespace tondo
