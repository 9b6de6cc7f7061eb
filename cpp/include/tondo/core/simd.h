// Eight float lanes by compiler vector types: AVX on x86-64-v3, two NEON registers on ARM64.
// No intrinsics but two where the compilers have no portable word for one instruction.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace tondo {

typedef float f8 __attribute__((vector_size(32)));
typedef int32_t i8 __attribute__((vector_size(32)));
typedef float f4 __attribute__((vector_size(16)));

#define TONDO_INLINE inline __attribute__((always_inline))

TONDO_INLINE f8 splat8(float x) { return f8{x, x, x, x, x, x, x, x}; }
TONDO_INLINE f8 load8(const float* p) {
  f8 v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
TONDO_INLINE void store8(float* p, f8 v) { std::memcpy(p, &v, sizeof(v)); }
TONDO_INLINE f8 select8(i8 mask, f8 a, f8 b) { return mask ? a : b; }
TONDO_INLINE f8 min8(f8 a, f8 b) {
#if defined(__AVX__)
  return (f8)_mm256_min_ps((__m256)a, (__m256)b);
#else
  return a < b ? a : b;
#endif
}
TONDO_INLINE f8 max8(f8 a, f8 b) {
#if defined(__AVX__)
  return (f8)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return a > b ? a : b;
#endif
}
TONDO_INLINE f8 abs8(f8 a) { return (f8)((i8)a & 0x7fffffff); }
// a where the mask is set, else 0
TONDO_INLINE f8 keep8(i8 mask, f8 a) { return (f8)((i8)a & mask); }

// One bit per lane whose mask is set.
TONDO_INLINE uint32_t bits8(i8 mask) {
#if defined(__AVX__)
  return static_cast<uint32_t>(_mm256_movemask_ps((__m256)mask));
#else
  uint32_t out = 0;
  for (int i = 0; i < 8; ++i) out |= static_cast<uint32_t>(mask[i] < 0) << i;
  return out;
#endif
}

TONDO_INLINE f8 sqrt8(f8 a) {
#if defined(__AVX__)
  return (f8)_mm256_sqrt_ps((__m256)a);
#else
  f8 r;
  for (int i = 0; i < 8; ++i) r[i] = std::sqrt(a[i]);
  return r;
#endif
}

// Nearest integer (ties to even), |a| < 2^22.
TONDO_INLINE f8 round8(f8 a) {
#if defined(__AVX__)
  return (f8)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const f8 magic = splat8(12582912.0f);
  return (a + magic) - magic;
#endif
}
TONDO_INLINE f8 floor8(f8 a) {
#if defined(__AVX__)
  return (f8)_mm256_floor_ps((__m256)a);
#else
  f8 r;
  for (int i = 0; i < 8; ++i) r[i] = std::floor(a[i]);
  return r;
#endif
}

// 2^a for a in [-126, 126], relative error below 3e-7 (a degree-5 minimax polynomial on
// [-0.5, 0.5], then the exponent bits).
TONDO_INLINE f8 exp2_8(f8 a) {
  const f8 n = round8(a);
  const f8 f = a - n;
  f8 p = splat8(1.32647204e-3f);
  p = p * f + 9.67151302e-3f;
  p = p * f + 5.55073378e-2f;
  p = p * f + 2.40222421e-1f;
  p = p * f + 6.93146978e-1f;
  p = p * f + 1.0f;
  const i8 e = __builtin_convertvector(n, i8) << 23;
  return (f8)((i8)p + e);
}

// log2 of positive a that are no denormals, error below 3e-7 of 1 or of itself: the exponent, and for
// a mantissa m in [sqrt(1/2), sqrt(2)) the series of 2 atanh((m - 1) / (m + 1)).
TONDO_INLINE f8 log2_8(f8 a) {
  const i8 bits = (i8)a, e = (bits - 0x3f3504f3) >> 23;
  const f8 m = (f8)(bits - (e << 23));
  const f8 s = (m - 1.0f) / (m + 1.0f), z = s * s;
  f8 p = splat8(1.0f / 9);
  p = p * z + 1.0f / 7;
  p = p * z + 1.0f / 5;
  p = p * z + 1.0f / 3;
  p = p * z + 1.0f;
  return __builtin_convertvector(e, f8) + 2.88539008f * s * p;
}

// Sums of eight vectors: lane i of the result is the sum of the lanes of v[i].
TONDO_INLINE f8 sums8(const f8 v[8]) {
#define TONDO_LO(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define TONDO_HI(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
  const f8 a = TONDO_LO(v[0], v[1]) + TONDO_HI(v[0], v[1]);
  const f8 b = TONDO_LO(v[2], v[3]) + TONDO_HI(v[2], v[3]);
  const f8 c = TONDO_LO(v[4], v[5]) + TONDO_HI(v[4], v[5]);
  const f8 d = TONDO_LO(v[6], v[7]) + TONDO_HI(v[6], v[7]);
  // a: v0 v1 v0 v1 | v0 v1 v0 v1 (partial sums)
  const f8 ab = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13) +
                __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  const f8 cd = __builtin_shufflevector(c, d, 0, 1, 8, 9, 4, 5, 12, 13) +
                __builtin_shufflevector(c, d, 2, 3, 10, 11, 6, 7, 14, 15);
  return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11) +
         __builtin_shufflevector(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15);
#undef TONDO_LO
#undef TONDO_HI
}

TONDO_INLINE float sum8(f8 v) {
  return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

}  // namespace tondo
