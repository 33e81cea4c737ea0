#include "ams/torch/safetensors.hpp"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "ams/core/error.hpp"
#include "file_kind.hpp"

static_assert(std::endian::native == std::endian::little, "safetensors values are little-endian");

namespace ams {
namespace {

constexpr std::uint64_t max_header_bytes = 100'000'000;
constexpr std::size_t max_extents = 16;

struct TypeInfo {
  TensorType type;
  const char* name;
  std::size_t bytes;
};

constexpr std::array<TypeInfo, 10> types{{{TensorType::f32, "F32", 4},
                                          {TensorType::f16, "F16", 2},
                                          {TensorType::bf16, "BF16", 2},
                                          {TensorType::f64, "F64", 8},
                                          {TensorType::i64, "I64", 8},
                                          {TensorType::i32, "I32", 4},
                                          {TensorType::i16, "I16", 2},
                                          {TensorType::i8, "I8", 1},
                                          {TensorType::u8, "U8", 1},
                                          {TensorType::boolean, "BOOL", 1}}};

const TypeInfo& info(TensorType type) {
  for (const TypeInfo& t : types) {
    if (t.type == type) return t;
  }
  throw Error(ErrorCode::invalid_argument, "not a TensorType");
}

[[noreturn]] void malformed(const std::string& what) {
  throw Error(ErrorCode::malformed_data, "safetensors: " + what);
}

/// Number of bytes of a tensor, or malformed_data when it does not fit 64 bits.
std::uint64_t tensor_bytes(const std::string& name, TensorType type,
                           const std::vector<std::int64_t>& shape) {
  std::uint64_t bytes = bytes_per_value(type);
  for (const std::int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes)) {
      malformed("the shape of tensor '" + name + "' is negative or too large");
    }
  }
  return bytes;
}

float narrow_to_float(std::uint16_t bits, TensorType type) {
  return type == TensorType::f16
             ? static_cast<float>(c10::Half(bits, c10::Half::from_bits()))
             : static_cast<float>(c10::BFloat16(bits, c10::BFloat16::from_bits()));
}

std::uint16_t float_to_narrow(float value, TensorType type) {
  return type == TensorType::f16 ? c10::Half(value).x : c10::BFloat16(value).x;
}

/// Refuses a repeated key, which the JSON library would otherwise settle silently.
nlohmann::json parse_header(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  const auto callback = [&keys](int depth, nlohmann::json::parse_event_t event,
                                nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (depth > 4) malformed("the header is nested too deeply");
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(parsed.get<std::string>()).second) {
      malformed("the header has the key '" + parsed.get<std::string>() + "' twice");
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, callback);
  } catch (const nlohmann::json::exception& error) {
    malformed(std::string("the header is not JSON: ") + error.what());
  }
}

std::uint64_t unsigned_number(const nlohmann::json& value, const std::string& name) {
  if (!value.is_number_unsigned()) malformed("tensor '" + name + "' has a number that is not >= 0");
  return value.get<std::uint64_t>();
}

struct Entry {
  StoredTensor tensor;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Entry parse_entry(const std::string& name, const nlohmann::json& value) {
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") ||
      !value.contains("shape") || !value.contains("data_offsets")) {
    malformed("tensor '" + name + "' must have dtype, shape and data_offsets, and nothing else");
  }
  Entry entry;
  entry.tensor.name = name;

  const auto& dtype = value["dtype"];
  const auto* known = std::find_if(types.begin(), types.end(), [&](const TypeInfo& t) {
    return dtype.is_string() && dtype.get_ref<const std::string&>() == t.name;
  });
  if (known == types.end()) {
    std::string allowed;
    for (const TypeInfo& t : types) allowed += std::string(" ") + t.name;
    malformed("tensor '" + name + "' has an unknown dtype; known are" + allowed);
  }
  entry.tensor.type = known->type;

