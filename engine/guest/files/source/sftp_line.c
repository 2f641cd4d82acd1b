/* The connection between an sshfs and the host that serves its folder; reconnects without an error.
 *
 *   GALLEY_LINE=SOCKET LD_PRELOAD=sftp_line.so sshfs -o passive ...
 *
 * sshfs's stdout goes to the client that is connected at SOCKET, and its stdin comes from there, in
 * sshfs's own threads: there is no other process that would have to be woken for each packet. When the
 * connection ends, because the supervisor was killed or the machine was suspended, this waits for the
 * next one, reopens all open files and folders there, replays the unanswered requests, and continues:
 * for containers the folder was only slow for a while. This implements as much of SFTP (version 3,
 * draft 02) as that needs, and two extended requests that vm/sftp/server.py supports:
 *
 *   EXTENDED id "reopen@galley" HANDLE PATH FOLDER NUMBER   answered by STATUS
 *   EXTENDED id "again@galley" kind...                      answered as that request is
 *
 * NUMBER is a file's flags, or how many entries of a folder have been read. A replayed request may have
 * been carried out already, and then succeeds.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "own.h"

enum { INIT = 1, VERSION, OPEN, CLOSE, OPENDIR = 11, READDIR, RENAME = 18, STATUS = 101, HANDLE,
       NAME = 104, EXTENDED = 200 };
enum { OK = 0, LONGEST = 4 << 20, LONGEST_HANDLE = 64 };
#define POSIX_RENAME "posix-rename@openssh.com"
#define REOPEN "reopen@galley"
#define AGAIN "again@galley"

struct text { const uint8_t *at; uint32_t size; };

struct packet { uint32_t size; uint8_t *at; }; /* begins with its length */

struct request { /* not answered yet */
  struct request *next;
  struct packet packet;
  int again; /* it is replayed: it may have been carried out */
};

