// One tile is 32 blocks of 4 x 2 pixels, a block is one vector of 8 lanes. Every splat knows which
// blocks it can reach (bin.cpp); blocks whose pixels are all opaque drop out of a bit mask.
#include "tondo/splats/rasterize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tondo/core/simd.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int kBlocks = 32;
constexpr float kMaxAlpha = 0.999f;
constexpr float kMinT = 1e-4f;
constexpr float kLog2E = 1.44269504088896f;

constexpr float kMinPower = -7.99435344f;  // log2 of the least alpha, 1/255

// A record: mean x, mean y, then alpha = 2^(top - u^2 - v^2) with u = p dx + q dy, v = r dy: the
// Cholesky factor of the conic (times log2(e) / 2), which cannot go indefinite by rounding.
enum Record { kX, kY, kP, kQ, kR, kTop, kColor };
template <int CH>
constexpr int kRecordOf = (kColor + CH + 3) / 4 * 4;
template <int CH>
constexpr int kSlotOf = (6 + CH + 7) / 8 * 8;

template <int CH>
void pack_records(const SplatsOnScreen& s, Bins& bins) {
  constexpr int R = kRecordOf<CH>;
  bins.records.resize(bins.order.size() * R + 8);
  parallel_chunks(static_cast<int64_t>(bins.order.size()), 2048, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += 8) {  // eight roots and divisions at once
      const int count = static_cast<int>(std::min<int64_t>(8, end - first));
      double xx[8], xy[8], yy[8], p[8], q[8], r[8];
      f8 opacity;
      for (int l = 0; l < 8; ++l) {
        const int64_t i = bins.order[first + std::min(l, count - 1)];
        xx[l] = 0.5 * kLog2E * s.conics[3 * i];
        xy[l] = 0.5 * kLog2E * s.conics[3 * i + 1];
        yy[l] = 0.5 * kLog2E * s.conics[3 * i + 2];
        opacity[l] = s.opacities[i];
      }
      for (int l = 0; l < 8; ++l) {
        p[l] = std::sqrt(xx[l]);
        q[l] = xy[l] / p[l];
        r[l] = std::sqrt(std::max(0.0, yy[l] - xy[l] * xy[l] / xx[l]));
      }
      const f8 top = log2_8(opacity);
      for (int l = 0; l < count; ++l) {
        const int64_t i = bins.order[first + l];
        float* record = bins.records.data() + (first + l) * R;
        record[kX] = s.means2d[2 * i];
        record[kY] = s.means2d[2 * i + 1];
        record[kP] = static_cast<float>(p[l]);
        record[kQ] = static_cast<float>(q[l]);
        record[kR] = static_cast<float>(r[l]);
        record[kTop] = top[l];
        for (int c = 0; c < CH; ++c) record[kColor + c] = s.colors[i * CH + c];
      }
    }
  });
}

// Pixel centres of a tile's blocks from the tile's middle, and their products.
struct BlockTable {
  alignas(32) float x[kBlocks * 8], y[kBlocks * 8], xx[kBlocks * 8], xy[kBlocks * 8],
      yy[kBlocks * 8];
  constexpr BlockTable() : x(), y(), xx(), xy(), yy() {
    for (int i = 0; i < kBlocks * 8; ++i) {
      const int b = i / 8, l = i % 8;
      x[i] = static_cast<float>(4 * (b & 3) + (l & 3)) + 0.5f - 0.5f * kTile;
      y[i] = static_cast<float>(2 * (b >> 2) + (l >> 2)) + 0.5f - 0.5f * kTile;
      xx[i] = x[i] * x[i];
      xy[i] = x[i] * y[i];
      yy[i] = y[i] * y[i];
    }
  }
};
constexpr BlockTable kPixel;

// A splat's alphas in some blocks of a tile, and where those blocks lie in bytes (32 times their
// number): the loops below are so short that each instruction of addressing shows.
struct Alphas {
  f8 alpha[kBlocks];  // 0 below kMinAlpha, capped at kMaxAlpha
  uint64_t at[kBlocks];
};

