// Work is cut into chunks by index alone and every chunk writes only its own results, so the outcome
// never depends on how many threads ran or which one took a chunk. The threads are torch's where the
// build allows it and the process has them (src/core/torch_threads.h), and else a small pool of our
// own.
#pragma once
#include <cstdint>
#include <functional>

namespace tondo {

// Number of threads used by parallel_for, at least 1. Starts at the cores this process may use.
int num_threads();
void set_num_threads(int n);

// Calls fn(i) once for every i in [0, n). Blocks until all are done. Called from
// within fn, it runs on that thread alone.
void parallel_for(int64_t n, const std::function<void(int64_t)>& fn);

// Splits [0, n) into chunks of `grain` and calls fn(begin, end) for each.
void parallel_chunks(int64_t n, int64_t grain,
                     const std::function<void(int64_t, int64_t)>& fn);

}  // namespace tondo
