#include "tondo/fields/field.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "field_heads.h"
#include "tondo/core/simd.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int kWave = 2;  // samples that a ray takes before the next look at its light

// One ray on its way.
struct Walker {
  float t, end, light;  // where its next step begins
  int steps;
  float w_sum, ws_sum;  // of weights, and of weights times even distances
};

// Steps that a sample there stands for; 0: nothing is there.
int stride_at(const Space& space, const float u[3]) {
  int64_t cell[3];
  for (int k = 0; k < 3; ++k) {
    if (!(u[k] >= 0.0f && u[k] < 1.0f)) return 0;
    cell[k] = std::min<int64_t>(static_cast<int64_t>(u[k] * static_cast<float>(space.cells)),
                                space.cells - 1);
  }
  return space.strides[(cell[2] * space.cells + cell[1]) * space.cells + cell[0]];
}

void into_cube(const Space& space, const float p[3], float u[3]) {
  float y[3], squared = 0;
  for (int k = 0; k < 3; ++k) {
    y[k] = (p[k] - space.center[k]) / space.radius;
    squared += y[k] * y[k];
  }
  float scale = 0.5f;
  if (space.contracted) {
    const float norm = std::sqrt(squared);
    scale = norm > 1.0f ? (2.0f - 1.0f / norm) / norm * 0.25f : 0.25f;
  }
  for (int k = 0; k < 3; ++k) u[k] = y[k] * scale + 0.5f;
}

void make_room(FieldChunk& chunk, int64_t count, int inputs) {
  const size_t padded = static_cast<size_t>(count + 8);
  for (auto* v : {&chunk.x, &chunk.y, &chunk.z, &chunk.t, &chunk.span})
    if (v->size() < padded) v->resize(2 * padded);
  if (chunk.ray.size() < padded) chunk.ray.resize(2 * padded);
  if (chunk.values.size() < 4 * padded) chunk.values.resize(8 * padded);
  if (chunk.features.size() < inputs * padded) chunk.features.resize(2 * inputs * padded);
}

// A ray through the space: its places, and the strides there.
struct Line {
  const Space& space;
  const float *o, *d;

  void at(float t, float u[3]) const {
    const float p[3] = {o[0] + d[0] * t, o[1] + d[1] * t, o[2] + d[2] * t};
    into_cube(space, p, u);
  }
  int stride(float t) const {
    float u[3];
    at(t, u);
    return stride_at(space, u);
  }
  // `stride` at eight places: most of what a ray passes is empty.
  void strides(const f8& t, int found[8]) const {
    f8 y[3], squared = splat8(0);
    const float per_radius = 1.0f / space.radius;
    for (int k = 0; k < 3; ++k) {
      y[k] = (o[k] + d[k] * t - space.center[k]) * per_radius;
      squared += y[k] * y[k];
    }
    f8 scale = splat8(0.5f);
    if (space.contracted) {
      const f8 norm = sqrt8(squared);
      const f8 inverse = 1.0f / norm;
      scale = select8(norm > 1.0f, (2.0f - inverse) * inverse * 0.25f, splat8(0.25f));
    }
    const int32_t cells = space.cells;
    i8 inside = i8{} - 1, at[3];
    for (int k = 0; k < 3; ++k) {
      const f8 u = y[k] * scale + 0.5f;
      const i8 within = (u >= 0.0f) & (u < 1.0f);
      inside &= within;
      const i8 cell = __builtin_convertvector(keep8(within, u) * static_cast<float>(cells), i8);
      at[k] = cell < cells ? cell : i8{} + (cells - 1);
    }
    // fits: at most 1,024 cells along a side
    const i8 flat = ((at[2] * cells + at[1]) * cells + at[0]) & inside;
    int32_t place[8], within[8];
    std::memcpy(place, &flat, sizeof(flat));
    std::memcpy(within, &inside, sizeof(inside));
    for (int l = 0; l < 8; ++l) found[l] = space.strides[place[l]] & within[l];
  }
};