TONDO_INLINE f8& block_at(f8* base, uint64_t at) {
  return *reinterpret_cast<f8*>(reinterpret_cast<char*>(base) + at);
}
TONDO_INLINE f8 pixel_at(const float* base, uint64_t at) {
  return *reinterpret_cast<const f8*>(reinterpret_cast<const char*>(base) + at);
}

// The passes over a splat's blocks are kept apart and short: several blocks are then in flight at
// once, where one long chain of operations per block would leave the processor waiting.
TONDO_INLINE int alphas_of(const float* r, float dx, float dy, uint32_t blocks, Alphas& out) {
  const f8 p = splat8(r[kP]), q = splat8(r[kQ]), v1 = splat8(r[kR]), top = splat8(r[kTop]);
  const f8 u0 = splat8(-(r[kP] * dx + r[kQ] * dy)), v0 = splat8(-(r[kR] * dy));
  int n = 0;
  while (blocks) {
    const uint64_t at = static_cast<uint64_t>(__builtin_ctz(blocks)) * sizeof(f8);
    blocks &= blocks - 1;
    const f8 x = pixel_at(kPixel.x, at), y = pixel_at(kPixel.y, at);
    const f8 u = p * x + (q * y + u0), v = v1 * y + v0;
    const f8 power = (top - v * v) - u * u;
    out.alpha[n] = keep8(power >= kMinPower, min8(exp2_8(power), splat8(kMaxAlpha)));
    out.at[n++] = at;
  }
  return n;
}

// Transmittance 1 for the pixels of a tile inside the image, 0 outside; returns the blocks inside.
uint32_t start_tile(int x0, int y0, int width, int height, f8 T[kBlocks]) {
  const float right = static_cast<float>(width - x0) - 0.5f * kTile;
  const float bottom = static_cast<float>(height - y0) - 0.5f * kTile;
  uint32_t alive = 0;
  for (int b = 0; b < kBlocks; ++b) {
    const i8 inside = (load8(kPixel.x + 8 * b) < right) & (load8(kPixel.y + 8 * b) < bottom);
    T[b] = keep8(inside, splat8(1.0f));
    alive |= static_cast<uint32_t>(bits8(inside) != 0) << b;
  }
  return alive;
}

// Calls fn(block, lane, pixel index) for the pixels of a tile that lie inside the image, by rows.
template <class Fn>
TONDO_INLINE void each_pixel(int x0, int y0, int width, int height, const Fn& fn) {
  const int columns = std::min(kTile, width - x0), rows = std::min(kTile, height - y0);
  for (int y = 0; y < rows; ++y) {
    const int64_t row = static_cast<int64_t>(y0 + y) * width + x0;
    for (int x = 0; x < columns; ++x)
      fn((y >> 1) * 4 + (x >> 2), (y & 1) * 4 + (x & 3), row + x);
  }
}

// The alphas of instance `k` of a tile, and a look ahead in memory.
template <int CH>
TONDO_INLINE int alphas_of_instance(const Bins& bins, uint32_t k, uint32_t end, float x, float y,
                                    uint32_t blocks, Alphas& out) {
  constexpr int R = kRecordOf<CH>;
  const float* records = bins.records.data();
  if (k + 4 < end)
    __builtin_prefetch(records + static_cast<size_t>(bins.instances[k + 4].rank) * R);
  const float* r = records + static_cast<size_t>(bins.instances[k].rank) * R;
  return alphas_of(r, r[kX] - x, r[kY] - y, blocks, out);
}

