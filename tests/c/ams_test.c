/* The C interface: what a program does with it, and what a wrong one is told. C99.
 *   ams_test tiny.bundle */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ams/c/ams.h"

static int failures = 0;

static void check(int is_right, const char* what, int line) {
  if (is_right) return;
  ++failures;
  fprintf(stderr, "ams_test.c:%d: not so: %s\n", line, what);
}
#define CHECK(condition) check((condition), #condition, __LINE__)

static ams_error error;
static const char* bundle;

/* The call fails like this, with this word in its message. */
static void refused(ams_status found, ams_status wanted, const char* word, int line) {
  if (found == wanted && error.status == wanted && strstr(error.message, word) != NULL) {
    error.message[0] = '\0';
    return;
  }
  ++failures;
  fprintf(stderr, "ams_test.c:%d: %s (%s), not %s with '%s'\n", line, ams_status_name(found),
          error.message, ams_status_name(wanted), word);
}
#define REFUSED(call, status, word) refused((call), (status), (word), __LINE__)

/* A port where nobody listens. */
static ams_device_options good_options(void) {
  ams_device_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.student = bundle;
  options.server = "127.0.0.1:9";
  options.device_id = "a device in C";
  return options;
}

static ams_device* opened(const ams_device_options* options) {
  ams_device* device = NULL;
  if (ams_device_open(options, &device, &error) != AMS_OK) {
    fprintf(stderr, "cannot open: %s\n", error.message);
    exit(1);
  }
  return device;
}

static void wrong_options_are_refused(void) {
  ams_device* device = NULL;
  ams_device_options options = good_options();
  struct {
    ams_device_options known;
    double newer;
  } longer;

  REFUSED(ams_device_open(NULL, &device, &error), AMS_INVALID_ARGUMENT, "NULL");
  REFUSED(ams_device_open(&options, NULL, &error), AMS_INVALID_ARGUMENT, "NULL");
  CHECK(ams_device_open(NULL, NULL, NULL) == AMS_INVALID_ARGUMENT);
#define WITH(field, value, status, word)                         \
  options = good_options();                                      \
  options.field = (value);                                       \
  device = (ams_device*)&options;                                \
  REFUSED(ams_device_open(&options, &device, &error), status, word); \
  CHECK(device == NULL)
  WITH(size, 0, AMS_UNSUPPORTED_VERSION, "ams_device_options.size is 0");
  WITH(size, sizeof options - 1, AMS_UNSUPPORTED_VERSION, "sizeof");
  WITH(size, (size_t)-1, AMS_UNSUPPORTED_VERSION, "sizeof");
  WITH(student, NULL, AMS_INVALID_ARGUMENT, "student is missing");
  WITH(student, "", AMS_INVALID_ARGUMENT, "student is missing");
  WITH(student, "none.bundle", AMS_IO_ERROR, "none.bundle");
  WITH(student, "/", AMS_IO_ERROR, "'/'");
  WITH(server, NULL, AMS_INVALID_ARGUMENT, "server is missing");
  WITH(server, "nowhere", AMS_INVALID_ARGUMENT, "HOST:PORT");
  WITH(device_id, NULL, AMS_INVALID_ARGUMENT, "device_id is missing");
  WITH(device_id, "\xff", AMS_INVALID_ARGUMENT, "UTF-8");
  WITH(token, "a\nb", AMS_INVALID_ARGUMENT, "token");
  WITH(ca_file, "none.pem", AMS_IO_ERROR, "none.pem");
  WITH(state_file, bundle, AMS_INVALID_ARGUMENT, "not a saved state");
  WITH(runtime, "abacus", AMS_UNAVAILABLE, "onnx");
  WITH(execution_providers, "CPU,Abacus", AMS_UNAVAILABLE, "Abacus");
  WITH(threads, -1, AMS_INVALID_ARGUMENT, "threads");
  WITH(uplink_width, 15, AMS_INVALID_ARGUMENT, "uplink_width");
  WITH(uplink_height, 4096, AMS_INVALID_ARGUMENT, "uplink_height");
  WITH(uplink_kbps, -1, AMS_INVALID_ARGUMENT, "uplink_kbps");
  WITH(uplink_kbps, NAN, AMS_INVALID_ARGUMENT, "uplink_kbps");
  WITH(first_batch_seconds, -1, AMS_INVALID_ARGUMENT, "first_batch_seconds");
#undef WITH

  /* A program that was built with a newer header. */
  memset(&longer, 0, sizeof longer);
  longer.known = good_options();
  longer.known.size = sizeof longer;
  longer.newer = 1;
  REFUSED(ams_device_open(&longer.known, &device, &error), AMS_UNSUPPORTED_VERSION, "newer");
  longer.newer = 0;
  ams_device_free(opened(&longer.known));
}