// Moves on over steps where nothing is, to the first one where something may be: its stride, or 0 if
// the ray ends before.
int to_something(const Marching& m, const Line& line, float offset, Walker& walker) {
  for (;;) {
    f8 begin, at;
    float next = walker.t;
    int count = 8;
    for (int l = 0; l < 8; ++l) {
      const float span = std::max(m.step, m.cone * next);
      begin[l] = next;
      at[l] = next + offset * span;
      if (count == 8 && (!(at[l] < walker.end) || walker.steps + l >= m.max_steps)) count = l;
      next += span;
    }
    int strides[8];
    line.strides(at, strides);
    for (int l = 0; l < count; ++l) {
      if (strides[l] == 0) continue;
      walker.t = begin[l];
      walker.steps += l;
      return strides[l];
    }
    walker.t = count < 8 ? begin[count] : next;
    walker.steps += count;
    if (count < 8) return 0;
  }
}

// The next samples of one ray, kWave at most. False: it has come to its end.
bool take(const FieldModel& model, const Line& line, float offset, int32_t ray, Walker& walker,
          FieldChunk& chunk) {
  const Marching& m = model.marching;
  const auto length = [&](float t) { return std::max(m.step, m.cone * t); };
  for (int taken = 0; taken < kWave;) {
    const float ahead = walker.t + offset * length(walker.t);
    if (!(ahead < walker.end) || walker.steps >= m.max_steps) return false;
    int stride = line.stride(ahead);
    if (stride == 0) {
      walker.t += length(walker.t);
      ++walker.steps;
      stride = to_something(m, line, offset, walker);
      if (stride == 0) return false;
    }
    const float begin = walker.t;
    walker.t = begin + length(begin);
    ++walker.steps;
    for (int k = 1; k < stride && walker.steps < m.max_steps; ++k) {  // as long as it is as thin
      const float more = length(walker.t), t = walker.t + offset * more;
      if (!(t < walker.end) || line.stride(t) < stride) break;
      walker.t += more;
      ++walker.steps;
    }
    const float span = walker.t - begin, t = begin + offset * span;
    const size_t i = static_cast<size_t>(chunk.count++);
    float u[3];
    line.at(t, u);
    chunk.x[i] = u[0];
    chunk.y[i] = u[1];
    chunk.z[i] = u[2];
    chunk.t[i] = t;
    chunk.span[i] = span;
    chunk.ray[i] = ray;
    ++taken;
  }
  return true;
}

// Weights of the samples from `begin`, added to their rays' totals.
void composite(const FieldModel& model, int64_t begin, FieldChunk& chunk, Walker* walkers) {
  for (int64_t i = begin; i < chunk.count; ++i) {
    Walker& walker = walkers[chunk.ray[i]];
    if (walker.light < model.marching.stop) {
      chunk.span[i] = 0.0f;  // behind the stop: no weight, no gradient
      continue;
    }
    const float t = chunk.t[i], half = 0.5f * chunk.span[i];
    const float through = std::exp(-chunk.values[4 * i + 3] * chunk.span[i]);
    const float w = walker.light * (1.0f - through);
    float* total = &chunk.totals[chunk.ray[i] * kTotals];
    for (int c = 0; c < 3; ++c) total[c] += w * chunk.values[4 * i + c];
    const float s = even_distance(model.space, t);
    const float length =
        even_distance(model.space, t + half) - even_distance(model.space, t - half);
    total[3] += w;
    total[4] += w * t;
    total[5] += 2.0f * w * (s * walker.w_sum - walker.ws_sum) + w * w * length * (1.0f / 3.0f);
    walker.w_sum += w;
    walker.ws_sum += w * s;
    walker.light *= through;
  }
}

void encode(const Encoding& encoding, const Points& points, float* features) {
  if (encoding.by_planes()) plane_encode(encoding.planes, points, features);
  else hash_encode(encoding.grid, points, features);
}

void networks(const FieldModel& model, const PackedHeads& heads, const float* bias, int64_t begin,
              FieldChunk& chunk, Activations& a) {
  const int64_t E = heads.heads.inputs;
  const Points points{chunk.count - begin, &chunk.x[begin], &chunk.y[begin], &chunk.z[begin]};
  encode(model.encoding, points, &chunk.features[begin * E]);
  for (int64_t i = begin; i < chunk.count; i += kBlock) {
    const int64_t n = std::min<int64_t>(kBlock, chunk.count - i);
    heads_forward(heads, n, &chunk.features[i * E], &chunk.ray[i], bias, a);
    activate(n, a.out.data(), model.space.radius, &chunk.values[4 * i]);
  }
}

