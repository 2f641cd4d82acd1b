/* Hands to the kernel what the host has seen in its shared folders, one event after the other.
 *
 *   events SOCKET FILE
 *
 * The host connects to SOCKET (engine/file_events/event_sender.py) and sends events, each of them ended
 * by a zero byte. FILE is the parameter of event_module.c, which takes one event with each write;
 * one that it refuses is about something that is gone again. Whoever connects waits for whoever was
 * there before.
 */
#define _GNU_SOURCE
#include <fcntl.h>

#include "own.h"

enum { ROOM = 65536 }; /* bytes; an event has less than 4200 */

static void hand_over(int file, const char *event, size_t length) {
  if (length > 0 && write(file, event, length) < 0) return;
}

/* Until the host hangs up, or sends what is no event. */
static void serve(int connection, int file) {
  static char data[ROOM];
  size_t kept = 0;
  while (kept < ROOM) {
    ssize_t got = read(connection, data + kept, ROOM - kept);
    if (got <= 0) return;
    char *event = data, *end = data + kept + got, *zero;
    while ((zero = memchr(event, 0, end - event)) != NULL) {
      hand_over(file, event, zero - event);
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
