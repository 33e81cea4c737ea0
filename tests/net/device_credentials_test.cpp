#include "ams/net/device_credentials.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "core/expect_error.hpp"

using namespace ams;
using ams::test::expect_error;
namespace fs = std::filesystem;

namespace {

struct File {
  fs::path path;
  File() {
    std::string name = (fs::temp_directory_path() / "ams-devices-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = fs::path(name) / "devices";
  }
  ~File() { fs::remove_all(path.parent_path()); }
  void write(const std::string& text) const { std::ofstream(path) << text; }
  std::string text() const {
    std::ostringstream all;
    all << std::ifstream(path).rdbuf();
    return all.str();
  }
};

Hello hello(const std::string& device_id, const std::string& token) {
  Hello message;
  message.device_id = device_id;
  message.token = token;
  return message;
}

}  // namespace

TEST_CASE("a token is good for its device alone, and the file does not betray it") {
  const File file;
  DeviceCredentials made = DeviceCredentials::read(file.path);
  CHECK(made.empty());
  std::set<std::string> tokens;
  const std::string first = made.add("camera 1"), second = made.add("caméra \"2\"");
  CHECK(first.size() == 43);
  made.write(file.path);
  CHECK(file.text().find(first) == std::string::npos);
  struct stat status {};
  REQUIRE(::stat(file.path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);

  DeviceCredentials read = DeviceCredentials::read(file.path);
  CHECK(read.devices() == std::vector<std::string>{"camera 1", "caméra \"2\""});
  CHECK(read.accepts("camera 1", first));
  CHECK(read.accepts("caméra \"2\"", second));
  CHECK_FALSE(read.accepts("camera 1", second));
  CHECK_FALSE(read.accepts("camera 1", ""));
  CHECK_FALSE(read.accepts("camera 3", first));

  const std::string renewed = read.add("camera 1");
  CHECK_FALSE(read.accepts("camera 1", first));
  CHECK(read.accepts("camera 1", renewed));
  CHECK(read.revoke("camera 1"));
  CHECK_FALSE(read.revoke("camera 1"));
  CHECK_FALSE(read.accepts("camera 1", renewed));
}

TEST_CASE("a revoked device stays known as revoked until it is added again") {
  const File file;
  DeviceCredentials made;
  made.add("stays");
  const std::string token = made.add("gone");
  made.revoke("gone");
  CHECK_FALSE(made.revoke("nobody"));
  made.write(file.path);
  DeviceCredentials read = DeviceCredentials::read(file.path);
  CHECK(read.devices() == std::vector<std::string>{"stays"});
  CHECK(read.revoked() == std::vector<std::string>{"gone"});
  CHECK(read.is_revoked("gone"));
  CHECK_FALSE(read.knows("gone"));
  CHECK_FALSE(read.accepts("gone", token));
  CHECK_FALSE(read.is_revoked("nobody"));
  CHECK(read.changed_since(made).empty());

  Authorization gate({"shared"}, read);
  const auto fault = gate(hello("gone", "shared"));  // the shared token is no way around
  REQUIRE(fault);
  CHECK(fault->code == ErrorCode::unauthorized);
  CHECK(fault->message.find("revoked") != std::string::npos);
  CHECK(gate.known_devices() == 1);
  CHECK_FALSE(gate.knows("gone"));

  const std::string again = read.add("gone");
  CHECK(read.revoked().empty());
  CHECK(read.accepts("gone", again));
  made.revoke("stays");
  CHECK_FALSE(made.empty());  // a server of which all are revoked lets nobody in
}

TEST_CASE("what cannot be written leaves no file behind") {
  const File file;
  fs::create_directories(file.path / "in the way");
  DeviceCredentials made;
  made.add("camera");
  expect_error(
      ErrorCode::io_error, [&] { made.write(file.path); }, "cannot write");
  CHECK_FALSE(fs::exists(file.path.string() + ".partial"));
}

TEST_CASE("devices whose token was exchanged, given or revoked are told") {
  DeviceCredentials older;
  for (const char* id : {"exchanged", "revoked", "stays"}) older.add(id);
  DeviceCredentials newer = older;
  CHECK(newer.changed_since(older).empty());
  newer.add("exchanged");
  newer.add("given");
  newer.revoke("revoked");
  CHECK(newer.changed_since(older) == std::vector<std::string>{"exchanged", "given", "revoked"});
}

TEST_CASE("what root writes belongs to the owner of the folder") {
  if (::geteuid() != 0) return;
  const File file;
  REQUIRE(::chown(file.path.parent_path().c_str(), 12345, 54321) == 0);
  DeviceCredentials made;
  made.add("camera");
  made.write(file.path);
  struct stat status {};
  REQUIRE(::stat(file.path.c_str(), &status) == 0);
  CHECK(status.st_uid == 12345);
  CHECK(status.st_gid == 54321);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("what is no file of devices is refused by line") {
  const File file;
  const std::string good = std::string(64, 'a') + " camera\n";
  file.write(good + "\n" + good);
  CHECK(DeviceCredentials::read(file.path).devices() == std::vector<std::string>{"camera"});
  for (const std::string& bad :
       {std::string(63, 'a') + " camera", std::string(64, 'g') + " camera", std::string(64, 'a'),
        std::string(64, 'a') + " ", std::string(64, 'a') + " a\tb", std::string("camera"),
        std::string(64, 'a') + " camera ", std::string(64, 'a') + "  camera",
        std::string("revoked "), std::string("revoked  camera"), std::string("revoked")}) {
    CAPTURE(bad);
    file.write(good + bad + "\n");
    expect_error(
        ErrorCode::malformed_data, [&] { DeviceCredentials::read(file.path); }, "line 2");
  }
  expect_error(
      ErrorCode::io_error, [&] { DeviceCredentials().write(file.path / "below"); }, "below");
  DeviceCredentials none;
  expect_error(
      ErrorCode::invalid_argument, [&] { none.add("a\nb"); }, "device id");
}

TEST_CASE("who is let in") {
  DeviceCredentials devices;
  const std::string own = devices.add("camera"), of_operator = devices.add("operator");
  Authorization gate({}, devices);
  const Authorization copy = gate;
  const auto refusal = [&](const std::string& id, const std::string& token) {
    const auto fault = copy(hello(id, token));
    if (fault) CHECK(fault->code == ErrorCode::unauthorized);
    return fault ? fault->message : "";
  };
  CHECK(refusal("camera", own) == "");
  CHECK(refusal("camera", of_operator) == "this is not the token of the device");
  CHECK(refusal("other", own) == "the server does not know this device");
  CHECK(refusal("", of_operator) == "");  // reads the metrics
  CHECK(refusal("", own) != "");
  CHECK(refusal("operator", of_operator) != "");

  gate.replace({"shared"}, devices);
  CHECK(refusal("camera", "shared") != "");  // nobody else can be it
  CHECK(refusal("other", "shared") == "");
  CHECK(refusal("", "shared") == "");
  devices.revoke("camera");
  gate.replace({}, devices);
  CHECK(refusal("camera", own) != "");
  gate.replace({"shared"});
  CHECK(refusal("operator", "shared") == "");
  expect_error(
      ErrorCode::invalid_argument, [&] { gate.replace({""}); }, "token");
  CHECK(refusal("other", "shared") == "");  // what was there stays
}
