#include "file_kind.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <string_view>

#include "ams/core/error.hpp"

namespace ams {
namespace {

using namespace std::string_view_literals;

struct Ends {
  std::uint64_t size = 0;
  std::string head, tail;  ///< the whole file in both, if it is small
};

Ends read_ends(const std::string& path) {
  constexpr std::uint64_t head_bytes = 1 << 16, tail_bytes = 1 << 20;
  Ends ends;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  if (!file || size < 0) return ends;
  ends.size = static_cast<std::uint64_t>(size);
  const auto read = [&](std::uint64_t begin, std::uint64_t count) {
    std::string bytes(static_cast<std::size_t>(count), '\0');
    file.seekg(static_cast<std::streamoff>(begin));
    file.read(bytes.data(), static_cast<std::streamsize>(count));
    bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    file.clear();
    return bytes;
  };
  ends.head = read(0, std::min(ends.size, head_bytes));
  const std::uint64_t last = std::min(ends.size, tail_bytes);
  ends.tail = read(ends.size - last, last);
  return ends;
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// What torch.save() wrote, whose pickle begins in `head`.
FileKind kind_of_pickle(std::string_view head) {
  return has(head, "_parameters") && has(head, "_modules") ? FileKind::saved_module
                                                           : FileKind::saved_tensors;
}

/// By the names in the archive's directory, which is at its end.
FileKind kind_of_zip(const Ends& ends) {
  if (!has(ends.tail, "PK\5\6"sv)) return FileKind::cut_archive;
  if (has(ends.tail, "/constants.pkl")) return FileKind::torchscript;
  if (has(ends.tail, "/data/aotinductor/")) return FileKind::package;
  if (has(ends.tail, "/models/") || has(ends.tail, "serialized_exported_program"))
    return FileKind::exported_program;
  if (has(ends.tail, "/data.pkl")) return kind_of_pickle(ends.head);
  return FileKind::unknown;
}

/// A ModelProto: ir_version, then one of the fields that come next.
bool is_onnx(std::string_view head) {
  return head.size() > 2 && head[0] == 8 && head[1] > 0 && head[1] < 32 &&
         has("\x12\x1a\x3a\x42"sv, head.substr(2, 1));
}

bool is_safetensors(const Ends& ends) {
  std::uint64_t header_bytes = 0;
  if (ends.head.size() < 9) return false;
  std::memcpy(&header_bytes, ends.head.data(), sizeof header_bytes);
  return ends.head[8] == '{' && header_bytes <= 100'000'000;
}

bool is_text(std::string_view head) {
  return std::all_of(head.begin(), head.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 32 || has("\t\n\r\f"sv, {&c, 1});
  });
}

bool is_web_page(std::string_view head) {
  std::string start(head.substr(0, 1000));
  std::transform(start.begin(), start.end(), start.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const auto first = start.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  return first != std::string::npos && start[first] == '<' &&
         (has(start, "<!doctype html") || has(start, "<html"));
}

/// What a kind is called, and what to do with a file of it where a network, or where weights are
/// needed.
struct Description {
  FileKind kind;
  const char* what;
  const char* for_network;
  const char* for_weights;
};

constexpr const char* fetch_again = "Fetch or write it again.";
constexpr const char* export_module =
    "In Python, give the module that it was made from to ams.export.student() or "
    "ams.export.teacher().";
constexpr const char* save_tensors =
    "In Python, write its tensors with safetensors.torch.save_file(state_dict, "
    "'weights.safetensors').";
constexpr const char* is_no_weights =
    "It brings its values: name it as the network, without a weights file.";

constexpr std::array<Description, 14> descriptions{{
    {FileKind::empty, "an empty file", fetch_again, fetch_again},
    {FileKind::git_lfs_pointer, "a git-lfs pointer, which stands for the file",
     "Fetch the file with `git lfs pull`.", "Fetch the file with `git lfs pull`."},
    {FileKind::web_page, "a web page (HTML)",
     "Download the file itself; the page may have a link to it.",
     "Download the file itself; the page may have a link to it."},
    {FileKind::text, "a text file", "Networks are written with ams.export in Python.",
     save_tensors},
    {FileKind::cut_archive, "an archive whose end is missing", fetch_again, fetch_again},
    {FileKind::torchscript, "a TorchScript module", "Give it a name that ends in .pt.",
     is_no_weights},
    {FileKind::package, "an AOTInductor package",
     "It can be a teacher alone, under a name that ends in .pt2.", is_no_weights},
    {FileKind::exported_program, "a program of torch.export.save()", export_module, save_tensors},
    {FileKind::saved_tensors, "a state dict or checkpoint of torch.save()",
     "In Python, load it into its module, and give that to ams.export.student() or "
     "ams.export.teacher().",
     save_tensors},
    {FileKind::saved_module, "a Python module of torch.save()",
     "In Python, load it with torch.load(path, weights_only=False), and give it to "
     "ams.export.student() or ams.export.teacher().",
     save_tensors},
    {FileKind::safetensors, "tensors (safetensors) without a network",
     "Name a network and give the file as its weights; or load it into its module in Python, and "
     "give that to ams.export.student() or ams.export.teacher().",
     fetch_again},
    {FileKind::onnx, "an ONNX network", export_module, save_tensors},
    {FileKind::hdf5, "an HDF5 file (of Keras?)", export_module, save_tensors},
    {FileKind::gzip, "a compressed file (gzip)", "Unpack it.", "Unpack it."},
}};

const char* name_of(FileKind wanted) {
  switch (wanted) {
    case FileKind::torchscript:
      return "a TorchScript module";
    case FileKind::package:
      return "an AOTInductor package";
    default:
      return "a safetensors file";
  }
}

}  // namespace

FileKind kind_of_file(const std::string& path) {
  const Ends ends = read_ends(path);
  const std::string_view head = ends.head;
  if (head.empty()) return FileKind::empty;
  if (head.starts_with("version https://git-lfs")) return FileKind::git_lfs_pointer;
  if (head.starts_with("PK\3\4"sv)) return kind_of_zip(ends);
  if (head.starts_with("\x89HDF"sv)) return FileKind::hdf5;
  if (head.starts_with("\x1f\x8b"sv)) return FileKind::gzip;
  if (head[0] == '\x80' && head.size() > 1 && head[1] > 1 && head[1] < 6)
    return kind_of_pickle(head);
  if (is_safetensors(ends)) return FileKind::safetensors;
  if (is_onnx(head)) return FileKind::onnx;
  if (is_web_page(head)) return FileKind::web_page;
  if (is_text(head)) return FileKind::text;
  return FileKind::unknown;
}

void require_kind(const std::string& path, FileKind wanted) {
  const FileKind kind = kind_of_file(path);
  const auto* found =
      std::find_if(descriptions.begin(), descriptions.end(),
                   [kind](const Description& known) { return known.kind == kind; });
  if (kind == wanted || found == descriptions.end()) return;
  throw Error(ErrorCode::malformed_data,
              path + " is not " + name_of(wanted) + ": it is " + found->what + ". " +
                  (wanted == FileKind::safetensors ? found->for_weights : found->for_network));
}

}  // namespace ams
