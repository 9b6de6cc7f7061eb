// One plane of a map of the sphere, and the same with a border of one cell.
#pragma once
#include <algorithm>
#include <cstring>

namespace tondo {

// padded: [rows+2, columns+2], x: [rows, columns]
inline void fill_inside(float* padded, const float* x, int rows, int columns) {
  for (int r = 0; r < rows; ++r)
    std::memcpy(padded + (r + 1) * (columns + 2) + 1, x + r * columns, columns * sizeof(float));
}

inline void take_inside(const float* padded, float* x, int rows, int columns) {
  for (int r = 0; r < rows; ++r)
    std::memcpy(x + r * columns, padded + (r + 1) * (columns + 2) + 1, columns * sizeof(float));
}

// The border from the inside: round the sphere, and over its poles, where it is met from the other
// side, half a turn away.
inline void close_border(float* padded, int rows, int columns) {
  const int wide = columns + 2, half = columns / 2;
  const float *north = padded + wide + 1, *south = padded + rows * wide + 1;
  float *above = padded + 1, *below = padded + (rows + 1) * wide + 1;
  for (int c = 0; c < half; ++c) {
    above[c] = north[c + half];
    above[c + half] = north[c];
    below[c] = south[c + half];
    below[c + half] = south[c];
  }
  for (int r = 0; r < rows + 2; ++r) {
    float* row = padded + r * wide;
    row[0] = row[columns];
    row[columns + 1] = row[1];
  }
}

// Its transpose: what came to the border is added where it was taken from.
inline void open_border(float* padded, int rows, int columns) {
  const int wide = columns + 2, half = columns / 2;
  for (int r = 0; r < rows + 2; ++r) {
    float* row = padded + r * wide;
    row[columns] += row[0];
    row[1] += row[columns + 1];
  }
  float *north = padded + wide + 1, *south = padded + rows * wide + 1;
  const float *above = padded + 1, *below = padded + (rows + 1) * wide + 1;
  for (int c = 0; c < half; ++c) {
    north[c + half] += above[c];
    north[c] += above[c + half];
    south[c + half] += below[c];
    south[c] += below[c + half];
  }
}

// (1, 2, 1) / 4 both ways of a padded plane; line: [columns+2], out: [rows, columns].
inline void soften(const float* padded, int rows, int columns, float* line, float* out) {
  const int wide = columns + 2;
  for (int r = 0; r < rows; ++r) {
    const float* row = padded + r * wide;
    for (int c = 0; c < wide; ++c) line[c] = row[c] + 2.0f * row[c + wide] + row[c + 2 * wide];
    float* to = out + r * columns;
    for (int c = 0; c < columns; ++c)
      to[c] = (1.0f / 16) * (line[c] + 2.0f * line[c + 1] + line[c + 2]);
  }
}

}  // namespace tondo