template <int CH>
int64_t forward_tile(Bins& bins, int tile, const float* background, float* image, float* alphas) {
  constexpr int R = kRecordOf<CH>;
  const int x0 = tile % bins.tiles_x * kTile, y0 = tile / bins.tiles_x * kTile;
  const float mid_x = static_cast<float>(x0) + 0.5f * kTile;
  const float mid_y = static_cast<float>(y0) + 0.5f * kTile;
  f8 T[kBlocks], left[kBlocks];  // T: 0 once a pixel has stopped; left: what T was then
  f8 color[CH][kBlocks];
  uint32_t live[kBlocks * sizeof(f8)];
  Alphas found;
  std::memset(color, 0, sizeof(color));
  uint32_t alive = start_tile(x0, y0, bins.width, bins.height, T);
  for (int b = 0; b < kBlocks; ++b) {
    left[b] = splat8(0);
    live[b * sizeof(f8)] = bits8(T[b] > 0.0f);
  }
  int64_t evaluations = 0;

  const uint32_t end = bins.tile_begin[tile + 1];
  for (uint32_t k = bins.tile_begin[tile]; k < end; ++k) {
    Instance& instance = bins.instances[k];
    instance.blocks &= alive;  // what the backward pass has to visit
    if (!alive) continue;
    const int n = alphas_of_instance<CH>(bins, k, end, mid_x, mid_y, instance.blocks, found);
    const float* r = bins.records.data() + static_cast<size_t>(instance.rank) * R;
    evaluations += n;
    for (int j = 0; j < n; ++j) {
      const uint64_t at = found.at[j];
      const f8 alpha = found.alpha[j], before = block_at(T, at);
      const f8 after = before - before * alpha;
      const i8 go = after > kMinT;
      const f8 w = keep8(go, before * alpha);
      block_at(T, at) = keep8(go, after);
      for (int c = 0; c < CH; ++c) block_at(color[c], at) += w * r[kColor + c];
      if (bits8(go) != live[at]) {
        const uint32_t b = static_cast<uint32_t>(at / sizeof(f8));
        left[b] = select8(~go & (before > 0.0f), before, left[b]);
        live[at] = bits8(go);
        if (!live[at]) alive &= ~(1u << b);
      }
    }
  }

  for (int b = 0; b < kBlocks; ++b) {
    left[b] += T[b];
    store8(bins.final_T.data() + (static_cast<size_t>(tile) * kBlocks + b) * 8, left[b]);
    for (int c = 0; background && c < CH; ++c) color[c][b] += background[c] * left[b];
  }
  each_pixel(x0, y0, bins.width, bins.height, [&](int b, int l, int64_t p) {
    alphas[p] = 1.0f - left[b][l];
    for (int c = 0; c < CH; ++c) image[p * CH + c] = color[c][b][l];
  });
  return evaluations * 8;
}

// Sums over a tile of one splat's moments q, q x, q y, q x x, q x y, q y y about the tile's middle,
// moved to the splat's mean, which lies (dx, dy) from the middle.
TONDO_INLINE void move_moments(float* m, float dx, float dy) {
  const float q = m[0], qx = m[1], qy = m[2];
  m[1] = qx - dx * q;
  m[2] = qy - dy * q;
  m[3] = m[3] - dx * (qx + m[1]);
  m[4] = m[4] - dx * qy - dy * m[1];
  m[5] = m[5] - dy * (qy + m[2]);
}

