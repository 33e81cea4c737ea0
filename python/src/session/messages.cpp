#include "session/messages.hpp"

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "bindings.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

/// A message that is nothing but bytes of the codec.
template <class Message>
void bind_bytes_message(py::module_& m, const char* name, const char* doc) {
  py::class_<Message>(m, name, doc)
      .def(py::init([](const BytesLike& data) { return Message{ConstBytes(data, "data").copy()}; }),
           "data"_a)
      .def_property_readonly(
          "data", [](const Message& self) { return to_bytes(self.bytes.span()); },
          "The codec's bytes.")
      .def("__repr__", [name](const Message& self) {
        return "<" + std::string(name) + " of " + std::to_string(self.bytes.size()) + " bytes>";
      });
}

}  // namespace

void bind_messages(py::module_& m) {
  m.attr("protocol_version") = protocol_version;

  py::class_<Hello>(m, "Hello", "Device to server: the first message of a connection.")
      .def(py::init([](std::string device_id, std::string token, Digest manifest_digest,
                       ModelVersion held, Digest student_fingerprint, std::uint16_t version) {
             return Hello{version, std::move(device_id), std::move(token), manifest_digest,
                          held,    student_fingerprint};
           }),
           py::kw_only(), "device_id"_a, "token"_a = "", "manifest_digest"_a, "held"_a,
           "student_fingerprint"_a = 0, "version"_a = protocol_version)
      .def_readonly("device_id", &Hello::device_id, "Names the session to resume; 1 to 128 bytes.")
      .def_readonly("token", &Hello::token, "Up to 1024 bytes; the driver's to check.")
      .def_readonly("manifest_digest", &Hello::manifest_digest, "Of the student.")
      .def_readonly("held", &Hello::held, "The ModelVersion that the device holds.")
      .def_readonly("student_fingerprint", &Hello::student_fingerprint,
                    "Of all else that must agree; 0: nothing.")
      .def_readonly("version", &Hello::version, "Protocol version.")
      .def("__repr__", [](const Hello& self) {
        return "<Hello of '" + self.device_id + "', version " + std::to_string(self.held.number) +
               ">";
      });
  py::class_<FrameBatch>(m, "FrameBatch",
                         "Device to server: the samples of one T_update, compressed together.")
      .def(py::init([](std::uint64_t batch_id, std::vector<double> capture_seconds,
                       const BytesLike& bitstream) {
             return FrameBatch{batch_id, std::move(capture_seconds),
                               ConstBytes(bitstream, "bitstream").copy()};
           }),
           py::kw_only(), "batch_id"_a, "capture_seconds"_a, "bitstream"_a)
      .def_readonly("batch_id", &FrameBatch::batch_id, "Counts from 1 in a device's life.")
      .def_readonly("capture_seconds", &FrameBatch::capture_seconds, "One per frame, ascending.")
      .def_property_readonly(
          "bitstream", [](const FrameBatch& self) { return to_bytes(self.bitstream.span()); },
          "H.264 Annex B, as many frames as capture_seconds.")
      .def("__repr__", [](const FrameBatch& self) {
        return "<FrameBatch " + std::to_string(self.batch_id) + ": " +
               std::to_string(self.capture_seconds.size()) + " frames, " +
               std::to_string(self.bitstream.size()) + " bytes>";
      });
  py::class_<Ack>(m, "Ack", "Device to server: the device now holds this version.")
      .def(py::init([](ModelVersion held) { return Ack{held}; }), py::kw_only(), "held"_a)
      .def_readonly("held", &Ack::held, "ModelVersion.")
      .def("__repr__", [](const Ack& self) {
        return "<Ack of version " + std::to_string(self.held.number) + ">";
      });
  py::class_<Refusal>(m, "Refusal", "Device to server: an update or snapshot was refused whole.")
      .def(py::init([](ModelVersion held, const std::string& code, std::string message) {
             return Refusal{held, parse_word<ErrorCode>("code", code), std::move(message)};
           }),
           py::kw_only(), "held"_a, "code"_a = "malformed_data", "message"_a = "")
      .def_readonly("held", &Refusal::held, "The ModelVersion that the device still holds.")
      .def_property_readonly(
          "code", [](const Refusal& self) { return to_string(self.code); }, "As Error.code.")
      .def_readonly("message", &Refusal::message, "For people.")
      .def("__repr__", [](const Refusal& self) { return "<Refusal: " + self.message + ">"; });

  py::class_<Welcome>(m, "Welcome", "Server to device: the answer to Hello.")
      .def(py::init([](std::uint64_t session_id, const std::string& resume,
                       double sampling_rate_fps, double update_interval_seconds,
                       std::uint64_t last_batch_id, std::uint16_t version) {
             return Welcome{version,
                            session_id,
                            parse_word<Resume>("resume", resume),
                            sampling_rate_fps,
                            update_interval_seconds,
                            last_batch_id};
           }),
           py::kw_only(), "session_id"_a = 0, "resume"_a = "in_step", "sampling_rate_fps"_a = 1.0,
           "update_interval_seconds"_a = 10.0, "last_batch_id"_a = 0,
           "version"_a = protocol_version)
      .def_readonly("session_id", &Welcome::session_id, "For logs.")
      .def_property_readonly(
          "resume", [](const Welcome& self) { return to_word(self.resume); },
          "'in_step', 'updates' (that follow) or 'snapshot' (that follows).")
      .def_readonly("sampling_rate_fps", &Welcome::sampling_rate_fps,
                    "For the device to sample at.")
      .def_readonly("update_interval_seconds", &Welcome::update_interval_seconds, "T_update.")
      .def_readonly("last_batch_id", &Welcome::last_batch_id,
                    "Newest FrameBatch that the server has; 0: none.")
      .def_readonly("version", &Welcome::version, "Protocol version.")
      .def("__repr__", [](const Welcome& self) {
        return std::string("<Welcome: ") + to_word(self.resume) + ">";
      });
  py::class_<Control>(m, "Control", "Server to device: new rates.")
      .def(py::init([](double sampling_rate_fps, double update_interval_seconds) {
             return Control{sampling_rate_fps, update_interval_seconds};
           }),
           py::kw_only(), "sampling_rate_fps"_a, "update_interval_seconds"_a)
      .def_readonly("sampling_rate_fps", &Control::sampling_rate_fps,
                    "For the device to sample at.")
      .def_readonly("update_interval_seconds", &Control::update_interval_seconds, "T_update.")
      .def("__repr__", [](const Control& self) {
        return "<Control: " + repr_text(py::float_(self.sampling_rate_fps)) + " fps, T_update " +
               repr_text(py::float_(self.update_interval_seconds)) + " s>";
      });
  bind_bytes_message<Update>(m, "Update", "Server to device: bytes of encode_update().");
  bind_bytes_message<Snapshot>(m, "Snapshot", "Server to device: bytes of encode_snapshot().");
  py::class_<SnapshotPart>(m, "SnapshotPart", R"(
Server to device: a part of a snapshot, for a device that takes parts.)")
      .def(py::init([](Digest digest, std::uint64_t size_bytes, std::uint64_t offset_bytes,
                       const BytesLike& data) {
             return SnapshotPart{digest, size_bytes, offset_bytes, ConstBytes(data, "data").copy()};
           }),
           py::kw_only(), "digest"_a, "size_bytes"_a, "offset_bytes"_a, "data"_a)
      .def_readonly("digest", &SnapshotPart::digest, "Of the whole snapshot.")
      .def_readonly("size_bytes", &SnapshotPart::size_bytes, "Of the whole snapshot.")
      .def_readonly("offset_bytes", &SnapshotPart::offset_bytes, "Of this part in it.")
      .def_property_readonly(
          "data", [](const SnapshotPart& self) { return to_bytes(self.bytes.span()); },
          "At least one byte.")
      .def("__repr__", [](const SnapshotPart& self) {
        return "<SnapshotPart of " + std::to_string(self.bytes.size()) + " bytes>";
      });
  py::class_<Fault>(m, "Fault", "Server to device: the server cannot go on with this connection.")
      .def(py::init([](const std::string& code, std::string message, double retry_seconds) {
             return Fault{parse_word<ErrorCode>("code", code), std::move(message), retry_seconds};
           }),
           py::kw_only(), "code"_a = "protocol_violation", "message"_a = "",
           "retry_seconds"_a = 0.0)
      .def_property_readonly(
          "code", [](const Fault& self) { return to_string(self.code); }, "As Error.code.")
      .def_readonly("message", &Fault::message, "For people.")
      .def_readonly("retry_seconds", &Fault::retry_seconds,
                    "The server is busy: come back after so long; 0: it does not say.")
      .def("__repr__", [](const Fault& self) { return "<Fault: " + self.message + ">"; });
  py::class_<Bye>(m, "Bye", "Both ways: an orderly end.")
      .def(py::init([](std::string reason) { return Bye{std::move(reason)}; }), py::kw_only(),
           "reason"_a = "")
      .def_readonly("reason", &Bye::reason, "For people.")
      .def("__repr__", [](const Bye& self) { return "<Bye: " + self.reason + ">"; });
}

}  // namespace ams::python
