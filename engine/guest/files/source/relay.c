/* The guest's end of the agent stream: channels over one byte stream (virtio-serial), many at once.
 *
 *   relay PORT [SSHD ARGUMENT...]   PORT is a device of /dev; ends when that cannot be opened
 *
 * The host opens a channel to a target (targets.h): a Unix socket, a TCP address, or an sshd of its
 * own. The host's end and the frames are in vm/guest/stream/. A connection through sshd costs the
 * guest some twenty system calls and two other processes for each request and answer; here it is
 * six and none, which counts where instructions are emulated. Nothing blocks: a socket that does
 * not take its bytes delays no other, for the host sends no more than WINDOW before they are taken.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "own.h"
#include "targets.h"

enum kind { OPEN = 1, OPENED, REFUSED, DATA, END, CLOSE, CREDIT, HELLO };

enum {
  LARGEST = 32768,      /* bytes of data in one frame */
  WINDOW = 262144,      /* bytes under way in one direction of a connection */
  GRANT = WINDOW / 4,   /* bytes taken before the other side gets credit for them */
  FULL = 4 * LARGEST,   /* bytes waiting for the port from which on no socket is read */
  HEAD = 16,
  TAIL = 4,
  GREETING = 24,        /* MAGIC and sixteen random bytes, of which four are the session */
  VERSION = 2,          /* of the targets and frames; an agent of version 1 sends no HELLO */
  EVENTS = 64,
};

static const char MAGIC[8] = {'G', 'a', 'l', 'l', 'e', 'y', 'R', '1'};

struct head {
  uint32_t session, number, kind, length;
};

struct bytes { /* what waits: from `start`, `length` bytes */
  uint8_t *data;
  size_t start, length, room;
};

struct connection {
  uint32_t number;
  int fd;
  uint32_t watched;     /* what epoll looks for; 0: it does not look */
  size_t credit;        /* bytes that the host still takes */
  size_t uncredited;    /* bytes received for which the host has no new credit yet */
  size_t taken;         /* of them those that the socket has taken */
  struct bytes waiting; /* for the socket */
  bool connecting;      /* the host has no answer yet */
  bool host_ended;      /* nothing more comes from the host */
  bool write_shut;      /* and the socket is shut down for writing, or takes nothing more */
  bool discards;        /* the socket takes nothing more: data for it is dropped */
  bool ended;           /* END has been sent to the host */
  bool closed;          /* to be freed */
  struct connection *next;
};

static int port, poller; /* of all sockets and the port */
static int port_poller;
static bool in_session, hung_up, any_closed;
static uint32_t session;
static struct connection *connections;
static struct bytes in, out; /* from and for the port */
static char **sshd; /* the words that start one; the first is NULL where there is none */

static void append(struct bytes *to, const void *data, size_t length) {
  if (length == 0) return;
  if (to->start > 0 && (to->length == 0 || to->start + to->length + length > to->room)) {
    memmove(to->data, to->data + to->start, to->length);
    to->start = 0;
  }
  if (to->length + length > to->room) {
    to->room = (to->length + length) * 2;
    if ((to->data = realloc(to->data, to->room)) == NULL) fail("memory");
  }
  memcpy(to->data + to->start + to->length, data, length);
  to->length += length;
}

static void consume(struct bytes *from, size_t length) {
  from->start = from->length == length ? 0 : from->start + length;
  from->length -= length;
}

static void queue_frame(uint32_t number, enum kind kind, const void *data, uint32_t length) {
  struct head head = {session, number, kind, length};
  append(&out, &head, HEAD);
  append(&out, data, length);
  append(&out, &session, TAIL);
}

static void queue_number(uint32_t number, enum kind kind, uint32_t value) {
  queue_frame(number, kind, &value, sizeof value);
}

/* --- one connection ---------------------------------------------------------------------------- */

/* Closing alone leaves it in epoll while a new sshd, between fork and exec, has a copy of it. */
static void close_connection(struct connection *it) {
  if (it->watched != 0) epoll_ctl(poller, EPOLL_CTL_DEL, it->fd, NULL);
  close(it->fd);
  free(it->waiting.data);
  it->waiting = (struct bytes){0};
  it->closed = any_closed = true;
}

/* epoll reports a hang-up whether asked for or not, so an idle connection is not watched at all. */
static void update_events(struct connection *it) {
  if (it->closed) return;
  uint32_t wanted = (!it->ended && it->credit > 0 ? EPOLLIN : 0) |
                    (it->waiting.length > 0 ? EPOLLOUT : 0);
  if (it->connecting) wanted = EPOLLOUT;
  if (wanted == it->watched) return;
  struct epoll_event event = {.events = wanted, .data.ptr = it};
  int change = it->watched == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (epoll_ctl(poller, change, it->fd, &event) < 0) fail("epoll_ctl");
  it->watched = wanted;
}

static void count_taken(struct connection *it, size_t length) {
  it->taken += length;
  if (it->taken < GRANT) return;
  queue_number(it->number, CREDIT, it->taken);
  it->uncredited -= it->taken;
  it->taken = 0;
}

static void close_if_finished(struct connection *it) {
  if (!it->ended || !it->write_shut) return;
  if (!it->host_ended) queue_frame(it->number, CLOSE, NULL, 0);
  close_connection(it);
}

