#include "tondo/core/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/torch_threads.h"

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

// What one call of parallel_for shares among its threads.
struct Round {
  int64_t n;
  const std::function<void(int64_t)>& fn;
  std::atomic<int64_t> next{0};
  std::mutex mutex{};
  std::exception_ptr error{};

  void take_chunks() {
    inside = true;
    try {
      for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n;) fn(i);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex);
      if (!error) error = std::current_exception();
      next.store(n, std::memory_order_relaxed);
    }
    inside = false;
  }
};

class Pool {
 public:
  explicit Pool(int n) {
    for (int i = 1; i < n; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
      ++rounds_;
    }
    wake_.notify_all();
    for (auto& t : workers_) t.join();
  }
  int size() const { return static_cast<int>(workers_.size()) + 1; }

  void run(Round& round) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      round_ = &round;
      busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
      ++rounds_;
    }
    wake_.notify_all();
    round.take_chunks();
    // The last chunks end within microseconds of each other: spin first, then sleep.
    for (int spin = 0; spin < 2000 && busy_.load(std::memory_order_acquire) > 0; ++spin) pause();
    if (busy_.load(std::memory_order_acquire) > 0) {
      std::unique_lock<std::mutex> lock(mutex_);
      done_.wait(lock, [this] { return busy_.load(std::memory_order_acquire) == 0; });
    }
  }

 private:
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  void work() {
    uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return rounds_ != seen; });
        seen = rounds_;
        if (stop_) return;
      }
      round_->take_chunks();
      if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        std::lock_guard<std::mutex> lock(mutex_);
        done_.notify_one();
      }
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Round* round_ = nullptr;
  std::atomic<int> busy_{0};
  uint64_t rounds_ = 0;
  bool stop_ = false;
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
  Round round{n, fn};
  const unsigned threads = static_cast<unsigned>(std::min<int64_t>(n, num_threads()));
  const auto work = [](void* data) { static_cast<Round*>(data)->take_chunks(); };
  if (!run_on_torch_threads(work, &round, threads)) {
    std::lock_guard<std::mutex> lock(pool_mutex);
    the_pool().run(round);
  }
  if (round.error) std::rethrow_exception(round.error);
}

void parallel_chunks(int64_t n, int64_t grain,
                     const std::function<void(int64_t, int64_t)>& fn) {
  const int64_t g = std::max<int64_t>(1, grain);
  parallel_for((n + g - 1) / g, [&](int64_t c) { fn(c * g, std::min(n, (c + 1) * g)); });
}

}  // namespace tondo
