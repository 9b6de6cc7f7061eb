// Bindings of depth fusion, of depth pictures of meshes, and of colours of surfaces from pictures and
// how well these agree.
#include "bindings.h"

#include "tondo/mesh/gather_view.h"
#include "tondo/mesh/mesh_depth.h"
#include "tondo/mesh/patch_scores.h"
#include "tondo/mesh/surface_residuals.h"
#include "tondo/mesh/texture_residuals.h"
#include "tondo/mesh/tsdf.h"

namespace {

using Faces = Array<int64_t, nb::shape<-1, 3>>;
using FaceMap = Array<int64_t, nb::shape<-1, -1>>;
using Planes = Array<float, nb::shape<6, -1, -1, -1>>;
using Grid = Array<float, nb::shape<4>>;
using Pixels = Array<float, nb::shape<-1, -1, 6>>;

void tsdf_integrate(Planes planes, Grid grid, F4x4 viewmat, F3x3 K, Pixels pixels,
                    float truncation) {
  const tondo::TsdfVolume volume{planes.data(), static_cast<int64_t>(planes.shape(1)),
                                 static_cast<int64_t>(planes.shape(2)),
                                 static_cast<int64_t>(planes.shape(3)), grid.data()};
  const tondo::TsdfView view{viewmat.data(), K.data(), pixels.data(),
                             static_cast<int64_t>(pixels.shape(1)),
                             static_cast<int64_t>(pixels.shape(0))};
  need(truncation > grid(3), "truncation must exceed the voxel spacing");
  nb::gil_scoped_release release;
  tondo::tsdf_integrate(volume, view, truncation);
}

void mesh_depth(F3 vertices, Faces faces, float near, FMap depth, FaceMap face) {
  need(face.shape(0) == depth.shape(0) && face.shape(1) == depth.shape(1), "depth, face");
  const int64_t corners = static_cast<int64_t>(faces.shape(0)) * 3;
  for (int64_t i = 0; i < corners; ++i)
    need(faces.data()[i] >= 0 && faces.data()[i] < static_cast<int64_t>(vertices.shape(0)),
         "a face names a vertex that is not there");
  nb::gil_scoped_release release;
  tondo::mesh_depth(vertices.data(), faces.data(), corners / 3, near,
                    static_cast<int>(depth.shape(1)), static_cast<int>(depth.shape(0)),
                    depth.data(), face.data());
}

using Flags = Array<uint8_t, nb::shape<-1>>;
using UseMap = Array<uint8_t, nb::shape<-1, -1>>;
using Image = Array<uint8_t, nb::shape<-1, -1, 3>>;
using Row = Array<int64_t, nb::shape<-1>>;
using F3x4 = Array<float, nb::shape<3, 4>>;
using SurfaceTuple = std::tuple<F3, F3, Row, Flags>;
using ViewTuple = std::tuple<F4x4, F3x3, FMap, UseMap, Image, F3x4>;
using RuleTuple = std::tuple<float, float, float, float, float, float>;

void gather_view(const SurfaceTuple& surface, const ViewTuple& view, const RuleTuple& rule,
                 Maybe<F3> mean, F3 total, F1 weights) {
  const auto& [points, normals, face, facing] = surface;
  const auto& [viewmat, K, front, use, image, unexposed] = view;
  const size_t count = points.shape(0), height = image.shape(0), width = image.shape(1);
  need(normals.shape(0) == count && face.shape(0) == count && total.shape(0) == count &&
           weights.shape(0) == count && (!mean || mean->shape(0) == count),
       "points, normals, face, mean, total, weights");
  need(height > 0 && width > 0 && use.shape(0) == height && use.shape(1) == width, "use, image");
  const size_t scale = front.shape(0) / height;
  need(scale > 0 && front.shape(0) == scale * height && front.shape(1) == scale * width,
       "front, image");
  for (size_t i = 0; i < count; ++i)
    need(face(i) >= 0 && face(i) < static_cast<int64_t>(facing.shape(0)),
         "a point is on a face that is not there");
  const auto [power, flat, faint, slack, weight, tolerance] = rule;
  const tondo::SurfacePoints on{points.data(), normals.data(), face.data(),
                                static_cast<int64_t>(count), facing.data()};
  const tondo::ViewMaps from{viewmat.data(),   K.data(),
                             front.data(),     use.data(),
                             image.data(),     unexposed.data(),
                             static_cast<int64_t>(width), static_cast<int64_t>(height),
                             static_cast<int64_t>(scale)};
  nb::gil_scoped_release release;
  tondo::gather_view(on, from, {power, flat, faint, slack, weight, tolerance}, data_or_null(mean),
                     total.data(), weights.data());
}

using Places = Array<float, nb::shape<-1, -1, 2>>;
using Picture = Array<float, nb::shape<-1, -1, 3>>;

double texture_residuals(Places at, F3 colors, Picture image, Picture up, FMap down) {
  const size_t height = image.shape(0), width = image.shape(1);
  need(colors.shape(0) == at.shape(0) && at.shape(1) > 0, "at, colors");
  need(height > 0 && width > 0 && up.shape(0) == height && up.shape(1) == width &&
           down.shape(0) == height && down.shape(1) == width,
       "image, up, down");
  nb::gil_scoped_release release;
  return tondo::texture_residuals(at.data(), colors.data(), static_cast<int64_t>(at.shape(0)),
                                  static_cast<int64_t>(at.shape(1)), image.data(),
                                  static_cast<int64_t>(height), static_cast<int64_t>(width),
                                  up.data(), down.data());
}

using Corners = Array<float, nb::shape<-1, 3, 2>>;
using Colors = Array<float, nb::shape<-1, -1, 4>>;
using TexturedSurfaceTuple = std::tuple<F3, F3, Faces, Corners, Picture>;
using SeenSurfaceTuple = std::tuple<F4x4, F3x3, FaceMap, FMap>;
using TargetTuple = std::tuple<Colors, FMap>;
using ResidualRuleTuple = std::tuple<float, float, float>;

double surface_residuals(const TexturedSurfaceTuple& surface, const SeenSurfaceTuple& seen,
                         const TargetTuple& target, const ResidualRuleTuple& rule, F1 up,
                         F1 down) {
  const auto& [vertices, directions, faces, uvs, image] = surface;
  const auto& [viewmat, K, face, depth] = seen;
  const auto& [colors, weights] = target;
  const auto [tolerance, edge, flat] = rule;
  const size_t count = vertices.shape(0), height = weights.shape(0), width = weights.shape(1);
  need(directions.shape(0) == count && up.shape(0) == count && down.shape(0) == count,
       "vertices, directions, up, down");
  need(uvs.shape(0) == faces.shape(0), "faces, uvs");
  need(image.shape(0) > 0 && image.shape(1) > 0, "image");
  need(height > 0 && width > 0 && colors.shape(0) == height && colors.shape(1) == width,
       "colors, weights");
  const size_t samples = face.shape(0) / height;
  need(samples > 0 && face.shape(0) == samples * height && face.shape(1) == samples * width &&
           depth.shape(0) == face.shape(0) && depth.shape(1) == face.shape(1),
       "face, depth");
  need(tolerance > 0, "tolerance");
  for (size_t i = 0; i < faces.size(); ++i)
    need(faces.data()[i] >= 0 && faces.data()[i] < static_cast<int64_t>(count),
         "a face names a vertex that is not there");
  for (size_t i = 0; i < face.size(); ++i)
    need(face.data()[i] < static_cast<int64_t>(faces.shape(0)), "a face that is not there");
  const tondo::TexturedSurface on{vertices.data(), directions.data(), faces.data(), uvs.data(),
                                  image.data(), static_cast<int64_t>(image.shape(0)),
                                  static_cast<int64_t>(image.shape(1))};
  const tondo::SeenSurface from{viewmat.data(), K.data(), face.data(), depth.data(),
                                static_cast<int64_t>(height), static_cast<int64_t>(width),
                                static_cast<int64_t>(samples)};
  nb::gil_scoped_release release;
  return tondo::surface_residuals(on, from, {colors.data(), weights.data()},
                                  {tolerance, edge, flat}, up.data(), down.data());
}

using Bytes = Array<uint8_t, nb::shape<-1, 3>>;
using Sizes = Array<int64_t, nb::shape<-1, 2>>;
using Projections = Array<float, nb::shape<-1, 3, 4>>;
using Choices = Array<int32_t, nb::shape<-1, -1>>;
using PatchPointsTuple = std::tuple<F3, F3, F1, F1, Choices>;
using PatchPhotosTuple = std::tuple<Bytes, Row, Sizes, Projections>;
using PatchRuleTuple = std::tuple<int64_t, float, float>;

void patch_scores(const PatchPointsTuple& points, const PatchPhotosTuple& photos,
                  const PatchRuleTuple& rule, FMap scores) {
  const auto& [place, normals, spacing, step, views] = points;
  const auto& [pixels, start, size, projection] = photos;
  const auto [side, noise, keep] = rule;
  const size_t count = place.shape(0), known = start.shape(0);
  need(normals.shape(0) == count && spacing.shape(0) == count && step.shape(0) == count &&
           views.shape(0) == count && scores.shape(0) == count,
       "points, normals, spacing, step, views, scores");
  need(size.shape(0) == known && projection.shape(0) == known, "start, size, projection");
  need(side >= 2 && side <= tondo::kMostPatchSide, "side");
  need(static_cast<int64_t>(views.shape(1)) <= tondo::kMostPatchViews, "views");
  for (size_t i = 0; i < known; ++i)
    need(start(i) >= 0 && size(i, 0) > 0 && size(i, 1) > 0 &&
             size(i, 0) <= static_cast<int64_t>(pixels.shape(0)) / size(i, 1) &&
             start(i) <= static_cast<int64_t>(pixels.shape(0)) - size(i, 0) * size(i, 1),
         "a photograph is not within the pixels");
  for (size_t i = 0; i < views.size(); ++i)
    need(views.data()[i] < static_cast<int64_t>(known), "a photograph that is not there");
  const tondo::PatchPoints at{place.data(), normals.data(), spacing.data(),
                              step.data(),  views.data(),   static_cast<int64_t>(count),
                              static_cast<int64_t>(views.shape(1))};
  const tondo::PatchPhotos from{pixels.data(), start.data(), size.data(), projection.data()};
  nb::gil_scoped_release release;
  tondo::patch_scores(at, from, {side, noise, keep}, static_cast<int64_t>(scores.shape(1)),
                      scores.data());
}

}  // namespace

void bind_mesh(nb::module_& m) {
  m.def("gather_view", &gather_view, "surface"_a, "view"_a, "rule"_a, "mean"_a.none(), "total"_a,
        "weights"_a);
  m.def("mesh_depth", &mesh_depth, "vertices"_a, "faces"_a, "near"_a, "depth"_a, "face"_a);
  m.def("patch_scores", &patch_scores, "points"_a, "photos"_a, "rule"_a, "scores"_a);
  m.def("surface_residuals", &surface_residuals, "surface"_a, "seen"_a, "target"_a, "rule"_a,
        "up"_a, "down"_a);
  m.def("texture_residuals", &texture_residuals, "at"_a, "colors"_a, "image"_a, "up"_a, "down"_a);
  m.def("tsdf_integrate", &tsdf_integrate, "planes"_a, "grid"_a, "viewmat"_a, "K"_a, "pixels"_a,
        "truncation"_a);
}
