#include "field_heads.h"

#include <algorithm>
#include <cstring>

#include "core/harmonics.h"
#include "tondo/core/matmul.h"
#include "tondo/core/simd.h"

namespace tondo {
namespace {

constexpr float kLog2e = 1.44269504088896341f;

void transpose(int64_t rows, int64_t columns, const float* from, int64_t stride, float* to) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * stride + c];
}

// x = max(x, 0)
void relu(int64_t count, float* x) {
  for (int64_t i = 0; i < count; i += 8) store8(x + i, max8(load8(x + i), splat8(0)));
}

// v = 0 where x was cut off
void relu_backward(int64_t count, const float* x, float* v) {
  for (int64_t i = 0; i < count; i += 8)
    store8(v + i, keep8(load8(x + i) > 0.0f, load8(v + i)));
}

void fill_rows(int64_t n, int64_t width, const float* row, float* out) {
  for (int64_t s = 0; s < n; ++s) std::memcpy(out + s * width, row, sizeof(float) * width);
}

void add_rows(int64_t n, int64_t width, const float* rows, float* sum) {
  for (int64_t s = 0; s < n; ++s)
    for (int64_t j = 0; j < width; ++j) sum[j] += rows[s * width + j];
}

}  // namespace

HeadParts parts_of(int inputs, int hidden) {
  HeadParts p;
  p.w1 = 0;
  p.b1 = p.w1 + int64_t{hidden} * inputs;
  p.w2 = p.b1 + hidden;
  p.b2 = p.w2 + int64_t{kGeometry} * hidden;
  p.w3 = p.b2 + kGeometry;
  p.b3 = p.w3 + int64_t{hidden} * (kGeometry + kHarmonics);
  p.w4 = p.b3 + hidden;
  p.b4 = p.w4 + int64_t{3} * hidden;
  p.count = p.b4 + 3;
  return p;
}

PackedHeads::PackedHeads(const Heads& h) : heads(h), at(parts_of(h.inputs, h.hidden)) {
  const size_t H = static_cast<size_t>(h.hidden), E = static_cast<size_t>(h.inputs);
  w1.resize(E * H);
  w2.resize(H * kGeometry);
  w3.resize(H * kGeometry);
  w3_direction.resize(H * kHarmonics);
  back3.resize(H * kGeometry);
  w4.assign(H * kOut, 0.0f);
  back4.assign(H * kOut, 0.0f);
  b4.assign(kOut, 0.0f);
  transpose(h.hidden, h.inputs, part(at.w1), h.inputs, w1.data());
  transpose(kGeometry, h.hidden, part(at.w2), h.hidden, w2.data());
  transpose(h.hidden, kGeometry, part(at.w3), kGeometry + kHarmonics, w3.data());
  transpose(h.hidden, kHarmonics, part(at.w3) + kGeometry, kGeometry + kHarmonics,
            w3_direction.data());
  for (size_t j = 0; j < H; ++j) {
    for (int g = 0; g < kGeometry; ++g)
      back3[j * kGeometry + g] = part(at.w3)[j * (kGeometry + kHarmonics) + g];
    for (int c = 0; c < 3; ++c)
      w4[j * kOut + c] = back4[c * H + j] = part(at.w4)[c * H + j];
  }
  for (int c = 0; c < 3; ++c) b4[c] = part(at.b4)[c];
}

Activations::Activations(int hidden)
    : hidden1(kBlock * static_cast<size_t>(hidden)),
      geometry(kBlock * kGeometry),
      hidden2(kBlock * static_cast<size_t>(hidden)),
      out(kBlock * kOut) {}

void harmonics_of(int64_t count, const float* directions, float* Y) {
  for (int64_t r = 0; r < count; ++r, directions += 3, Y += kHarmonics)
    harmonics<3>(directions[0], directions[1], directions[2], Y);
}

void ray_bias(const PackedHeads& p, int64_t count, const float* harmonics, float* bias) {
  const int64_t H = p.heads.hidden;
  fill_rows(count, H, p.part(p.at.b3), bias);
  add_product(count, H, kHarmonics, {harmonics, kHarmonics, 1}, p.w3_direction.data(), bias);
}

void ray_bias_backward(const PackedHeads& p, int64_t count, const float* harmonics,
                       const float* v_bias, float* v_heads) {
  const int64_t H = p.heads.hidden;
  float w3[256 * kHarmonics] = {};
  add_product(H, kHarmonics, count, {v_bias, 1, H}, harmonics, w3);
  for (int64_t j = 0; j < H; ++j)
    for (int k = 0; k < kHarmonics; ++k)
      v_heads[p.at.w3 + j * (kGeometry + kHarmonics) + kGeometry + k] += w3[j * kHarmonics + k];
  add_rows(count, H, v_bias, v_heads + p.at.b3);
}

