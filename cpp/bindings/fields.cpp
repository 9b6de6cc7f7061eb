// Bindings of the radiance field; see bindings.cpp.
#include "bindings.h"

#include "tondo/fields/occupancy.h"
#include "tondo/fields/field.h"

namespace {

using FTables = Array<float, nb::shape<-1, -1, -1>>;       // [levels, entries, features]
using FPlanes = Array<float, nb::shape<3, -1, -1, -1>>;    // [3, cells, cells, features]
using FLines = Array<float, nb::shape<3, -1, -1>>;         // [3, cells, features]
using I1 = Array<int32_t, nb::shape<-1>>;
using C3 = Array<float, nb::shape<-1, -1, -1>>;     // [cells, cells, cells]
using C3U = Array<uint8_t, nb::shape<-1, -1, -1>>;

// A field: the arrays that it is made of, kept alive, and what they are.
struct FieldArrays {
  std::vector<nb::ndarray<>> kept;
  tondo::FieldModel model;
  size_t heads;
};

tondo::Encoding encoding_of(const FTables& tables, const I1& resolutions) {
  const size_t levels = tables.shape(0), entries = tables.shape(1), features = tables.shape(2);
  need(levels >= 1 && levels <= 64 && resolutions.shape(0) == levels, "resolutions of the levels");
  need(entries && !(entries & (entries - 1)) && entries <= (size_t{1} << 28),
       "entries: a power of two");
  need(features == 2 || features == 4, "2 or 4 features an entry");
  for (size_t l = 0; l < levels; ++l)
    need(resolutions(l) >= 1 && resolutions(l) <= (1 << 20), "resolutions from 1 to 2^20");
  tondo::Encoding encoding;
  encoding.grid = {static_cast<int>(levels), static_cast<int>(features),
                   static_cast<int64_t>(entries), tables.data(), resolutions.data()};
  return encoding;
}

tondo::Encoding encoding_of(const FPlanes& planes, const FLines& lines) {
  const size_t cells = planes.shape(1), features = planes.shape(3);
  need(planes.shape(2) == cells && lines.shape(1) == cells && lines.shape(2) == features &&
           cells >= 1 && cells <= (size_t{1} << 14) && features >= 8 && features % 8 == 0 &&
           features <= 256,
       "planes and lines, features a multiple of 8");
  tondo::Encoding encoding;
  encoding.planes = {static_cast<int>(cells), static_cast<int>(features), planes.data(),
                     lines.data()};
  return encoding;
}

FieldArrays field_of(tondo::Encoding encoding, std::vector<nb::ndarray<>> kept, F1 heads, int hidden,
                     C3U strides, F1 space, F1 marching, bool contracted,
                     int max_steps) {
  const int inputs = encoding.width();
  need(inputs % 8 == 0 && hidden >= 8 && hidden % 8 == 0 && hidden <= 256,
       "inputs and hidden: multiples of 8, hidden up to 256");
  need(heads.shape(0) == static_cast<size_t>(tondo::parts_of(inputs, hidden).count), "heads");
  const size_t cells = strides.shape(0);
  need(cells >= 1 && cells <= 1024 && strides.shape(1) == cells && strides.shape(2) == cells,
       "strides: as many cells along each side");
  need(space.shape(0) == 4 && marching.shape(0) == 3, "space: centre and radius; marching");
  need(space(3) > 0 && marching(0) > 0 && marching(1) >= 0 && max_steps >= 1, "marching");
  kept.insert(kept.end(), {nb::ndarray<>(heads), nb::ndarray<>(strides)});
  const tondo::FieldModel model{
      encoding,
      {inputs, hidden, heads.data()},
      {{space(0), space(1), space(2)}, space(3), contracted, static_cast<int>(cells), strides.data()},
      {marching(0), marching(1), max_steps, marching(2)}};
  return {std::move(kept), model, heads.shape(0)};
}

// The samples of the last pass with gradients.
struct FieldRays {
  tondo::FieldTape tape;
  int64_t rays = -1;
};

tondo::Rays rays_of(const F3& origins, const F3& directions, const F2& ends, const F1& offsets) {
  const size_t n = origins.shape(0);
  need(directions.shape(0) == n && ends.shape(0) == n && offsets.shape(0) == n,
       "origins, directions, ends, offsets");
  return {static_cast<int64_t>(n), origins.data(), directions.data(), ends.data(), offsets.data()};
}

void forward(FieldRays* keep, const FieldArrays& field, F3 origins, F3 directions, F2 ends,
             F1 offsets, F3 colors, F1 opacities, F1 depths, F1 distortions, I1 samples) {
  const auto rays = rays_of(origins, directions, ends, offsets);
  const size_t n = origins.shape(0);
  need(colors.shape(0) == n && opacities.shape(0) == n && depths.shape(0) == n &&
           distortions.shape(0) == n && samples.shape(0) == n,
       "colors, opacities, depths, distortions, samples");
  if (keep) keep->rays = rays.count;
  nb::gil_scoped_release release;
  tondo::field_forward(field.model, rays, keep ? &keep->tape : nullptr,
                       {colors.data(), opacities.data(), depths.data(), distortions.data(),
                        samples.data()});
}

void backward(FieldRays& kept, const FieldArrays& field, F3 origins, F3 directions, F2 ends,
              F1 offsets, F3 v_colors, F1 v_opacities, F1 v_depths, F1 v_distortions, F1 v_first,
              Maybe<F1> v_second, F1 v_heads) {
  const auto rays = rays_of(origins, directions, ends, offsets);
  const size_t n = origins.shape(0);
  need(kept.rays == rays.count, "the tape is of other rays");
  need(v_colors.shape(0) == n && v_opacities.shape(0) == n && v_depths.shape(0) == n &&
           v_distortions.shape(0) == n,
       "gradients of the pictures");
  const tondo::Encoding& e = field.model.encoding;
  const size_t first = e.by_planes() ? size_t{3} * e.planes.cells * e.planes.cells * e.planes.features
                                     : size_t(e.grid.entries) * e.grid.levels * e.grid.features;
  need(v_first.shape(0) == first, "v_first");
  need(bool(v_second) == e.by_planes() &&
           (!v_second ||
            v_second->shape(0) == size_t{3} * e.planes.cells * e.planes.features),
       "v_second");
  need(v_heads.shape(0) == field.heads, "v_heads");
  nb::gil_scoped_release release;
  tondo::field_backward(field.model, rays, kept.tape,
                        {v_colors.data(), v_opacities.data(), v_depths.data(),
                         v_distortions.data(), nullptr},
                        {v_first.data(), v_second ? v_second->data() : nullptr, v_heads.data()});
}

void density(const FieldArrays& field, F3 points, F1 log_sigmas) {
  need(points.shape(0) == log_sigmas.shape(0), "points, log_sigmas");
  nb::gil_scoped_release release;
  tondo::field_density(field.model, static_cast<int64_t>(points.shape(0)), points.data(),
                       log_sigmas.data());
}

// How cells remember: their memory, a space's radius and whether it is contracted, its steps, the rule.
struct Remembering {
  C3 densities;  // held, as `memory` points into them
  C3U strides;
  tondo::Space space{};
  tondo::Marching marching{};
  tondo::MemoryRule rule{};
  tondo::CellMemory memory{};