struct opened { /* by sshfs, and not closed */
  struct opened *next;
  struct text handle, path;
  uint32_t folder, number;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct request *first, **last = &first;
static struct opened *all_opened;
static struct packet greeting, unanswered;
static const uint8_t *sending; /* the packet that is being sent to the host */
static int host = -1, is_open, is_greeted;
static pthread_t replaying;

/* ---- packets ---- */

static void *allocate(size_t size) {
  void *made = malloc(size ? size : 1);
  if (!made) fail("malloc");
  return made;
}

static uint32_t number_at(const uint8_t *at) {
  uint32_t number;
  memcpy(&number, at, 4);
  return be32toh(number);
}

static uint8_t *put_number(uint8_t *at, uint32_t number) {
  number = htobe32(number);
  memcpy(at, &number, 4);
  return at + 4;
}

static uint8_t *put_text(uint8_t *at, struct text text) {
  at = put_number(at, text.size);
  memcpy(at, text.at, text.size);
  return at + text.size;
}

static struct text copy_of(struct text text) {
  uint8_t *made = allocate(text.size);
  memcpy(made, text.at, text.size);
  return (struct text){made, text.size};
}

static int is_same(struct text one, struct text other) {
  return one.size == other.size && !memcmp(one.at, other.at, one.size);
}

static struct text word(const char *text) { return (struct text){(const uint8_t *)text, strlen(text)}; }

static int kind_of(struct packet packet) { return packet.at[4]; }

/* The text at `offset`, which is moved behind it; an empty text where the packet is too short. */
static struct text text_in(struct packet packet, uint32_t *offset) {
  if (*offset + 4 > packet.size) return (struct text){packet.at, 0};
  uint32_t size = number_at(packet.at + *offset), begin = *offset + 4;
  if (size > packet.size - begin) return (struct text){packet.at, 0};
  *offset = begin + size;
  return (struct text){packet.at + begin, size};
}

static uint32_t number_in(struct packet packet, uint32_t offset) {
  return offset + 4 > packet.size ? 0 : number_at(packet.at + offset);
}

static int receives_all(int from, uint8_t *at, size_t size) {
  while (size) {
    ssize_t got = recv(from, at, size, MSG_WAITALL);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return 0;
    at += got, size -= got;
  }
  return 1;
}

/* The next packet, to be freed; none at the end, or where its length is invalid. */
static struct packet receive(int from) {
  uint8_t length[4];
  struct packet got = {0, NULL};
  if (!receives_all(from, length, 4)) return got;
  uint32_t size = number_at(length);
  if (size < 5 || size > LONGEST) return got;
  got.at = allocate(4 + size);
  memcpy(got.at, length, 4);
  if (receives_all(from, got.at + 4, size)) {
    got.size = 4 + size;
  } else {
    free(got.at);
    got.at = NULL;
  }
  return got;
}

static int is_sent(int to, struct packet packet) {
  while (packet.size) {
    ssize_t done = send(to, packet.at, packet.size, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return 0;
    packet.at += done, packet.size -= done;
  }
  return 1;
}

/* ---- open files and folders ---- */

static struct opened **place_of(struct text handle) {
  struct opened **place = &all_opened;
  while (*place && !is_same((*place)->handle, handle)) place = &(*place)->next;
  return place;
}

static void record_opened(struct packet asked, struct text handle) {
  if (handle.size > LONGEST_HANDLE) return;
  struct opened *made = allocate(sizeof *made);
  uint32_t offset = 9;
  struct text path = text_in(asked, &offset);
  *made = (struct opened){all_opened, copy_of(handle), copy_of(path), kind_of(asked) == OPENDIR, 0};
  if (!made->folder) made->number = number_in(asked, offset);
  all_opened = made;
}

static void record_closed(struct text handle) {
  struct opened **place = place_of(handle), *gone = *place;
  if (!gone) return;
  *place = gone->next;
  free((void *)gone->handle.at);
  free((void *)gone->path.at);
  free(gone);
}

/* `path` after a rename of `old` to `fresh`; to be freed. None where the rename does not concern it. */
static struct text path_after_rename(struct text path, struct text old, struct text fresh) {
  if (path.size < old.size || memcmp(path.at, old.at, old.size)) return (struct text){NULL, 0};
  if (path.size > old.size && path.at[old.size] != '/') return (struct text){NULL, 0};
  uint32_t rest = path.size - old.size;
  uint8_t *made = allocate(fresh.size + rest);
  memcpy(made, fresh.at, fresh.size);
  memcpy(made + fresh.size, path.at + old.size, rest);
  return (struct text){made, fresh.size + rest};
}

static void set_path(struct opened *one, struct text path) {
  if (!path.at) return;
  free((void *)one->path.at);
  one->path = path;
}

/* Whether the request is a rename, and of which paths. */
static int is_renaming(struct packet asked, struct text *old, struct text *fresh) {
  uint32_t offset = 9;
  int is_plain = kind_of(asked) == RENAME;
  if (!is_plain && kind_of(asked) != EXTENDED) return 0;
  if (!is_plain && !is_same(text_in(asked, &offset), word(POSIX_RENAME))) return 0;
  *old = text_in(asked, &offset);
  *fresh = text_in(asked, &offset);
  return old->size > 0;
}

/* ---- requests and answers ---- */

static void queue_request(struct packet packet) {
  if (kind_of(packet) == INIT) {
    greeting = packet;
    return;
  }
  struct request *made = allocate(sizeof *made);
  *made = (struct request){NULL, packet, 0};
  *last = made;
  last = &made->next;
}

/* Remove the request with this id from the queue; nearly always it is the oldest. */
static struct request *take_request(const uint8_t *id) {
  for (struct request **place = &first; *place; place = &(*place)->next) {
    struct request *found = *place;
    if (memcmp(found->packet.at + 5, id, 4)) continue;
    *place = found->next;
    if (!*place) last = place;
    return found;
  }
  return NULL;
}

static void apply_answer(struct request *asked, struct packet answer) {
  int kind = kind_of(asked->packet);
  uint32_t offset = 9, begin = 9;
  struct text old, fresh;
  if (kind_of(answer) == HANDLE) {
    record_opened(asked->packet, text_in(answer, &begin));
  } else if (kind_of(answer) == NAME && kind == READDIR) {
    struct opened *folder = *place_of(text_in(asked->packet, &offset));
    if (folder) folder->number += number_in(answer, 9);
  } else if (kind_of(answer) == STATUS && answer.size >= 13) {
    if (kind == CLOSE) { /* earlier requests for this handle have been answered, too */
      record_closed(text_in(asked->packet, &offset));
      if (asked->again) put_number(answer.at + 9, OK); /* it may not have been reopened */
    }
    if (number_at(answer.at + 9) == OK && is_renaming(asked->packet, &old, &fresh))
      for (struct opened *one = all_opened; one; one = one->next)
        set_path(one, path_after_rename(one->path, old, fresh));
  }
}

/* ---- the next connection ---- */

/* The replay of all unanswered requests, in their order, as one packet. */
static struct packet pack_replay(void) {
  struct packet all = {0, NULL};
  struct text tag = word(AGAIN);
  uint32_t more = 4 + tag.size + 1;
  for (struct request *one = first; one; one = one->next) all.size += one->packet.size + more;
  uint8_t *at = all.at = allocate(all.size);
  for (struct request *one = first; one; one = one->next) {
    one->again = 1;
    at = put_number(at, one->packet.size - 4 + more);
    *at++ = EXTENDED;
    memcpy(at, one->packet.at + 5, 4);
    at = put_text(at + 4, tag);
    *at++ = kind_of(one->packet);
    memcpy(at, one->packet.at + 9, one->packet.size - 9);
    at += one->packet.size - 9;
  }
  return all;
}

/* Request a reopen; returns the host's status, or -1 where the connection has ended. */
static int64_t request_reopen(struct opened *one, struct text path) {
  struct text tag = word(REOPEN);
  uint32_t size = 9 + 4 + tag.size + 4 + one->handle.size + 4 + path.size + 8;
  struct packet packet = {size, allocate(size)};
  uint8_t *at = put_number(packet.at, size - 4);
  *at++ = EXTENDED;
  at = put_text(put_text(put_text(put_number(at, 0), tag), one->handle), path);
  put_number(put_number(at, one->folder), one->number);
  int sent = is_sent(host, packet);
  free(packet.at);
  struct packet answer = sent ? receive(host) : (struct packet){0, NULL};
  int64_t code = answer.size >= 13 ? (int64_t)number_at(answer.at + 9) : -1;
  free(answer.at);
  return code;
}

/* Reopen a file by its path, or by a path of an unanswered rename. Where it is missing, later requests
 * for it fail. Returns whether the connection is still open. */
static int is_reopened(struct opened *one) {
  int64_t code = request_reopen(one, one->path);
  struct text path = copy_of(one->path), old, fresh, next;
  for (struct request *asked = first; asked && code > OK; asked = asked->next) {
    if (!is_renaming(asked->packet, &old, &fresh)) continue;
    if (!(next = path_after_rename(path, old, fresh)).at) continue;
    free((void *)path.at);
    path = next;
    code = request_reopen(one, path);
  }
  if (code == OK) set_path(one, path);
  else free((void *)path.at);
  return code >= 0;
}

/* Greet a new connection and reopen all files; no other thread uses the connection meanwhile. */
static int is_resumed(void) {
  if (!greeting.at) return 1;
  if (!is_sent(host, greeting)) return 0;
  if (!is_greeted) return 1;
  struct packet version = receive(host);
  int right = version.at && kind_of(version) == VERSION;
  free(version.at);
  for (struct opened *one = all_opened; right && one; one = one->next) right = is_reopened(one);
  return right;
}

/* Replay in a thread of its own, because the host answers before it has read all requests. */
static void *replay(void *unused) {
  is_sent(host, unanswered);
  free(unanswered.at);
  pthread_mutex_lock(&lock);
  is_open = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  return unused;
}

/* Wait for a connection, in sshfs's reading thread; writing threads wait until it is open. */
static void accept_next(void) {
  static int listening = -1;
  if (listening < 0) listening = listen_at(getenv("GALLEY_LINE"), 0, 4);
  for (;;) {
    host = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (host >= 0 && is_resumed()) break;
    if (host >= 0) close(host);
  }
  unanswered = pack_replay();
  if (pthread_create(&replaying, NULL, replay, NULL)) fail("pthread_create");
}

static void disconnect(void) {
  shutdown(host, SHUT_RDWR); /* unblocks threads that write to it */
  pthread_join(replaying, NULL);
  pthread_mutex_lock(&lock);
  is_open = 0;
  while (sending) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  close(host);
  host = -1;
}

/* ---- both directions, in sshfs's threads ---- */

static void pass_request(struct packet packet) {
  if (kind_of(packet) == INIT && host < 0) accept_next(); /* sshfs has no reading thread yet */
  pthread_mutex_lock(&lock);
  while (!is_open) pthread_cond_wait(&changed, &lock);
  queue_request(packet);
  sending = packet.at;
  pthread_mutex_unlock(&lock);
  is_sent(host, packet); /* on failure, the reading thread finds that the connection has ended */
  pthread_mutex_lock(&lock);
  sending = NULL;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

/* Whether sshfs waits for this answer. */
static int is_awaited(struct packet answer) {
  if (kind_of(answer) == VERSION) return is_greeted = 1;
  pthread_mutex_lock(&lock);
  struct request *asked = answer.size < 9 ? NULL : take_request(answer.at + 5);
  if (asked) apply_answer(asked, answer);
  while (asked && asked->packet.at == sending) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  if (!asked) return 0;
  free(asked->packet.at);
  free(asked);
  return 1;
}

static struct packet next_answer(void) {
  for (;;) {
    if (host < 0) accept_next();
    struct packet answer = receive(host);
    if (!answer.at) disconnect();
    else if (is_awaited(answer)) return answer;
    free(answer.at);
  }
}

/* sshfs writes each request with one call, and one request at a time. */
ssize_t writev(int to, const struct iovec *parts, int count) {
  if (to != STDOUT_FILENO) return syscall(SYS_writev, to, parts, count);
  struct packet packet = {0, NULL};
  for (int i = 0; i < count; i++) packet.size += parts[i].iov_len;
  uint8_t *at = packet.at = allocate(packet.size);
  for (int i = 0; i < count; i++) {
    memcpy(at, parts[i].iov_base, parts[i].iov_len);
    at += parts[i].iov_len;
  }
  pass_request(packet);
  return packet.size;
}

ssize_t read(int from, void *into, size_t size) {
  if (from != STDIN_FILENO) return syscall(SYS_read, from, into, size);
  static struct packet answer;
  static uint32_t given;
  if (given == answer.size) {
    free(answer.at);
    answer = next_answer();
    given = 0;
  }
  if (size > answer.size - given) size = answer.size - given;
  memcpy(into, answer.at + given, size);
  given += size;
  return size;
}
