// Bindings of the fields on three planes; see bindings.cpp.
#include "bindings.h"

#include "tondo/fields/tri_planes.h"

namespace {

using FMaps = Array<float, nb::shape<-1, 3, -1, -1, tondo::kPlaneFeatures>>;  // [B, 3, R, R, 8]
using FHidden = Array<float, nb::shape<-1, tondo::kPlaneFeatures>>;
using FOut = Array<float, nb::shape<4, -1>>;
using FRays = Array<float, nb::shape<-1, -1, 3>>;
using FImages = Array<float, nb::shape<-1, -1, 4>>;
using FRows = Array<float, nb::shape<-1, -1>>;

tondo::TriPlanes planes_of(const FMaps& maps, const FHidden& w1, const F1& b1, const FOut& w2,
                           const F1& b2, const F3& origins, const FRays& directions,
                           const F1& shifts, int samples, const F1& shape) {
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
  need(shape.shape(0) == 3, "density, radius and edge");
  return {static_cast<int64_t>(batch), static_cast<int64_t>(directions.shape(1)),
          static_cast<int>(cells),     static_cast<int>(hidden),
          samples,                     maps.data(),
          w1.data(),                   b1.data(),
          w2.data(),                   b2.data(),
          origins.data(),              directions.data(),
          shifts.data(),               shape(0),
          shape(1),                    shape(2)};
}

void need_pictures(const tondo::TriPlanes& planes, const FImages& images, const FRows& alphas) {
  const size_t batch = static_cast<size_t>(planes.batch), rays = static_cast<size_t>(planes.rays);
  need(images.shape(0) == batch && images.shape(1) == rays && alphas.shape(0) == batch &&
           alphas.shape(1) == rays,
       "images and alphas of the planes");
}

void tri_planes_forward(FMaps maps, FHidden w1, F1 b1, FOut w2, F1 b2, F3 origins,
                        FRays directions, F1 shifts, int samples, F1 shape, FImages images,
                        FRows alphas) {
  const auto planes =
      planes_of(maps, w1, b1, w2, b2, origins, directions, shifts, samples, shape);
  need_pictures(planes, images, alphas);
  nb::gil_scoped_release release;
  tondo::tri_planes_forward(planes, images.data(), alphas.data());
}

void tri_planes_backward(FMaps maps, FHidden w1, F1 b1, FOut w2, F1 b2, F3 origins,
                         FRays directions, F1 shifts, int samples, F1 shape, FImages v_images,
                         FRows v_alphas, FMaps v_maps, FHidden v_w1, F1 v_b1, FOut v_w2, F1 v_b2) {
  const auto planes =
      planes_of(maps, w1, b1, w2, b2, origins, directions, shifts, samples, shape);
  const auto grads =
      planes_of(v_maps, v_w1, v_b1, v_w2, v_b2, origins, directions, shifts, samples, shape);
  need(grads.cells == planes.cells && grads.hidden == planes.hidden, "gradients of the planes");
  need_pictures(planes, v_images, v_alphas);
  nb::gil_scoped_release release;
  tondo::tri_planes_backward(planes, v_images.data(), v_alphas.data(),
                             {v_maps.data(), v_w1.data(), v_b1.data(), v_w2.data(), v_b2.data()});
}

}  // namespace

void bind_planes(nb::module_& m) {
  m.def("tri_planes_forward", &tri_planes_forward, "maps"_a, "w1"_a, "b1"_a, "w2"_a, "b2"_a,
        "origins"_a, "directions"_a, "shifts"_a, "samples"_a, "shape"_a, "images"_a, "alphas"_a);
  m.def("tri_planes_backward", &tri_planes_backward, "maps"_a, "w1"_a, "b1"_a, "w2"_a, "b2"_a,
        "origins"_a, "directions"_a, "shifts"_a, "samples"_a, "shape"_a, "v_images"_a,
        "v_alphas"_a, "v_maps"_a, "v_w1"_a, "v_b1"_a, "v_w2"_a, "v_b2"_a);
}
