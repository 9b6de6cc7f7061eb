// Tiled rasterisation of projected splats, front to back.
#pragma once
#include <cstdint>
#include <vector>

namespace tondo {

constexpr int kTile = 16;       // pixels a side; a tile is 4 x 8 blocks of 4 x 2 pixels
constexpr int kMaxChannels = 8;

struct Instance {  // one splat in one tile
  uint32_t rank;   // place in the depth order
  uint32_t blocks; // bit b: block b (4 columns, 8 rows of blocks) may see the splat
  uint32_t slot;   // where this instance's gradient goes; a splat's slots are consecutive
};

// What one rasterisation keeps for its backward pass. Reusable: vectors keep their memory.
struct Bins {
  int width = 0, height = 0, tiles_x = 0, tiles_y = 0;
  std::vector<uint32_t> order;           // visible splats by depth, then index
  std::vector<float> records;            // [order.size(), kRecord]
  std::vector<uint32_t> first_slot;      // [order.size() + 1]
  std::vector<Instance> instances;       // grouped by tile, by depth within
  std::vector<uint32_t> tile_begin;      // [tiles + 1]
  std::vector<float> final_T;            // [tiles, 256] transmittance left at each pixel
  std::vector<float> slot_grads;         // scratch of the backward pass
  // scratch of binning
  std::vector<uint64_t> keys, keys_scratch;
  std::vector<Instance> unsorted;
  std::vector<uint32_t> unsorted_tile;
  int64_t evaluations = 0;               // splat-pixel evaluations of the last forward pass
};

struct SplatsOnScreen {
  int64_t n;
  const float* means2d;    // [N, 2]
  const float* conics;     // [N, 3]
  const float* depths;     // [N]
  const int32_t* radii;    // [N, 2]
  const float* opacities;  // [N]
  const float* colors;     // [N, channels]
  int channels;            // 1 .. kMaxChannels
};

// Sorts by depth and lists, for every tile, the splats that reach an alpha of 1/255 in it.
void bin_splats(const SplatsOnScreen& splats, int width, int height, Bins& bins);

// image [H, W, channels], alphas [H, W]; background [channels] or null.
void rasterize_forward(const SplatsOnScreen& splats, const float* background, Bins& bins,
                       float* image, float* alphas);

struct ScreenGrads {
  float* v_means2d;    // [N, 2]
  float* v_conics;     // [N, 3]
  float* v_opacities;  // [N]
  float* v_colors;     // [N, channels]
};

// image: what rasterize_forward gave (the background included). v_alphas may be null. Gradients are
// set for every splat (0 where it is in no tile). v_background [channels] is set if not null.
void rasterize_backward(const SplatsOnScreen& splats, Bins& bins, const float* image,
                        const float* v_image, const float* v_alphas, const ScreenGrads& out,
                        float* v_background);

}  // namespace tondo
