#include <algorithm>
#include <cmath>

#include "field_heads.h"
#include "tondo/fields/field.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

// One ray on its way back: front to back once more, what lies behind is the total less what came.
struct Runner {
  float light = 1, passed = 0, w_sum = 0, ws_sum = 0;
  float all;  // sum of weights times their gradients
};

// Gradients of the raw colours and of the log density, of samples [begin, begin + n): [n, 8].
void composite_backward(const FieldModel& model, const RayPictures& v, int64_t first,
                        const FieldChunk& chunk, int64_t begin, int64_t n, Runner* runners,
                        float* v_out) {
  for (int64_t s = 0; s < n; ++s) {
    const int64_t i = begin + s, r = chunk.ray[i], ray = first + r;
    Runner& run = runners[r];
    const float* total = &chunk.totals[r * kTotals];
    const float* value = &chunk.values[4 * i];
    const float t = chunk.t[i], span = chunk.span[i], half = 0.5f * span;
    const float through = std::exp(-value[3] * span);
    const float w = run.light * (1.0f - through);
    const float at = even_distance(model.space, t);
    const float length =
        even_distance(model.space, t + half) - even_distance(model.space, t - half);
    const float w_after = total[3] - run.w_sum - w, ws_after = total[6] - run.ws_sum - w * at;
    const float apart = 2.0f * (at * (run.w_sum - w_after) - (run.ws_sum - ws_after)) +
                        w * length * (2.0f / 3.0f);
    float v_w = v.opacities[ray] + v.depths[ray] * t + v.distortions[ray] * apart;
    for (int c = 0; c < 3; ++c) v_w += v.colors[3 * ray + c] * value[c];
    run.passed += w * v_w;
    const float v_optical = run.light * through * v_w - (run.all - run.passed);
    float* out = v_out + s * kOut;
    for (int c = 0; c < 3; ++c)
      out[c] = w * v.colors[3 * ray + c] * value[c] * (1.0f - value[c]);
    out[3] = v_optical * span * value[3];
    for (int c = 4; c < kOut; ++c) out[c] = 0.0f;
    run.light *= through;
    run.w_sum += w;
    run.ws_sum += w * at;
  }
}

// [n, E] rows to the gradients of each group of features: [group][count, F], from sample `begin`.
void by_group(const Encoding& encoding, int64_t n, const float* rows, int64_t begin, int64_t count,
              float* v_features) {
  const int64_t F = encoding.group(), E = encoding.width();
  for (int64_t l = 0; l < E / F; ++l) {
    float* to = v_features + (l * count + begin) * F;
    for (int64_t s = 0; s < n; ++s)
      for (int64_t f = 0; f < F; ++f) to[s * F + f] = rows[s * E + l * F + f];
  }
}

void backward_chunk(const FieldModel& model, const PackedHeads& heads, const Rays& rays,
                    int64_t first, FieldChunk& chunk, const RayPictures& v) {
  const int count = static_cast<int>(std::min<int64_t>(kRays, rays.count - first));
  const int64_t H = heads.heads.hidden, E = heads.heads.inputs;
  std::vector<float> harmonics(count * kHarmonics), bias(count * H), v_bias(count * H, 0.0f);
  harmonics_of(count, rays.directions + 3 * first, harmonics.data());
  ray_bias(heads, count, harmonics.data(), bias.data());
  Runner runners[kRays];
  for (int r = 0; r < count; ++r) {
    const float* total = &chunk.totals[r * kTotals];
    const int64_t ray = first + r;
    runners[r].all = v.opacities[ray] * total[3] + v.depths[ray] * total[4] +
                     2.0f * v.distortions[ray] * total[5];
    for (int c = 0; c < 3; ++c) runners[r].all += v.colors[3 * ray + c] * total[c];
  }
  chunk.v_heads.assign(static_cast<size_t>(heads.at.count), 0.0f);
  chunk.v_features.resize(static_cast<size_t>(chunk.count * E));
  Activations a(heads.heads.hidden), back(heads.heads.hidden);
  std::vector<float> rows(kBlock * E);
  for (int64_t i = 0; i < chunk.count; i += kBlock) {
    const int64_t n = std::min<int64_t>(kBlock, chunk.count - i);
    const float* features = &chunk.features[i * E];
    composite_backward(model, v, first, chunk, i, n, runners, back.out.data());
    heads_forward(heads, n, features, &chunk.ray[i], bias.data(), a);
    heads_backward(heads, n, features, &chunk.ray[i], a, back.out.data(), back, rows.data(),
                   chunk.v_heads.data(), v_bias.data());
    by_group(model.encoding, n, rows.data(), i, chunk.count, chunk.v_features.data());
  }
  ray_bias_backward(heads, count, harmonics.data(), v_bias.data(), chunk.v_heads.data());
}

}  // namespace

// The networks ray by ray; then the encoding group by group, each by one thread in the order of the
// samples, so that no two threads add to one number and sums do not depend on how many they are.
void field_backward(const FieldModel& model, const Rays& rays, FieldTape& tape,
                    const RayPictures& v, const FieldGrads& out) {
  const PackedHeads heads(model.heads);
  parallel_for(static_cast<int64_t>(tape.size()), [&](int64_t k) {
    backward_chunk(model, heads, rays, k * kRays, tape[k], v);
  });
  const Encoding& encoding = model.encoding;
  const int64_t width = encoding.group();
  if (encoding.by_planes()) {
    const PlaneGrid& planes = encoding.planes;
    const int64_t lines = int64_t{3} * planes.cells * planes.features;
    std::fill_n(out.v_first, lines * planes.cells, 0.0f);
    std::fill_n(out.v_second, lines, 0.0f);
  }
  parallel_for(encoding.width() / width, [&](int64_t group) {
    const HashGrid& grid = encoding.grid;
    float* v_table = out.v_first + group * grid.entries * grid.features;
    // here, and not all at once: a level's table then lies in the caches when it is added to
    if (!encoding.by_planes()) std::fill_n(v_table, grid.entries * grid.features, 0.0f);
    for (const FieldChunk& chunk : tape) {
      const Points points{chunk.count, chunk.x.data(), chunk.y.data(), chunk.z.data()};
      const float* v_features = chunk.v_features.data() + group * chunk.count * width;
      if (encoding.by_planes()) {
        const int per_axis = encoding.planes.features / 8, k = static_cast<int>(group);
        plane_encode_backward(encoding.planes, k / per_axis, k % per_axis * 8, points, v_features,
                              out.v_first, out.v_second);
      } else {
        hash_encode_backward(grid, static_cast<int>(group), points, v_features, v_table);
      }
    }
  });
  std::fill_n(out.v_heads, heads.at.count, 0.0f);
  for (const FieldChunk& chunk : tape)
    for (int64_t j = 0; j < heads.at.count; ++j) out.v_heads[j] += chunk.v_heads[j];
}

}  // namespace tondo
