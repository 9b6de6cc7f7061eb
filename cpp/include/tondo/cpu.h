#pragma once
namespace tondo {
// The vector path that the kernels were compiled for, in words.
const char* simd_name();

// Multiply-adds (one multiplication and one addition each) per second that `threads` threads reach
// together in registers: the ceiling that the kernels' speed is set against. Takes about 0.2 s.
double fma_peak(int threads);
}  // namespace tondo
