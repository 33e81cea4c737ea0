#include "ams/bundle/student_bundle.hpp"

#include <zip.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/session/text.hpp"
#include "json_fields.hpp"
#include "program_constants.hpp"

namespace ams {
namespace {

using nlohmann::json;
using ByteVector = std::vector<std::byte>;

constexpr std::size_t max_manifest_bytes = std::size_t{32} << 20;
constexpr std::size_t max_entry_bytes = std::size_t{1} << 30;
constexpr std::size_t max_expansion = 64;
constexpr std::size_t small_entry_bytes = std::size_t{1} << 20;
constexpr std::int64_t bundle_version = 1;
constexpr std::size_t max_class_name_bytes = 64;
constexpr const char* how_to_make = "; ams.export.bundle() in Python writes one";

[[noreturn]] void malformed(const std::string& message) {
  throw Error(ErrorCode::malformed_data, message);
}

/// The archive of a file, open for reading.
class Archive {
 public:
  explicit Archive(const std::filesystem::path& path) : where_(path.string()) {
    std::error_code failure;
    if (!std::filesystem::is_regular_file(path, failure)) {
      throw Error(ErrorCode::io_error, "cannot read the student bundle '" + where_ +
                                           "': " + (failure ? failure.message() : "it is no file"));
    }
    int code = 0;
    zip_.reset(zip_open(where_.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
    if (zip_) return;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    if (code == ZIP_ER_OPEN || code == ZIP_ER_READ) {
      throw Error(ErrorCode::io_error,
                  "cannot read the student bundle '" + where_ + "': " + reason);
    }
    malformed("'" + where_ + "' is not a student bundle, or its end is missing: " + reason +
              how_to_make);
  }

  const std::string& where() const noexcept { return where_; }

  bool has(const std::string& entry) const {
    return zip_name_locate(zip_.get(), entry.c_str(), 0) >= 0;
  }

  /// The whole content, proven by the archive's own checksum.
  ByteVector read(const std::string& entry, std::size_t max_bytes) const {
    zip_stat_t stat;
    zip_stat_init(&stat);
    constexpr zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_CRC;
    if (zip_stat(zip_.get(), entry.c_str(), 0, &stat) != 0 || (stat.valid & needed) != needed) {
      malformed(where_ + ": it has no " + entry + how_to_make);
    }
    if (stat.size > max_bytes) {
      throw Error(ErrorCode::limit_exceeded, fmt::format("{}: {} has {} bytes; allowed are {}",
                                                         where_, entry, stat.size, max_bytes));
    }
    if (stat.size > small_entry_bytes && stat.size / max_expansion > stat.comp_size) {
      throw Error(ErrorCode::limit_exceeded,
                  fmt::format("{}: {} unpacks from {} to {} bytes; allowed is {} times as much",
                              where_, entry, stat.comp_size, stat.size, max_expansion));
    }
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(
        zip_fopen_index(zip_.get(), stat.index, 0), zip_fclose);
    if (!file) damaged(entry, zip_strerror(zip_.get()));
    ByteVector bytes(stat.size);
    std::size_t done = 0;
    // One byte more than there should be: the checksum is compared at the end.
    for (std::byte extra{}; done <= bytes.size();) {
      const bool at_end = done == bytes.size();
      const zip_int64_t count = zip_fread(file.get(), at_end ? &extra : bytes.data() + done,
                                          at_end ? 1 : bytes.size() - done);
      if (count < 0) damaged(entry, zip_file_strerror(file.get()));
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    if (done != bytes.size()) damaged(entry, "its size is not the one that the archive names");
    return bytes;
  }

 private:
  [[noreturn]] void damaged(const std::string& entry, const std::string& reason) const {
    malformed(where_ + ": " + entry + " is damaged: " + reason + ". Fetch or write the file again");
  }

  std::string where_;
  std::unique_ptr<zip_t, void (*)(zip_t*)> zip_{nullptr, zip_discard};
};

Digest read_fingerprint(const JsonFields& fields) {
  const std::string text =
      fields.text("fingerprint", fields.need("fingerprint", "16 hex digits"), 16, 16);
  Digest digest = 0;
  for (const char c : text) {
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && !(c >= 'a' && c <= 'f')) {
      fields.refuse("fingerprint", "must be 16 lower-case hex digits");
    }
    digest = digest << 4 | static_cast<Digest>(is_digit ? c - '0' : c - 'a' + 10);
  }
  return digest;
}

const json& object_of(const JsonFields& fields, const char* field) {
  const json& value = fields.need(field, "an object");
  if (!value.is_object()) fields.refuse(field, "must be an object");
  return value;
}

std::array<float, 3> three(const JsonFields& fields, const char* field, double low) {
  std::array<float, 3> result{};
  std::size_t i = 0;
  for (const json& value : fields.list(field, 3, 3, "numbers")) {
    const double number = value.is_number() ? value.get<double>() : low - 1;
    if (!(number >= low && number <= 1000)) {
      fields.refuse(field, fmt::format("must hold numbers from {} to 1000", low));
    }
    result[i++] = static_cast<float>(number);
  }
  return result;
}

TensorKind kind_of(const JsonFields& fields) {
  const json* const value = fields.find("kind");
  const std::string kind = value == nullptr ? "parameter" : fields.text("kind", *value, 1, 16);
  if (kind == "parameter") return TensorKind::parameter;
  if (kind == "statistic") return TensorKind::statistic;
  fields.refuse("kind", "is '" + printable(kind) + "'; it must be parameter or statistic");
}

std::string tensor_name(const JsonFields& fields) {
  const std::string name =
      fields.text("name", fields.need("name", "a text"), 1, Manifest::max_name_bytes);
  if (!is_printable(name)) fields.refuse("name", "has a control character");
  return name;
}

const json& element(const JsonFields& fields, const char* list, const json& item) {
  if (!item.is_object()) fields.refuse(list, "must hold objects alone");
  return item;
}

Manifest read_tensors(const JsonFields& fields, const char* list, std::size_t least,
                      const std::string& where) {
  std::vector<TensorSpec> tensors;
  for (const json& item : fields.list(list, least, Manifest::max_tensors, "tensors")) {
    const JsonFields tensor(element(fields, list, item), fmt::format("{}: \"{}\"", where, list));
    TensorSpec spec;
    spec.name = tensor_name(tensor);
    spec.kind = kind_of(tensor);
    for (const json& extent : tensor.list("shape", 0, Manifest::max_extents, "extents")) {
      spec.shape.push_back(tensor.whole("shape", extent, 1, Manifest::max_dimension));
    }
    tensors.push_back(std::move(spec));
  }
  try {
    return Manifest(std::move(tensors));
  } catch (const Error& error) {
    malformed(where + ": " + error.what());
  }
}

void read_classes(const JsonFields& fields, StudentBundle& bundle) {
  bundle.num_classes = static_cast<int>(fields.whole("num_classes", 2, 254));
  const auto count = static_cast<std::size_t>(bundle.num_classes);
  if (fields.find("class_names") != nullptr) {
    for (const json& name : fields.list("class_names", count, count, "texts")) {
      bundle.class_names.push_back(fields.text("class_names", name, 1, max_class_name_bytes));
      if (!is_printable(bundle.class_names.back())) {
        fields.refuse("class_names", "has a name with a control character");
      }
    }
  }
  for (const json& id : fields.list("selected_classes", 0, count, "class ids")) {
    const auto least = bundle.selected_classes.empty() ? 0 : bundle.selected_classes.back() + 1;
    bundle.selected_classes.push_back(
        static_cast<int>(fields.whole("selected_classes", id, least, bundle.num_classes - 1)));
  }
  if (bundle.selected_classes.size() == 1) {
    fields.refuse("selected_classes", "has one class; a student tells at least two apart");
  }
}

std::vector<float> read_values(const ByteVector& bytes, const char* entry, const Manifest& manifest,
                               const std::string& where) {
  if (bytes.size() != manifest.dimension() * sizeof(float)) {
    malformed(fmt::format("{}: {} has {} bytes; its tensors have {} values of 4 bytes", where,
                          entry, bytes.size(), manifest.dimension()));
  }
  std::vector<float> values(manifest.dimension());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::bit_cast<float>(static_cast<std::uint32_t>(
        detail::digest::load_word(bytes.data() + i * sizeof(float), sizeof(float))));
    if (!std::isfinite(values[i])) {
      const TensorSpec& tensor = manifest.tensors()[manifest.tensor_of(i)];
      malformed(fmt::format("{}: value {} of tensor '{}' is not finite", where, i - tensor.offset,
                            tensor.name));
    }
  }
  return values;
}

/// Where each tensor's values are in the graph: all of them, apart, and with the first values.
std::vector<std::size_t> read_offsets(const JsonFields& fields, const Manifest& manifest,
                                      const ByteVector& values, const ByteVector& onnx,
                                      const std::string& where) {
  std::map<std::string, std::size_t> places;
  for (const json& item : fields.list("tensors", 0, Manifest::max_tensors, "tensors")) {
    const JsonFields tensor(element(fields, "tensors", item), where + ": \"onnx\": \"tensors\"");
    const auto offset =
        static_cast<std::size_t>(tensor.whole("offset", 0, static_cast<std::int64_t>(onnx.size())));
    if (const std::string name = tensor_name(tensor); !places.emplace(name, offset).second) {
      malformed(where + ": the graph names the tensor '" + name + "' twice");
    }
  }
  std::vector<std::size_t> offsets;
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  for (const TensorSpec& tensor : manifest.tensors()) {
    const auto place = places.find(tensor.name);
    if (place == places.end()) {
      malformed(where + ": the graph lacks the trained tensor '" + tensor.name +
                "': updates could not reach it" + how_to_make);
    }
    const std::size_t bytes = tensor.size * sizeof(float);
    if (bytes > onnx.size() - place->second) {
      malformed(fmt::format("{}: tensor '{}' is outside network.onnx, which has {} bytes", where,
                            tensor.name, onnx.size()));
    }
    if (std::memcmp(onnx.data() + place->second, values.data() + tensor.offset * sizeof(float),
                    bytes) != 0) {
      malformed(where + ": the values of tensor '" + tensor.name +
                "' in network.onnx are not those in values.bin");
    }
    ranges.emplace_back(place->second, place->second + bytes);
    offsets.push_back(place->second);
    places.erase(place);
  }
  if (!places.empty()) {
    malformed(where + ": the graph names '" + places.begin()->first +
              "', which is none of the student's tensors");
  }
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) {
      malformed(where + ": two tensors overlap in network.onnx");
    }
  }
  return offsets;
}

template <class T>
std::shared_ptr<const T> shared(T value) {
  return std::make_shared<const T>(std::move(value));
}

ExecutorchProgram read_program(const JsonFields& fields, const Manifest& manifest,
                               const Archive& archive, const std::string& where) {
  ExecutorchProgram program;
  program.bytes = shared(archive.read("network.pte", max_entry_bytes));
  program.frozen = read_tensors(fields, "frozen", 0, where);
  if (program.frozen.dimension() > 0) {
    program.frozen_values = read_values(archive.read("frozen.bin", max_entry_bytes), "frozen.bin",
                                        program.frozen, archive.where());
  }
  program.constants =
      read_constants(fields, manifest, program.frozen, program.bytes->size(), where);
  return program;
}

}  // namespace

