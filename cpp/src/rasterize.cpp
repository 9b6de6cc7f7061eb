// One tile is 32 blocks of 4 x 2 pixels, a block is one vector of 8 lanes. Every splat knows which
// blocks it can reach (bin.cpp); blocks whose pixels are all opaque drop out of a bit mask.
#include "tondo/rasterize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tondo/simd.h"
#include "tondo/threads.h"

namespace tondo {
namespace {

constexpr int kBlocks = 32;
constexpr float kMinAlpha = 1.0f / 255.0f;
constexpr float kMaxAlpha = 0.999f;
constexpr float kMinT = 1e-4f;
constexpr float kLog2E = 1.44269504088896f;

constexpr int kRecord = 6;  // mean x, mean y, conic xx / 2, xy, yy / 2 (times log2 e), log2 opacity
template <int CH>
constexpr int kRecordOf = (kRecord + CH + 3) / 4 * 4;
template <int CH>
constexpr int kSlotOf = (6 + CH + 7) / 8 * 8;

template <int CH>
void pack_records(const SplatsOnScreen& s, Bins& bins) {
  constexpr int R = kRecordOf<CH>;
  bins.records.resize(bins.order.size() * R + 8);
  parallel_chunks(static_cast<int64_t>(bins.order.size()), 2048, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      const int64_t i = bins.order[j];
      float* r = bins.records.data() + j * R;
      r[0] = s.means2d[2 * i];
      r[1] = s.means2d[2 * i + 1];
      r[2] = 0.5f * kLog2E * s.conics[3 * i];
      r[3] = kLog2E * s.conics[3 * i + 1];
      r[4] = 0.5f * kLog2E * s.conics[3 * i + 2];
      r[5] = std::log2(s.opacities[i]);
      for (int c = 0; c < CH; ++c) r[kRecord + c] = s.colors[i * CH + c];
    }
  });
}

// Pixel centres of a tile's blocks.
struct BlockPixels {
  f8 x[4], y[8];
  BlockPixels(int x0, int y0) {
    const f8 lane_x = f8{0, 1, 2, 3, 0, 1, 2, 3}, lane_y = f8{0, 0, 0, 0, 1, 1, 1, 1};
    for (int c = 0; c < 4; ++c) x[c] = lane_x + (x0 + 4 * c + 0.5f);
    for (int r = 0; r < 8; ++r) y[r] = lane_y + (y0 + 2 * r + 0.5f);
  }
};

struct Alpha {
  f8 dx, dy, raw, alpha;  // raw: before the cap; alpha: 0 where skipped
  i8 valid;
};

// A pixel that has stopped carries -T, so that one comparison covers it. Kept apart from its
// callers' arithmetic: forward and backward must take the same decisions to the last bit.
TONDO_INLINE Alpha alpha_at(const float* r, const BlockPixels& px, uint32_t block, f8 T) {
  Alpha a;
  a.dx = px.x[block & 3] - r[0];
  a.dy = px.y[block >> 2] - r[1];
  const f8 sigma = a.dx * (r[2] * a.dx + r[3] * a.dy) + a.dy * (r[4] * a.dy);
  a.raw = exp2_8(max8(r[5] - sigma, splat8(-120.0f)));
  a.alpha = min8(a.raw, splat8(kMaxAlpha));
  a.valid = (sigma >= 0.0f) & (a.alpha >= kMinAlpha) & (T > 0.0f);
  a.alpha = keep8(a.valid, a.alpha);
  return a;
}

// Marks the pixels of a tile that lie outside the image as stopped; returns the blocks inside.
uint32_t start_tile(int x0, int y0, int width, int height, f8 T[kBlocks]) {
  const BlockPixels px(x0, y0);
  uint32_t alive = 0;
  for (int b = 0; b < kBlocks; ++b) {
    const i8 inside = (px.x[b & 3] < static_cast<float>(width)) &
                      (px.y[b >> 2] < static_cast<float>(height));
    T[b] = select8(inside, splat8(1.0f), splat8(-1.0f));
    alive |= static_cast<uint32_t>(bits8(inside) != 0) << b;
  }
  return alive;
}

