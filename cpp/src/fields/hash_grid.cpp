#include "tondo/fields/hash_grid.h"

#include <algorithm>

#include "tondo/core/simd.h"

namespace tondo {
namespace {

typedef uint32_t u8 __attribute__((vector_size(32)));
typedef float f2 __attribute__((vector_size(8)));

constexpr uint32_t kPrimeY = 2654435761u, kPrimeZ = 805459861u;

template <int F>
struct Row;
template <>
struct Row<2> {
  typedef f2 type;
};
template <>
struct Row<4> {
  typedef f4 type;
};

// Entries and weights of the eight corners around eight points: [corner][lane].
struct Corners {
  alignas(32) uint32_t at[8][8];
  alignas(32) float weight[8][8];
};

struct Level {
  float cells;
  uint32_t side, mask;
  bool dense;  // all vertices have entries of their own

  Level(const HashGrid& grid, int level) {
    const int64_t n = grid.resolutions[level];
    cells = static_cast<float>(n);
    side = static_cast<uint32_t>(n + 1);
    mask = static_cast<uint32_t>(grid.entries - 1);
    dense = n < 1024 && (n + 1) * (n + 1) * (n + 1) <= grid.entries;
  }
};

// The cell's first vertex along one axis, and how far the point is into the cell.
TONDO_INLINE u8 cell_of(float cells, f8 x, f8& into) {
  const f8 scaled = min8(max8(x, splat8(0)), splat8(1)) * cells;
  const f8 first = min8(floor8(scaled), splat8(cells - 1));
  into = scaled - first;
  return (u8)__builtin_convertvector(first, i8);
}

TONDO_INLINE void corners_of(const Level& level, const Points& p, int64_t i, Corners& out) {
  f8 fx, fy, fz;
  const u8 x = cell_of(level.cells, load8(p.x + i), fx);
  const u8 y = cell_of(level.cells, load8(p.y + i), fy);
  const u8 z = cell_of(level.cells, load8(p.z + i), fz);
  const uint32_t step_y = level.dense ? level.side : kPrimeY;
  const uint32_t step_z = level.dense ? level.side * level.side : kPrimeZ;
  const u8 ys[2] = {y * step_y, (y + 1) * step_y}, zs[2] = {z * step_z, (z + 1) * step_z};
  const f8 wx[2] = {1.0f - fx, fx}, wy[2] = {1.0f - fy, fy}, wz[2] = {1.0f - fz, fz};
  for (int c = 0; c < 8; ++c) {
    const int a = c & 1, b = (c >> 1) & 1, d = c >> 2;
    const u8 across = a ? x + 1 : x;
    const u8 at = level.dense ? across + ys[b] + zs[d] : (across ^ ys[b] ^ zs[d]) & level.mask;
    const f8 weight = wx[a] * (wy[b] * wz[d]);
    std::memcpy(out.at[c], &at, sizeof(at));
    store8(out.weight[c], weight);
  }
}

// Corners of eight points after another, each asked for from memory while the ones before are worked
// on: entries lie at random in tables larger than the caches.
template <int F, bool kWrite>
class Ahead {
 public:
  Ahead(const Level& level, const Points& points, const float* table)
      : level_(level), points_(points), table_(table) {
    ask(0);
  }

  // Of points i .. i + 7; to be called for every eighth in turn.
  const Corners& of(int64_t i) {
    ask(i + 8);
    return ring_[(i >> 3) & 1];
  }

 private:
  TONDO_INLINE void ask(int64_t i) {
    if (i >= points_.count) return;
    Corners& corners = ring_[(i >> 3) & 1];
    corners_of(level_, points_, i, corners);
    for (int c = 0; c < 8; ++c)
      for (int s = 0; s < 8; ++s)
        __builtin_prefetch(table_ + size_t{corners.at[c][s]} * F, kWrite);
  }

  const Level& level_;
  const Points& points_;
  const float* table_;
  Corners ring_[2];
};

template <int F>
void encode_level(const HashGrid& grid, int l, const Points& p, float* features) {
  typedef typename Row<F>::type row;
  const Level level(grid, l);
  const float* table = grid.tables + grid.entries * F * l;
  const int64_t width = int64_t{grid.levels} * F;
  Ahead<F, false> ahead(level, p, table);
  for (int64_t i = 0; i < p.count; i += 8) {
    const Corners& corners = ahead.of(i);
    const int lanes = static_cast<int>(std::min<int64_t>(8, p.count - i));
    for (int s = 0; s < lanes; ++s) {
      row sum = {};
      for (int c = 0; c < 8; ++c) {
        row entry;
        std::memcpy(&entry, table + size_t{corners.at[c][s]} * F, sizeof(entry));
        sum += corners.weight[c][s] * entry;
      }
      std::memcpy(features + (i + s) * width + l * F, &sum, sizeof(sum));
    }
  }
}

template <int F>
void level_backward(const HashGrid& grid, int l, const Points& p, const float* v_features,
                    float* v_table) {
  typedef typename Row<F>::type row;
  const Level level(grid, l);
  Ahead<F, true> ahead(level, p, v_table);
  for (int64_t i = 0; i < p.count; i += 8) {
    const Corners& corners = ahead.of(i);
    const int lanes = static_cast<int>(std::min<int64_t>(8, p.count - i));
    for (int s = 0; s < lanes; ++s) {
      row v;
      std::memcpy(&v, v_features + (i + s) * F, sizeof(v));
      for (int c = 0; c < 8; ++c) {
        float* at = v_table + size_t{corners.at[c][s]} * F;
        row sum;
        std::memcpy(&sum, at, sizeof(sum));
        sum += corners.weight[c][s] * v;
        std::memcpy(at, &sum, sizeof(sum));
      }
    }
  }
}

}  // namespace

// Level by level: one table at a time stays in the caches.
void hash_encode(const HashGrid& grid, const Points& points, float* features) {
  for (int l = 0; l < grid.levels; ++l) {
    if (grid.features == 2) encode_level<2>(grid, l, points, features);
    else encode_level<4>(grid, l, points, features);
  }
}

void hash_encode_backward(const HashGrid& grid, int level, const Points& points,
                          const float* v_features, float* v_table) {
  if (grid.features == 2) level_backward<2>(grid, level, points, v_features, v_table);
  else level_backward<4>(grid, level, points, v_features, v_table);
}

}  // namespace tondo