void heads_density(const PackedHeads& p, int64_t n, const float* features, Activations& a) {
  const int64_t H = p.heads.hidden, E = p.heads.inputs;
  fill_rows(n, H, p.part(p.at.b1), a.hidden1.data());
  add_product(n, H, E, {features, E, 1}, p.w1.data(), a.hidden1.data());
  relu(n * H, a.hidden1.data());
  fill_rows(n, kGeometry, p.part(p.at.b2), a.geometry.data());
  add_product(n, kGeometry, H, {a.hidden1.data(), H, 1}, p.w2.data(), a.geometry.data());
}

void heads_forward(const PackedHeads& p, int64_t n, const float* features, const int32_t* ray,
                   const float* bias, Activations& a) {
  const int64_t H = p.heads.hidden;
  heads_density(p, n, features, a);
  for (int64_t s = 0; s < n; ++s)
    std::memcpy(&a.hidden2[s * H], bias + ray[s] * H, sizeof(float) * H);
  add_product(n, H, kGeometry, {a.geometry.data(), kGeometry, 1}, p.w3.data(), a.hidden2.data());
  relu(n * H, a.hidden2.data());
  fill_rows(n, kOut, p.b4.data(), a.out.data());
  add_product(n, kOut, H, {a.hidden2.data(), H, 1}, p.w4.data(), a.out.data());
  for (int64_t s = 0; s < n; ++s) a.out[s * kOut + 3] = a.geometry[s * kGeometry];
}

void heads_backward(const PackedHeads& p, int64_t n, const float* features, const int32_t* ray,
                    const Activations& a, const float* v_out, Activations& v, float* v_features,
                    float* v_heads, float* v_bias) {
  const int64_t H = p.heads.hidden, E = p.heads.inputs;
  // Of v_out's lanes only the colours go through the last layer: w4's other rows are zero.
  std::fill_n(v.hidden2.data(), n * H, 0.0f);
  add_product(n, H, 3, {v_out, kOut, 1}, p.back4.data(), v.hidden2.data());
  relu_backward(n * H, a.hidden2.data(), v.hidden2.data());
  add_product(3, H, n, {v_out, 1, kOut}, a.hidden2.data(), v_heads + p.at.w4);
  for (int64_t s = 0; s < n; ++s)
    for (int c = 0; c < 3; ++c) v_heads[p.at.b4 + c] += v_out[s * kOut + c];

  std::fill_n(v.geometry.data(), n * kGeometry, 0.0f);
  add_product(n, kGeometry, H, {v.hidden2.data(), H, 1}, p.back3.data(), v.geometry.data());
  for (int64_t s = 0; s < n; ++s) v.geometry[s * kGeometry] += v_out[s * kOut + 3];
  float w3[256 * kGeometry] = {};  // w3's rows hold the direction's weights too
  add_product(H, kGeometry, n, {v.hidden2.data(), 1, H}, a.geometry.data(), w3);
  for (int64_t j = 0; j < H; ++j)
    for (int g = 0; g < kGeometry; ++g)
      v_heads[p.at.w3 + j * (kGeometry + kHarmonics) + g] += w3[j * kGeometry + g];
  for (int64_t s = 0; s < n; ++s) add_rows(1, H, &v.hidden2[s * H], v_bias + ray[s] * H);

  std::fill_n(v.hidden1.data(), n * H, 0.0f);
  add_product(n, H, kGeometry, {v.geometry.data(), kGeometry, 1}, p.part(p.at.w2),
              v.hidden1.data());
  relu_backward(n * H, a.hidden1.data(), v.hidden1.data());
  add_product(kGeometry, H, n, {v.geometry.data(), 1, kGeometry}, a.hidden1.data(),
              v_heads + p.at.w2);
  add_rows(n, kGeometry, v.geometry.data(), v_heads + p.at.b2);

  std::fill_n(v_features, n * E, 0.0f);
  add_product(n, E, H, {v.hidden1.data(), H, 1}, p.part(p.at.w1), v_features);
  add_product(H, E, n, {v.hidden1.data(), 1, H}, features, v_heads + p.at.w1);
  add_rows(n, H, v.hidden1.data(), v_heads + p.at.b1);
}

// Colours by the logistic function, density by exp, both as one power of two.
void activate(int64_t n, const float* out, float radius, float* values) {
  const float per_unit = 1.0f / radius;
  const f8 sign = {-kLog2e, -kLog2e, -kLog2e, kLog2e, 0, 0, 0, 0};
  for (int64_t s = 0; s < n; ++s) {
    const f8 x = min8(max8(load8(out + s * kOut), splat8(-80.0f)),
                      f8{80, 80, 80, kMostLog, 0, 0, 0, 0});
    const f8 e = exp2_8(sign * x);
    for (int c = 0; c < 3; ++c) values[4 * s + c] = 1.0f / (1.0f + e[c]);
    values[4 * s + 3] = e[3] * per_unit;
  }
}

}  // namespace tondo
