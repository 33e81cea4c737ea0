/* A device of libams for programs in other languages: it segments frames with a student that a
 * server adapts meanwhile. C99; any language that calls C can use it.
 *
 *     ams_device_options options = {0};
 *     options.size = sizeof options;
 *     options.student = "street.bundle";
 *     options.server = "ams.example.org:8443";
 *     options.token = "correct horse";
 *     options.device_id = "camera-7";
 *     ams_device* device = NULL;
 *     ams_error error;
 *     if (ams_device_open(&options, &device, &error) != AMS_OK) puts(error.message);
 *     ams_device_start(device, NULL);
 *     while (camera_next(&frame)) ams_device_process(device, &frame, &labels, NULL);
 *     ams_device_close(device, "the end", 10, NULL);
 *     ams_device_free(device);
 *
 * Every struct but ams_error begins with its size: set it to sizeof the struct, all that you do not
 * use to 0. So a program runs with a newer library, and with an older one as long as it uses
 * nothing that the older one lacks. Texts are UTF-8 and end with a zero byte; the library copies
 * what it is given.
 *
 * Functions return AMS_OK or what went wrong, and write it to `error`, which may be NULL. They
 * throw nothing, and may be called from every thread and from several at once, but for
 * ams_device_free(). Functions of a NULL device return AMS_INVALID_ARGUMENT.
 */
#ifndef AMS_C_AMS_H
#define AMS_C_AMS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define AMS_API __attribute__((visibility("default")))
#else
#define AMS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---- */

/* An enumerator below. */
typedef int32_t ams_status;
enum {
  AMS_OK = 0,
  AMS_INVALID_ARGUMENT = 1,       /* an argument is outside what is allowed */
  AMS_MALFORMED_DATA = 2,         /* bytes of a file are not what their format says */
  AMS_UNSUPPORTED_VERSION = 3,    /* of a format, or of a struct: its size */
  AMS_MANIFEST_MISMATCH = 4,      /* the data belongs to another student */
  AMS_BASE_VERSION_MISMATCH = 5,  /* an update does not follow the version that is held */
  AMS_DIGEST_MISMATCH = 6,        /* the content does not have the digest that it names */
  AMS_LIMIT_EXCEEDED = 7,         /* a size or count is over its limit */
  AMS_IO_ERROR = 8,               /* the operating system refused to read or write */
  AMS_UNAVAILABLE = 9,            /* this library or machine lacks what was asked for */
  AMS_UNAUTHORIZED = 10,          /* the token is missing or wrong */
  AMS_PROTOCOL_VIOLATION = 11,    /* a message that the protocol does not allow */
  AMS_CLOSED = 12,                /* the device was closed */
  AMS_FAILED = 13                 /* anything else, such as no memory */
};

/* What went wrong, for people: what was wrong and what is allowed. Written by a function that does
 * not return AMS_OK. */
typedef struct ams_error {
  ams_status status;
  char message[1020];
} ams_error;

/* E.g. "invalid_argument"; "unknown" for another number. */
AMS_API const char* ams_status_name(ams_status status);

/* The version of the library, e.g. "0.2.0". */
AMS_API const char* ams_version(void);

/* ---- events ---- */

enum { /* ams_event.kind */
       AMS_EVENT_LOG = 0,
       AMS_EVENT_CONNECTED = 1,    /* the server has welcomed the device */
       AMS_EVENT_DISCONNECTED = 2, /* or it could not be reached; the device tries again */
       AMS_EVENT_MODEL = 3         /* a newer model predicts: model_version, model_digest */
};

enum { AMS_LEVEL_DEBUG = 0, AMS_LEVEL_INFO = 1, AMS_LEVEL_WARNING = 2, AMS_LEVEL_ERROR = 3 };

/* Something that happened. Every event is a line of a log too. */
typedef struct ams_event {
  size_t size;
  int32_t kind;  /* an AMS_EVENT_: others may come with newer libraries */
  int32_t level; /* an AMS_LEVEL_ */
  const char* name; /* short and stable, e.g. "server_fault" */
  const char* text; /* the line, with name and fields; without an end of line */
  uint32_t model_version;
  uint64_t model_digest; /* of the values, as in the server's log */
} ams_event;

/* Called on a thread of the library's, one call at a time, in order, from ams_device_open() on
 * until ams_device_close() returns. The event is good during the call. It may call every function
 * of the device but ams_device_close() and ams_device_free(). While 1024 events wait, new ones are
 * dropped. */
typedef void (*ams_event_callback)(void* user, const ams_event* event);

/* ---- a device ---- */

typedef struct ams_device ams_device;

typedef struct ams_device_options {
  size_t size;
  const char* student;   /* path of a student bundle; the server has the same one */
  const char* server;    /* HOST:PORT */
  const char* ca_file;   /* PEM file with the certificate to trust; NULL: the system's */
  const char* token;     /* secret that the server wants; NULL: none */
  const char* device_id; /* names the session: one of its own for each device of a server */
  const char* state_file; /* keeps the adapted student for a restart; NULL: nothing is kept */
  const char* runtime;    /* what computes the student: "onnx"; NULL: that */
  const char* execution_providers; /* of ONNX Runtime, best first, comma-separated; NULL: CPU */
  ams_event_callback on_event;     /* NULL: nobody is told */
  void* user;                      /* for on_event */
  int32_t threads;                 /* compute threads, 1 to 1024; 0: 1 */
  int32_t accept_any_host_name; /* not 0: a trusted certificate of another host is good. Insecure
                                   unless ca_file holds the server's own certificate */
  int32_t uplink_width;         /* largest size of samples, pixels, 16 to 2048; 0: 1024 */
  int32_t uplink_height;        /* likewise; 0: 512 */
  double uplink_kbps;           /* target of the samples' bitrate, 1 to 1000000; 0: 100 */
  double first_batch_seconds;   /* when the first samples leave; 0: with the first one */
} ams_device_options;

