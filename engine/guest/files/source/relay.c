/* The guest's end of the agent stream: channels over one byte stream (virtio-serial), many at once.
 *
 *   relay PORT [SSHD ARGUMENT...]   PORT is a device of /dev; ends when that cannot be opened
 *
 * The host opens a channel to a target (see targets.h): a Unix socket, a TCP address, or an sshd of its
 * own. The host's end and the frames are in vm/guest/stream/. A connection through sshd costs the
 * guest some twenty system calls and two other processes for each request and answer; here it is
 * six and none, which counts where instructions are emulated. Nothing blocks: a socket that does
 * not take its bytes holds up nobody else, for the host sends no more than WINDOW before it hears
 * that they were taken.
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
  LARGEST = 32768,      /* bytes that one frame carries */
  WINDOW = 262144,      /* bytes under way in one direction of a connection */
  GRANT = WINDOW / 4,   /* bytes taken before the other side is told */
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
  size_t owed;          /* bytes taken from the host that it has no credit for again */
  size_t taken;         /* of them those that the socket took */
  struct bytes waiting; /* for the socket */
  bool connecting;      /* the host has no answer yet */
  bool host_ended;      /* nothing more comes from the host */
  bool shut;            /* and the socket knows, or hears nobody any more */
  bool deaf;            /* the socket's owner no longer reads */
  bool ended;           /* the socket's owner writes no more, and the host knows */
  bool gone;            /* to be freed */
  struct connection *next;
};

static int port, poller; /* of all sockets and the port */
static int port_poller;
static bool greeted, hung_up, any_gone;
static uint32_t session;
static struct connection *connections;
static struct bytes in, out; /* from and for the port */
static char **sshd; /* the words that start one; the first is NULL where there is none */

static void put(struct bytes *to, const void *data, size_t length) {
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

static void drop(struct bytes *from, size_t length) {
  from->start = from->length == length ? 0 : from->start + length;
  from->length -= length;
}

static void say(uint32_t number, enum kind kind, const void *data, uint32_t length) {
  struct head head = {session, number, kind, length};
  put(&out, &head, HEAD);
  put(&out, data, length);
  put(&out, &session, TAIL);
}

static void say_number(uint32_t number, enum kind kind, uint32_t value) {
  say(number, kind, &value, sizeof value);
}

/* --- one connection ---------------------------------------------------------------------------- */

static void leave(struct connection *it) {
  close(it->fd); /* epoll forgets it by itself */
  free(it->waiting.data);
  it->waiting = (struct bytes){0};
  it->gone = any_gone = true;
}

/* A hang-up is reported whether asked for or not, so who has nothing to do is not looked at. */
static void watch(struct connection *it) {
  if (it->gone) return;
  uint32_t wanted = (!it->ended && it->credit > 0 ? EPOLLIN : 0) |
                    (it->waiting.length > 0 ? EPOLLOUT : 0);
  if (it->connecting) wanted = EPOLLOUT;
  if (wanted == it->watched) return;
  struct epoll_event event = {.events = wanted, .data.ptr = it};
  int change = it->watched == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (epoll_ctl(poller, change, it->fd, &event) < 0) fail("epoll_ctl");
  it->watched = wanted;
}

static void took(struct connection *it, size_t length) {
  it->taken += length;
  if (it->taken < GRANT) return;
  say_number(it->number, CREDIT, it->taken);
  it->owed -= it->taken;
  it->taken = 0;
}

static void finish_if_over(struct connection *it) {
  if (!it->ended || !it->shut) return;
  if (!it->host_ended) say(it->number, CLOSE, NULL, 0);
  leave(it);
}

/* Give the socket what waits for it, as far as it takes it. */
static void feed(struct connection *it) {
  while (it->waiting.length > 0) {
    ssize_t sent = send(it->fd, it->waiting.data + it->waiting.start, it->waiting.length,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) { /* its owner may still say why */
      it->deaf = it->shut = true;
      took(it, it->waiting.length);
      drop(&it->waiting, it->waiting.length);
      break;
    }
    drop(&it->waiting, sent);
    took(it, sent);
  }
  if (it->host_ended && !it->shut) {
    shutdown(it->fd, SHUT_WR);
    it->shut = true;
  }
  finish_if_over(it);
}

static void read_socket(struct connection *it) {
  uint8_t data[LARGEST];
  size_t limit = it->credit < LARGEST ? it->credit : LARGEST;
  ssize_t got = recv(it->fd, data, limit, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) { /* an error is its owner's having left without reading all */
    it->ended = true;
    if (got < 0) it->deaf = it->shut = true;
    say(it->number, END, NULL, 0);
    finish_if_over(it);
  } else {
    it->credit -= got;
    say(it->number, DATA, data, got);
  }
}

/* Whether a connection that was under way is there. */
static bool is_connected(struct connection *it) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(it->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
  it->connecting = false;
  if (error == 0) {
    say(it->number, OPENED, NULL, 0);
    return true;
  }
  say_number(it->number, REFUSED, error);
  leave(it);
  return false;
}

static void serve(struct connection *it, uint32_t events) {
  if (it->gone || (it->connecting && !is_connected(it))) return;
  if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) feed(it);
  bool readable = events & (EPOLLIN | EPOLLERR | EPOLLHUP);
  if (readable && !it->gone && !it->ended && it->credit > 0 && out.length < FULL) read_socket(it);
  watch(it);
}

