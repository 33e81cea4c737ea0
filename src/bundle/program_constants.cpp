#include "program_constants.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "ams/session/text.hpp"

namespace ams {
namespace {

using nlohmann::json;
using Kind = ProgramConstant::Kind;

constexpr std::array<std::pair<const char*, Kind>, 4> kinds{{{"copy", Kind::copy},
                                                             {"scale", Kind::scale},
                                                             {"weight", Kind::weight},
                                                             {"shift", Kind::shift}}};

[[noreturn]] void malformed(const std::string& message) {
  throw Error(ErrorCode::malformed_data, message);
}

class ConstantReader {
 public:
  ConstantReader(const Manifest& manifest, const Manifest& frozen, std::size_t program_bytes,
                 std::string where)
      : program_bytes_(program_bytes), where_(std::move(where)) {
    for (const Manifest* const part : {&manifest, &frozen}) {
      for (const TensorSpec& tensor : part->tensors()) {
        if (!indices_.emplace(tensor.name, tensors_.size()).second) {
          malformed(where_ + ": \"frozen\" has '" + tensor.name + "', which updates change");
        }
        tensors_.push_back(&tensor);
      }
    }
    used_.resize(tensors_.size());
  }

  ProgramConstant read(const json& item) {
    const JsonFields fields(item, where_ + ": \"constants\"");
    ProgramConstant constant;
    constant.kind = kind_of(fields);
    constant.offset = static_cast<std::size_t>(
        fields.whole("offset", 0, static_cast<std::int64_t>(program_bytes_)));
    if (constant.kind != Kind::scale) constant.source = tensor(fields, "source");
    const bool is_whole = constant.kind == Kind::copy || constant.kind == Kind::weight;
    if (is_whole) read_layout(fields, need(fields, "source", constant.source), constant);
    if (constant.kind != Kind::copy) read_batch_norm(fields, constant);
    const std::size_t bytes = sizeof(float) * tensors_[is_whole ? *constant.source  //
                                                                : *constant.variance]
                                                  ->size;
    if (bytes > program_bytes_ - constant.offset) {
      malformed(fmt::format("{}: the constant at {} is outside network.pte, which has {} bytes",
                            where_, constant.offset, program_bytes_));
    }
    ranges_.emplace_back(constant.offset, constant.offset + bytes);
    return constant;
  }

  /// After all of them. `trained`: how many tensors the manifest has.
  void finish(std::size_t trained) {
    for (std::size_t i = 0; i < trained; ++i) {
      if (!used_[i]) {
        malformed(where_ + ": the program lacks the trained tensor '" + tensors_[i]->name +
                  "': updates could not reach it");
      }
    }
    std::sort(ranges_.begin(), ranges_.end());
    for (std::size_t i = 1; i < ranges_.size(); ++i) {
      if (ranges_[i].first < ranges_[i - 1].second) {
        malformed(fmt::format("{}: two constants overlap at {} of network.pte", where_,
                              ranges_[i].first));
      }
    }
  }

 private:
  static Kind kind_of(const JsonFields& fields) {
    const std::string name =
        fields.text("kind", fields.need("kind", "copy, scale, weight or shift"), 1, 16);
    for (const auto& [known, kind] : kinds) {
      if (name == known) return kind;
    }
    fields.refuse("kind", "is '" + printable(name) + "'; it must be copy, scale, weight or shift");
  }

  ProgramConstant::Tensor tensor(const JsonFields& fields, const char* field) {
    const json* const value = fields.find(field);
    if (value == nullptr) return std::nullopt;
    const std::string name = fields.text(field, *value, 1, Manifest::max_name_bytes);
    const auto found = indices_.find(name);
    if (found == indices_.end()) {
      fields.refuse(field, "is '" + printable(name) + "', which is none of the student's tensors");
    }
    used_[found->second] = true;
    return found->second;
  }

  const TensorSpec& need(const JsonFields& fields, const char* field,
                         const ProgramConstant::Tensor& index) const {
    if (!index) fields.refuse(field, "is missing; it must be the name of a tensor");
    return *tensors_[*index];
  }

  static void read_layout(const JsonFields& fields, const TensorSpec& source,
                          ProgramConstant& constant) {
    const std::size_t count = source.shape.size();
    if (fields.find("order") == nullptr) return;
    constexpr std::size_t max_count = std::tuple_size_v<decltype(constant.order)>;
    if (count > max_count) {
      fields.refuse("order", fmt::format("is given for a tensor of {} extents; allowed are 1 to {}",
                                         count, max_count));
    }
    for (std::size_t i = 0; i < count; ++i) {
      constant.extents[i] = static_cast<std::size_t>(source.shape[i]);
    }
    std::size_t place = 0;
    for (const json& extent : fields.list("order", count, count, "extents")) {
      constant.order[place++] = static_cast<std::size_t>(
          fields.whole("order", extent, 0, static_cast<std::int64_t>(count) - 1));
    }
    std::array<std::size_t, max_count> sorted = constant.order;
    std::sort(sorted.begin(), sorted.end());
    if (sorted != ProgramConstant().order) {
      fields.refuse("order", fmt::format("must have each number from 0 to {} once", count - 1));
    }
  }

  void read_batch_norm(const JsonFields& fields, ProgramConstant& constant) {
    constant.variance = tensor(fields, "variance");
    const std::size_t channels = need(fields, "variance", constant.variance).size;
    constant.scale = tensor(fields, "scale");
    constant.epsilon = static_cast<float>(fields.number("epsilon", 0, 1));
    require_channels(fields, "scale", constant.scale, channels);
    if (constant.kind == Kind::weight) {
      const TensorSpec& source = *tensors_[*constant.source];
      if (source.shape.empty() || static_cast<std::size_t>(source.shape[0]) != channels) {
        fields.refuse("source", fmt::format("'{}' must have {} channels, as its batch norm has",
                                            source.name, channels));
      }
    }
    if (constant.kind == Kind::shift) {
      constant.mean = tensor(fields, "mean");
      constant.shift = tensor(fields, "shift");
      need(fields, "mean", constant.mean);
      require_channels(fields, "mean", constant.mean, channels);
      require_channels(fields, "shift", constant.shift, channels);
      require_channels(fields, "source", constant.source, channels);
    }
  }

  void require_channels(const JsonFields& fields, const char* field,
                        const ProgramConstant::Tensor& index, std::size_t channels) const {
    if (index && tensors_[*index]->size != channels) {
      fields.refuse(field, fmt::format("'{}' has {} values; its batch norm has {} channels",
                                       tensors_[*index]->name, tensors_[*index]->size, channels));
    }
  }

  std::size_t program_bytes_;
  std::string where_;
  std::vector<const TensorSpec*> tensors_;
  std::map<std::string_view, std::size_t> indices_;
  std::vector<bool> used_;
  std::vector<std::pair<std::size_t, std::size_t>> ranges_;
};

}  // namespace

std::vector<ProgramConstant> read_constants(const JsonFields& fields, const Manifest& manifest,
                                            const Manifest& frozen, std::size_t program_bytes,
                                            const std::string& where) {
  ConstantReader reader(manifest, frozen, program_bytes, where);
  std::vector<ProgramConstant> constants;
  for (const json& item : fields.list("constants", 1, Manifest::max_tensors, "constants")) {
    if (!item.is_object()) fields.refuse("constants", "must hold objects alone");
    constants.push_back(reader.read(item));
  }
  reader.finish(manifest.tensors().size());
  return constants;
}

}  // namespace ams
