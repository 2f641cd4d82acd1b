/* Receives the boot files, once, in a machine that continues from a boot checkpoint.
 *
 *   handover SOCKET FILE
 *
 * The host connects to SOCKET (vm/lifecycle/boot_steps.py) and sends a head and a tar, which becomes
 * FILE. The head is MAGIC, the length of the tar, the time, and random bytes (seed.h). This program
 * answers "ok" and ends; a host that disconnects before that may connect again.
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

static bool receive_all(int from, void *data, size_t length) {
  for (size_t had = 0; had < length;) {
    ssize_t got = recv(from, (char *)data + had, length - had, 0);
    if (got <= 0) return false;
    had += got;
  }
  return true;
}

static bool save(int from, uint64_t length, const char *path) {
  char block[65536];
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) fail(path);
  while (length > 0) {
    size_t next = length < sizeof block ? length : sizeof block;
    if (!receive_all(from, block, next)) break;
    if (write(file, block, next) != (ssize_t)next) fail(path);
    length -= next;
  }
  close(file);
  return length == 0;
}

static bool serve(int connection, const char *path) {
  struct head head;
  if (!receive_all(connection, &head, sizeof head) || memcmp(head.magic, MAGIC, sizeof MAGIC) != 0)
    return false;
  struct timespec now = {.tv_sec = head.seconds, .tv_nsec = head.nanoseconds};
  if (!stir(head.seed)) fail("/dev/urandom");
  if (clock_settime(CLOCK_REALTIME, &now) < 0) fail("clock_settime");
  return save(connection, head.length, path) && send(connection, "ok\n", 3, MSG_NOSIGNAL) == 3;
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