/* Which of red, green and blue is largest: 0, 1, 2. */
#define SIDE 32
static uint8_t ids[SIDE * SIDE];

static int all_are(uint8_t id) {
  int i;
  for (i = 0; i < SIDE * SIDE; ++i) {
    if (ids[i] != id) return 0;
  }
  return 1;
}

static ams_labels labels_there(void) {
  ams_labels labels;
  memset(&labels, 0, sizeof labels);
  memset(ids, 99, sizeof ids);
  labels.size = sizeof labels;
  labels.ids = ids;
  labels.capacity_bytes = sizeof ids;
  return labels;
}

static ams_frame frame_of(int32_t format, const uint8_t* pixels, size_t stride_bytes) {
  ams_frame frame;
  memset(&frame, 0, sizeof frame);
  frame.size = sizeof frame;
  frame.format = format;
  frame.width = frame.height = SIDE;
  frame.pixels = pixels;
  frame.stride_bytes = stride_bytes;
  return frame;
}

static void frames_become_labels(void) {
  const ams_device_options options = good_options();
  ams_device* const device = opened(&options);
  static uint8_t pixels[SIDE * (4 * SIDE + 5)];
  ams_frame frame;
  ams_labels labels;
  ams_student student;
  ams_device_status status;
  int i, format;

  memset(&student, 0, sizeof student);
  REFUSED(ams_device_describe(device, &student, &error), AMS_UNSUPPORTED_VERSION, "ams_student");
  student.size = sizeof student;
  CHECK(ams_device_describe(device, &student, &error) == AMS_OK);
  CHECK(student.size == sizeof student);
  CHECK(strcmp(student.name, "tiny.bundle") == 0);
  CHECK(student.class_names == NULL);
  CHECK(student.num_classes == 3 && student.num_selected_classes == 3);
  CHECK(student.selected_classes[2] == 2);
  CHECK(student.input_width == SIDE && student.input_height == SIDE);

  for (format = AMS_RGB24; format <= AMS_BGRA; ++format) { /* the third byte is largest */
    const size_t pixel_bytes = format <= AMS_BGR24 ? 3 : 4;
    const size_t stride_bytes = SIDE * pixel_bytes + 5;
    memset(pixels, 0, sizeof pixels);
    for (i = 0; i < SIDE * SIDE; ++i) {
      pixels[(size_t)(i / SIDE) * stride_bytes + (size_t)(i % SIDE) * pixel_bytes + 2] = 200;
    }
    frame = frame_of(format, pixels, stride_bytes);
    labels = labels_there();
    CHECK(ams_device_process(device, &frame, &labels, &error) == AMS_OK);
    CHECK(all_are(format == AMS_RGB24 || format == AMS_RGBA ? 2 : 0));
    CHECK(labels.width == SIDE && labels.height == SIDE && labels.model_version == 0);
  }
  memset(pixels, 145, SIDE * SIDE); /* green */
  for (i = 0; i < SIDE * SIDE / 2; i += 2) {
    pixels[SIDE * SIDE + i] = 54;
    pixels[SIDE * SIDE + i + 1] = 34;
  }
  frame = frame_of(AMS_NV12, pixels, 0);
  labels = labels_there();
  CHECK(ams_device_process(device, &frame, &labels, NULL) == AMS_OK);
  CHECK(all_are(1));
  CHECK(ams_device_process(device, &frame, NULL, NULL) == AMS_OK); /* offered alone */

#define FRAME(field, value, word)                                                               \
  frame = frame_of(AMS_NV12, pixels, 0);                                                        \
  frame.field = (value);                                                                        \
  REFUSED(ams_device_process(device, &frame, &labels, &error), AMS_INVALID_ARGUMENT, word)
  FRAME(format, 5, "ams_frame.format is 5");
  FRAME(format, -1, "ams_frame.format is -1");
  FRAME(width, 0, "16384");
  FRAME(width, 31, "even");
  FRAME(height, -2, "16384");
  FRAME(pixels, NULL, "null");
  FRAME(stride_bytes, 31, "stride_bytes");
  FRAME(chroma_stride_bytes, 1, "chroma_stride_bytes");
  FRAME(capture_seconds, NAN, "capture_seconds");
  FRAME(capture_seconds, -1, "capture_seconds");
#undef FRAME
  frame = frame_of(AMS_NV12, pixels, 0);
  labels.capacity_bytes -= 1;
  REFUSED(ams_device_process(device, &frame, &labels, &error), AMS_INVALID_ARGUMENT, "need 1024");
  labels = labels_there();
  labels.ids = NULL;
  REFUSED(ams_device_process(device, &frame, &labels, &error), AMS_INVALID_ARGUMENT, "ids is NULL");
  labels.size = 3;
  REFUSED(ams_device_process(device, &frame, &labels, &error), AMS_UNSUPPORTED_VERSION,
          "ams_labels");
  frame.size = 0;
  REFUSED(ams_device_process(device, &frame, NULL, &error), AMS_UNSUPPORTED_VERSION, "ams_frame");
  REFUSED(ams_device_process(device, NULL, NULL, &error), AMS_INVALID_ARGUMENT, "NULL");

  memset(&status, 0, sizeof status);
  status.size = sizeof status;
  CHECK(ams_device_get_status(device, &status, &error) == AMS_OK);
  CHECK(status.frames == 6 && status.connected == 0 && status.updates == 0);
  REFUSED(ams_device_get_status(device, NULL, &error), AMS_INVALID_ARGUMENT, "NULL");
  ams_device_free(device);
}

