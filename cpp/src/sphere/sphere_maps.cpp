#include "tondo/sphere/sphere_maps.h"

#include <cstring>
#include <vector>

#include "sphere_planes.h"
#include "tondo/core/simd.h"
#include "tondo/core/threads.h"

namespace tondo {
namespace {

constexpr int64_t kGrain = 4;  // planes a task

float dot(const float* a, const float* b, int n) {
  f8 sums = splat8(0);
  int i = 0;
  for (; i + 8 <= n; i += 8) sums += load8(a + i) * load8(b + i);
  float sum = sum8(sums);
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

float total(const float* a, int n) {
  f8 sums = splat8(0);
  int i = 0;
  for (; i + 8 <= n; i += 8) sums += load8(a + i);
  float sum = sum8(sums);
  for (; i < n; ++i) sum += a[i];
  return sum;
}

}  // namespace

void sphere_padded(const SphereMaps& maps, const float* x, const float* style, float* out) {
  const int rows = maps.rows, columns = maps.columns, wide = columns + 2;
  parallel_chunks(maps.planes, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const float s = style ? style[p] : 1.0f;
      const float* from = x + p * rows * columns;
      float* plane = out + p * (rows + 2) * wide;
      for (int r = 0; r < rows; ++r) {
        float* row = plane + (r + 1) * wide + 1;
        for (int c = 0; c < columns; ++c) row[c] = s * from[r * columns + c];
      }
      close_border(plane, rows, columns);
    }
  });
}

void sphere_padded_backward(const SphereMaps& maps, const float* x, const float* style,
                            const float* v_out, float* v_x, float* v_style) {
  const int rows = maps.rows, columns = maps.columns, wide = columns + 2;
  const int64_t padded = static_cast<int64_t>(rows + 2) * wide;
  parallel_chunks(maps.planes, kGrain, [&](int64_t begin, int64_t end) {
    std::vector<float> plane(padded);
    for (int64_t p = begin; p < end; ++p) {
      std::memcpy(plane.data(), v_out + p * padded, padded * sizeof(float));
      open_border(plane.data(), rows, columns);
      const float s = style ? style[p] : 1.0f;
      float sum = 0;
      for (int r = 0; r < rows; ++r) {
        const float* row = plane.data() + (r + 1) * wide + 1;
        const int64_t at = (p * rows + r) * columns;
        if (style) sum += dot(row, x + at, columns);
        for (int c = 0; c < columns; ++c) v_x[at + c] = s * row[c];
      }
      if (style) v_style[p] = sum;
    }
  });
}

void sphere_doubled(const SphereMaps& maps, const float* x, float* out) {
  const int rows = maps.rows, columns = maps.columns, wide = columns + 2;
  parallel_chunks(maps.planes, kGrain, [&](int64_t begin, int64_t end) {
    std::vector<float> plane((rows + 2) * wide), mixed(wide);
    for (int64_t p = begin; p < end; ++p) {
      fill_inside(plane.data(), x + p * rows * columns, rows, columns);
      close_border(plane.data(), rows, columns);
      float* to = out + p * 4 * rows * columns;
      for (int r = 0; r < 2 * rows; ++r) {
        const float* near = plane.data() + (r / 2 + 1) * wide;
        const float* far = r % 2 ? near + wide : near - wide;
        for (int c = 0; c < wide; ++c) mixed[c] = 0.75f * near[c] + 0.25f * far[c];
        float* row = to + r * 2 * columns;
        for (int c = 0; c < columns; ++c) {
          row[2 * c] = 0.25f * mixed[c] + 0.75f * mixed[c + 1];
          row[2 * c + 1] = 0.75f * mixed[c + 1] + 0.25f * mixed[c + 2];
        }
      }
    }
  });
}

