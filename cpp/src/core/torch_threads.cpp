#include "core/torch_threads.h"

#if defined(TONDO_TORCH_THREADS) && defined(__linux__)
#include <dlfcn.h>
#endif

namespace tondo {

bool run_on_torch_threads(void (*work)(void*), void* data, unsigned threads) {
#if defined(TONDO_TORCH_THREADS) && defined(__linux__)
  // What GCC makes of `#pragma omp parallel`: part of libgomp's ABI, which is versioned (GOMP_4.0), but
  // of no header. Looked up and not linked, so that it is torch's own libgomp and no second one.
  using RunTeam = void (*)(void (*)(void*), void*, unsigned threads, unsigned flags);
  static const auto run = reinterpret_cast<RunTeam>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  if (run) run(work, data, threads, 0);
  return run != nullptr;
#else
  (void)work, (void)data, (void)threads;
  return false;
#endif
}

}  // namespace tondo