static void free_gone(void) {
  if (!any_gone) return;
  any_gone = false;
  for (struct connection **at = &connections; *at != NULL;) {
    struct connection *it = *at;
    if (it->gone) {
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
    say_number(number, REFUSED, errno);
    return;
  }
  struct connection *it = calloc(1, sizeof *it);
  if (it == NULL) fail("memory");
  *it = (struct connection){
      .number = number, .fd = fd, .credit = WINDOW, .connecting = connecting, .next = connections};
  connections = it;
  if (!connecting) say(number, OPENED, NULL, 0);
  watch(it);
}

/* --- the port ---------------------------------------------------------------------------------- */

static void end_all(void) {
  for (struct connection *it = connections; it != NULL; it = it->next)
    if (!it->gone) leave(it);
  out.start = out.length = 0;
}

static uint32_t number_of(const uint8_t *data, size_t length) {
  uint32_t value = 0;
  memcpy(&value, data, length < sizeof value ? length : sizeof value);
  return value;
}

/* A host that speaks to one who does not understand it learns it from what is no frame. */
static void confuse_host(void) {
  static const uint8_t nothing[HEAD + LARGEST + TAIL];
  greeted = false;
  put(&out, nothing, sizeof nothing);
}

/* Of what the host sends to a connection, take what it may send; returns whether that was all. */
static bool take(struct connection *it, const struct head *head, const uint8_t *data) {
  if (head->kind == DATA) {
    it->owed += head->length;
    if (head->length == 0 || it->host_ended || it->owed > WINDOW) return false;
    if (it->deaf)
      took(it, head->length);
    else
      put(&it->waiting, data, head->length);
  } else if (head->kind == END) {
    it->host_ended = true;
  } else if (head->kind == CREDIT) {
    uint32_t more = number_of(data, head->length);
    if (head->length != sizeof more || more > WINDOW - it->credit) return false;
    it->credit += more;
  }
  return true;
}

static void obey(const struct head *head, const uint8_t *data) {
  struct connection *it = connections;
  while (it != NULL && (it->number != head->number || it->gone)) it = it->next;
  if (head->kind == OPEN) {
    if (it != NULL || head->number == 0)
      confuse_host();
    else
      open_connection(head->number, data, head->length);
    return;
  }
  if (it == NULL) return; /* it ended while this was under way */
  if (head->kind == CLOSE) {
    leave(it);
    return;
  }
  if (!take(it, head, data)) {
    confuse_host();
    return;
  }
  if ((head->kind == DATA || head->kind == END) && !it->connecting && !it->deaf) feed(it);
  watch(it);
}

/* The host's greeting begins a session, wherever it comes: whatever was there is over. */
static bool greet(void) {
  uint8_t *found = memmem(in.data + in.start, in.length, MAGIC, sizeof MAGIC);
  if (found == NULL) {
    drop(&in, in.length < sizeof MAGIC ? 0 : in.length - (sizeof MAGIC - 1));
    return false;
  }
  drop(&in, found - (in.data + in.start));
  if (in.length < GREETING) return false;
  end_all();
  memcpy(&session, in.data + in.start + sizeof MAGIC, sizeof session);
  put(&out, in.data + in.start, GREETING);
  drop(&in, GREETING);
  greeted = true;
  say_number(0, HELLO, VERSION);
  return true;
}

/* One whole frame, or false when there is none. Only what ends as it began is believed: the host
 * may have been killed in the middle of a frame, and what follows is the next one's greeting. */
static bool take_frame(void) {
  struct head head;
  if (in.length < HEAD) return false;
  memcpy(&head, in.data + in.start, HEAD);
  if (head.session != session || head.length > LARGEST) {
    confuse_host();
    return true;
  }
  size_t whole = HEAD + head.length + TAIL;
  if (in.length < whole) return false;
  const uint8_t *data = in.data + in.start + HEAD;
  if (number_of(data + head.length, TAIL) != session)
    confuse_host();
  else
    obey(&head, data);
  drop(&in, whole);
  return true;
}

static void watch_port(int with, int change, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = NULL};
  if (epoll_ctl(with, change, port, &event) < 0) fail("epoll_ctl of the port");
}