void sphere_doubled_backward(const SphereMaps& maps, const float* v_out, float* v_x) {
  const int rows = maps.rows, columns = maps.columns, wide = columns + 2;
  parallel_chunks(maps.planes, kGrain, [&](int64_t begin, int64_t end) {
    std::vector<float> plane((rows + 2) * wide), mixed(wide);
    for (int64_t p = begin; p < end; ++p) {
      std::fill(plane.begin(), plane.end(), 0.0f);
      const float* from = v_out + p * 4 * rows * columns;
      for (int r = 0; r < 2 * rows; ++r) {
        const float* row = from + r * 2 * columns;
        std::fill(mixed.begin(), mixed.end(), 0.0f);
        for (int c = 0; c < columns; ++c) {
          mixed[c] += 0.25f * row[2 * c];
          mixed[c + 1] += 0.75f * (row[2 * c] + row[2 * c + 1]);
          mixed[c + 2] += 0.25f * row[2 * c + 1];
        }
        float* near = plane.data() + (r / 2 + 1) * wide;
        float* far = r % 2 ? near + wide : near - wide;
        for (int c = 0; c < wide; ++c) {
          near[c] += 0.75f * mixed[c];
          far[c] += 0.25f * mixed[c];
        }
      }
      open_border(plane.data(), rows, columns);
      take_inside(plane.data(), v_x + p * rows * columns, rows, columns);
    }
  });
}

void sphere_finer(const SphereFiner& in, float* out) {
  const int rows = in.maps.rows, columns = in.maps.columns;
  const int fine_rows = 2 * rows, fine_columns = 2 * columns, wide = fine_columns + 2;
  const int64_t area = static_cast<int64_t>(rows) * columns;
  parallel_chunks(in.maps.planes, kGrain, [&](int64_t begin, int64_t end) {
    std::vector<float> plane((fine_rows + 2) * wide), line(wide);
    for (int64_t p = begin; p < end; ++p) {
      const int64_t channel = p % in.channels;
      for (int r = 0; r < fine_rows; ++r) {  // parts 2 dy + dx of a channel lie side by side
        const int64_t first = 4 * p + 2 * (r % 2);
        const float *bias = in.bias + 4 * channel + 2 * (r % 2), *scale = in.scale + first;
        const float* left = in.x + first * area + (r / 2) * columns;
        const float* right = left + area;
        float* row = plane.data() + (r + 1) * wide + 1;
        for (int c = 0; c < columns; ++c) {
          row[2 * c] = scale[0] * left[c] + bias[0];
          row[2 * c + 1] = scale[1] * right[c] + bias[1];
        }
      }
      close_border(plane.data(), fine_rows, fine_columns);
      float* to = out + 4 * p * area;
      soften(plane.data(), fine_rows, fine_columns, line.data(), to);
      for (int64_t i = 0; i < 4 * area; ++i) to[i] = to[i] > 0 ? to[i] : in.leak * to[i];
    }
  });
}

void sphere_finer_backward(const SphereFiner& in, const float* out, const float* v_out, float* v_x,
                           float* v_scale, float* v_bias) {
  const int rows = in.maps.rows, columns = in.maps.columns;
  const int fine_rows = 2 * rows, fine_columns = 2 * columns, wide = fine_columns + 2;
  const int64_t area = static_cast<int64_t>(rows) * columns;
  parallel_chunks(in.maps.planes, kGrain, [&](int64_t begin, int64_t end) {
    // The blur's own transpose is the same blur, of a plane with zeros around it
    std::vector<float> around((fine_rows + 4) * (wide + 2), 0.0f), line(wide + 2);
    std::vector<float> plane((fine_rows + 2) * wide);
    for (int64_t p = begin; p < end; ++p) {
      for (int r = 0; r < fine_rows; ++r) {
        const int64_t at = 4 * p * area + r * fine_columns;
        float* row = around.data() + (r + 2) * (wide + 2) + 2;
        for (int c = 0; c < fine_columns; ++c)
          row[c] = out[at + c] > 0 ? v_out[at + c] : in.leak * v_out[at + c];
      }
      soften(around.data(), fine_rows + 2, wide, line.data(), plane.data());
      open_border(plane.data(), fine_rows, fine_columns);
      for (int part = 0; part < 4; ++part) {
        const int64_t k = 4 * p + part;
        const float* x = in.x + k * area;
        float* to = v_x + k * area;
        float scaled = 0, plain = 0;
        for (int r = 0; r < rows; ++r) {
          const float* row = plane.data() + (2 * r + part / 2 + 1) * wide + 1 + part % 2;
          float* line_to = to + r * columns;
          for (int c = 0; c < columns; ++c) line_to[c] = row[2 * c];
          plain += total(line_to, columns);
          scaled += dot(line_to, x + r * columns, columns);
          for (int c = 0; c < columns; ++c) line_to[c] *= in.scale[k];
        }
        v_scale[k] = scaled;
        v_bias[k] = plain;
      }
    }
  });
}

}  // namespace tondo
