/* A device in C, by the shared library libams_c. Reads frames of raw RGB24 from standard input, and
 * prints the share of each class, a line a frame:
 *   ffmpeg -re -i video.mp4 -f rawvideo -pix_fmt rgb24 - |
 *     c_device student.bundle 127.0.0.1:8443 tls/certificate.pem TOKEN 1280 720 30 device.state */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ams/c/ams.h>

static void on_event(void* user, const ams_event* event) {
  (void)user;
  if (event->kind == AMS_EVENT_MODEL) {
    fprintf(stderr, "model %" PRIu32 " %016" PRIx64 "\n", event->model_version,
            event->model_digest);
  } else {
    fprintf(stderr, "%s\n", event->text);
  }
}

static void print(const ams_labels* labels, const ams_student* student, double seconds) {
  size_t counts[256] = {0}, pixels = (size_t)labels->width * (size_t)labels->height, i;
  for (i = 0; i < pixels; ++i) ++counts[labels->ids[i]];
  printf("%.3f s  model %" PRIu32, seconds, labels->model_version);
  for (i = 0; i < 256; ++i) {
    if (counts[i] == 0) continue;
    printf("  ");
    if (student->class_names != NULL) {
      printf("%s", student->class_names[i]);
    } else {
      printf("class %u", (unsigned)i);
    }
    printf(" %.0f%%", 100.0 * (double)counts[i] / (double)pixels);
  }
  putchar('\n');
}

int main(int argc, char** argv) {
  ams_device_options options = {0};
  ams_student student = {0};
  ams_frame frame = {0};
  ams_labels labels = {0};
  ams_device* device = NULL;
  ams_error error;
  uint8_t* pixels;
  size_t frame_bytes, number;
  if (argc < 8) {
    return puts("c_device STUDENT HOST:PORT CA TOKEN WIDTH HEIGHT FPS [STATE] < frames"), 2;
  }
  options.size = sizeof options;
  options.student = argv[1];
  options.server = argv[2];
  options.ca_file = argv[3];
  options.token = argv[4];
  options.device_id = "a device in C";
  options.state_file = argc > 8 ? argv[8] : NULL;
  options.on_event = on_event;
  student.size = sizeof student;
  if (ams_device_open(&options, &device, &error) != AMS_OK ||
      ams_device_describe(device, &student, &error) != AMS_OK ||
      ams_device_start(device, &error) != AMS_OK) {
    return fprintf(stderr, "%s\n", error.message), 1;
  }
  frame.size = sizeof frame;
  frame.format = AMS_RGB24;
  frame.width = atoi(argv[5]);
  frame.height = atoi(argv[6]);
  frame_bytes = (size_t)frame.width * (size_t)frame.height * 3;
  frame.pixels = pixels = malloc(frame_bytes);
  labels.size = sizeof labels;
  labels.capacity_bytes = (size_t)student.input_width * (size_t)student.input_height;
  labels.ids = malloc(labels.capacity_bytes);
  for (number = 0; fread(pixels, 1, frame_bytes, stdin) == frame_bytes; ++number) {
    frame.capture_seconds = (double)number / atof(argv[7]);
    if (ams_device_process(device, &frame, &labels, &error) != AMS_OK) {
      return fprintf(stderr, "%s\n", error.message), 1;
    }
    print(&labels, &student, frame.capture_seconds);
  }
  ams_device_close(device, "end of the video", 10, NULL);
  ams_device_free(device);
  free(labels.ids);
  free(pixels);
  return 0;
}