  const auto& shape = value["shape"];
  if (!shape.is_array() || shape.size() > max_extents) {
    malformed("the shape of tensor '" + name + "' is not a list of at most 16 extents");
  }
  for (const auto& extent : shape) {
    const std::uint64_t n = unsigned_number(extent, name);
    if (n > static_cast<std::uint64_t>(INT64_MAX)) malformed("tensor '" + name + "' is too large");
    entry.tensor.shape.push_back(static_cast<std::int64_t>(n));
  }

  const auto& offsets = value["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) {
    malformed("data_offsets of tensor '" + name + "' is not a pair");
  }
  entry.begin = unsigned_number(offsets[0], name);
  entry.end = unsigned_number(offsets[1], name);
  if (entry.begin > entry.end) malformed("tensor '" + name + "' ends before it begins");
  if (entry.end - entry.begin != tensor_bytes(name, entry.tensor.type, entry.tensor.shape)) {
    malformed("the byte range of tensor '" + name + "' does not fit its shape and dtype");
  }
  return entry;
}

[[noreturn]] void io_failed(const std::string& what, const std::string& path) {
  const int reason = errno;
  throw Error(ErrorCode::io_error, what + " '" + path + "': " + std::strerror(reason));
}

}  // namespace

const char* to_string(TensorType type) {
  return info(type).name;
}

std::size_t bytes_per_value(TensorType type) {
  return info(type).bytes;
}

std::vector<float> StoredTensor::to_float() const {
  const std::size_t width = bytes_per_value(type);
  std::vector<float> values(bytes.size() / width);
  if (type == TensorType::f32) {
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
  }
  if (type != TensorType::f16 && type != TensorType::bf16) {
    throw Error(ErrorCode::invalid_argument, "tensor '" + name + "' is stored as " +
                                                 to_string(type) + "; F32, F16 or BF16 is needed");
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t raw = 0;
    std::memcpy(&raw, bytes.data() + 2 * i, sizeof raw);
    values[i] = narrow_to_float(raw, type);
  }
  return values;
}

StoredTensor StoredTensor::from_float(std::string name, std::vector<std::int64_t> shape,
                                      std::span<const float> values, TensorType type) {
  if (type != TensorType::f32 && type != TensorType::f16 && type != TensorType::bf16) {
    throw Error(
        ErrorCode::invalid_argument,
        std::string("float values are stored as F32, F16 or BF16, not as ") + to_string(type));
  }
  if (tensor_bytes(name, TensorType::f32, shape) != values.size() * sizeof(float)) {
    throw Error(ErrorCode::invalid_argument,
                "tensor '" + name + "' has another number of values (" +
                    std::to_string(values.size()) + ") than its shape");
  }
  StoredTensor tensor{std::move(name), type, std::move(shape), {}};
  tensor.bytes.resize(values.size() * bytes_per_value(type));
  if (type == TensorType::f32) {
    if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
    return tensor;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t raw = float_to_narrow(values[i], type);
    if (std::isfinite(values[i]) && !std::isfinite(narrow_to_float(raw, type))) {
      throw Error(ErrorCode::invalid_argument, "tensor '" + tensor.name + "' has a value (" +
                                                   std::to_string(values[i]) +
                                                   ") beyond the range of " + to_string(type));
    }
    std::memcpy(tensor.bytes.data() + 2 * i, &raw, sizeof raw);
  }
  return tensor;
}

