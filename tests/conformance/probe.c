// A static program in the suite's image, for operations that busybox has no program for:
//   probe udp PORT      sends every datagram back
//   probe xattr FILE    sets a user attribute and reads it
//   probe tmpfile DIR   creates an unnamed file, writes it, links it as DIR/named
//   probe flock FILE    takes an exclusive lock; a second open of the file must not get one
//   probe sparse FILE   punches a hole into the file
// It prints "fine", or the error.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/xattr.h>
#include <unistd.h>

static int udp(const char *port) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(port))}, sender;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here)) return -1;
  for (char data[2048];;) {
    socklen_t size = sizeof sender;
    ssize_t got = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&sender, &size);
    if (got >= 0) sendto(fd, data, got, 0, (struct sockaddr *)&sender, size);
  }
}

static int xattr(const char *file) {
  char value[8] = "";
  if (setxattr(file, "user.probe", "value", 5, 0)) return -1;
  return getxattr(file, "user.probe", value, sizeof value) == 5 ? strcmp(value, "value") : -1;
}

static int tmpfile_in(const char *folder) {
  char own[64], name[4096];
  int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
  if (fd < 0 || write(fd, "x", 1) != 1) return -1;
  snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
  snprintf(name, sizeof name, "%s/named", folder);
  return linkat(AT_FDCWD, own, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

static int lock(const char *file) {
  int one = open(file, O_RDWR | O_CREAT, 0600), two = open(file, O_RDWR);
  if (one < 0 || two < 0 || flock(one, LOCK_EX | LOCK_NB)) return -1;
  return flock(two, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

static int sparse(const char *file) {
  int fd = open(file, O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, 1 << 20)) return -1;
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 16);
}

int main(int count, char **words) {
  const struct { const char *name; int (*run)(const char *); } probes[] = {
      {"udp", udp}, {"xattr", xattr}, {"tmpfile", tmpfile_in}, {"flock", lock}, {"sparse", sparse}};
  for (size_t i = 0; count == 3 && i < sizeof probes / sizeof *probes; i++) {
    if (strcmp(words[1], probes[i].name)) continue;
    errno = 0;
    int result = probes[i].run(words[2]);
    puts(result == 0 ? "fine" : errno ? strerror(errno) : "wrong");
    return result != 0;
  }
  return 64;
}