void forward_chunk(const FieldModel& model, const PackedHeads& heads, const Rays& rays,
                   int64_t first, FieldChunk& chunk, const RayPictures& out) {
  const int count = static_cast<int>(std::min<int64_t>(kRays, rays.count - first));
  const int H = heads.heads.hidden;
  std::vector<float> harmonics(count * kHarmonics), bias(static_cast<size_t>(count) * H);
  harmonics_of(count, rays.directions + 3 * first, harmonics.data());
  ray_bias(heads, count, harmonics.data(), bias.data());
  Activations a(H);
  Walker walkers[kRays];
  int active[kRays], left = count;
  for (int r = 0; r < count; ++r) {
    const float* ends = rays.ends + 2 * (first + r);
    walkers[r] = {ends[0], ends[1], 1, 0, 0, 0};
    active[r] = r;
  }
  chunk.count = 0;
  chunk.totals.assign(static_cast<size_t>(kRays) * kTotals, 0.0f);
  while (left) {
    const int64_t begin = chunk.count;
    make_room(chunk, begin + int64_t{left} * kWave, heads.heads.inputs);
    int kept = 0;
    for (int k = 0; k < left; ++k) {
      const int r = active[k];
      const Line line{model.space, rays.origins + 3 * (first + r), rays.directions + 3 * (first + r)};
      const bool more = take(model, line, rays.offsets[first + r], r, walkers[r], chunk);
      if (more) active[kept++] = r;
    }
    networks(model, heads, bias.data(), begin, chunk, a);
    composite(model, begin, chunk, walkers);
    left = 0;
    for (int k = 0; k < kept; ++k)
      if (walkers[active[k]].light >= model.marching.stop) active[left++] = active[k];
  }
  for (int r = 0; r < count; ++r) {
    float* total = &chunk.totals[r * kTotals];
    total[6] = walkers[r].ws_sum;
    for (int c = 0; c < 3; ++c) out.colors[3 * (first + r) + c] = total[c];
    out.opacities[first + r] = total[3];
    out.depths[first + r] = total[4];
    out.distortions[first + r] = total[5];
    out.samples[first + r] = 0;
  }
  for (int64_t i = 0; i < chunk.count; ++i)
    out.samples[first + chunk.ray[i]] += chunk.span[i] > 0.0f;
}

}  // namespace

void field_forward(const FieldModel& model, const Rays& rays, FieldTape* tape,
                   const RayPictures& out) {
  const PackedHeads heads(model.heads);
  const int64_t chunks = (rays.count + kRays - 1) / kRays;
  if (tape) tape->resize(static_cast<size_t>(chunks));
  parallel_for(chunks, [&](int64_t k) {
    thread_local FieldChunk own;
    forward_chunk(model, heads, rays, k * kRays, tape ? (*tape)[k] : own, out);
  });
}

void field_density(const FieldModel& model, int64_t count, const float* points,
                   float* log_sigmas) {
  const PackedHeads heads(model.heads);
  const size_t E = static_cast<size_t>(heads.heads.inputs);
  constexpr int64_t kMany = 8 * kBlock;
  parallel_chunks(count, kMany, [&](int64_t begin, int64_t end) {
    std::vector<float> x(kMany + 8), y(kMany + 8), z(kMany + 8), features(kMany * E);
    Activations a(heads.heads.hidden);
    for (int64_t i = begin; i < end; ++i) {
      float u[3];
      into_cube(model.space, points + 3 * i, u);
      x[i - begin] = u[0];
      y[i - begin] = u[1];
      z[i - begin] = u[2];
    }
    encode(model.encoding, {end - begin, x.data(), y.data(), z.data()}, features.data());
    for (int64_t i = 0; i < end - begin; i += kBlock) {
      const int64_t n = std::min<int64_t>(kBlock, end - begin - i);
      heads_density(heads, n, &features[i * E], a);
      for (int64_t s = 0; s < n; ++s) log_sigmas[begin + i + s] = a.geometry[s * kGeometry];
    }
  });
}

}  // namespace tondo
