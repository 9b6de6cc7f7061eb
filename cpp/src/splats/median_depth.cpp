// Block by block (4 x 2 pixels, one vector): first the splats that the block sees are listed with
// their alpha, depth and sharpness at each pixel, then the crossing is found on that short list.
#include "tondo/splats/median_depth.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tondo/core/simd.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int kBlocks = 32;
constexpr float kMinAlpha = 1.0f / 255.0f, kMaxAlpha = 0.999f, kMinT = 1e-4f;
constexpr float kLog2E = 1.44269504088896f;
constexpr float kLogistic = 1.702f * kLog2E;  // 1 / (1 + exp(-1.702 x)) is within 0.01 of Phi(x)
constexpr float kEnds = 6.0f;                 // standard deviations in front and behind
constexpr int kSteps = 24;  // at most; few pixels need more than 5

struct Entry {
  f8 alpha, depth, sharpness;
};

// What a block of pixels sees: entries front to back, the range their depths take up, the light
// that is left behind them, and the depth of the splat at which it first falls below the level.
struct Seen {
  std::vector<Entry> entries;
  f8 low, high, left, first;
};

// Light that is left at depth t, and minus the slope of its logarithm there.
f8 light(const std::vector<Entry>& entries, f8 t, f8* fall) {
  const f8 one = splat8(1.0f);
  f8 T = one, sum = splat8(0.0f);
  for (const Entry& e : entries) {
    const f8 x = min8(max8((e.depth - t) * e.sharpness, splat8(-60.0f)), splat8(60.0f));
    const f8 passed = one / (one + exp2_8(x));
    const f8 taken = e.alpha * passed, rest = one - taken;
    T *= rest;
    sum += taken * (one - passed) * e.sharpness / rest;
  }
  *fall = sum * (1.0f / kLog2E);
  return T;
}

// Depth of splat i's peak along each ray, and its standard deviation there.
TONDO_INLINE f8 ray_depth(const float* r, f8 dx, f8 dy, f8* spread) {
  const f8 linear = r[0] * dx + r[1] * dy;
  const f8 square = (r[2] * dx + r[3] * dy) * dx + r[4] * dy * dy;
  const f8 scale = max8(1.0f + 2.0f * linear + square, splat8(1e-6f));
  const f8 off = -r[5] * (linear + square) / scale;
  *spread = max8(r[6] / sqrt8(scale), splat8(1e-5f * r[5]));
  return r[5] + min8(max8(off, splat8(-r[7])), splat8(r[7]));
}

void look(const SplatsOnScreen& s, const float* ray_depths, const Bins& bins, int tile, int block,
          f8 px, f8 py, float level, Seen& seen) {
  seen.entries.clear();
  seen.low = splat8(1e30f);
  seen.high = splat8(-1e30f);
  seen.first = splat8(0.0f);
  f8 T = splat8(1.0f);
  i8 live = T > 0.0f;  // as in rasterisation, a pixel stops before T would fall to kMinT
  for (uint32_t k = bins.tile_begin[tile]; k < bins.tile_begin[tile + 1]; ++k) {
    const Instance& instance = bins.instances[k];
    if (!(instance.blocks >> block & 1)) continue;
    const int64_t i = bins.order[instance.rank];
    const float *m = s.means2d + 2 * i, *c = s.conics + 3 * i;
    const f8 dx = px - m[0], dy = py - m[1];
    const f8 sigma = 0.5f * (c[0] * dx * dx + c[2] * dy * dy) + c[1] * dx * dy;
    f8 alpha = s.opacities[i] * exp2_8(max8(-sigma * kLog2E, splat8(-100.0f)));
    alpha = keep8((alpha >= kMinAlpha) & (sigma >= 0.0f), min8(alpha, splat8(kMaxAlpha)));
    live &= T - T * alpha > kMinT;
    if (!bits8(live)) break;
    alpha = keep8(live, alpha);
    const i8 hit = alpha > 0.0f;
    if (!bits8(hit)) continue;
    f8 spread;
    const f8 t = ray_depth(ray_depths + kRayDepth * i, dx, dy, &spread);
    const f8 after = T - T * alpha;
    seen.first = select8((T > level) & (after <= level), t, seen.first);
    seen.low = select8(hit, min8(seen.low, t - kEnds * spread), seen.low);
    seen.high = select8(hit, max8(seen.high, t + kEnds * spread), seen.high);
    seen.entries.push_back({alpha, t, kLogistic / spread});
    T = after;
  }
  seen.left = T;
}

// Root of light(t) = level: Newton's method between bounds, halving them where it leaves them.
f8 crossing(const Seen& seen, float level) {
  f8 low = seen.low, high = seen.high;
  f8 t = min8(max8(seen.first, low), high);
  for (int n = 0; n < kSteps; ++n) {
    f8 fall;
    const f8 T = light(seen.entries, t, &fall);
    const i8 front = T > level;
    low = select8(front, t, low);
    high = select8(front, high, t);
    const f8 next = t + (T - level) / max8(T * fall, splat8(1e-12f));
    const f8 middle = 0.5f * (low + high);
    const i8 inside = (next >= low) & (next <= high);
    const f8 before = t;
    t = select8(inside, next, middle);
    if (!bits8(abs8(t - before) > 1e-6f * t)) break;
  }
  return t;
}

void tile_depth(const SplatsOnScreen& s, const float* ray_depths, const Bins& bins, int tile,
                float level, Seen& seen, float* depth) {
  const int x0 = tile % bins.tiles_x * kTile, y0 = tile / bins.tiles_x * kTile;
  for (int b = 0; b < kBlocks; ++b) {
    const int left = x0 + 4 * (b & 3), top = y0 + 2 * (b >> 2);
    f8 px, py;
    for (int l = 0; l < 8; ++l) {
      px[l] = static_cast<float>(left + (l & 3)) + 0.5f;
      py[l] = static_cast<float>(top + (l >> 2)) + 0.5f;
    }
    look(s, ray_depths, bins, tile, b, px, py, level, seen);
    const i8 solid = seen.left < level;
    const f8 t = bits8(solid) ? keep8(solid, crossing(seen, level)) : splat8(0.0f);
    for (int l = 0; l < 8; ++l) {
      const int x = left + (l & 3), y = top + (l >> 2);
      if (x < bins.width && y < bins.height)
        depth[static_cast<int64_t>(y) * bins.width + x] = t[l];
    }
  }
}

}  // namespace

void median_depth(const SplatsOnScreen& splats, const float* ray_depths, const Bins& bins,
                  float level, float* depth) {
  parallel_for(bins.tiles_x * bins.tiles_y, [&](int64_t tile) {
    thread_local Seen seen;
    tile_depth(splats, ray_depths, bins, static_cast<int>(tile), level, seen, depth);
  });
}

}  // namespace tondo
