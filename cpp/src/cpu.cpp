#include "tondo/cpu.h"

namespace tondo {

const char* simd_name() {
#if defined(__AVX2__)
  return "AVX2 + FMA, 8 lanes";
#elif defined(__ARM_NEON)
  return "NEON, 2 x 4 lanes";
#else
  return "compiler vectors, no wide registers";
#endif
}

}  // namespace tondo
