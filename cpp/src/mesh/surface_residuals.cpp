#include "tondo/mesh/surface_residuals.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int64_t kBandRows = 8;   // of pixels
constexpr int64_t kGroup = 16;     // bands whose changes are held at a time
constexpr double kTiny = 1e-30;

// What a camera sees at one of the places in its pixels.
struct Place {
  int64_t face = -1;
  float depth = 0;
  float color[4] = {};       // the last is 1 where a face is
  float slopes[3][3] = {};   // of the colour, as each corner moves
  float speeds[3][2] = {};   // of the place in the picture, in places, as each corner moves
};

struct Change {
  int64_t vertex;
  float by[4];
  float size;
};

struct Sum {
  int64_t vertex;
  float up, down;
};

struct Band {
  std::vector<Sum> sums;
  double loss = 0;
};

void cross(const double* a, const double* b, double* out) {
  out[0] = a[1] * b[2] - a[2] * b[1];
  out[1] = a[2] * b[0] - a[0] * b[2];
  out[2] = a[0] * b[1] - a[1] * b[0];
}

double dot(const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

double length(const double* a) { return std::sqrt(dot(a, a)); }

void turned(const float* viewmat, const float* v, double last, double* out) {
  for (int k = 0; k < 3; ++k)
    out[k] = static_cast<double>(viewmat[4 * k]) * v[0] +
             static_cast<double>(viewmat[4 * k + 1]) * v[1] +
             static_cast<double>(viewmat[4 * k + 2]) * v[2] +
             last * static_cast<double>(viewmat[4 * k + 3]);
}

// The colour at (u, v), bilinear, and how it changes with u and v.
void look_up(const TexturedSurface& on, double u, double v, float* color, float* by_u,
             float* by_v) {
  const int64_t width = on.image_width, height = on.image_height;
  const double px = std::min(std::max(u * static_cast<double>(width) - 0.5, 0.0),
                             static_cast<double>(width - 1));
  const double py = std::min(std::max(v * static_cast<double>(height) - 0.5, 0.0),
                             static_cast<double>(height - 1));
  const int64_t left = std::min(static_cast<int64_t>(px), std::max<int64_t>(0, width - 2));
  const int64_t top = std::min(static_cast<int64_t>(py), std::max<int64_t>(0, height - 2));
  const int64_t right = std::min(left + 1, width - 1), below = std::min(top + 1, height - 1);
  const float x = static_cast<float>(px - static_cast<double>(left));
  const float y = static_cast<float>(py - static_cast<double>(top));
  const float* a = on.image + 3 * (top * width + left);
  const float* b = on.image + 3 * (top * width + right);
  const float* c = on.image + 3 * (below * width + left);
  const float* d = on.image + 3 * (below * width + right);
  for (int k = 0; k < 3; ++k) {
    color[k] = (1 - y) * ((1 - x) * a[k] + x * b[k]) + y * ((1 - x) * c[k] + x * d[k]);
    by_u[k] = ((1 - y) * (b[k] - a[k]) + y * (d[k] - c[k])) * static_cast<float>(width);
    by_v[k] = ((1 - x) * (c[k] - a[k]) + x * (d[k] - b[k])) * static_cast<float>(height);
  }
}

Place place_at(const TexturedSurface& on, const SeenSurface& seen, float flat, int64_t row,
               int64_t column) {
  const int64_t at = row * seen.width * seen.samples + column;
  Place found;
  found.face = seen.face[at];
  if (found.face < 0) return found;
  found.depth = seen.depth[at];
  const double share = 1.0 / static_cast<double>(seen.samples);
  double corner[3][3], move[3][3], across[3][3], volumes[3], ray[3], normal[3];
  for (int k = 0; k < 3; ++k) {
    const int64_t vertex = on.faces[3 * found.face + k];
    turned(seen.viewmat, on.vertices + 3 * vertex, 1, corner[k]);
    turned(seen.viewmat, on.directions + 3 * vertex, 0, move[k]);
  }
  const float* K = seen.K;
  const double u = (static_cast<double>(column) + 0.5) * share;
  const double v = (static_cast<double>(row) + 0.5) * share;
  ray[1] = (v - static_cast<double>(K[5])) / static_cast<double>(K[4]);
  ray[0] = (u - static_cast<double>(K[2]) - static_cast<double>(K[1]) * ray[1]) /
           static_cast<double>(K[0]);
  ray[2] = 1;
  cross(corner[1], corner[2], across[0]);
  cross(corner[2], corner[0], across[1]);
  cross(corner[0], corner[1], across[2]);
  const double det = dot(corner[0], across[0]);
  for (int k = 0; k < 3; ++k) {
    volumes[k] = dot(across[k], ray);
    normal[k] = across[0][k] + across[1][k] + across[2][k];
  }
  const double whole = volumes[0] + volumes[1] + volumes[2];
  const double cosine = std::fabs(whole) / std::max(length(normal) * length(ray), kTiny);
  const bool known = cosine > static_cast<double>(flat) && det != 0 && whole != 0;
  double weights[3], uv[2] = {}, point[3] = {};
  const float* uvs = on.uvs + 6 * found.face;
  for (int k = 0; k < 3; ++k) {
    weights[k] = volumes[k] / (whole == 0 ? 1.0 : whole);
    for (int i = 0; i < 2; ++i) uv[i] += weights[k] * static_cast<double>(uvs[2 * k + i]);
    for (int i = 0; i < 3; ++i) point[i] += weights[k] * corner[k][i];
  }
  float by_u[3], by_v[3];
  look_up(on, uv[0], uv[1], found.color, by_u, by_v);
  found.color[3] = 1;
  for (int k = 0; k < 3; ++k) {
    if (known) {
      double sum = 0, shift[2] = {};
      for (int j = 0; j < 3; ++j) {
        const double y = dot(across[j], move[k]) / det;
        sum += y;
        for (int i = 0; i < 2; ++i) shift[i] -= y * static_cast<double>(uvs[2 * j + i]);
      }
      for (int i = 0; i < 2; ++i) shift[i] = weights[k] * (sum * uv[i] + shift[i]);
      for (int i = 0; i < 3; ++i)
        found.slopes[k][i] = static_cast<float>(shift[0] * static_cast<double>(by_u[i]) +
                                                shift[1] * static_cast<double>(by_v[i]));
    }
    for (int axis = 0; axis < 2; ++axis) {
      double speed = 0;
      for (int i = 0; i < 2; ++i)
        speed += static_cast<double>(K[3 * axis + i]) *
                 (move[k][i] - point[i] / point[2] * move[k][2]);
      found.speeds[k][axis] =
          static_cast<float>(weights[k] * speed / point[2] * static_cast<double>(seen.samples));
    }
  }
  return found;
}

class Rows {  // the places of a band of pixels and of one more row on both sides
 public:
  Rows(const TexturedSurface& on, const SeenSurface& seen, float flat, int64_t top,
       int64_t bottom)
      : tall_(seen.height * seen.samples),
        wide_(seen.width * seen.samples),
        first_(std::max<int64_t>(0, top * seen.samples - 1)) {
    const int64_t end = std::min(tall_, bottom * seen.samples + 1);
    places_.reserve(static_cast<size_t>((end - first_) * wide_));
    for (int64_t row = first_; row < end; ++row)
      for (int64_t column = 0; column < wide_; ++column)
        places_.push_back(place_at(on, seen, flat, row, column));
  }
  // null where the picture ends
  const Place* at(int64_t row, int64_t column) const {
    if (row < 0 || column < 0 || row >= tall_ || column >= wide_) return nullptr;
    return &places_[static_cast<size_t>((row - first_) * wide_ + column)];
  }

 private:
  int64_t tall_, wide_, first_;
  std::vector<Place> places_;
};

bool is_before(const Place& a, const Place& b, float edge) {
  if (a.face < 0) return false;
  return b.face < 0 || b.depth - a.depth > edge * a.depth;
}

void add(std::vector<Change>& changes, int64_t vertex, const float* by, float scale) {
  Change one{vertex, {}, 0};
  for (int k = 0; k < 4; ++k) {
    one.by[k] = scale * by[k];
    one.size += one.by[k] * one.by[k];
  }
  one.size = std::sqrt(one.size);
  changes.push_back(one);
}

// What is in front of the two covers more or less of what is behind.
void add_edge(const TexturedSurface& on, const Place& front, const Place& behind, int axis,
              float sign, float share, std::vector<Change>& changes) {
  float step[4];
  for (int c = 0; c < 4; ++c) step[c] = front.color[c] - behind.color[c];
  for (int k = 0; k < 3; ++k)
    add(changes, on.faces[3 * front.face + k], step,
        0.5f * sign * share * front.speeds[k][axis]);
}

void add_place(const TexturedSurface& on, const Rows& rows, int64_t row, int64_t column,
               float edge, float share, float* mean, std::vector<Change>& changes) {
  const Place& here = *rows.at(row, column);
  for (int c = 0; c < 4; ++c) mean[c] += share * here.color[c];
  if (here.face >= 0)
    for (int k = 0; k < 3; ++k) {
      const float* slope = here.slopes[k];
      const float by[4] = {slope[0], slope[1], slope[2], 0};
      add(changes, on.faces[3 * here.face + k], by, share);
    }
  const int64_t next[4][2] = {{0, 1}, {0, -1}, {1, 0}, {-1, 0}};
  for (int n = 0; n < 4; ++n) {
    const Place* there = rows.at(row + next[n][0], column + next[n][1]);
    if (!there) continue;
    const int axis = next[n][0] == 0 ? 0 : 1;
    const float sign = static_cast<float>(next[n][0] + next[n][1]);
    if (is_before(here, *there, edge)) add_edge(on, here, *there, axis, sign, share, changes);
    if (is_before(*there, here, edge)) add_edge(on, *there, here, axis, -sign, share, changes);
  }
}

void add_pixel(const TexturedSurface& on, const SeenSurface& seen, const SurfaceTarget& target,
               const ResidualRule& rule, const Rows& rows, int64_t y, int64_t x,
               std::vector<Change>& changes, Band& band) {
  const int64_t pixel = y * seen.width + x;
  const float weight = target.weights[pixel];
  if (!(weight > 0)) return;
  const float share = 1.0f / static_cast<float>(seen.samples * seen.samples);
  float mean[4] = {};
  changes.clear();
  for (int64_t j = 0; j < seen.samples; ++j)
    for (int64_t i = 0; i < seen.samples; ++i)
      add_place(on, rows, y * seen.samples + j, x * seen.samples + i, rule.edge, share, mean,
                changes);
  float off[4], square = 0, total = 0;
  for (int c = 0; c < 4; ++c) {
    off[c] = target.colors[4 * pixel + c] - mean[c];
    square += off[c] * off[c];
  }
  const float slack = rule.tolerance * rule.tolerance, trust = weight / (1 + square / slack);
  band.loss += 0.5 * static_cast<double>(weight * slack) *
               std::log1p(static_cast<double>(square / slack));
  for (const Change& one : changes) total += one.size;
  for (const Change& one : changes) {
    if (!(one.size > 0)) continue;
    float along = 0;
    for (int c = 0; c < 4; ++c) along += one.by[c] * off[c];
    band.sums.push_back({one.vertex, trust * along, trust * one.size * total});
  }
}

}  // namespace

