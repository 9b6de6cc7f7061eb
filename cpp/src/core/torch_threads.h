// Work on the threads of torch's OpenMP. They go on looking for work for a while after each of torch's
// operations, and threads of our own would have to wait for the cores (docs/notes/gan.md).
#pragma once

namespace tondo {

// Calls work(data) on `threads` threads at once and returns true once all are done; does nothing and
// returns false where the process has no GNU OpenMP that all may use, or the build has
// TONDO_TORCH_THREADS off.
bool run_on_torch_threads(void (*work)(void*), void* data, unsigned threads);

}  // namespace tondo
