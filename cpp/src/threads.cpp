#include "tondo/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace tondo {
namespace {

int available_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

thread_local bool inside = false;  // this thread is at work on a chunk

class Pool {
 public:
  explicit Pool(int n) {
    for (int i = 1; i < n; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
      ++round_;
    }
    wake_.notify_all();
    for (auto& t : workers_) t.join();
  }
  int size() const { return static_cast<int>(workers_.size()) + 1; }

  void run(int64_t n, const std::function<void(int64_t)>& fn) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      fn_ = &fn;
      n_ = n;
      next_.store(0, std::memory_order_relaxed);
      busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
      ++round_;
    }
    wake_.notify_all();
    drain();
    // The last chunks end within microseconds of each other: spin first, then sleep.
    for (int spin = 0; spin < 2000 && busy_.load(std::memory_order_acquire) > 0; ++spin) pause();
    if (busy_.load(std::memory_order_acquire) > 0) {
      std::unique_lock<std::mutex> lock(mutex_);
      done_.wait(lock, [this] { return busy_.load(std::memory_order_acquire) == 0; });
    }
    if (error_) {
      std::exception_ptr e = error_;
      error_ = nullptr;
      std::rethrow_exception(e);
    }
  }

 private:
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  void drain() {
    inside = true;
    take_chunks();
    inside = false;
  }
  void take_chunks() {
    try {
      for (;;) {
        const int64_t i = next_.fetch_add(1, std::memory_order_relaxed);
        if (i >= n_) return;
        (*fn_)(i);
      }
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!error_) error_ = std::current_exception();
      next_.store(n_, std::memory_order_relaxed);
    }
  }
  void work() {
    uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_ != seen; });
        seen = round_;
        if (stop_) return;
      }
      drain();
      if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        std::lock_guard<std::mutex> lock(mutex_);
        done_.notify_one();
      }
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int64_t)>* fn_ = nullptr;
  int64_t n_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<int> busy_{0};
  uint64_t round_ = 0;
  bool stop_ = false;
  std::exception_ptr error_;
};

std::mutex pool_mutex;
std::unique_ptr<Pool> pool;
int wanted = 0;

Pool& the_pool() {
  if (wanted == 0) wanted = available_cores();
  if (!pool || pool->size() != wanted) pool = std::make_unique<Pool>(wanted);
  return *pool;
}

}  // namespace

int num_threads() {
  std::lock_guard<std::mutex> lock(pool_mutex);
  if (wanted == 0) wanted = available_cores();
  return wanted;
}

void set_num_threads(int n) {
  std::lock_guard<std::mutex> lock(pool_mutex);
  wanted = std::max(1, n);
}

void parallel_for(int64_t n, const std::function<void(int64_t)>& fn) {
  if (n == 1 || inside) {
    for (int64_t i = 0; i < n; ++i) fn(i);
    return;
  }
  if (n <= 0) return;
  std::lock_guard<std::mutex> lock(pool_mutex);
  the_pool().run(n, fn);
}

void parallel_chunks(int64_t n, int64_t grain,
                     const std::function<void(int64_t, int64_t)>& fn) {
  const int64_t g = std::max<int64_t>(1, grain);
  parallel_for((n + g - 1) / g, [&](int64_t c) { fn(c * g, std::min(n, (c + 1) * g)); });
}

}  // namespace tondo