double surface_residuals(const TexturedSurface& on, const SeenSurface& seen,
                         const SurfaceTarget& target, const ResidualRule& rule, float* up,
                         float* down) {
  const int64_t bands = (seen.height + kBandRows - 1) / kBandRows;
  double loss = 0;
  std::vector<Band> found(static_cast<size_t>(std::min(kGroup, bands)));
  for (int64_t first = 0; first < bands; first += kGroup) {
    const int64_t count = std::min(kGroup, bands - first);
    parallel_for(count, [&](int64_t i) {
      Band& band = found[static_cast<size_t>(i)];
      band.sums.clear();
      band.loss = 0;
      const int64_t top = (first + i) * kBandRows;
      const int64_t bottom = std::min(seen.height, top + kBandRows);
      const Rows rows(on, seen, rule.flat, top, bottom);
      std::vector<Change> changes;
      for (int64_t y = top; y < bottom; ++y)
        for (int64_t x = 0; x < seen.width; ++x)
          add_pixel(on, seen, target, rule, rows, y, x, changes, band);
    });
    // in order: the same sums on any number of threads
    for (int64_t i = 0; i < count; ++i) {
      const Band& band = found[static_cast<size_t>(i)];
      loss += band.loss;
      for (const Sum& one : band.sums) {
        up[one.vertex] += one.up;
        down[one.vertex] += one.down;
      }
    }
  }
  return loss;
}

}  // namespace tondo
