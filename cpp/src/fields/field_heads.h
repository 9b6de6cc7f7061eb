// The two networks of a field: features to log density and geometry, geometry and direction to
// colour. Used by field.cpp and field_backward.cpp alone.
#pragma once
#include <cstdint>
#include <vector>

#include "tondo/fields/field.h"

namespace tondo {

constexpr int kRays = 64;    // of a chunk
constexpr int kBlock = 64;   // samples that go through the networks together
constexpr int kTotals = 8;   // red, green, blue, opacity, depth, distortion, sum of w s
constexpr float kMostLog = 11.0f;  // log densities above count as this

// Weights with inputs as rows, as add_product wants them, and the last layer padded to 8.
struct PackedHeads {
  Heads heads;
  HeadParts at;
  std::vector<float> w1, w2, w3, w4, b4;  // [E, H], [H, 16], [16, H] of geometry, [H, 8], [8]
  std::vector<float> w3_direction;        // [16, H] of the harmonics
  std::vector<float> back3, back4;        // [H, 16], [8, H]

  explicit PackedHeads(const Heads& heads);
  const float* part(int64_t offset) const { return heads.weights + offset; }
};

// Activations of a block; every array has kBlock rows.
struct Activations {
  std::vector<float> hidden1, geometry, hidden2, out;
  explicit Activations(int hidden);
};

// What the direction of each ray adds to the colour network's first layer, with its bias: [R, H];
// and the harmonics themselves [R, 16].
void harmonics_of(int64_t count, const float* directions, float* harmonics);
void ray_bias(const PackedHeads& heads, int64_t count, const float* harmonics, float* bias);

void heads_density(const PackedHeads& heads, int64_t n, const float* features, Activations& a);
// out: the raw colours; lane 3 the log density.
void heads_forward(const PackedHeads& heads, int64_t n, const float* features, const int32_t* ray,
                   const float* bias, Activations& a);

// v_out: gradients of `out` of heads_forward [n, 8]. Sets v_features [n, E], adds to v_heads but for
// w3's part of the direction and b3, which v_bias [R, H] gets.
void heads_backward(const PackedHeads& heads, int64_t n, const float* features, const int32_t* ray,
                    const Activations& a, const float* v_out, Activations& v, float* v_features,
                    float* v_heads, float* v_bias);
// What v_bias means for w3's part of the direction and b3.
void ray_bias_backward(const PackedHeads& heads, int64_t count, const float* harmonics,
                       const float* v_bias, float* v_heads);

// Samples i of a chunk as a block sees them: the values red, green, blue, density, per world unit.
void activate(int64_t n, const float* out, float radius, float* values);

// Distance as distortion measures it: in diameters of a bounded space, else t / (t + radius).
inline float even_distance(const Space& space, float t) {
  return space.contracted ? t / (t + space.radius) : t / (2.0f * space.radius);
}

}  // namespace tondo