// Calls fn(lane, pixel index) for the pixels of block b that lie inside the image.
template <class Fn>
TONDO_INLINE void each_pixel(int x0, int y0, int width, int height, int b, const Fn& fn) {
  for (int l = 0; l < 8; ++l) {
    const int x = x0 + 4 * (b & 3) + (l & 3), y = y0 + 2 * (b >> 2) + (l >> 2);
    if (x < width && y < height) fn(l, static_cast<int64_t>(y) * width + x);
  }
}

template <int CH>
int64_t forward_tile(Bins& bins, int tile, const float* background, float* image, float* alphas) {
  constexpr int R = kRecordOf<CH>;
  const int x0 = tile % bins.tiles_x * kTile, y0 = tile / bins.tiles_x * kTile;
  const BlockPixels px(x0, y0);
  f8 T[kBlocks];
  f8 color[kBlocks][CH];
  std::memset(color, 0, sizeof(color));
  uint32_t alive = start_tile(x0, y0, bins.width, bins.height, T);
  int64_t evaluations = 0;

  const uint32_t end = bins.tile_begin[tile + 1];
  for (uint32_t k = bins.tile_begin[tile]; k < end; ++k) {
    Instance& instance = bins.instances[k];
    uint32_t blocks = instance.blocks & alive;
    instance.blocks = blocks;  // what the backward pass has to visit
    const float* r = bins.records.data() + static_cast<size_t>(instance.rank) * R;
    if (k + 4 < end)
      __builtin_prefetch(bins.records.data() + static_cast<size_t>((&instance)[4].rank) * R);
    evaluations += __builtin_popcount(blocks);
    while (blocks) {
      const uint32_t b = static_cast<uint32_t>(__builtin_ctz(blocks));
      blocks &= blocks - 1;
      const f8 before = T[b];
      const Alpha a = alpha_at(r, px, b, before);
      const f8 after = before * (1.0f - a.alpha);
      const i8 stop = a.valid & (after <= kMinT);
      const f8 w = keep8(~stop, a.alpha * before);
      for (int c = 0; c < CH; ++c) color[b][c] += w * r[kRecord + c];
      T[b] = select8(stop, -before, after);
      if (bits8(stop) && bits8(T[b] > 0.0f) == 0) alive &= ~(1u << b);
    }
    if (!alive) {
      for (++k; k < end; ++k) bins.instances[k].blocks = 0;
      break;
    }
  }

  for (int b = 0; b < kBlocks; ++b) {
    const f8 left = abs8(T[b]);
    store8(bins.final_T.data() + (static_cast<size_t>(tile) * kBlocks + b) * 8, left);
    each_pixel(x0, y0, bins.width, bins.height, b, [&](int l, int64_t p) {
      alphas[p] = 1.0f - left[l];
      for (int c = 0; c < CH; ++c)
        image[p * CH + c] = color[b][c][l] + (background ? background[c] * left[l] : 0.0f);
    });
  }
  return evaluations * 8;
}

