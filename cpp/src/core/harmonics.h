// Real spherical harmonics up to degree 3 of a unit direction, in the order and sign of
// geometry/spherical_harmonics.py (Sloan 2013, Efficient Spherical Harmonic Evaluation). F: float or f8.
#pragma once
#include "tondo/core/simd.h"

namespace tondo {

template <int DEGREE, class F>
TONDO_INLINE void harmonics(F x, F y, F z, F* Y) {
  Y[0] = F{} + 0.2820947917738781f;
  if constexpr (DEGREE >= 1) {
    Y[1] = -0.48860251190292f * y;
    Y[2] = 0.48860251190292f * z;
    Y[3] = -0.48860251190292f * x;
  }
  if constexpr (DEGREE >= 2) {
    const F c1 = x * x - y * y, s1 = 2.0f * x * y, b = -1.092548430592079f * z;
    Y[4] = 0.5462742152960395f * s1;
    Y[5] = b * y;
    Y[6] = 0.9461746957575601f * z * z - 0.3153915652525201f;
    Y[7] = b * x;
    Y[8] = 0.5462742152960395f * c1;
    if constexpr (DEGREE >= 3) {
      const F c2 = x * c1 - y * s1, s2 = x * s1 + y * c1;
      const F k = -2.285228997322329f * z * z + 0.4570457994644658f;
      const F e = 1.445305721320277f * z;
      Y[9] = -0.5900435899266435f * s2;
      Y[10] = e * s1;
      Y[11] = k * y;
      Y[12] = z * (1.865881662950577f * z * z - 1.119528997770346f);
      Y[13] = k * x;
      Y[14] = e * c1;
      Y[15] = -0.5900435899266435f * c2;
    }
  }
}

}  // namespace tondo
