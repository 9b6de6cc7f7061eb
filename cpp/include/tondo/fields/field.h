// A radiance field along rays: marched through an occupancy grid, encoded, read by two small
// networks, composited with an early stop; and the gradients of all of it. No sample ever leaves.
#pragma once
#include <cstdint>
#include <vector>

#include "tondo/fields/hash_grid.h"
#include "tondo/fields/plane_grid.h"

namespace tondo {

constexpr int kGeometry = 16;   // what the density network gives: log density per radius first
constexpr int kHarmonics = 16;  // of the ray's direction, to degree 3
constexpr int kOut = 8;         // red, green, blue, log density, padded to a vector

// Rows of every weight are outputs: w1 [H, E], b1 [H]; w2 [16, H], b2 [16]; w3 [H, 16 + 16],
// b3 [H]; w4 [3, H], b4 [3]; H and E multiples of 8. All in one array, in this order.
struct Heads {
  int inputs, hidden;
  const float* weights;
};

struct HeadParts {
  int64_t w1, b1, w2, b2, w3, b3, w4, b4, count;
};
HeadParts parts_of(int inputs, int hidden);

// Where in the world the unit cube is. Not contracted: the cube of half a side `radius` around
// `center`. Contracted (Barron et al. 2022, Mip-NeRF 360, equation 10): the ball of `radius` keeps
// its shape at half the size, all else is drawn into the shell around it.
struct Space {
  float center[3];
  float radius;
  bool contracted;
  int cells;               // of the occupancy grid, along a side
  const uint8_t* strides;  // [cells^3], x fastest: 0 where nothing is, else steps that one sample
                           // stands for
};

struct Marching {
  float step;         // length of a step, world units
  float cone;         // and at least this share of the distance
  int max_steps;      // of one ray
  float stop;         // a ray ends when less light than this is left
};

struct Rays {
  int64_t count;
  const float* origins;     // [R, 3]
  const float* directions;  // [R, 3] unit length
  const float* ends;        // [R, 2] distances: from, to
  const float* offsets;     // [R] 0..1: where in its step each sample is
};

// How places become features: by a hash grid, or by planes where these have cells.
struct Encoding {
  HashGrid grid{};
  PlaneGrid planes{};

  bool by_planes() const { return planes.cells > 0; }
  int width() const { return by_planes() ? 3 * planes.features : grid.levels * grid.features; }
  // Features are learned in groups, each by one thread.
  int group() const { return by_planes() ? 8 : grid.features; }
};

struct FieldModel {
  Encoding encoding;
  Heads heads;
  Space space;
  Marching marching;
};

struct RayPictures {
  float* colors;       // [R, 3] sums by weight, no background
  float* opacities;    // [R]
  float* depths;       // [R] distance along the ray times weight, summed
  float* distortions;  // [R] (Barron et al. 2022, equation 15)
  int32_t* samples;    // [R]
};

// What 64 rays keep for their backward pass: samples in the order in which they were taken.
struct FieldChunk {
  int64_t count = 0;
  std::vector<float> x, y, z, t, span, features, values, v_features, v_heads;
  std::vector<int32_t> ray;
  std::vector<float> totals;  // [rays, kTotals]
};
using FieldTape = std::vector<FieldChunk>;

// tape: null where no gradients are wanted.
void field_forward(const FieldModel& model, const Rays& rays, FieldTape* tape,
                   const RayPictures& out);

// All written, whatever was there before.
struct FieldGrads {
  float* v_first;   // of the hash grid's tables or of the planes
  float* v_second;  // of the lines; null of a hash grid
  float* v_heads;   // [parts_of(...).count]
};

// v: gradients of the pictures (samples is not read). Of the tape that forward has filled.
void field_backward(const FieldModel& model, const Rays& rays, FieldTape& tape,
                    const RayPictures& v, const FieldGrads& out);

// log densities [N], per radius of the space, at points [N, 3] of the world.
void field_density(const FieldModel& model, int64_t count, const float* points, float* log_sigmas);

}  // namespace tondo
