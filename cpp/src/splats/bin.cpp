// Depth order and tile lists. The splats are sorted once; tiles get them in that order.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tondo/splats/rasterize.h"
#include "tondo/core/simd.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr float kMargin = 1e-3f;  // pixels and log units; lists may be a hair too long, never short

void sort_by_depth(const SplatsOnScreen& s, Bins& bins) {
  auto& keys = bins.keys;
  auto& other = bins.keys_scratch;
  keys.clear();
  for (int64_t i = 0; i < s.n; ++i) {
    if (s.radii[2 * i] <= 0 || s.radii[2 * i + 1] <= 0) continue;
    uint32_t bits;
    std::memcpy(&bits, s.depths + i, 4);
    bits ^= (bits & 0x80000000u) ? 0xffffffffu : 0x80000000u;  // order-preserving for any sign
    keys.push_back(static_cast<uint64_t>(bits) << 32 | static_cast<uint64_t>(i));
  }
  other.resize(keys.size());
  for (int shift = 32; shift < 64; shift += 11) {  // stable: ties stay in index order
    uint32_t count[2048] = {};
    for (uint64_t k : keys) ++count[(k >> shift) & 2047];
    uint32_t sum = 0;
    for (uint32_t& c : count) {
      const uint32_t n = c;
      c = sum;
      sum += n;
    }
    for (uint64_t k : keys) other[count[(k >> shift) & 2047]++] = k;
    keys.swap(other);
  }
  bins.order.resize(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) bins.order[i] = static_cast<uint32_t>(keys[i]);
}

struct Listed {
  Instance instance;
  uint32_t tile;
};

struct Chunk {
  size_t begin, end;
  std::vector<Listed> listed;
};

// The blocks of a row of tiles that the ellipse {sigma <= ln(255 opacity)} reaches. For each
// of the 8 block rows the two pixel rows' exact x intervals are joined.
struct RowReach {
  i8 lo, hi;  // first and last pixel column per block row; hi < lo: none
  int first, last;
};

struct Ellipse {
  float mx, my, slope, k0, k1, reach_y;
};

constexpr int kTogether = 8;

// Of the splats order[0 .. count), at most eight: what is divided and rooted for one costs as much
// for all.
void ellipses_of(const SplatsOnScreen& s, const uint32_t* order, int count,
                 Ellipse out[kTogether]) {
  double A[kTogether], B[kTogether], C[kTogether], k0[kTogether], k1[kTogether], slope[kTogether];
  double reach[kTogether];
  f8 opacity;
  for (int l = 0; l < kTogether; ++l) {
    const size_t i = order[std::min(l, count - 1)];
    A[l] = 0.5 * s.conics[3 * i];
    B[l] = s.conics[3 * i + 1];
    C[l] = 0.5 * s.conics[3 * i + 2];
    opacity[l] = s.opacities[i];
  }
  const f8 top = log2_8(255.0f * opacity) * 0.693147181f + kMargin;
  for (int l = 0; l < kTogether; ++l) {
    k1[l] = std::max(0.0, (4 * A[l] * C[l] - B[l] * B[l]) / (4 * A[l] * A[l]));
    k0[l] = top[l] / A[l];
    slope[l] = -B[l] / (2 * A[l]);
    reach[l] = std::min(1e6, std::sqrt(k0[l] / std::max(k1[l], 1e-30)));
  }
  for (int l = 0; l < count; ++l) {
    const size_t i = order[l];
    out[l] = {s.means2d[2 * i],
              s.means2d[2 * i + 1],
              static_cast<float>(slope[l]),
              static_cast<float>(k0[l]),
              static_cast<float>(k1[l]),
              static_cast<float>(reach[l]) + kMargin};
  }
}

TONDO_INLINE RowReach reach_in_row(const Ellipse& e, int tile_y, int width, int height) {
  const f8 r = f8{0, 2, 4, 6, 8, 10, 12, 14};
  const f8 y = r + (static_cast<float>(tile_y * kTile) + 0.5f);
  const f8 big = splat8(1e9f);
  f8 lo = big, hi = -big;
  for (int odd = 0; odd < 2; ++odd) {
    const f8 row = y + static_cast<float>(odd);
    const f8 dy = row - e.my;
    const f8 disc = e.k0 - e.k1 * (dy * dy);
    const i8 hit = (disc >= 0.0f) & (row < static_cast<float>(height));
    const f8 half = sqrt8(max8(disc, splat8(0))) + kMargin;
    const f8 mid = e.mx + e.slope * dy;
    lo = select8(hit, min8(lo, mid - half), lo);
    hi = select8(hit, max8(hi, mid + half), hi);
  }
  // pixel column c is hit where lo <= c + 0.5 <= hi
  const f8 first = max8(floor8(lo + 0.5f), splat8(0));
  const f8 last = min8(floor8(hi - 0.5f), splat8(static_cast<float>(width - 1)));
  RowReach out;
  const i8 none = last < first;
  out.lo = __builtin_convertvector(select8(none, splat8(1e6f), first), i8);
  out.hi = __builtin_convertvector(select8(none, splat8(-1.0f), last), i8);
  // both extremes in one reduction: the smallest of lo and of -hi
  const f8 low = select8(none, splat8(1e6f), first), high = select8(none, splat8(1.0f), -last);
  const f8 a = min8(__builtin_shufflevector(low, high, 0, 1, 2, 3, 8, 9, 10, 11),
                    __builtin_shufflevector(low, high, 4, 5, 6, 7, 12, 13, 14, 15));
  const f8 b = min8(a, __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5));
  const f8 c = min8(b, __builtin_shufflevector(b, b, 1, 0, 3, 2, 5, 4, 7, 6));
  out.first = static_cast<int>(c[0]);
  out.last = -static_cast<int>(c[4]);
  return out;
}

