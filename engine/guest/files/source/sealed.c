/* Keeps one sealed copy of a program in memory, and a symbolic link to it.
 *
 *   sealed PROGRAM LINK
 *
 * runc copies itself into memory for every container and every exec, so that a container cannot write
 * to the program (CVE-2019-5736): fourteen megabytes each, and a machine of two gigabytes has no room
 * for two hundred copies. A runc that runs from a sealed memory file makes no copy.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "own.h"

static int copy_of(const char *path) {
  int program = open(path, O_RDONLY | O_CLOEXEC);
  if (program < 0) fail(path);
  int copy = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (copy < 0) fail("memfd_create");
  ssize_t sent;
  while ((sent = sendfile(copy, program, NULL, 1 << 20)) > 0) continue;
  if (sent < 0) fail("sendfile");
  if (fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
    fail("F_ADD_SEALS");
  close(program);
  return copy;
}

/* Replace the link atomically. */
static void set_link(int copy, const char *link) {
  char target[64], fresh[4096];
  snprintf(target, sizeof target, "/proc/%d/fd/%d", getpid(), copy);
  if (snprintf(fresh, sizeof fresh, "%s.new", link) >= (int)sizeof fresh) {
    errno = ENAMETOOLONG;
    fail(link);
  }
  unlink(fresh);
  if (symlink(target, fresh) < 0 || rename(fresh, link) < 0) fail(link);
}

int main(int count, char **words) {
  if (count != 3) {
    fprintf(stderr, "usage: sealed PROGRAM LINK\n");
    return 2;
  }
  set_link(copy_of(words[1]), words[2]);
  for (;;) pause();
}
