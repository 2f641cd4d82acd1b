/* Waits, in a machine that goes on from a template, for what the host hands over, once.
 *
 *   handover SOCKET FILE
 *
 * The host connects to SOCKET (vm/lifecycle/boot_steps.py) and sends MAGIC, the number of bytes that follow the
 * head, what time it is, random bytes (seed.h), and then a tar, which becomes FILE. The answer is "ok",
 * and the end of this program; who hangs up before that, may come again.
 */
#define _GNU_SOURCE
#include <time.h>

#include "own.h"
#include "seed.h"

static const char MAGIC[8] = {'G', 'a', 'l', 'l', 'e', 'y', 'H', '1'};

struct head {
  char magic[8];
  uint64_t length;
  int64_t seconds;
  int64_t nanoseconds;
  uint8_t seed[SEED];
};

static bool take(int from, void *data, size_t length) {
  for (size_t had = 0; had < length;) {
    ssize_t got = recv(from, (char *)data + had, length - had, 0);
    if (got <= 0) return false;
    had += got;
  }
  return true;
}

static bool keep(int from, uint64_t length, const char *path) {
  char block[65536];
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) fail(path);
  while (length > 0) {
    size_t next = length < sizeof block ? length : sizeof block;
    if (!take(from, block, next)) break;
    if (write(file, block, next) != (ssize_t)next) fail(path);
    length -= next;
  }
  close(file);
  return length == 0;
}

static bool serve(int connection, const char *path) {
  struct head head;
  if (!take(connection, &head, sizeof head) || memcmp(head.magic, MAGIC, sizeof MAGIC) != 0)
    return false;
  struct timespec now = {.tv_sec = head.seconds, .tv_nsec = head.nanoseconds};
  if (!stir(head.seed)) fail("/dev/urandom");
  if (clock_settime(CLOCK_REALTIME, &now) < 0) fail("clock_settime");
  return keep(connection, head.length, path) && send(connection, "ok\n", 3, MSG_NOSIGNAL) == 3;
}

int main(int count, char **words) {
  if (count != 3) {
    fprintf(stderr, "usage: handover SOCKET FILE\n");
    return 2;
  }
  int listening = listen_at(words[1], 0, 1);
  for (bool done = false; !done;) {
    int connection = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) fail("accept");
    done = serve(connection, words[2]);
    close(connection);
  }
  return 0;
}
