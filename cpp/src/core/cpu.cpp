#include "tondo/core/cpu.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "tondo/core/simd.h"

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

// The rows that `at` names, summed, so that none can be left out.
float gather(const std::vector<float>& table, const std::vector<uint32_t>& at, int rounds) {
  constexpr size_t kAhead = 32;
  typedef float f4 __attribute__((vector_size(16)));
  f4 sum = {};
  for (int r = 0; r < rounds; ++r)
    for (size_t i = 0; i < at.size(); ++i) {
      __builtin_prefetch(&table[4 * size_t{at[(i + kAhead) % at.size()]}]);
      f4 row;
      std::memcpy(&row, &table[4 * size_t{at[i]}], sizeof(row));
      sum += row;
    }
  return sum[0] + sum[1] + sum[2] + sum[3];
}

// The most of a few tries that `work(t)` of each thread can do a second, `each` units a call.
template <typename Work>
double best_rate(int threads, double each, const Work& work) {
  double best = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t) workers.emplace_back([&work, t] { work(t); });
    for (auto& worker : workers) worker.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, threads * each / took.count());
  }
  return best;
}

}  // namespace

double fma_peak(int threads) {
  const int count = std::max(1, threads);
  const int64_t rounds = 4'000'000;
  std::vector<float> sink(count);
  return best_rate(count, 8.0 * kChains * static_cast<double>(rounds),
                   [&](int t) { sink[t] = multiply_add(rounds); });
}

double gather_peak(int threads, int64_t bytes) {
  const int count = std::max(1, threads), rounds = 64;
  const size_t rows = static_cast<size_t>(std::max<int64_t>(bytes, 16)) / 16;
  const std::vector<float> table(4 * rows, 1.0f);
  std::vector<std::vector<uint32_t>> at(count, std::vector<uint32_t>(1 << 16));
  uint64_t state = 1;
  for (auto& list : at)
    for (uint32_t& one : list) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      one = static_cast<uint32_t>((state >> 33) % rows);
    }
  std::vector<float> sink(count);
  return best_rate(count, 65536.0 * rounds, [&](int t) { sink[t] = gather(table, at[t], rounds); });
}

}  // namespace tondo
