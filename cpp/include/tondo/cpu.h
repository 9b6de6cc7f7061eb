#pragma once
namespace tondo {
// The vector path that the kernels were compiled for, in words.
const char* simd_name();
}  // namespace tondo
