#include "tondo/cpu.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "tondo/simd.h"

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

namespace {

constexpr int kChains = 10;  // enough to cover the latency of a multiply-add on two ports

// Returns a value that depends on every step, so that none can be left out.
float multiply_add(int64_t rounds) {
  f8 a[kChains];
  for (int i = 0; i < kChains; ++i) a[i] = splat8(0.1f * static_cast<float>(i));
  const f8 m = splat8(0.999f), c = splat8(0.001f);
  for (int64_t r = 0; r < rounds; ++r)
    for (int i = 0; i < kChains; ++i) a[i] = a[i] * m + c;
  f8 sum = splat8(0);
  for (const f8& v : a) sum += v;
  return sum8(sum);
}

}  // namespace

double fma_peak(int threads) {
  const int count = std::max(1, threads);
  const int64_t rounds = 4'000'000;
  std::vector<float> sink(count);
  double best = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> workers;
    for (int t = 0; t < count; ++t)
      workers.emplace_back([&sink, t, rounds] { sink[t] = multiply_add(rounds); });
    for (auto& worker : workers) worker.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, count * 8.0 * kChains * static_cast<double>(rounds) / took.count());
  }
  return best;
}

}  // namespace tondo
