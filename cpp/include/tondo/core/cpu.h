#pragma once
#include <cstdint>

namespace tondo {
// The vector path that the kernels were compiled for, in words.
const char* simd_name();

// Multiply-adds (one multiplication and one addition each) per second that `threads` threads reach
// together in registers: the ceiling that the kernels' speed is set against. Takes about 0.2 s.
double fma_peak(int threads);

// Rows of 16 bytes per second that `threads` threads read together at random places of a table of so
// many bytes (a power of two, at least 16), asking ahead: the ceiling of what looks into hash grids.
double gather_peak(int threads, int64_t bytes);
}  // namespace tondo
