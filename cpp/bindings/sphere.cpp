// Bindings of maps of the sphere and of the light on their splats.
#include "bindings.h"

#include "tondo/sphere/matcap.h"
#include "tondo/sphere/sphere_maps.h"

namespace {

using Maps = Array<float, nb::shape<-1, -1, -1, -1>>;  // [B, C, rows, columns]
using Finer = std::tuple<Maps, FMap, F1>;              // x, scale [B, C], bias [C]
using FSplats3 = Array<float, nb::shape<-1, -1, 3>>;
using FSplats4 = Array<float, nb::shape<-1, -1, 4>>;
using FTurns = Array<float, nb::shape<-1, 2, 3>>;
using FLight = Array<float, nb::shape<-1, 2, -1, -1>>;

tondo::SphereMaps maps_of(const Maps& x) {
  const size_t most = size_t{1} << 14;
  need(x.shape(2) >= 1 && x.shape(2) < most && x.shape(3) >= 2 && x.shape(3) < most &&
           x.shape(3) % 2 == 0,
       "maps of the sphere: an even number of columns");
  return {static_cast<int64_t>(x.shape(0) * x.shape(1)), static_cast<int>(x.shape(2)),
          static_cast<int>(x.shape(3))};
}

void need_map(const Maps& x, size_t batch, size_t channels, size_t rows, size_t columns,
              const char* what) {
  need(x.shape(0) == batch && x.shape(1) == channels && x.shape(2) == rows &&
           x.shape(3) == columns,
       what);
}

const float* style_of(const Maybe<FMap>& style, const Maps& x) {
  if (!style) return nullptr;
  need(style->shape(0) == x.shape(0) && style->shape(1) == x.shape(1), "style of each channel");
  return style->data();
}

void sphere_padded(Maps x, Maybe<FMap> style, Maps out) {
  const auto maps = maps_of(x);
  need_map(out, x.shape(0), x.shape(1), x.shape(2) + 2, x.shape(3) + 2, "padded maps");
  const float* styles = style_of(style, x);
  nb::gil_scoped_release release;
  tondo::sphere_padded(maps, x.data(), styles, out.data());
}

void sphere_padded_backward(Maps x, Maybe<FMap> style, Maps v_out, Maps v_x,
                            Maybe<FMap> v_style) {
  const auto maps = maps_of(x);
  need_map(v_out, x.shape(0), x.shape(1), x.shape(2) + 2, x.shape(3) + 2, "padded maps");
  need_map(v_x, x.shape(0), x.shape(1), x.shape(2), x.shape(3), "gradient of maps");
  need(style.has_value() == v_style.has_value(), "style and its gradient");
  const float* styles = style_of(style, x);
  style_of(v_style, x);
  float* v_styles = v_style ? v_style->data() : nullptr;
  nb::gil_scoped_release release;
  tondo::sphere_padded_backward(maps, x.data(), styles, v_out.data(), v_x.data(), v_styles);
}

void sphere_doubled(Maps x, Maps out) {
  const auto maps = maps_of(x);
  need_map(out, x.shape(0), x.shape(1), 2 * x.shape(2), 2 * x.shape(3), "doubled maps");
  nb::gil_scoped_release release;
  tondo::sphere_doubled(maps, x.data(), out.data());
}

void sphere_doubled_backward(Maps v_out, Maps v_x) {
  const auto maps = maps_of(v_x);
  need_map(v_out, v_x.shape(0), v_x.shape(1), 2 * v_x.shape(2), 2 * v_x.shape(3), "doubled maps");
  nb::gil_scoped_release release;
  tondo::sphere_doubled_backward(maps, v_out.data(), v_x.data());
}

tondo::SphereFiner finer_of(const Finer& given, float leak, const Maps& out) {
  const auto& [x, scale, bias] = given;
  auto maps = maps_of(x);
  const size_t channels = x.shape(1) / 4;
  need(x.shape(1) % 4 == 0, "four channels for each finer one");
  need(scale.shape(0) == x.shape(0) && scale.shape(1) == x.shape(1) && bias.shape(0) == x.shape(1),
       "scale and bias of each channel");
  need_map(out, x.shape(0), channels, 2 * x.shape(2), 2 * x.shape(3), "finer maps");
  maps.planes /= 4;
  return {maps, static_cast<int64_t>(channels), leak, x.data(), scale.data(), bias.data()};
}

void sphere_finer(const Finer& given, float leak, Maps out) {
  const auto in = finer_of(given, leak, out);
  nb::gil_scoped_release release;
  tondo::sphere_finer(in, out.data());
}

void sphere_finer_backward(const Finer& given, float leak, Maps out, Maps v_out,
                           const std::tuple<Maps, FMap, FMap>& grads) {
  const auto in = finer_of(given, leak, out);
  const auto& [v_x, v_scale, v_bias] = grads;
  const auto& bias = std::get<2>(given);
  finer_of({v_x, v_scale, bias}, leak, v_out);
  finer_of({std::get<0>(given), v_bias, bias}, leak, v_out);
  nb::gil_scoped_release release;
  tondo::sphere_finer_backward(in, out.data(), v_out.data(), v_x.data(), v_scale.data(),
                               v_bias.data());
}

void sphere_frames(Maps grid, float thin, FSplats4 quats, Maps reach) {
  auto maps = maps_of(grid);
  need(grid.shape(1) == 3, "grid: three channels");
  need_map(reach, grid.shape(0), 3, grid.shape(2), grid.shape(3), "reach of the splats");
  need(quats.shape(0) == grid.shape(0) && quats.shape(1) == grid.shape(2) * grid.shape(3),
       "quats of the splats");
  maps.planes /= 3;
  nb::gil_scoped_release release;
  tondo::sphere_frames(maps, grid.data(), thin, quats.data(), reach.data());
}

tondo::Matcap matcap_of(const FSplats4& quats, const FTurns& turns, const FLight& light,
                  const FSplats3& colors) {
  const size_t batch = quats.shape(0), side = light.shape(2);
  need(turns.shape(0) == batch && light.shape(0) == batch && colors.shape(0) == batch,
       "objects under a light");
  need(colors.shape(1) == quats.shape(1), "colors of the splats");
  need(light.shape(3) == side && side >= 2 && side <= 1024, "light: squares");
  return {static_cast<int64_t>(batch), static_cast<int64_t>(quats.shape(1)),
          static_cast<int>(side),      quats.data(),
          turns.data(),                light.data(),
          colors.data()};
}

void matcap_forward(FSplats4 quats, FTurns turns, FLight light, FSplats3 colors, FSplats3 out) {
  const auto in = matcap_of(quats, turns, light, colors);
  matcap_of(quats, turns, light, out);
  nb::gil_scoped_release release;
  tondo::matcap_forward(in, out.data());
}

void matcap_backward(FSplats4 quats, FTurns turns, FLight light, FSplats3 colors, FSplats3 v_out,
                  FLight v_light, FSplats3 v_colors) {
  const auto in = matcap_of(quats, turns, light, colors);
  matcap_of(quats, turns, light, v_out);
  need(matcap_of(quats, turns, v_light, v_colors).side == in.side, "gradient of the light");
  nb::gil_scoped_release release;
  tondo::matcap_backward(in, v_out.data(), v_light.data(), v_colors.data());
}

}  // namespace

void bind_sphere(nb::module_& m) {
  m.def("sphere_padded", &sphere_padded, "x"_a, "style"_a.none(), "out"_a);
  m.def("sphere_padded_backward", &sphere_padded_backward, "x"_a, "style"_a.none(), "v_out"_a,
        "v_x"_a, "v_style"_a.none());
  m.def("sphere_doubled", &sphere_doubled, "x"_a, "out"_a);
  m.def("sphere_doubled_backward", &sphere_doubled_backward, "v_out"_a, "v_x"_a);
  m.def("sphere_finer", &sphere_finer, "given"_a, "leak"_a, "out"_a);
  m.def("sphere_finer_backward", &sphere_finer_backward, "given"_a, "leak"_a, "out"_a, "v_out"_a,
        "grads"_a);
  m.def("sphere_frames", &sphere_frames, "grid"_a, "thin"_a, "quats"_a, "reach"_a);
  m.def("matcap_forward", &matcap_forward, "quats"_a, "turns"_a, "light"_a, "colors"_a, "out"_a);
  m.def("matcap_backward", &matcap_backward, "quats"_a, "turns"_a, "light"_a, "colors"_a, "v_out"_a,
        "v_light"_a, "v_colors"_a);
}