Safetensors parse_safetensors(std::span<const std::byte> bytes) {
  if (bytes.size() < 8) malformed("shorter than the 8 bytes of the header's length");
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  if (header_bytes > max_header_bytes || header_bytes > bytes.size() - 8) {
    malformed("the header's length (" + std::to_string(header_bytes) + ") is beyond the file (" +
              std::to_string(bytes.size()) +
              " bytes) or the limit of 100000000 bytes: the file is cut short or of another kind");
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8,
                              static_cast<std::size_t>(header_bytes));
  if (text.empty() || text.front() != '{') malformed("the header does not begin with '{'");
  const nlohmann::json header = parse_header(text);
  const std::span<const std::byte> body = bytes.subspan(8 + static_cast<std::size_t>(header_bytes));

  Safetensors content;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(name, value));
      continue;
    }
    if (!value.is_object()) malformed("__metadata__ is not an object");
    for (const auto& [key, text_value] : value.items()) {
      if (!text_value.is_string()) malformed("metadata '" + key + "' is not a string");
      content.metadata[key] = text_value.get<std::string>();
    }
  }

  // Empty tensors share their begin with the next one, so the end orders them too.
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t expected = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != expected) {
      malformed("tensor '" + entry.tensor.name + "' begins at " + std::to_string(entry.begin) +
                ", but the one before it ends at " + std::to_string(expected));
    }
    expected = entry.end;
  }
  if (expected != body.size()) {
    malformed("the tensors take " + std::to_string(expected) + " bytes, but the file has " +
              std::to_string(body.size()) +
              (expected > body.size() ? " of them: it is cut short; fetch it again" : ""));
  }
  content.tensors.reserve(entries.size());
  for (Entry& entry : entries) {
    const auto part = body.subspan(static_cast<std::size_t>(entry.begin),
                                   static_cast<std::size_t>(entry.end - entry.begin));
    entry.tensor.bytes.assign(part.begin(), part.end());
    content.tensors.push_back(std::move(entry.tensor));
  }
  return content;
}

std::vector<std::byte> serialize_safetensors(const Safetensors& content) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!content.metadata.empty()) header["__metadata__"] = content.metadata;
  std::set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const StoredTensor& tensor : content.tensors) {
    if (tensor.name.empty() || tensor.name == "__metadata__" || !names.insert(tensor.name).second) {
      malformed("the tensor name '" + tensor.name + "' is empty, reserved or repeated");
    }
    if (tensor.bytes.size() != tensor_bytes(tensor.name, tensor.type, tensor.shape)) {
      malformed("the bytes of tensor '" + tensor.name + "' do not fit its shape and type");
    }
    const std::uint64_t end = offset + tensor.bytes.size();
    header[tensor.name] = {{"dtype", to_string(tensor.type)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    malformed("a name or metadata value is not UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the values are aligned in a mapped file
  const std::uint64_t header_bytes = text.size();
  if (header_bytes > max_header_bytes) malformed("the header is over 100000000 bytes");

  std::vector<std::byte> bytes(8 + text.size() + static_cast<std::size_t>(offset));
  std::memcpy(bytes.data(), &header_bytes, sizeof header_bytes);
  std::memcpy(bytes.data() + 8, text.data(), text.size());
  std::byte* out = bytes.data() + 8 + text.size();
  for (const StoredTensor& tensor : content.tensors) {
    out = std::copy(tensor.bytes.begin(), tensor.bytes.end(), out);
  }
  return bytes;
}

Safetensors read_safetensors(const std::string& path) {
  std::error_code ignored;  // what else is wrong with the path, opening it tells
  if (std::filesystem::is_directory(path, ignored)) {
    throw Error(ErrorCode::io_error, "'" + path + "' is a folder and not a safetensors file");
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) io_failed("cannot open", path);
  const std::streamoff size = file.tellg();
  if (size < 0) io_failed("cannot read", path);
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), size)) io_failed("cannot read", path);
  try {
    return parse_safetensors(bytes);
  } catch (const Error& error) {
    require_kind(path, FileKind::safetensors);
    throw Error(error.code(), path + ": " + error.what());
  }
}

void write_safetensors(const std::string& path, const Safetensors& content) {
  const std::vector<std::byte> bytes = serialize_safetensors(content);
  const std::string temporary = path + ".part" + std::to_string(::getpid());
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (file == nullptr) io_failed("cannot create", temporary);
  // The data must be on the disk before the name points to it, or a crash could leave an empty
  // file.
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() &&
                       std::fflush(file) == 0 && ::fsync(::fileno(file)) == 0;
  const bool closed = std::fclose(file) == 0;
  if (!written || !closed || std::rename(temporary.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    std::remove(temporary.c_str());
    errno = reason;
    io_failed("cannot write", path);
  }
}

}  // namespace ams