  Remembering(C3 densities_, C3U strides_, float radius, bool contracted, float step, float cone,
              F1 numbers, int most)
      : densities(densities_), strides(strides_) {
    const size_t cells = densities.shape(0);
    for (size_t axis = 0; axis < 3; ++axis)
      need(densities.shape(axis) == cells && strides.shape(axis) == cells && cells >= 1 &&
               cells <= 1024,
           "densities and strides: as many cells along each side");
    need(numbers.shape(0) == 3 && most >= 1 && most <= 255 && radius > 0 && step > 0, "rule");
    space.radius = radius;
    space.contracted = contracted;
    space.cells = static_cast<int>(cells);
    marching.step = step;
    marching.cone = cone;
    rule = {numbers(0), numbers(1), numbers(2), most};
    memory = {densities.data(), strides.data()};
  }
};

void remember(const Remembering& r, F1 x, F1 y, F1 z, F1 sigmas) {
  const size_t n = x.shape(0);
  need(y.shape(0) == n && z.shape(0) == n && sigmas.shape(0) == n, "x, y, z, sigmas");
  tondo::remember(r.space, r.marching, r.rule, r.memory,
                  {static_cast<int64_t>(n), x.data(), y.data(), z.data()}, sigmas.data(), 1);
}

void remember_rays(const Remembering& r, const FieldRays& kept) {
  for (const auto& chunk : kept.tape)
    tondo::remember(r.space, r.marching, r.rule, r.memory,
                    {chunk.count, chunk.x.data(), chunk.y.data(), chunk.z.data()},
                    chunk.values.data() + 3, 4);
}

}  // namespace

