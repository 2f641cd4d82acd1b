/* Stands in for the kernel in the tests of the guest agent. Its state is in the folder KERNEL:
 *
 *   frozen    exists while the disk is frozen
 *   freezing  exists once a freeze has begun
 *   stuck     as long as it exists, a freeze does not end
 *   times     the times that the clock was set to, one per line
 *   room      the free MiB of the disk of 100 GiB, which reserves 7 MiB more
 *   seeds     the random bytes that were added to the pool
 *   reseeded  exists once the pool was reseeded
 *   filled    the bytes of memory that were filled, one call per line
 *
 * A file of /proc or /sys is replaced by the file of that last name in KERNEL: for writing always,
 * for reading if the test has made it.
 *
 * Linked in with -Wl,--wrap= for ioctl, clock_settime, fstatvfs, open, fopen and madvise.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/random.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static const char *file(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", getenv("KERNEL"), name);
  return path;
}

static int make(const char *name) {
  int fd = open(file(name), O_CREAT | O_EXCL | O_WRONLY, 0600);
  if (fd < 0) return errno = EBUSY, -1;
  return close(fd);
}

static int freeze(void) {
  make("freezing");
  while (access(file("stuck"), F_OK) == 0) usleep(1000);
  return make("frozen");
}

static int seed(const struct rand_pool_info *added) {
  FILE *seeds = fopen(file("seeds"), "w");
  if (seeds == NULL || added->entropy_count != 8 * added->buf_size) exit(1);
  fwrite(added->buf, added->buf_size, 1, seeds);
  return fclose(seeds);
}

int __wrap_ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void *what = va_arg(rest, void *);
  struct fstrim_range *range = what;
  va_end(rest);
  if (fd < 0) return errno = EBADF, -1;
  if (request == FIFREEZE) return freeze();
  if (request == FITHAW) return unlink(file("frozen")) == 0 ? 0 : (errno = EINVAL, -1);
  if (request == FITRIM && range->len == UINT64_MAX) return range->len = 12345678901, 0;
  if (request == RNDADDENTROPY) return seed(what);
  if (request == RNDRESEEDCRNG) return make("reseeded");
  return errno = ENOTTY, -1;
}

static bool is_kernels(const char *path) {
  return strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/", 5) == 0;
}

int __real_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...) {
  if (!is_kernels(path)) return __real_open(path, flags);
  return __real_open(file(basename(path)), flags | O_CREAT | O_TRUNC, 0600);
}

FILE *__real_fopen(const char *path, const char *mode);

FILE *__wrap_fopen(const char *path, const char *mode) {
  FILE *ours = is_kernels(path) ? __real_fopen(file(basename(path)), mode) : NULL;
  return ours != NULL ? ours : __real_fopen(path, mode);
}

int __real_madvise(void *area, size_t size, int advice);

int __wrap_madvise(void *area, size_t size, int advice) {
  if (advice != MADV_POPULATE_WRITE) return __real_madvise(area, size, advice);
  FILE *filled = __real_fopen(file("filled"), "a");
  if (filled == NULL) exit(1);
  fprintf(filled, "%zu\n", size);
  return fclose(filled);
}

int __wrap_clock_settime(clockid_t clock, const struct timespec *to) {
  FILE *times = fopen(file("times"), "a");
  if (times == NULL || clock != CLOCK_REALTIME || to->tv_nsec > 999999999) exit(1);
  fprintf(times, "%lld.%09ld\n", (long long)to->tv_sec, to->tv_nsec);
  return fclose(times);
}

int __real_fstatvfs(int fd, struct statvfs *had);

int __wrap_fstatvfs(int fd, struct statvfs *had) {
  int left, outcome = __real_fstatvfs(fd, had);
  FILE *room = fopen(file("room"), "r");
  if (room == NULL) return outcome;
  while (fscanf(room, "%d", &left) != 1) rewind(room); /* the test is writing it */
  fclose(room);
  had->f_frsize = 1 << 20;
  had->f_blocks = 100 << 10;
  had->f_bavail = left;
  had->f_bfree = left + 7;
  return 0;
}
