/* The C interface; run.sh compiles this file as C too. */
#include <ams/c/ams.h>
#include <stdio.h>

int main(void) {
  ams_error error;
  const ams_status status = ams_device_start(NULL, &error);
  printf("libams %s: %s: %s\n", ams_version(), ams_status_name(status), error.message);
  return status == AMS_INVALID_ARGUMENT ? 0 : 1;
}
