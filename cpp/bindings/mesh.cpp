// Bindings of depth fusion and of depth pictures of meshes.
#include "bindings.h"

#include "tondo/mesh/mesh_depth.h"
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

}  // namespace

void bind_mesh(nb::module_& m) {
  m.def("mesh_depth", &mesh_depth, "vertices"_a, "faces"_a, "near"_a, "depth"_a, "face"_a);
  m.def("tsdf_integrate", &tsdf_integrate, "planes"_a, "grid"_a, "viewmat"_a, "K"_a, "pixels"_a,
        "truncation"_a);
}
