// Bindings of radiance fields and of fields on three planes.
#include "bindings.h"

#include "tondo/fields/field.h"
#include "tondo/fields/occupancy.h"
#include "tondo/fields/tri_planes.h"

namespace {

using FTables = Array<float, nb::shape<-1, -1, -1>>;       // [levels, entries, features]
using FPlanes = Array<float, nb::shape<3, -1, -1, -1>>;    // [3, cells, cells, features]
using FLines = Array<float, nb::shape<3, -1, -1>>;         // [3, cells, features]
using I1 = Array<int32_t, nb::shape<-1>>;
using Strides = Array<uint8_t, nb::shape<-1, -1, -1>>;  // [cells, cells, cells]

// strides, centre, radius, whether it is contracted
using SpaceOf = std::tuple<Strides, std::tuple<float, float, float>, float, bool>;
using MarchingOf = std::tuple<float, float, int, float>;  // step, cone, max_steps, stop
using RuleOf = std::tuple<float, float, float, int>;      // decay, least, thin, most
using RaysOf = std::tuple<F3, F3, F2, F1>;                // origins, directions, ends, offsets
using PicturesOf = std::tuple<F3, F1, F1, F1, I1>;  // colors, opacities, depths, distortions, samples
using PictureGrads = std::tuple<F3, F1, F1, F1>;    // ... without samples

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

size_t cells_of(const Strides& strides) {
  const size_t cells = strides.shape(0);
  need(cells >= 1 && cells <= 1024 && strides.shape(1) == cells && strides.shape(2) == cells,
       "strides: as many cells along each side");
  return cells;
}

FieldArrays field_of(tondo::Encoding encoding, std::vector<nb::ndarray<>> kept, F1 heads, int hidden,
                     const SpaceOf& space, const MarchingOf& marching) {
  const auto& [strides, center, radius, contracted] = space;
  const auto& [x, y, z] = center;
  const auto& [step, cone, max_steps, stop] = marching;
  const int inputs = encoding.width();
  need(inputs % 8 == 0 && hidden >= 8 && hidden % 8 == 0 && hidden <= 256,
       "inputs and hidden: multiples of 8, hidden up to 256");
  need(heads.shape(0) == static_cast<size_t>(tondo::parts_of(inputs, hidden).count), "heads");
  const int cells = static_cast<int>(cells_of(strides));
  need(radius > 0 && step > 0 && cone >= 0 && max_steps >= 1, "marching");
  kept.insert(kept.end(), {nb::ndarray<>(heads), nb::ndarray<>(strides)});
  const tondo::FieldModel model{
      encoding,
      {inputs, hidden, heads.data()},
      {{x, y, z}, radius, contracted, cells, strides.data()},
      {step, cone, max_steps, stop}};
  return {std::move(kept), model, heads.shape(0)};
}

// The samples of the last pass with gradients.
struct FieldRays {
  tondo::FieldTape tape;
  int64_t rays = -1;
};

tondo::Rays rays_of(const RaysOf& rays) {
  const auto& [origins, directions, ends, offsets] = rays;
  const size_t n = origins.shape(0);
  need(directions.shape(0) == n && ends.shape(0) == n && offsets.shape(0) == n,
       "origins, directions, ends, offsets");
  return {static_cast<int64_t>(n), origins.data(), directions.data(), ends.data(), offsets.data()};
}

void field_forward(FieldRays* keep, const FieldArrays& field, const RaysOf& rays,
                   const PicturesOf& out) {
  const auto given = rays_of(rays);
  const auto& [colors, opacities, depths, distortions, samples] = out;
  const size_t n = static_cast<size_t>(given.count);
  need(colors.shape(0) == n && opacities.shape(0) == n && depths.shape(0) == n &&
           distortions.shape(0) == n && samples.shape(0) == n,
       "colors, opacities, depths, distortions, samples");
  if (keep) keep->rays = given.count;
  const tondo::RayPictures into{colors.data(), opacities.data(), depths.data(), distortions.data(),
                                samples.data()};
  nb::gil_scoped_release release;
  tondo::field_forward(field.model, given, keep ? &keep->tape : nullptr, into);
}

void field_backward(FieldRays& kept, const FieldArrays& field, const RaysOf& rays,
                    const PictureGrads& grads, F1 v_first, Maybe<F1> v_second, F1 v_heads) {
  const auto given = rays_of(rays);
  const auto& [v_colors, v_opacities, v_depths, v_distortions] = grads;
  const size_t n = static_cast<size_t>(given.count);
  need(kept.rays == given.count, "the tape is of other rays");
  need(v_colors.shape(0) == n && v_opacities.shape(0) == n && v_depths.shape(0) == n &&
           v_distortions.shape(0) == n,
       "gradients of the pictures");
  const tondo::Encoding& e = field.model.encoding;
  const int64_t line = int64_t{3} * e.planes.cells * e.planes.features;
  const int64_t first = e.by_planes() ? line * e.planes.cells
                                      : e.grid.entries * e.grid.levels * e.grid.features;
  need(v_first.shape(0) == static_cast<size_t>(first), "v_first");
  need(bool(v_second) == e.by_planes() &&
           (!v_second || v_second->shape(0) == static_cast<size_t>(line)),
       "v_second");
  need(v_heads.shape(0) == field.heads, "v_heads");
  const tondo::RayPictures from{v_colors.data(), v_opacities.data(), v_depths.data(),
                                v_distortions.data(), nullptr};
  nb::gil_scoped_release release;
  tondo::field_backward(field.model, given, kept.tape, from,
                        {v_first.data(), data_or_null(v_second), v_heads.data()});
}

void field_density(const FieldArrays& field, F3 points, F1 log_sigmas) {
  need(points.shape(0) == log_sigmas.shape(0), "points, log_sigmas");
  nb::gil_scoped_release release;
  tondo::field_density(field.model, static_cast<int64_t>(points.shape(0)), points.data(),
                       log_sigmas.data());
}

// How cells remember: their memory, the space and its steps, the rule.
struct Remembering {
  FImage densities;  // held, as `memory` points into them
  Strides strides;
  tondo::Space space{};
  tondo::Marching marching{};
  tondo::MemoryRule rule{};
  tondo::CellMemory memory{};

