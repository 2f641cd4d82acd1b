/* Passes events of the host's shared folders to the kernel module, one after the other.
 *
 *   events SOCKET FILE
 *
 * The host connects to SOCKET (engine/file_events/event_sender.py) and sends events, each ended by a
 * zero byte. FILE is the parameter of event_module.c, which takes one event with each write; it
 * refuses an event for a path that no longer exists. One connection is served at a time.
 */
#define _GNU_SOURCE
#include <fcntl.h>

#include "own.h"

enum { ROOM = 65536 }; /* bytes; an event has less than 4200 */

static void pass_on(int file, const char *event, size_t length) {
  if (length > 0 && write(file, event, length) < 0) return;
}

/* Serve a connection until the host closes it, or sends something that is not an event. */
static void serve(int connection, int file) {
  static char data[ROOM];
  size_t kept = 0;
  while (kept < ROOM) {
    ssize_t got = read(connection, data + kept, ROOM - kept);
    if (got <= 0) return;
    char *event = data, *end = data + kept + got, *zero;
    while ((zero = memchr(event, 0, end - event)) != NULL) {
      pass_on(file, event, zero - event);
      event = zero + 1;
    }
    kept = end - event;
    memmove(data, event, kept);
  }
}

int main(int count, char **words) {
  if (count != 3) {
    fprintf(stderr, "usage: events SOCKET FILE\n");
    return 2;
  }
  int file = open(words[2], O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file < 0) fail(words[2]);
  int listening = listen_at(words[1], 0, 4);
  for (;;) {
    int connection = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) fail("accept");
    serve(connection, file);
    close(connection);
  }
}