/* What on_event got, through a pipe: to be awaited. */
struct told {
  int fds[2];
  ams_device* device;
  ams_status closing;
  int is_whole;
};

static void on_event(void* user, const ams_event* event) {
  struct told* const told = user;
  const char kind = (char)event->kind;
  told->closing = ams_device_close(told->device, NULL, 0, NULL);
  told->is_whole = event->size == sizeof *event && event->level == AMS_LEVEL_WARNING &&
                   strcmp(event->name, "disconnected") == 0 &&
                   strstr(event->text, "reason=") != NULL;
  CHECK(write(told->fds[1], &kind, 1) == 1);
}

static void a_closed_device_says_so(void) {
  struct told told;
  ams_device_options options = good_options();
  ams_device_status status;
  char kind = 0;
  memset(&told, 0, sizeof told);
  CHECK(pipe(told.fds) == 0);
  options.on_event = on_event;
  options.user = &told;
  told.device = opened(&options);
  CHECK(ams_device_start(told.device, &error) == AMS_OK);
  REFUSED(ams_device_start(told.device, &error), AMS_INVALID_ARGUMENT, "second time");
  CHECK(read(told.fds[0], &kind, 1) == 1);
  CHECK(kind == AMS_EVENT_DISCONNECTED);
  CHECK(told.closing == AMS_INVALID_ARGUMENT);
  CHECK(told.is_whole);

  REFUSED(ams_device_close(told.device, "", NAN, &error), AMS_INVALID_ARGUMENT, "timeout_seconds");
  REFUSED(ams_device_close(told.device, "", -1, &error), AMS_INVALID_ARGUMENT, "timeout_seconds");
  CHECK(ams_device_close(told.device, "the end", 10, &error) == AMS_OK);
  CHECK(ams_device_close(told.device, "the end", 10, &error) == AMS_OK);
  REFUSED(ams_device_start(told.device, &error), AMS_CLOSED, "closed");
  REFUSED(ams_device_process(told.device, NULL, NULL, &error), AMS_CLOSED, "closed");
  memset(&status, 0, sizeof status);
  status.size = sizeof status;
  CHECK(ams_device_get_status(told.device, &status, NULL) == AMS_OK);
  CHECK(status.disconnections >= 1 && status.connections == 0);
  ams_device_free(told.device);

  REFUSED(ams_device_start(NULL, &error), AMS_INVALID_ARGUMENT, "NULL");
  REFUSED(ams_device_close(NULL, NULL, 0, &error), AMS_INVALID_ARGUMENT, "NULL");
  REFUSED(ams_device_process(NULL, NULL, NULL, &error), AMS_INVALID_ARGUMENT, "NULL");
  REFUSED(ams_device_describe(NULL, NULL, &error), AMS_INVALID_ARGUMENT, "NULL");
  REFUSED(ams_device_get_status(NULL, NULL, &error), AMS_INVALID_ARGUMENT, "NULL");
  ams_device_free(NULL);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  bundle = argv[1];
  CHECK(strcmp(ams_status_name(AMS_OK), "ok") == 0);
  CHECK(strcmp(ams_status_name(AMS_INVALID_ARGUMENT), "invalid_argument") == 0);
  CHECK(strcmp(ams_status_name(AMS_PROTOCOL_VIOLATION), "protocol_violation") == 0);
  CHECK(strcmp(ams_status_name(AMS_CLOSED), "closed") == 0);
  CHECK(strcmp(ams_status_name(AMS_FAILED), "failed") == 0);
  CHECK(strcmp(ams_status_name(-1), "unknown") == 0);
  CHECK(strcmp(ams_status_name(1000), "unknown") == 0);
  CHECK(strlen(ams_version()) >= 5);
  wrong_options_are_refused();
  frames_become_labels();
  a_closed_device_says_so();
  if (failures == 0) puts("ams_test: as it should be");
  return failures != 0;
}