template <int CH>
void backward_tile(Bins& bins, int tile, const float* image, const float* v_image,
                   const float* v_alphas) {
  constexpr int R = kRecordOf<CH>, S = kSlotOf<CH>;
  const int x0 = tile % bins.tiles_x * kTile, y0 = tile / bins.tiles_x * kTile;
  const BlockPixels px(x0, y0);
  f8 T[kBlocks], rest[kBlocks], v[kBlocks][CH];
  // rest: v . (colour that still comes behind, the background included), minus v_alpha T_end
  start_tile(x0, y0, bins.width, bins.height, T);
  for (int b = 0; b < kBlocks; ++b) {
    rest[b] = splat8(0);
    for (int c = 0; c < CH; ++c) v[b][c] = splat8(0);
    const float* left = bins.final_T.data() + (static_cast<size_t>(tile) * kBlocks + b) * 8;
    each_pixel(x0, y0, bins.width, bins.height, b, [&](int l, int64_t p) {
      float sum = v_alphas ? -v_alphas[p] * left[l] : 0.0f;
      for (int c = 0; c < CH; ++c) {
        v[b][c][l] = v_image[p * CH + c];
        sum += v_image[p * CH + c] * image[p * CH + c];
      }
      rest[b][l] = sum;
    });
  }

  const uint32_t end = bins.tile_begin[tile + 1];
  for (uint32_t k = bins.tile_begin[tile]; k < end; ++k) {
    const Instance& instance = bins.instances[k];
    float* slot = bins.slot_grads.data() + static_cast<size_t>(instance.slot) * S;
    uint32_t blocks = instance.blocks;
    if (!blocks) {
      std::memset(slot, 0, S * sizeof(float));
      continue;
    }
    const float* r = bins.records.data() + static_cast<size_t>(instance.rank) * R;
    if (k + 4 < end)
      __builtin_prefetch(bins.records.data() + static_cast<size_t>((&instance)[4].rank) * R);
    f8 acc[S];
    for (int c = 0; c < S; ++c) acc[c] = splat8(0);
    while (blocks) {
      const uint32_t b = static_cast<uint32_t>(__builtin_ctz(blocks));
      blocks &= blocks - 1;
      const f8 before = T[b];
      const Alpha a = alpha_at(r, px, b, before);
      const f8 clear = 1.0f - a.alpha;
      const f8 after = before * clear;
      const i8 stop = a.valid & (after <= kMinT);
      const f8 w = keep8(~stop, a.alpha * before);
      f8 shade = splat8(0);  // v . this splat's colour
      for (int c = 0; c < CH; ++c) {
        shade += v[b][c] * r[kRecord + c];
        acc[6 + c] += w * v[b][c];
      }
      const f8 behind = rest[b] - w * shade;
      rest[b] = behind;
      T[b] = select8(stop, -before, after);
      const f8 v_alpha = before * shade - behind / clear;
      const f8 q = keep8(a.valid & ~stop & (a.raw <= kMaxAlpha), a.alpha * v_alpha);
      const f8 qx = q * a.dx, qy = q * a.dy;
      acc[0] += q;
      acc[1] += qx;
      acc[2] += qy;
      acc[3] += qx * a.dx;
      acc[4] += qx * a.dy;
      acc[5] += qy * a.dy;
    }
    for (int g = 0; g < S; g += 8) store8(slot + g, sums8(acc + g));
  }
}

template <int CH>
void gather_slots(const SplatsOnScreen& s, const Bins& bins, const ScreenGrads& out) {
  constexpr int S = kSlotOf<CH>;
  parallel_chunks(static_cast<int64_t>(bins.order.size()), 512, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      f8 sum[S / 8];
      for (f8& v : sum) v = splat8(0);
      for (uint32_t k = bins.first_slot[j]; k < bins.first_slot[j + 1]; ++k)
        for (int g = 0; g < S / 8; ++g)
          sum[g] += load8(bins.slot_grads.data() + static_cast<size_t>(k) * S + 8 * g);
      float q[S];
      std::memcpy(q, sum, sizeof(q));
      const int64_t i = bins.order[j];
      const float* conic = s.conics + 3 * i;
      out.v_opacities[i] = q[0] / s.opacities[i];
      out.v_means2d[2 * i] = conic[0] * q[1] + conic[1] * q[2];
      out.v_means2d[2 * i + 1] = conic[1] * q[1] + conic[2] * q[2];
      out.v_conics[3 * i] = -0.5f * q[3];
      out.v_conics[3 * i + 1] = -q[4];
      out.v_conics[3 * i + 2] = -0.5f * q[5];
      for (int c = 0; c < CH; ++c) out.v_colors[i * CH + c] = q[6 + c];
    }
  });
}