TONDO_INLINE uint32_t blocks_in_tile(const RowReach& reach, int tile_x) {
  i8 lo = (reach.lo - tile_x * kTile) >> 2;
  i8 hi = (reach.hi - tile_x * kTile) >> 2;
  lo = (lo < 0) ? (i8{}) : lo;
  lo = (lo > 4) ? (i8{} + 4) : lo;
  hi = (hi < -1) ? (i8{} - 1) : hi;
  hi = (hi > 3) ? (i8{} + 3) : hi;
  i8 bits = ((i8{} + 1) << (hi + 1)) - ((i8{} + 1) << lo);
  bits = (hi >= lo) ? bits : i8{};
  bits = bits << (i8{0, 4, 8, 12, 16, 20, 24, 28});
  bits |= __builtin_shufflevector(bits, bits, 4, 5, 6, 7, 0, 1, 2, 3);
  bits |= __builtin_shufflevector(bits, bits, 2, 3, 0, 1, 6, 7, 4, 5);
  bits |= __builtin_shufflevector(bits, bits, 1, 0, 3, 2, 5, 4, 7, 6);
  return static_cast<uint32_t>(bits[0]);
}

void list_chunk(const SplatsOnScreen& s, const Bins& bins, Chunk& chunk, uint32_t* first_slot,
                uint32_t* tile_count) {
  chunk.listed.reserve((chunk.end - chunk.begin) * 4);
  Ellipse next[kTogether];
  for (size_t j = chunk.begin; j < chunk.end; ++j) {
    first_slot[j] = static_cast<uint32_t>(chunk.listed.size());
    const size_t among = (j - chunk.begin) % kTogether;
    if (among == 0) {
      const int count = static_cast<int>(std::min<size_t>(kTogether, chunk.end - j));
      ellipses_of(s, bins.order.data() + j, count, next);
    }
    const Ellipse& e = next[among];
    const float top = std::max(0.0f, e.my - e.reach_y), bottom = e.my + e.reach_y;
    if (!(bottom >= 0.0f) || !(top < static_cast<float>(bins.height))) continue;
    const int ty0 = static_cast<int>(top) / kTile;
    const int ty1 = std::min(bins.tiles_y - 1, static_cast<int>(bottom) / kTile);
    for (int ty = ty0; ty <= ty1; ++ty) {
      const RowReach reach = reach_in_row(e, ty, bins.width, bins.height);
      if (reach.last < 0) continue;
      for (int tx = reach.first / kTile; tx <= reach.last / kTile; ++tx) {
        const uint32_t blocks = blocks_in_tile(reach, tx);
        if (!blocks) continue;
        const uint32_t tile = static_cast<uint32_t>(ty * bins.tiles_x + tx);
        chunk.listed.push_back({{static_cast<uint32_t>(j), blocks, 0}, tile});
        ++tile_count[tile];
      }
    }
  }
}

}  // namespace

void bin_splats(const SplatsOnScreen& s, int width, int height, Bins& bins) {
  bins.width = width;
  bins.height = height;
  bins.tiles_x = (width + kTile - 1) / kTile;
  bins.tiles_y = (height + kTile - 1) / kTile;
  sort_by_depth(s, bins);

  const size_t n = bins.order.size();
  const size_t tiles = static_cast<size_t>(bins.tiles_x) * bins.tiles_y;
  const size_t size = std::max<size_t>(512, (n + 63) / 64);
  const size_t count = (n + size - 1) / size;
  std::vector<Chunk> chunks(count);
  std::vector<uint32_t> at(count * tiles, 0);  // per chunk and tile: first a count, then a place
  bins.first_slot.resize(n + 1);
  parallel_for(static_cast<int64_t>(count), [&](int64_t c) {
    chunks[c].begin = c * size;
    chunks[c].end = std::min(n, (c + 1) * size);
    list_chunk(s, bins, chunks[c], bins.first_slot.data(), at.data() + c * tiles);
  });

  bins.tile_begin.resize(tiles + 1);
  uint32_t sum = 0;
  for (size_t t = 0; t < tiles; ++t) {
    bins.tile_begin[t] = sum;
    for (size_t c = 0; c < count; ++c) {
      const uint32_t k = at[c * tiles + t];
      at[c * tiles + t] = sum;
      sum += k;
    }
  }
  bins.tile_begin[tiles] = sum;
  std::vector<uint32_t> slot_base(count + 1, 0);
  for (size_t c = 0; c < count; ++c)
    slot_base[c + 1] = slot_base[c] + static_cast<uint32_t>(chunks[c].listed.size());
  bins.first_slot[n] = sum;

  bins.instances.resize(sum);
  parallel_for(static_cast<int64_t>(count), [&](int64_t c) {
    const Chunk& chunk = chunks[c];
    uint32_t* place = at.data() + c * tiles;
    for (size_t k = 0; k < chunk.listed.size(); ++k) {
      Instance instance = chunk.listed[k].instance;
      instance.slot = slot_base[c] + static_cast<uint32_t>(k);
      bins.instances[place[chunk.listed[k].tile]++] = instance;
    }
    for (size_t j = chunk.begin; j < chunk.end; ++j) bins.first_slot[j] += slot_base[c];
  });
}

}  // namespace tondo
