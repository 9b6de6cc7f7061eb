// What the files of bindings share: arrays as the native code takes them.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <nanobind/stl/optional.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace nb = nanobind;
using namespace nb::literals;

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;
using F1 = Array<float, nb::shape<-1>>;
using F2 = Array<float, nb::shape<-1, 2>>;
using F3 = Array<float, nb::shape<-1, 3>>;

template <class T>
using Maybe = std::optional<T>;

inline void need(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(std::string("tondo._native: sizes differ: ") + what);
}

void bind_field(nb::module_& m);   // fields.cpp
void bind_planes(nb::module_& m);  // planes.cpp
void bind_sphere(nb::module_& m);  // sphere.cpp