template <int CH>
void forward_all(const SplatsOnScreen& s, const float* background, Bins& bins, float* image,
                 float* alphas) {
  pack_records<CH>(s, bins);
  const int tiles = bins.tiles_x * bins.tiles_y;
  bins.final_T.resize(static_cast<size_t>(tiles) * kTile * kTile);
  std::vector<int64_t> evaluations(tiles);
  parallel_for(tiles, [&](int64_t tile) {
    evaluations[tile] =
        forward_tile<CH>(bins, static_cast<int>(tile), background, image, alphas);
  });
  bins.evaluations = 0;
  for (int64_t e : evaluations) bins.evaluations += e;
}

template <int CH>
void backward_all(const SplatsOnScreen& s, Bins& bins, const float* image, const float* v_image,
                  const float* v_alphas, const ScreenGrads& out) {
  const size_t need = bins.instances.size() * kSlotOf<CH>;
  if (bins.slot_grads.size() < need) bins.slot_grads.resize(need);
  parallel_for(static_cast<int64_t>(bins.tiles_x) * bins.tiles_y, [&](int64_t tile) {
    backward_tile<CH>(bins, static_cast<int>(tile), image, v_image, v_alphas);
  });
  std::memset(out.v_means2d, 0, s.n * 2 * sizeof(float));
  std::memset(out.v_conics, 0, s.n * 3 * sizeof(float));
  std::memset(out.v_opacities, 0, s.n * sizeof(float));
  std::memset(out.v_colors, 0, s.n * CH * sizeof(float));
  gather_slots<CH>(s, bins, out);
}

void background_grad(const Bins& bins, int channels, const float* v_image, float* v_background) {
  std::vector<double> sum(channels, 0.0);
  for (int tile = 0; tile < bins.tiles_x * bins.tiles_y; ++tile) {
    const int x0 = tile % bins.tiles_x * kTile, y0 = tile / bins.tiles_x * kTile;
    for (int b = 0; b < kBlocks; ++b) {
      const float* left = bins.final_T.data() + (static_cast<size_t>(tile) * kBlocks + b) * 8;
      each_pixel(x0, y0, bins.width, bins.height, b, [&](int l, int64_t p) {
        for (int c = 0; c < channels; ++c) sum[c] += double(v_image[p * channels + c]) * left[l];
      });
    }
  }
  for (int c = 0; c < channels; ++c) v_background[c] = static_cast<float>(sum[c]);
}

}  // namespace

void rasterize_forward(const SplatsOnScreen& s, const float* background, Bins& bins, float* image,
                       float* alphas) {
  switch (s.channels) {
    case 1: return forward_all<1>(s, background, bins, image, alphas);
    case 2: return forward_all<2>(s, background, bins, image, alphas);
    case 3: return forward_all<3>(s, background, bins, image, alphas);
    case 4: return forward_all<4>(s, background, bins, image, alphas);
    case 5: return forward_all<5>(s, background, bins, image, alphas);
    case 6: return forward_all<6>(s, background, bins, image, alphas);
    case 7: return forward_all<7>(s, background, bins, image, alphas);
    case 8: return forward_all<8>(s, background, bins, image, alphas);
    default: return;
  }
}

void rasterize_backward(const SplatsOnScreen& s, Bins& bins, const float* image,
                        const float* v_image, const float* v_alphas, const ScreenGrads& out,
                        float* v_background) {
  if (v_background) background_grad(bins, s.channels, v_image, v_background);
  switch (s.channels) {
    case 1: return backward_all<1>(s, bins, image, v_image, v_alphas, out);
    case 2: return backward_all<2>(s, bins, image, v_image, v_alphas, out);
    case 3: return backward_all<3>(s, bins, image, v_image, v_alphas, out);
    case 4: return backward_all<4>(s, bins, image, v_image, v_alphas, out);
    case 5: return backward_all<5>(s, bins, image, v_image, v_alphas, out);
    case 6: return backward_all<6>(s, bins, image, v_image, v_alphas, out);
    case 7: return backward_all<7>(s, bins, image, v_image, v_alphas, out);
    case 8: return backward_all<8>(s, bins, image, v_image, v_alphas, out);
    default: return;
  }
}

}  // namespace tondo
