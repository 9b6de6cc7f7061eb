// Three passes over the picture: the depth of each pixel's plane; the normal of each pixel's
// neighbours with the loss and its gradient in their differences; and, gathered pixel by pixel, what
// that is in the planes. Every pass writes only its own pixel, so threads change nothing.
#include <algorithm>
#include <cmath>

#include "tondo/core/threads.h"
#include "tondo/splats/planes.h"

namespace tondo {
namespace {

constexpr float kMinAlpha = 0.5f;    // below, a pixel has no surface
constexpr float kMinFacing = 1e-3f;  // of -normal . ray; flatter planes have no depth to speak of
constexpr float kMinLength = 1e-20f;

struct Picture {
  const PinholeCamera& camera;
  const float *planes, *alphas;
  float x(int column) const {
    return (static_cast<float>(column) + 0.5f - camera.cx) / camera.fx;
  }
  float y(int row) const { return (static_cast<float>(row) + 0.5f - camera.cy) / camera.fy; }
};

struct Vec {
  float x, y, z;
};

Vec cross(const Vec& a, const Vec& b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

float dot(const Vec& a, const Vec& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

void depths_of_row(const Picture& in, int y, float* depth) {
  for (int x = 0; x < in.camera.width; ++x) {
    const int64_t p = static_cast<int64_t>(y) * in.camera.width + x;
    const float* plane = in.planes + kPlane * p;
    const float facing = -(plane[0] * in.x(x) + plane[1] * in.y(y) + plane[2]);
    const bool solid = in.alphas[p] > kMinAlpha && facing > kMinFacing && plane[3] > 0.0f;
    depth[p] = solid ? plane[3] / facing : 0.0f;
  }
}

// The loss of a row's pixels and its gradients in their own normals and in the differences of their
// neighbours, 0 for pixels without.
double compare_row(const Picture& in, int y, float weight, PlaneScratch& s, float* v_planes) {
  const int width = in.camera.width;
  const float* depth = s.depth.data();
  double sum = 0.0;
  for (int x = 0; x < width; ++x) {
    const int64_t p = static_cast<int64_t>(y) * width + x;
    float *v_across = s.v_across.data() + 3 * p, *v_down = s.v_down.data() + 3 * p;
    std::fill_n(v_across, 3, 0.0f);
    std::fill_n(v_down, 3, 0.0f);
    std::fill_n(v_planes + kPlane * p, kPlane, 0.0f);
    if (x == 0 || x == width - 1 || y == 0 || y == in.camera.height - 1) continue;
    const float left = depth[p - 1], right = depth[p + 1];
    const float above = depth[p - width], below = depth[p + width];
    if (depth[p] == 0 || left == 0 || right == 0 || above == 0 || below == 0) continue;
    const float u = in.x(x), v = in.y(y);
    const Vec across{in.x(x + 1) * right - in.x(x - 1) * left, v * (right - left), right - left};
    const Vec down{u * (below - above), in.y(y + 1) * below - in.y(y - 1) * above, below - above};
    const Vec c = cross(down, across);
    const float length = std::sqrt(dot(c, c));
    if (!(length > kMinLength)) continue;
    const Vec n{c.x / length, c.y / length, c.z / length};
    const float* plane = in.planes + kPlane * p;
    const Vec summed{plane[0], plane[1], plane[2]};
    const float agreement = dot(n, summed);
    sum += double(in.alphas[p]) - agreement;
    float* v_plane = v_planes + kPlane * p;
    v_plane[0] = -weight * n.x, v_plane[1] = -weight * n.y, v_plane[2] = -weight * n.z;
    // d(c / |c|) = (I - n n^T) dc / |c|
    const float scale = -weight / length;
    const Vec v_c{scale * (summed.x - agreement * n.x), scale * (summed.y - agreement * n.y),
                  scale * (summed.z - agreement * n.z)};
    const Vec v_d = cross(across, v_c), v_a = cross(v_c, down);
    v_across[0] = v_a.x, v_across[1] = v_a.y, v_across[2] = v_a.z;
    v_down[0] = v_d.x, v_down[1] = v_d.y, v_down[2] = v_d.z;
  }
  return sum;
}

// What a row's points owe to the differences that they are part of, in their planes.
void gather_row(const Picture& in, int y, const PlaneScratch& s, float* v_planes) {
  const int width = in.camera.width, height = in.camera.height;
  for (int x = 0; x < width; ++x) {
    const int64_t p = static_cast<int64_t>(y) * width + x;
    const float z = s.depth[p];
    if (z == 0) continue;
    Vec v_point{0, 0, 0};
    const auto add = [&](const std::vector<float>& from, int64_t at, float sign) {
      v_point.x += sign * from[3 * at];
      v_point.y += sign * from[3 * at + 1];
      v_point.z += sign * from[3 * at + 2];
    };
    if (x > 0) add(s.v_across, p - 1, 1.0f);
    if (x < width - 1) add(s.v_across, p + 1, -1.0f);
    if (y > 0) add(s.v_down, p - width, 1.0f);
    if (y < height - 1) add(s.v_down, p + width, -1.0f);
    const Vec ray{in.x(x), in.y(y), 1.0f};
    const float v_z = dot(v_point, ray);
    const float* plane = in.planes + kPlane * p;
    const float facing = -(plane[0] * ray.x + plane[1] * ray.y + plane[2]);
    const float v_facing = v_z * z / facing;  // z = distance / facing and facing = -normal . ray
    float* out = v_planes + kPlane * p;
    out[0] += v_facing * ray.x;
    out[1] += v_facing * ray.y;
    out[2] += v_facing;
    out[3] += v_z / facing;
  }
}

}  // namespace

double depth_normal_loss(const PinholeCamera& camera, const float* planes, const float* alphas,
                         PlaneScratch& scratch, float* v_planes) {
  const Picture in{camera, planes, alphas};
  const size_t pixels = static_cast<size_t>(camera.height) * camera.width;
  scratch.depth.resize(pixels);
  scratch.v_across.resize(3 * pixels);
  scratch.v_down.resize(3 * pixels);
  scratch.rows.resize(camera.height);
  const float weight = 1.0f / static_cast<float>(pixels);
  const auto rows = [&](auto&& row) {
    parallel_for(camera.height, [&](int64_t y) { row(static_cast<int>(y)); });
  };
  rows([&](int y) { depths_of_row(in, y, scratch.depth.data()); });
  rows([&](int y) { scratch.rows[y] = compare_row(in, y, weight, scratch, v_planes); });
  rows([&](int y) { gather_row(in, y, scratch, v_planes); });
  double sum = 0.0;
  for (double row : scratch.rows) sum += row;
  return sum * weight;
}

}  // namespace tondo
