/* Channels of the agent stream: the socket of each, and what waits for it. */
#pragma once
#include <sys/epoll.h>

#include "frames.h"
#include "targets.h"

enum {
  WINDOW = 262144,    /* bytes under way in one direction of a connection */
  GRANT = WINDOW / 4, /* bytes taken before the other side gets credit for them */
  LENGTH = 2,         /* bytes in front of a datagram: its length, little-endian */
  DATAGRAM = 65507,   /* bytes of the longest one */
};

struct connection {
  uint32_t number;
  int fd;
  uint32_t watched;     /* what epoll looks for; 0: it does not look */
  size_t credit;        /* bytes that the host still takes */
  size_t uncredited;    /* bytes received for which the host has no new credit yet */
  size_t taken;         /* of them those that the socket has taken */
  struct bytes waiting; /* for the socket */
  bool datagrams;       /* the socket's; on the stream each has its length in front */
  bool connecting;      /* the host has no answer yet */
  bool host_ended;      /* nothing more comes from the host */
  bool write_shut;      /* and the socket is shut down for writing, or takes nothing more */
  bool discards;        /* the socket takes nothing more: data for it is dropped */
  bool ended;           /* END has been sent to the host */
  bool closed;          /* to be freed */
  struct connection *next;
};

static int poller; /* of all sockets, the port, and the boot messages */
static struct connection *connections;
static bool any_closed;
static char **sshd; /* the words that start one; the first is NULL where there is none */

/* Closing alone leaves it in epoll while a new sshd, between fork and exec, has a copy of it. */
static void close_connection(struct connection *it) {
  if (it->watched != 0) epoll_ctl(poller, EPOLL_CTL_DEL, it->fd, NULL);
  close(it->fd);
  free(it->waiting.data);
  it->waiting = (struct bytes){0};
  it->closed = any_closed = true;
}

/* Whether the host takes what the socket may give next. */
static bool may_read(const struct connection *it) {
  return !it->ended && it->credit >= (it->datagrams ? LENGTH + DATAGRAM : 1);
}

/* epoll reports a hang-up whether asked for or not, so an idle connection is not watched at all. */
static void update_events(struct connection *it) {
  if (it->closed) return;
  uint32_t wanted = (may_read(it) ? EPOLLIN : 0) |
                    (it->waiting.length > 0 && !it->datagrams ? EPOLLOUT : 0);
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

/* Send the whole datagrams of what waits. One that cannot be sent is lost, as on any network. A
 * channel of datagrams has no half-close: it ends when the host sends nothing more. */
static void write_datagrams(struct connection *it) {
  while (it->waiting.length >= LENGTH) {
    const uint8_t *at = it->waiting.data + it->waiting.start;
    size_t length = at[0] | at[1] << 8;
    if (it->waiting.length < LENGTH + length) break;
    send(it->fd, at + LENGTH, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    consume(&it->waiting, LENGTH + length);
    count_taken(it, LENGTH + length);
  }
  if (!it->host_ended) return;
  queue_frame(it->number, END, NULL, 0);
  close_connection(it);
}

/* An error is an answer by ICMP to a datagram before: nothing listens there now. */
static void read_datagram(struct connection *it) {
  uint8_t data[LENGTH + DATAGRAM];
  ssize_t got = recv(it->fd, data + LENGTH, DATAGRAM, MSG_DONTWAIT);
  if (got < 0) return;
  data[0] = got & 255;
  data[1] = got >> 8;
  it->credit -= LENGTH + got;
  for (size_t sent = 0, left = LENGTH + got, next; left > 0; sent += next, left -= next) {
    next = left < LARGEST ? left : LARGEST;
    queue_frame(it->number, DATA, data + sent, next);
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
  if (!it->datagrams && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) write_socket(it);
  bool readable = events & (EPOLLIN | EPOLLERR | EPOLLHUP);
  if (readable && !it->closed && may_read(it) && out.length < FULL) {
    if (it->datagrams)
      read_datagram(it);
    else
      read_socket(it);
  }
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
  bool connecting = false, datagrams = false;
  int fd = open_target((const char *)data, length, sshd, &connecting, &datagrams);
  if (fd < 0) {
    queue_number(number, REFUSED, errno);
    return;
  }
  struct connection *it = calloc(1, sizeof *it);
  if (it == NULL) fail("memory");
  *it = (struct connection){.number = number,
                            .fd = fd,
                            .credit = WINDOW,
                            .connecting = connecting,
                            .datagrams = datagrams,
                            .next = connections};
  connections = it;
  if (!connecting) queue_frame(number, OPENED, NULL, 0);
  update_events(it);
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
