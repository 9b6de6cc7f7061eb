// What the files of bindings share: arrays as the native code takes them. Shapes and dtypes are checked
// by nanobind's ndarray signatures, sizes against each other by `need`. Arrays that belong together
// come as one tuple (in Python a NamedTuple, or any sequence).
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace nb = nanobind;
using namespace nb::literals;

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;
using F1 = Array<float, nb::shape<-1>>;
using F2 = Array<float, nb::shape<-1, 2>>;
using F3 = Array<float, nb::shape<-1, 3>>;
using F4 = Array<float, nb::shape<-1, 4>>;
using FMap = Array<float, nb::shape<-1, -1>>;
using FImage = Array<float, nb::shape<-1, -1, -1>>;
using F3x3 = Array<float, nb::shape<3, 3>>;
using F4x4 = Array<float, nb::shape<4, 4>>;

template <class T>
using Maybe = std::optional<T>;

inline void need(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(std::string("tondo._native: sizes differ: ") + what);
}

template <class A>
float* data_or_null(const Maybe<A>& a) {
  return a ? a->data() : nullptr;
}

void bind_splats(nb::module_& m);  // splats.cpp
void bind_fields(nb::module_& m);  // fields.cpp
void bind_sphere(nb::module_& m);  // sphere.cpp
void bind_mesh(nb::module_& m);    // mesh.cpp