/* Write to the socket what waits for it, as far as it takes it. */
static void write_socket(struct connection *it) {
  while (it->waiting.length > 0) {
    ssize_t sent = send(it->fd, it->waiting.data + it->waiting.start, it->waiting.length,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) { /* there may still be something to read */
      it->discards = it->write_shut = true;
      count_taken(it, it->waiting.length);
      consume(&it->waiting, it->waiting.length);
      break;
    }
    consume(&it->waiting, sent);
    count_taken(it, sent);
  }
  if (it->host_ended && !it->write_shut) {
    shutdown(it->fd, SHUT_WR);
    it->write_shut = true;
  }
  close_if_finished(it);
}

static void read_socket(struct connection *it) {
  uint8_t data[LARGEST];
  size_t limit = it->credit < LARGEST ? it->credit : LARGEST;
  ssize_t got = recv(it->fd, data, limit, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) { /* an error: the other end was closed with data unread */
    it->ended = true;
    if (got < 0) it->discards = it->write_shut = true;
    queue_frame(it->number, END, NULL, 0);
    close_if_finished(it);
  } else {
    it->credit -= got;
    queue_frame(it->number, DATA, data, got);
  }
}

/* The end of a connect that was under way; returns whether it succeeded. */
static bool finish_connect(struct connection *it) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(it->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
  it->connecting = false;
  if (error == 0) {
    queue_frame(it->number, OPENED, NULL, 0);
    return true;
  }
  queue_number(it->number, REFUSED, error);
  close_connection(it);
  return false;
}

static void handle_socket(struct connection *it, uint32_t events) {
  if (it->closed || (it->connecting && !finish_connect(it))) return;
  if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) write_socket(it);
  bool readable = events & (EPOLLIN | EPOLLERR | EPOLLHUP);
  if (readable && !it->closed && !it->ended && it->credit > 0 && out.length < FULL) read_socket(it);
  update_events(it);
}

static void free_closed(void) {
  if (!any_closed) return;
  any_closed = false;
  for (struct connection **at = &connections; *at != NULL;) {
    struct connection *it = *at;
    if (it->closed) {
      *at = it->next;
      free(it);
    } else {
      at = &it->next;
    }
  }
}

static void open_connection(uint32_t number, const uint8_t *data, size_t length) {
  bool connecting = false;
  int fd = open_target((const char *)data, length, sshd, &connecting);
  if (fd < 0) {
    queue_number(number, REFUSED, errno);
    return;
  }
  struct connection *it = calloc(1, sizeof *it);
  if (it == NULL) fail("memory");
  *it = (struct connection){
      .number = number, .fd = fd, .credit = WINDOW, .connecting = connecting, .next = connections};
  connections = it;
  if (!connecting) queue_frame(number, OPENED, NULL, 0);
  update_events(it);
}

/* --- the port ---------------------------------------------------------------------------------- */

static void close_all(void) {
  for (struct connection *it = connections; it != NULL; it = it->next)
    if (!it->closed) close_connection(it);
  out.start = out.length = 0;
}

static uint32_t read_number(const uint8_t *data, size_t length) {
  uint32_t value = 0;
  memcpy(&value, data, length < sizeof value ? length : sizeof value);
  return value;
}

/* End the session: the host receives zeros, which are no frame, and says hello again. */
static void reject_session(void) {
  static const uint8_t nothing[HEAD + LARGEST + TAIL];
  in_session = false;
  append(&out, nothing, sizeof nothing);
}

/* Handle DATA, END and CREDIT of a connection. Returns false where the host broke the protocol. */
static bool accept_data(struct connection *it, const struct head *head, const uint8_t *data) {
  if (head->kind == DATA) {
    it->uncredited += head->length;
    if (head->length == 0 || it->host_ended || it->uncredited > WINDOW) return false;
    if (it->discards)
      count_taken(it, head->length);
    else
      append(&it->waiting, data, head->length);
  } else if (head->kind == END) {
    it->host_ended = true;
  } else if (head->kind == CREDIT) {
    uint32_t more = read_number(data, head->length);
    if (head->length != sizeof more || more > WINDOW - it->credit) return false;
    it->credit += more;
  }
  return true;
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
  if (is_for_socket && !it->connecting && !it->discards) write_socket(it);
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
    if (events[i].data.ptr != NULL)
      handle_socket(events[i].data.ptr, events[i].events);
    else if (events[i].events & (EPOLLIN | EPOLLHUP))
      read_port();
  }
}

int main(int count, char **words) {
  if (count < 2) {
    fprintf(stderr, "usage: relay PORT [SSHD ARGUMENT...]\n");
    return 2;
  }
  sshd = words + 2;
  signal(SIGCHLD, SIG_IGN); /* nothing waits for an sshd */
  if ((port = open(words[1], O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0) fail(words[1]);
  if ((poller = epoll_create1(EPOLL_CLOEXEC)) < 0) fail("epoll_create1");
  if ((port_poller = epoll_create1(EPOLL_CLOEXEC)) < 0) fail("epoll_create1");
  poll_port(poller, EPOLL_CTL_ADD, EPOLLIN);
  poll_port(port_poller, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT | EPOLLET);
  reject_stale_session();
  for (;;) run_once();
}
