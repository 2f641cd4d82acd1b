/* Boot messages: lines that the guest's scripts append to a file (`say` in `prelude`). After each
 * hello the host receives the last of them again, and then each as it is written. */
#pragma once
#include <fcntl.h>
#include <sys/inotify.h>

#include "connections.h"

enum { KEPT = 65536 }; /* bytes that are sent again */

static int messages, messages_watch; /* the file, and an inotify of it */
static off_t messages_sent;          /* bytes */
static bool messages_unsent;         /* there may be more */

static void open_messages(const char *path) {
  messages = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
  messages_watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (messages < 0 || messages_watch < 0 || inotify_add_watch(messages_watch, path, IN_MODIFY) < 0)
    fail(path);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &messages};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, messages_watch, &event) < 0) fail("epoll_ctl of messages");
}

static void messages_written(void) {
  uint8_t changes[1024];
  while (read(messages_watch, changes, sizeof changes) > 0) continue;
  messages_unsent = true;
}

static void replay_messages(void) {
  off_t size = lseek(messages, 0, SEEK_END);
  messages_sent = size > KEPT ? size - KEPT : 0;
  messages_unsent = true;
}

static void send_messages(void) {
  uint8_t data[LARGEST];
  while (in_session && messages_unsent && out.length < FULL) {
    ssize_t got = pread(messages, data, sizeof data, messages_sent);
    messages_unsent = got > 0;
    if (got <= 0) return;
    messages_sent += got;
    queue_frame(0, MESSAGES, data, got);
  }
}
