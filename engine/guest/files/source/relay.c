/* The guest's end of the agent stream: channels over one byte stream (virtio-serial), many at once.
 *
 *   relay PORT MESSAGES [SSHD ARGUMENT...]   PORT is a device of /dev, MESSAGES a file
 *
 * The host opens a channel to a target (targets.h): a Unix socket, a TCP or UDP address, or an sshd
 * of its own. It also receives the boot messages, which is what is appended to MESSAGES. The host's
 * end and the frames are in vm/guest/stream/. A connection through sshd costs the guest some twenty
 * system calls and two other processes for each request and answer; here it is six and none, which
 * counts where instructions are emulated. Nothing blocks: a socket that does not take its bytes
 * delays no other, for the host sends no more than WINDOW before they are taken.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "connections.h"
#include "frames.h"
#include "messages.h"

static const char MAGIC[8] = {'G', 'a', 'l', 'l', 'e', 'y', 'R', '1'};

enum {
  GREETING = 24, /* MAGIC and sixteen random bytes, of which four are the session */
  VERSION = 2,   /* of the targets and frames; an agent of version 1 sends no HELLO */
  EVENTS = 64,
};

static int port, port_poller;
static bool hung_up;
static struct bytes in; /* from the port */

static void close_all(void) {
  for (struct connection *it = connections; it != NULL; it = it->next)
    if (!it->closed) close_connection(it);
  out.start = out.length = 0;
}

/* End the session: the host receives zeros, which are no frame, and says hello again. */
static void reject_session(void) {
  static const uint8_t nothing[HEAD + LARGEST + TAIL];
  in_session = false;
  append(&out, nothing, sizeof nothing);
}

static void handle_frame(const struct head *head, const uint8_t *data) {
  struct connection *it = connections;
  while (it != NULL && (it->number != head->number || it->closed)) it = it->next;
  if (head->kind == OPEN) {
    if (it != NULL || head->number == 0)
      reject_session();
    else
      open_connection(head->number, data, head->length);
    return;
  }
  if (it == NULL) return; /* it ended while this was under way */
  if (head->kind == CLOSE) {
    close_connection(it);
    return;
  }
  if (!accept_data(it, head, data)) {
    reject_session();
    return;
  }
  bool is_for_socket = head->kind == DATA || head->kind == END;
  if (is_for_socket && it->datagrams)
    write_datagrams(it);
  else if (is_for_socket && !it->connecting && !it->discards)
    write_socket(it);
  update_events(it);
}

/* The host's hello begins a session, wherever it comes, and ends the one before. */
static bool find_hello(void) {
  uint8_t *found = memmem(in.data + in.start, in.length, MAGIC, sizeof MAGIC);
  if (found == NULL) {
    consume(&in, in.length < sizeof MAGIC ? 0 : in.length - (sizeof MAGIC - 1));
    return false;
  }
  consume(&in, found - (in.data + in.start));
  if (in.length < GREETING) return false;
  uint32_t number = read_number(in.data + in.start + sizeof MAGIC, sizeof number);
  if (number == 0) { /* zeros would be frames of this session, and are to be none */
    consume(&in, sizeof MAGIC);
    return true;
  }
  close_all();
  session = number;
  append(&out, in.data + in.start, GREETING);
  consume(&in, GREETING);
  in_session = true;
  queue_number(0, HELLO, VERSION);
  replay_messages();
  return true;
}

/* Handle one whole frame; false when there is none. A frame is valid only if it ends with the
 * session: the host may have been killed in the middle of one, and then a hello follows. */
static bool read_frame(void) {
  struct head head;
  if (in.length < HEAD) return false;
  memcpy(&head, in.data + in.start, HEAD);
  if (head.session != session || head.length > LARGEST) {
    reject_session();
    return true;
  }
  size_t whole = HEAD + head.length + TAIL;
  if (in.length < whole) return false;
  const uint8_t *data = in.data + in.start + HEAD;
  if (read_number(data + head.length, TAIL) != session)
    reject_session();
  else
    handle_frame(&head, data);
  consume(&in, whole);
  return true;
}

static void poll_port(int with, int change, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = NULL};
  if (epoll_ctl(with, change, port, &event) < 0) fail("epoll_ctl of the port");
}

/* Read from the port once; returns whether there may be more. 0 bytes: no host is connected. */
static bool read_port(void) {
  static uint8_t data[2 * LARGEST];
  ssize_t got = read(port, data, sizeof data);
  if (got < 0 && errno == EAGAIN) return false;
  if (got < 0) fail("read");
  hung_up = got == 0;
  if (hung_up) return false;
  append(&in, data, got);
  while (in_session ? read_frame() : find_hello()) continue;
  return true;
}

/* Write to the port what waits for it, as far as it takes it. Returns whether that was all. */
static bool flush(void) {
  while (out.length > 0) {
    ssize_t sent = write(port, out.data + out.start, out.length);
    if (sent < 0 && errno == EAGAIN) return false;
    if (sent < 0) fail("write");
    consume(&out, sent);
  }
  return true;
}

/* The host may still have a session with a process before this one: end it. */
static void reject_stale_session(void) {
  struct pollfd ready = {.fd = port, .events = POLLOUT};
  if (poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT) reject_session();
}

/* Wait for the port alone: no host is connected, or it takes nothing more. The kernel learns of a
 * host after its first bytes have arrived, so it may report a hang-up while one connects:
 * connections are kept for a second. A hang-up lasts, so epoll is edge-triggered here. */
static void wait_for_port(void) {
  struct epoll_event event;
  int count = epoll_wait(port_poller, &event, 1, hung_up && connections != NULL ? 1000 : -1);
  if (count == 0) close_all();
  if (count < 1) return;
  if (!(event.events & EPOLLHUP)) hung_up = false;
  while (read_port()) continue;
}

static void run_once(void) {
  static bool waits_for_room;
  struct epoll_event events[EVENTS];
  send_messages();
  bool all = flush();
  free_closed();
  if (hung_up || out.length >= FULL) {
    wait_for_port();
    return;
  }
  if (waits_for_room == all) {
    poll_port(poller, EPOLL_CTL_MOD, EPOLLIN | (all ? 0 : EPOLLOUT));
    waits_for_room = !all;
  }
  int count = epoll_wait(poller, events, EVENTS, -1);
  for (int i = 0; i < count; i++) {
    if (events[i].data.ptr == &messages)
      messages_written();
    else if (events[i].data.ptr != NULL)
      handle_socket(events[i].data.ptr, events[i].events);
    else if (events[i].events & (EPOLLIN | EPOLLHUP))
      read_port();
  }
}

int main(int count, char **words) {
  if (count < 3) {
    fprintf(stderr, "usage: relay PORT MESSAGES [SSHD ARGUMENT...]\n");
    return 2;
  }
  sshd = words + 3;
  signal(SIGCHLD, SIG_IGN); /* nothing waits for an sshd */
  if ((port = open(words[1], O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0) fail(words[1]);
  if ((poller = epoll_create1(EPOLL_CLOEXEC)) < 0) fail("epoll_create1");
  if ((port_poller = epoll_create1(EPOLL_CLOEXEC)) < 0) fail("epoll_create1");
  poll_port(poller, EPOLL_CTL_ADD, EPOLLIN);
  poll_port(port_poller, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT | EPOLLET);
  open_messages(words[2]);
  reject_stale_session();
  for (;;) run_once();
}