/* What the port has; returns whether there may be more. No bytes: no host, it seems. */
static bool read_port(void) {
  static uint8_t data[2 * LARGEST];
  ssize_t got = read(port, data, sizeof data);
  if (got < 0 && errno == EAGAIN) return false;
  if (got < 0) fail("read");
  hung_up = got == 0;
  if (hung_up) return false;
  put(&in, data, got);
  while (greeted ? take_frame() : greet()) continue;
  return true;
}

/* Give the port what waits for it, as far as it takes it. Returns whether that was all. */
static bool flush(void) {
  while (out.length > 0) {
    ssize_t sent = write(port, out.data + out.start, out.length);
    if (sent < 0 && errno == EAGAIN) return false;
    if (sent < 0) fail("write");
    drop(&out, sent);
  }
  return true;
}

/* A host may still believe that it speaks to a relay before this one. */
static void warn_host(void) {
  struct pollfd ready = {.fd = port, .events = POLLOUT};
  if (poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT) confuse_host();
}

/* Nothing but the port: there is no host, or it takes nothing more. The kernel hears of a host later
 * than its first bytes arrive, so that it may seem gone when it has just come: what it left is kept
 * for a second. A hang-up lasts, so only changes count here. */
static void wait_for_port(void) {
  struct epoll_event event;
  int count = epoll_wait(port_poller, &event, 1, hung_up && connections != NULL ? 1000 : -1);
  if (count == 0) end_all();
  if (count < 1) return;
  if (!(event.events & EPOLLHUP)) hung_up = false;
  while (read_port()) continue;
}

static void work(void) {
  static bool waits_for_room;
  struct epoll_event events[EVENTS];
  bool all = flush();
  free_gone();
  if (hung_up || out.length >= FULL) {
    wait_for_port();
    return;
  }
  if (waits_for_room == all) {
    watch_port(poller, EPOLL_CTL_MOD, EPOLLIN | (all ? 0 : EPOLLOUT));
    waits_for_room = !all;
  }
  int count = epoll_wait(poller, events, EVENTS, -1);
  for (int i = 0; i < count; i++) {
    if (events[i].data.ptr != NULL)
      serve(events[i].data.ptr, events[i].events);
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
  watch_port(poller, EPOLL_CTL_ADD, EPOLLIN);
  watch_port(port_poller, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT | EPOLLET);
  warn_host();
  for (;;) work();
}
