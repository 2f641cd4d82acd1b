/* Makes the memory of this machine smaller for the host, which copies it without zero pages.
 *
 * Of the guest's free memory the host still holds what was just freed, and blocks that are too small
 * for free page reporting (`upkeep`). Reports are two seconds late, of a sixteenth at a time. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
  STEP = 4 << 20,     /* bytes between two checks of the time */
  SPARED = 32 << 20, /* bytes of cold files that a shrink leaves: dockerd's own are among them, and
                        reading them again delays the next start more than copying them */
  WORTH_ZEROING = 16 << 20, /* bytes of free memory; less is copied as soon as it is zeroed */
  SHRINK_LIMIT = 200, /* ms after which a shrink begins nothing more */
  RECLAIM_LIMIT = 5000, /* ms that a reclaim may spend on cold files */
};

static int64_t now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static uint64_t first_number(const char *path) {
  uint64_t value = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  if (fscanf(file, "%" SCNu64, &value) != 1) value = 0;
  fclose(file);
  return value;
}

static bool write_to(const char *path, const char *what) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool done = write(fd, what, strlen(what)) > 0;
  close(fd);
  return done;
}

/* The value of a line "NAME: VALUE kB" of /proc/meminfo, in bytes. */
static uint64_t meminfo(const char *wanted) {
  uint64_t value;
  char name[64];
  FILE *file = fopen("/proc/meminfo", "re");
  if (file == NULL) return 0;
  while (fscanf(file, "%63s %" SCNu64 "%*[^\n]", name, &value) == 2)
    if (strcmp(name, wanted) == 0) {
      fclose(file);
      return value * 1024;
    }
  fclose(file);
  return 0;
}

/* Free bytes in blocks below the size from which the kernel reports them to the host (`upkeep`). */
static uint64_t unreported(void) {
  uint64_t least = first_number("/sys/module/page_reporting/parameters/page_reporting_order");
  uint64_t pages = 0, count;
  char zone[32];
  FILE *file = fopen("/proc/buddyinfo", "re");
  if (file == NULL) return 0;
  while (fscanf(file, " Node %*d, zone %31s", zone) == 1)
    for (uint64_t order = 0; fscanf(file, "%" SCNu64, &count) == 1; order++)
      if (order < least) pages += count << order;
  fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

/* Drops file pages that were read once and not again, down to `spared` bytes. The kernel refuses where
 * it finds less than was requested. */
static void drop_cold_files(uint64_t spared, int64_t until) {
  char some[32];
  snprintf(some, sizeof some, "%d swappiness=0", STEP);
  uint64_t least = spared + STEP;
  for (uint64_t left = meminfo("Inactive(file):"); left >= least && now() < until; left -= STEP)
    if (!write_to("/sys/fs/cgroup/memory.reclaim", some)) break;
}

/* The kernel allocates its smallest free blocks first, and of those the last freed one. The keeper is
 * locked in memory, so the kernel fills writable pages at once: hence step by step. */
static void zero_free_memory(uint64_t bytes, int64_t until) {
  char *area =
      mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) return;
  madvise(area, bytes, MADV_NOHUGEPAGE);
  for (uint64_t at = 0; at < bytes && now() < until; at += STEP) {
    uint64_t step = bytes - at < STEP ? bytes - at : STEP;
    if (mprotect(area + at, step, PROT_READ | PROT_WRITE) < 0) break;
    if (madvise(area + at, step, MADV_POPULATE_WRITE) < 0) break;
  }
  munmap(area, bytes);
}

/* drop_caches leaves files that running programs have mapped; drop_cold_files drops their unused parts.
 * Only the data disk is synced: a sync of all file systems would wait for the host's folders, too. */
static bool reclaim(int disk) {
  if (syncfs(disk) < 0 || !write_to("/proc/sys/vm/drop_caches", "1")) return false;
  drop_cold_files(0, now() + RECLAIM_LIMIT);
  return write_to("/proc/sys/vm/compact_memory", "1");
}

/* At most half of the free memory is zeroed, for other processes need memory meanwhile. */
static bool shrink(int disk) {
  int64_t began = now();
  uint64_t small = unreported(), free_before = meminfo("MemFree:");
  if (syncfs(disk) < 0) return false;
  /* Zeroing a page takes twice as long as dropping it. */
  drop_cold_files(SPARED, began + SHRINK_LIMIT / 3);
  uint64_t free_now = meminfo("MemFree:");
  uint64_t bytes = small + (free_now > free_before ? free_now - free_before : 0);
  if (bytes < WORTH_ZEROING) return true;
  zero_free_memory(bytes < free_now / 2 ? bytes : free_now / 2, began + SHRINK_LIMIT);
  return true;
}