/* Opens the bundle and the state file and makes both copies of the student. Connects to nothing.
 * *device is NULL unless AMS_OK is returned. */
AMS_API ams_status ams_device_open(const ams_device_options* options, ams_device** device,
                                   ams_error* error);

/* Connects, and again whenever the link is lost. Once. Does not wait: see on_event. */
AMS_API ams_status ams_device_start(ams_device* device, ams_error* error);

/* Says goodbye, takes over what the server has sent, saves the state and ends all threads. Waits
 * for the server no longer than timeout_seconds, 0 to 3600. reason: for the server's log; NULL:
 * none. AMS_OK a second time. The other functions return AMS_CLOSED from then on, but for
 * ams_device_describe() and ams_device_get_status(). */
AMS_API ams_status ams_device_close(ams_device* device, const char* reason, double timeout_seconds,
                                    ams_error* error);

/* Closes the device if that was not done, without waiting for the server, and frees it: the pointer
 * must not be used any more, by no thread. Nothing happens to NULL. */
AMS_API void ams_device_free(ams_device* device);

/* ---- frames ---- */

enum { /* ams_frame.format: 8-bit; the names give the order in memory */
       AMS_RGB24 = 0,
       AMS_BGR24 = 1,
       AMS_RGBA = 2, /* alpha is left out */
       AMS_BGRA = 3,
       AMS_NV12 = 4 /* a plane Y, then a plane of half the size with U and V in turns */
};

/* A picture in the caller's memory, good during the call. Rows from the top. */
typedef struct ams_frame {
  size_t size;
  int32_t format;        /* an enumerator above */
  int32_t width;         /* pixels, 1 to 16384; even for AMS_NV12 */
  int32_t height;        /* likewise */
  int32_t full_range;    /* AMS_NV12: not 0: 0 to 255, else 16 to 235 */
  const uint8_t* pixels; /* height rows */
  size_t stride_bytes;   /* from a row to the next one; 0: rows without padding */
  const uint8_t* chroma; /* AMS_NV12: the second plane; NULL: right behind the first */
  size_t chroma_stride_bytes; /* 0: as stride_bytes */
  double capture_seconds;     /* on the video's timeline, ascending, 0 to 1e11 */
} ams_frame;

/* Class ids, one byte a pixel, rows from the top; of the student's input size. */
typedef struct ams_labels {
  size_t size;
  uint8_t* ids;           /* the caller's memory */
  size_t capacity_bytes;  /* of ids: input_width * input_height or more */
  int32_t width;          /* written: pixels */
  int32_t height;         /* written: pixels */
  uint32_t model_version; /* written: of the model that predicted; 0: the bundle's */
} ams_labels;

/* Takes a frame: predicts its labels with the newest model, and may send it to the server as a
 * sample. labels NULL: it is not predicted. Give it every frame; the server says how many it wants.
 * Never waits for the network, an update or the encoder; several calls at once take turns. */
AMS_API ams_status ams_device_process(ams_device* device, const ams_frame* frame,
                                      ams_labels* labels, ams_error* error);

/* ---- what there is to know ---- */

/* The student, written by ams_device_describe(). Texts are good until ams_device_free(). */
typedef struct ams_student {
  size_t size;
  const char* name;                /* the bundle's file name */
  const char* const* class_names;  /* num_classes of them; NULL: the bundle names none */
  const uint8_t* selected_classes; /* the ids that it predicts, ascending */
  int32_t num_selected_classes;
  int32_t num_classes;
  int32_t input_width;  /* pixels */
  int32_t input_height; /* pixels */
} ams_student;

AMS_API ams_status ams_device_describe(ams_device* device, ams_student* student, ams_error* error);

/* How the device stands, written by ams_device_get_status(). */
typedef struct ams_device_status {
  size_t size;
  int32_t connected;      /* 1 from AMS_EVENT_CONNECTED to AMS_EVENT_DISCONNECTED */
  uint32_t model_version; /* of the model that predicts */
  double sampling_rate_fps;
  double update_interval_seconds;
  uint64_t uplink_bytes; /* over TCP, of all connections */
  uint64_t downlink_bytes;
  uint64_t frames; /* taken */
  uint64_t frames_sampled;
  uint64_t samples_dropped; /* they could not leave in time */
  uint64_t batches;         /* of samples, sent */
  uint64_t updates;         /* applied */
  uint64_t update_bytes;
  uint64_t snapshots; /* taken over */
  uint64_t refusals;  /* of updates that did not check out */
  uint64_t connections;
  uint64_t disconnections; /* failed attempts included */
  uint64_t events_dropped;
} ams_device_status;

/* Waits while an update is being applied. */
AMS_API ams_status ams_device_get_status(ams_device* device, ams_device_status* status,
                                         ams_error* error);

#ifdef __cplusplus
}
#endif

#endif
