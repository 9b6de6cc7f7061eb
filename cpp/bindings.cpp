// Python bindings only: shapes and dtypes are checked by nanobind's ndarray signatures.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "tondo/threads.h"

namespace nb = nanobind;

NB_MODULE(_native, m) {
  m.def("num_threads", &tondo::num_threads);
  m.def("set_num_threads", &tondo::set_num_threads, nb::arg("n"));
}