void bind_field(nb::module_& m) {
  nb::class_<FieldRays>(m, "FieldRays")
      .def(nb::init<>())
      .def_prop_ro("samples", [](const FieldRays& f) {
        int64_t sum = 0;
        for (const auto& chunk : f.tape) sum += chunk.count;
        return sum;
      });
  nb::class_<FieldArrays>(m, "FieldArrays");
  m.def(
      "hash_field",
      [](FTables tables, I1 resolutions, F1 heads, int hidden, C3U strides, F1 space,
         F1 marching, bool contracted, int max_steps) {
        return field_of(encoding_of(tables, resolutions),
                        {nb::ndarray<>(tables), nb::ndarray<>(resolutions)}, heads, hidden, strides,
                        space, marching, contracted, max_steps);
      },
      "tables"_a, "resolutions"_a, "heads"_a, "hidden"_a, "strides"_a, "space"_a,
      "marching"_a, "contracted"_a, "max_steps"_a);
  m.def(
      "plane_field",
      [](FPlanes planes, FLines lines, F1 heads, int hidden, C3U strides, F1 space,
         F1 marching, bool contracted, int max_steps) {
        return field_of(encoding_of(planes, lines), {nb::ndarray<>(planes), nb::ndarray<>(lines)},
                        heads, hidden, strides, space, marching, contracted, max_steps);
      },
      "planes"_a, "lines"_a, "heads"_a, "hidden"_a, "strides"_a, "space"_a, "marching"_a,
      "contracted"_a, "max_steps"_a);
  m.def("field_forward", &forward, "keep"_a.none(), "field"_a, "origins"_a, "directions"_a, "ends"_a,
        "offsets"_a, "colors"_a, "opacities"_a, "depths"_a, "distortions"_a, "samples"_a);
  m.def("field_backward", &backward, "kept"_a, "field"_a, "origins"_a, "directions"_a, "ends"_a,
        "offsets"_a, "v_colors"_a, "v_opacities"_a, "v_depths"_a, "v_distortions"_a, "v_first"_a,
        "v_second"_a.none(), "v_heads"_a);
  nb::class_<Remembering>(m, "Remembering")
      .def(nb::init<C3, C3U, float, bool, float, float, F1, int>(), "densities"_a, "strides"_a,
           "radius"_a, "contracted"_a, "step"_a, "cone"_a, "rule"_a, "most"_a);
  m.def("remember", &remember, "how"_a, "x"_a, "y"_a, "z"_a, "sigmas"_a);
  m.def("remember_rays", &remember_rays, "how"_a, "kept"_a);
  m.def("field_density", &density, "field"_a, "points"_a, "log_sigmas"_a);
}