template <int CH>
void backward_tile(Bins& bins, int tile, const float* image, const float* v_image,
                   const float* v_alphas) {
  constexpr int R = kRecordOf<CH>, S = kSlotOf<CH>;
  const int x0 = tile % bins.tiles_x * kTile, y0 = tile / bins.tiles_x * kTile;
  const float mid_x = static_cast<float>(x0) + 0.5f * kTile;
  const float mid_y = static_cast<float>(y0) + 0.5f * kTile;
  f8 T[kBlocks], rest[kBlocks], v[CH][kBlocks];
  f8 weight[kBlocks], moment[kBlocks];
  Alphas found;
  // rest: v . (colour that still comes behind, the background included), minus v_alpha T_end
  start_tile(x0, y0, bins.width, bins.height, T);
  std::memset(rest, 0, sizeof(rest));
  std::memset(v, 0, sizeof(v));
  const float* left = bins.final_T.data() + static_cast<size_t>(tile) * kBlocks * 8;
  each_pixel(x0, y0, bins.width, bins.height, [&](int b, int l, int64_t p) {
    float sum = v_alphas ? -v_alphas[p] * left[8 * b + l] : 0.0f;
    for (int c = 0; c < CH; ++c) {
      v[c][b][l] = v_image[p * CH + c];
      sum += v_image[p * CH + c] * image[p * CH + c];
    }
    rest[b][l] = sum;
  });

  const uint32_t end = bins.tile_begin[tile + 1];
  for (uint32_t k = bins.tile_begin[tile]; k < end; ++k) {
    const Instance& instance = bins.instances[k];
    float* slot = bins.slot_grads.data() + static_cast<size_t>(instance.slot) * S;
    if (!instance.blocks) {
      std::memset(slot, 0, S * sizeof(float));
      continue;
    }
    const int n = alphas_of_instance<CH>(bins, k, end, mid_x, mid_y, instance.blocks, found);
    const float* r = bins.records.data() + static_cast<size_t>(instance.rank) * R;
    for (int j = 0; j < n; ++j) {
      const uint64_t at = found.at[j];
      const f8 alpha = found.alpha[j], before = block_at(T, at);
      const f8 clear = 1.0f - alpha;
      const f8 after = before - before * alpha;
      const i8 go = after > kMinT;
      const f8 w = keep8(go, before * alpha);
      block_at(T, at) = keep8(go, after);
      f8 shade = block_at(v[0], at) * r[kColor];  // v . this splat's colour
      for (int c = 1; c < CH; ++c) shade += block_at(v[c], at) * r[kColor + c];
      const f8 behind = block_at(rest, at) - w * shade;
      block_at(rest, at) = behind;
      const f8 v_alpha = before * shade - behind / clear;
      weight[j] = w;
      moment[j] = keep8(go & (alpha < kMaxAlpha), alpha * v_alpha);
    }
    f8 acc[S];
    for (int c = 0; c < S; ++c) acc[c] = splat8(0);
    for (int j = 0; j < n; ++j) {
      const uint64_t at = found.at[j];
      const f8 q = moment[j], w = weight[j];
      acc[0] += q;
      acc[1] += q * pixel_at(kPixel.x, at);
      acc[2] += q * pixel_at(kPixel.y, at);
      acc[3] += q * pixel_at(kPixel.xx, at);
      acc[4] += q * pixel_at(kPixel.xy, at);
      acc[5] += q * pixel_at(kPixel.yy, at);
      for (int c = 0; c < CH; ++c) acc[6 + c] += w * block_at(v[c], at);
    }
    for (int g = 0; g < S; g += 8) store8(slot + g, sums8(acc + g));
    move_moments(slot, r[kX] - mid_x, r[kY] - mid_y);
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
  std::fill_n(out.v_means2d, s.n * 2, 0.0f);
  std::fill_n(out.v_conics, s.n * 3, 0.0f);
  std::fill_n(out.v_opacities, s.n, 0.0f);
  std::fill_n(out.v_colors, s.n * CH, 0.0f);
  gather_slots<CH>(s, bins, out);
}

void background_grad(const Bins& bins, int channels, const float* v_image, float* v_background) {
  std::vector<double> sum(channels, 0.0);
  for (int tile = 0; tile < bins.tiles_x * bins.tiles_y; ++tile) {
    const int x0 = tile % bins.tiles_x * kTile, y0 = tile / bins.tiles_x * kTile;
    const float* left = bins.final_T.data() + static_cast<size_t>(tile) * kBlocks * 8;
    each_pixel(x0, y0, bins.width, bins.height, [&](int b, int l, int64_t p) {
      for (int c = 0; c < channels; ++c)
        sum[c] += double(v_image[p * channels + c]) * left[8 * b + l];
    });
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
