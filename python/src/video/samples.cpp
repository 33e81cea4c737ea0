#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "ams/video/sample_decoder.hpp"
#include "ams/video/sample_encoder.hpp"
#include "arrays.hpp"
#include "fields.hpp"
#include "video/common.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_samples(py::module_& m) {
  Fields<SampleEncoderOptions> encoder;
  encoder
      .add("target_bps", &SampleEncoderOptions::target_bps,
           "bits per second of period_seconds, 1 to 1e9")
      .add("width", &SampleEncoderOptions::width,
           "of the coded pictures, even, 16 to 4096; 0 x 0: the frames' own")
      .add("height", &SampleEncoderOptions::height, "likewise")
      .add("preset", &SampleEncoderOptions::preset, "x264's, ultrafast to placebo")
      .add("min_qp", &SampleEncoderOptions::min_qp, "no finer quantiser than this, 0 to 51")
      .add("tolerance", &SampleEncoderOptions::tolerance,
           "encoding stops within this fraction of the target")
      .add("max_passes", &SampleEncoderOptions::max_passes, "or after so many passes, 2 to 10");
  Fields<SampleDecoderLimits> limits;
  limits.add("max_bytes", &SampleDecoderLimits::max_bytes, "of bitstream")
      .add("max_frames", &SampleDecoderLimits::max_frames, "frames")
      .add("max_width", &SampleDecoderLimits::max_width, "pixels")
      .add("max_height", &SampleDecoderLimits::max_height, "pixels")
      .add("max_rgb_bytes", &SampleDecoderLimits::max_rgb_bytes, "of all decoded frames together");
  py::options options;
  options.disable_function_signatures();
  m.def(
      "encode_samples",
      [encoder](const py::iterable& frames, double period_seconds, py::kwargs arguments) {
        const SampleEncoderOptions parsed = encoder.parse(std::move(arguments), "encode_samples");
        std::vector<FramePtr> pictures;
        for (const py::handle frame : frames)
          pictures.push_back(std::make_shared<Frame>(frame.cast<Frame>()));
        std::vector<std::byte> bytes;
        {
          const py::gil_scoped_release no_gil;
          bytes = encode_samples(pictures, period_seconds, parsed);
        }
        return to_bytes(bytes);
      },
      "frames"_a, "period_seconds"_a,
      signature_doc("encode_samples",
                    "frames: collections.abc.Iterable[numpy.ndarray], period_seconds: float, *, " +
                        encoder.signature(),
                    "bytes",
                    "Compresses one buffer of samples with x264 in two or more passes (section "
                    "3.2): H.264 Annex B.\n"
                    "\n    frames: 1 to 4096, uint8 [H, W, 3], RGB, all of one size\n"
                    "    period_seconds: the time that the buffer stands for (T_update), above 0, "
                    "up to 86400\n" +
                        encoder.doc() +
                        "Raises InvalidArgumentError, IoError or UnavailableError (built without "
                        "x264). Runs without "
                        "the GIL.")
          .c_str());
  m.def(
      "decode_samples",
      [limits](const BytesLike& bitstream, std::size_t expected_frames, py::kwargs arguments) {
        const SampleDecoderLimits parsed = limits.parse(std::move(arguments), "decode_samples");
        const ConstBytes bytes(bitstream, "bitstream");
        const py::gil_scoped_release no_gil;
        return decode_samples(bytes.span(), expected_frames, parsed);
      },
      "bitstream"_a, "expected_frames"_a,
      signature_doc(
          "decode_samples",
          "bitstream: bytes | bytearray | memoryview | numpy.ndarray, expected_frames: int, *, " +
              limits.signature(),
          "list[numpy.ndarray]",
          "The frames (uint8 [H, W, 3], RGB) of what encode_samples() wrote. The bytes may be "
          "hostile.\n\n"
          "    expected_frames: exactly so many, >= 1\n" +
              limits.doc() +
              "Raises LimitExceededError, MalformedDataError or InvalidArgumentError. Runs without "
              "the GIL.")
          .c_str());
}

}  // namespace ams::python