  Remembering(FImage densities_, const SpaceOf& space_, const MarchingOf& marching_,
              const RuleOf& rule_)
      : densities(densities_), strides(std::get<0>(space_)) {
    const size_t cells = cells_of(strides);
    for (size_t axis = 0; axis < 3; ++axis)
      need(densities.shape(axis) == cells, "densities: as many cells as strides");
    space.radius = std::get<2>(space_);
    space.contracted = std::get<3>(space_);
    space.cells = static_cast<int>(cells);
    marching.step = std::get<0>(marching_);
    marching.cone = std::get<1>(marching_);
    const auto& [decay, least, thin, most] = rule_;
    need(most >= 1 && most <= 255 && space.radius > 0 && marching.step > 0, "rule");
    rule = {decay, least, thin, most};
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

using PlaneMaps = Array<float, nb::shape<-1, 3, -1, -1, tondo::kPlaneFeatures>>;  // [B, 3, R, R, 8]
using Hidden = Array<float, nb::shape<-1, tondo::kPlaneFeatures>>;
using Decoded = Array<float, nb::shape<4, -1>>;
using PlaneRays = Array<float, nb::shape<-1, -1, 3>>;
using PlaneImages = Array<float, nb::shape<-1, -1, 4>>;
using TriPlanesOf = std::tuple<PlaneMaps, Hidden, F1, Decoded, F1>;  // maps, w1, b1, w2, b2
using TriRaysOf = std::tuple<F3, PlaneRays, F1>;                    // origins, directions, shifts
using Quadrature = std::tuple<int, float, float, float>;  // samples, density, radius, edge

tondo::TriPlanes tri_planes_of(const TriPlanesOf& planes, const TriRaysOf& rays,
                               const Quadrature& quadrature) {
  const auto& [maps, w1, b1, w2, b2] = planes;
  const auto& [origins, directions, shifts] = rays;
  const auto& [samples, density, radius, edge] = quadrature;
  const size_t batch = maps.shape(0), cells = maps.shape(2), hidden = w1.shape(0);
  need(maps.shape(3) == cells && cells >= 2 && cells <= (size_t{1} << 12), "maps: squares");
  need(hidden >= 1 && hidden <= tondo::kPlaneMostHidden && b1.shape(0) == hidden &&
           w2.shape(1) == hidden && b2.shape(0) == 4,
       "the decoder, up to 64 wide");
  need(origins.shape(0) == batch && directions.shape(0) == batch &&
           shifts.shape(0) == directions.shape(1),
       "origins, directions, shifts of the rays");
  need(samples >= 8 && samples % 8 == 0 && samples <= 8 * tondo::kPlaneMostGroups,
       "samples: a multiple of 8, up to 128");
  return {static_cast<int64_t>(batch), static_cast<int64_t>(directions.shape(1)),
          static_cast<int>(cells),     static_cast<int>(hidden),
          samples,                     maps.data(),
          w1.data(),                   b1.data(),
          w2.data(),                   b2.data(),
          origins.data(),              directions.data(),
          shifts.data(),               density,
          radius,                      edge};
}

void need_pictures(const tondo::TriPlanes& planes, const PlaneImages& images, const FMap& alphas) {
  const size_t batch = static_cast<size_t>(planes.batch), rays = static_cast<size_t>(planes.rays);
  need(images.shape(0) == batch && images.shape(1) == rays && alphas.shape(0) == batch &&
           alphas.shape(1) == rays,
       "images and alphas of the planes");
}

void tri_planes_forward(const TriPlanesOf& planes, const TriRaysOf& rays,
                        const Quadrature& quadrature, PlaneImages images, FMap alphas) {
  const auto given = tri_planes_of(planes, rays, quadrature);
  need_pictures(given, images, alphas);
  nb::gil_scoped_release release;
  tondo::tri_planes_forward(given, images.data(), alphas.data());
}

void tri_planes_backward(const TriPlanesOf& planes, const TriRaysOf& rays,
                         const Quadrature& quadrature, PlaneImages v_images, FMap v_alphas,
                         const TriPlanesOf& out) {
  const auto given = tri_planes_of(planes, rays, quadrature);
  const auto like = tri_planes_of(out, rays, quadrature);
  need(like.cells == given.cells && like.hidden == given.hidden, "gradients of the planes");
  need_pictures(given, v_images, v_alphas);
  const auto& [v_maps, v_w1, v_b1, v_w2, v_b2] = out;
  const tondo::TriPlaneGrads grads{v_maps.data(), v_w1.data(), v_b1.data(), v_w2.data(), v_b2.data()};
  nb::gil_scoped_release release;
  tondo::tri_planes_backward(given, v_images.data(), v_alphas.data(), grads);
}

}  // namespace

void bind_fields(nb::module_& m) {
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
      [](FTables tables, I1 resolutions, F1 heads, int hidden, const SpaceOf& space,
         const MarchingOf& marching) {
        return field_of(encoding_of(tables, resolutions),
                        {nb::ndarray<>(tables), nb::ndarray<>(resolutions)}, heads, hidden, space,
                        marching);
      },
      "tables"_a, "resolutions"_a, "heads"_a, "hidden"_a, "space"_a, "marching"_a);
  m.def(
      "plane_field",
      [](FPlanes planes, FLines lines, F1 heads, int hidden, const SpaceOf& space,
         const MarchingOf& marching) {
        return field_of(encoding_of(planes, lines), {nb::ndarray<>(planes), nb::ndarray<>(lines)},
                        heads, hidden, space, marching);
      },
      "planes"_a, "lines"_a, "heads"_a, "hidden"_a, "space"_a, "marching"_a);
  m.def("field_forward", &field_forward, "keep"_a.none(), "field"_a, "rays"_a, "out"_a);
  m.def("field_backward", &field_backward, "kept"_a, "field"_a, "rays"_a, "grads"_a, "v_first"_a,
        "v_second"_a.none(), "v_heads"_a);
  nb::class_<Remembering>(m, "Remembering")
      .def(nb::init<FImage, const SpaceOf&, const MarchingOf&, const RuleOf&>(), "densities"_a,
           "space"_a, "marching"_a, "rule"_a);
  m.def("remember", &remember, "how"_a, "x"_a, "y"_a, "z"_a, "sigmas"_a);
  m.def("remember_rays", &remember_rays, "how"_a, "kept"_a);
  m.def("field_density", &field_density, "field"_a, "points"_a, "log_sigmas"_a);
  m.def("tri_planes_forward", &tri_planes_forward, "planes"_a, "rays"_a, "quadrature"_a, "images"_a,
        "alphas"_a);
  m.def("tri_planes_backward", &tri_planes_backward, "planes"_a, "rays"_a, "quadrature"_a,
        "v_images"_a, "v_alphas"_a, "out"_a);
}