bool is_bundle_path(const std::string& path) {
  return path.ends_with(".bundle");
}

StudentBundle open_student_bundle(const std::filesystem::path& path) {
  const Archive archive(path);
  const std::string where = archive.where() + ": bundle.json";
  if (!archive.has("bundle.json")) {
    malformed("'" + archive.where() + "' is an archive, but not a student bundle: it has no " +
              "bundle.json" + how_to_make);
  }
  const ByteVector text = archive.read("bundle.json", max_manifest_bytes);
  const json object =
      parse_json_object({reinterpret_cast<const char*>(text.data()), text.size()}, where);
  const JsonFields fields(object, where);
  if (const json* const format = fields.find("format");
      format == nullptr || *format != "ams-student-bundle") {
    fields.refuse("format", "must be \"ams-student-bundle\"");
  }
  constexpr auto any = std::numeric_limits<std::int32_t>::max();
  if (const auto version = fields.whole("version", 0, any); version != bundle_version) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("{} has version {}; this libams reads version {}. Write the bundle "
                            "again with ams.export.bundle() of this version",
                            archive.where(), version, bundle_version));
  }
  StudentBundle bundle;
  bundle.name = path.filename().string();
  bundle.fingerprint = read_fingerprint(fields);
  const JsonFields input(object_of(fields, "input"), where + ": \"input\"");
  bundle.input_width = static_cast<int>(input.whole("width", 32, 4096));
  bundle.input_height = static_cast<int>(input.whole("height", 32, 4096));
  const JsonFields normalization(object_of(fields, "normalization"), where + ": \"normalization\"");
  bundle.mean = three(normalization, "mean", -1000);
  bundle.standard_deviation = three(normalization, "standard_deviation", 1e-6);
  read_classes(fields, bundle);
  bundle.train_batch_norm_statistics = fields.flag("train_batch_norm_statistics");
  bundle.manifest = shared(read_tensors(fields, "tensors", 1, where));

  bundle.network = fields.text("network", fields.need("network", "a text"), 1, 64);
  const std::string torch_file = bundle.has_torchscript() ? bundle.network : "weights.safetensors";
  bundle.torch_file = shared(archive.read(torch_file, max_entry_bytes));

  const JsonFields graph(object_of(fields, "onnx"), where + ": \"onnx\"");
  const ByteVector values = archive.read("values.bin", max_entry_bytes);
  bundle.values = read_values(values, "values.bin", *bundle.manifest, archive.where());
  bundle.onnx = shared(archive.read("network.onnx", max_entry_bytes));
  bundle.onnx_offsets =
      read_offsets(graph, *bundle.manifest, values, *bundle.onnx, archive.where());
  if (fields.find("executorch") != nullptr) {
    const std::string inner = where + ": \"executorch\"";
    bundle.executorch = shared(read_program(JsonFields(object_of(fields, "executorch"), inner),
                                            *bundle.manifest, archive, inner));
  }
  return bundle;
}

}  // namespace ams
