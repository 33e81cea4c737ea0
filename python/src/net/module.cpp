#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "ams/net/wire.hpp"
#include "arrays.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

PYBIND11_MODULE(_net, m) {
  using namespace ams::python;
  register_errors();
  m.doc() = "Bindings of ams::net; use ams.protocol.";
  py::module_::import("ams._core");  // has the messages

  // Bye goes both ways and is written alike.
  m.def(
      "encode_message",
      [](const ams::DeviceMessage& message) { return to_bytes(ams::encode_message(message)); },
      "message"_a);
  m.def(
      "encode_message",
      [](const ams::ServerMessage& message) { return to_bytes(ams::encode_message(message)); },
      "message"_a, R"(
One message as bytes: its kind, then the body (docs/protocol.md). Raises InvalidArgumentError on a
message that breaks a limit of the protocol, LimitExceededError on one that is too long. Free text
that is too long is cut.)");
  m.def(
      "decode_device_message",
      [](const BytesLike& data) {
        return ams::decode_device_message(ConstBytes(data, "data").copy());
      },
      "data"_a, R"(
What a device sent: Hello, FrameBatch, Ack, Refusal or Bye. data: any bytes-like object, from
anyone. Raises MalformedDataError on bytes that are no such message, LimitExceededError on one that
breaks a limit.)");
  m.def(
      "decode_server_message",
      [](const BytesLike& data) {
        return ams::decode_server_message(ConstBytes(data, "data").copy());
      },
      "data"_a, R"(
What a server sent: Welcome, Control, Update, Snapshot, Fault or Bye. Raises as
decode_device_message() does.)");
}
