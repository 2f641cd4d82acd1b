/* The guest agent: controls the machine's disk, memory and clock for the host (vm/guest/agent.py).
 *
 *   keeper SOCKET DISK CGROUP
 *
 * DISK is where the data disk is mounted, or will be; CGROUP is that of all containers, where there
 * are any. A client connects to SOCKET and sends requests, a line each; the answer to each is a line:
 * "ok …" or "failed REASON".
 *
 *   freeze                  the disk is written down and takes no more writes
 *   thaw                    it takes them again
 *   time SECONDS.NANOS      since 1970; nine digits after the point
 *   seed HEX                64 random bytes, for what is drawn from now on
 *   memory                  ok TOTAL FREE AVAILABLE CACHED CONTAINERS, in bytes
 *   disk                    ok SIZE USED AVAILABLE, in bytes
 *   trim                    ok BYTES that the disk was told are free
 *   reclaim                 what was only read is dropped from memory, and the gaps are joined
 *   forget                  so are names and attributes of files that nothing has open
 *   shrink                  memory is made ready to be copied: what was not read again lately is
 *                           dropped, and free memory is zeros, as far as SHRINK_LIMIT allows
 *   watch clock             from now on a line "clock" whenever another process sets the clock
 *   watch disk              from now on a line "full" or "room" when the disk is becoming so
 *
 * A frozen disk stays so when its connection ends, for the machine may be suspended meanwhile, but
 * never for longer than LONGEST: a host that has crashed thaws nothing. What takes time runs in a
 * process of its own, because a thaw must wait for nothing. Nothing here opens a file on the disk.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#include "own.h"
#include "seed.h"
#include "shrink.h"

#ifndef LONGEST /* tests are quicker */
#define FREEZE_LIMIT 5000 /* ms that a freeze may take */
#define LONGEST 60000     /* ms that the disk stays frozen */
#define LOOK 10000        /* ms between two looks at how full it is, while it is watched */
#endif

enum {
  CONNECTIONS = 32,
  LINE = 256, /* bytes of a request or an answer */
  NEVER = -1,
};

struct connection {
  int fd;          /* -1 while it only waits for its work to end */
  int work;        /* where the answer comes from, -1: nothing is under way */
  pid_t worker;
  bool freezes;    /* what is under way */
  bool aborted;   /* the connection has its answer already */
  int64_t until;   /* when it is aborted, NEVER */
  bool watches_clock, watches_disk;
  bool full;       /* what the connection was told last of the disk */
  size_t kept;
  char line[LINE]; /* of the next request */
};

static const char *disk, *cgroup;
static int listening, timer;
static int64_t thaw_at; /* ms of the monotonic clock, NEVER */
static int64_t look_at; /* at how full the disk is */
static struct connection connections[CONNECTIONS];

/* --- answers ----------------------------------------------------------------------------------- */

static void failed(char *answer, const char *reason) {
  snprintf(answer, LINE, "failed %s\n", reason);
}

static void outcome(char *answer, bool done) {
  if (done)
    strcpy(answer, "ok\n");
  else
    failed(answer, strerror(errno));
}

/* The data disk, or -1 with errno. Opened each time, so that it can be unmounted meanwhile. */
static int open_disk(void) {
  struct stat here, above;
  int fd = open(disk, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  if (fstat(fd, &here) == 0 && fstatat(fd, "..", &above, 0) == 0 && here.st_dev != above.st_dev)
    return fd;
  close(fd);
  errno = ENODEV;
  return -1;
}

/* Written down first: the freeze itself holds the whole file system. */
static bool freeze(int fd) {
  return syncfs(fd) == 0 && (ioctl(fd, FIFREEZE, 0) == 0 || errno == EBUSY);
}

static void report_memory(char *answer) {
  static const char *const names[] = {"MemTotal:", "MemFree:", "MemAvailable:", "Buffers:",
                                      "Cached:",   "Shmem:",   "SReclaimable:"};
  enum { TOTAL, FREE, AVAILABLE, BUFFERS, CACHED, SHARED, RECLAIMABLE, COUNT };
  uint64_t found[COUNT] = {0}, kib;
  char name[64], path[LINE];
  FILE *file = fopen("/proc/meminfo", "re");
  if (file == NULL) return outcome(answer, false);
  while (fscanf(file, "%63s %" SCNu64 "%*[^\n]", name, &kib) == 2)
    for (int i = 0; i < COUNT; i++)
      if (strcmp(name, names[i]) == 0) found[i] = kib * 1024;
  fclose(file);
  /* What lives in memory alone is no cache: it cannot be read again. */
  uint64_t cached = found[BUFFERS] + found[CACHED] + found[RECLAIMABLE] - found[SHARED];
  snprintf(path, sizeof path, "%s/memory.current", cgroup);
  snprintf(answer, LINE, "ok %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
           found[TOTAL], found[FREE], found[AVAILABLE], cached, first_number(path));
}

static void report_disk_use(int fd, char *answer) {
  struct statvfs had;
  if (fstatvfs(fd, &had) < 0) return outcome(answer, false);
  uint64_t unit = had.f_frsize;
  snprintf(answer, LINE, "ok %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", had.f_blocks * unit,
           (had.f_blocks - had.f_bfree) * unit, had.f_bavail * unit);
}

/* What has been deleted is free only once that is written down. */
static void trim(int fd, char *answer) {
  struct fstrim_range range = {.len = UINT64_MAX};
  if (syncfs(fd) < 0 || ioctl(fd, FITRIM, &range) < 0) return outcome(answer, false);
  snprintf(answer, LINE, "ok %" PRIu64 "\n", (uint64_t)range.len);
}

/* The timer's cancellation is read here: watchers get no line for the host's own setting. */
static void set_time(const char *text, char *answer) {
  char *end, *end_of_nanos;
  struct timespec wanted;
  uint64_t ignored;
  wanted.tv_sec = strtoll(text, &end, 10);
  wanted.tv_nsec = *end == '.' ? strtol(end + 1, &end_of_nanos, 10) : -1;
  if (end == text || *end != '.' || end_of_nanos != end + 10 || *end_of_nanos != 0)
    return failed(answer, "that is no time");
  outcome(answer, clock_settime(CLOCK_REALTIME, &wanted) == 0);
  if (read(timer, &ignored, sizeof ignored) < 0) return;
}

static void seed(const char *text, char *answer) {
  uint8_t bytes[SEED];
  if (strlen(text) != 2 * SEED) return failed(answer, "those are no 64 bytes");
  for (int i = 0; i < SEED; i++)
    if (sscanf(text + 2 * i, "%2" SCNx8, &bytes[i]) != 1)
      return failed(answer, "those are no bytes");
  outcome(answer, stir(bytes));
}

/* --- connections ------------------------------------------------------------------------------- */

static void close_connection(struct connection *it) {
  if (it->fd < 0) return;
  shutdown(it->fd, SHUT_RDWR); /* a worker may hold a copy */
  close(it->fd);
  it->fd = -1;
  it->watches_clock = it->watches_disk = false;
}

/* Lines are short: a client whose buffer is full has stopped reading. */
static void send_line(struct connection *it, const char *line) {
  ssize_t length = strlen(line);
  if (it->fd >= 0 && send(it->fd, line, length, MSG_NOSIGNAL | MSG_DONTWAIT) != length)
    close_connection(it);
}

static void run_slow_request(const char *request, char *answer) {
  if (strcmp(request, "forget") == 0)
    return outcome(answer, write_to("/proc/sys/vm/drop_caches", "2"));
  int fd = open_disk();
  if (fd < 0)
    failed(answer, "the data disk is not mounted");
  else if (strcmp(request, "freeze") == 0)
    outcome(answer, freeze(fd));
  else if (strcmp(request, "trim") == 0)
    trim(fd, answer);
  else
    outcome(answer, strcmp(request, "shrink") == 0 ? shrink(fd) : reclaim(fd));
}

/* Run the request in a process of its own, which can be killed and waited for. */
static void start_worker(struct connection *it, const char *request) {
  char answer[LINE];
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0 || (it->worker = fork()) < 0) {
    outcome(answer, false);
    send_line(it, answer);
    return;
  }
  if (it->worker == 0) {
    run_slow_request(request, answer);
    _exit(write(ends[1], answer, strlen(answer)) < 0);
  }
  close(ends[1]);
  it->work = ends[0];
  it->freezes = strcmp(request, "freeze") == 0;
  it->aborted = false;
  it->until = it->freezes ? now() + FREEZE_LIMIT : NEVER;
}

static bool is_freezing(void) {
  for (int i = 0; i < CONNECTIONS; i++)
    if (connections[i].work >= 0 && connections[i].freezes) return true;
  return false;
}

/* A worker that is stuck in the kernel ends later, and may have frozen the disk by then. */
static void abort_work(struct connection *it, const char *reason) {
  char answer[LINE];
  if (it->aborted) return;
  kill(it->worker, SIGKILL);
  it->aborted = true;
  it->until = NEVER;
  failed(answer, reason);
  send_line(it, answer);
  close_connection(it);
}

/* FITHAW would wait for a freeze under way: that is aborted, and `finish_work` thaws. */
static void thaw(char *answer) {
  strcpy(answer, "ok\n");
  for (int i = 0; i < CONNECTIONS; i++)
    if (connections[i].work >= 0 && connections[i].freezes)
      abort_work(&connections[i], "it was to thaw");
  thaw_at = NEVER;
  if (is_freezing()) return;
  int fd = open_disk();
  if (fd < 0) return;
  bool done = ioctl(fd, FITHAW, 0) == 0 || errno == EINVAL;
  outcome(answer, done);
  close(fd);
  if (!done) thaw_at = now() + LONGEST;
}

/* The worker has answered or was killed. */
static void finish_work(struct connection *it) {
  char answer[LINE];
  ssize_t got = read(it->work, answer, LINE - 1);
  close(it->work);
  waitpid(it->worker, NULL, 0);
  it->work = -1;
  it->until = NEVER;
  if (got > 0)
    answer[got] = 0;
  else
    failed(answer, "it ended unexpectedly");
  if (it->freezes && it->aborted)
    thaw(answer);
  else if (it->freezes && strncmp(answer, "ok", 2) == 0)
    thaw_at = now() + LONGEST;
  if (!it->aborted) send_line(it, answer);
}

/* Returns whether it was such a request. */
static bool begin_watch(struct connection *it, const char *request) {
  if (strcmp(request, "watch clock") == 0)
    it->watches_clock = true;
  else if (strcmp(request, "watch disk") == 0)
    it->watches_disk = true, it->full = false, look_at = now();
  else
    return false;
  return true;
}

static void handle_request(struct connection *it, const char *request) {
  char answer[LINE];
  bool slow = strcmp(request, "freeze") == 0 || strcmp(request, "trim") == 0 ||
              strcmp(request, "reclaim") == 0 || strcmp(request, "forget") == 0 ||
              strcmp(request, "shrink") == 0;
  if (slow && (strcmp(request, "freeze") != 0 || !is_freezing())) return start_worker(it, request);
  int fd = -1;
  if (slow) {
    failed(answer, "another freeze is under way");
  } else if (strcmp(request, "thaw") == 0) {
    thaw(answer);
  } else if (strncmp(request, "time ", 5) == 0) {
    set_time(request + 5, answer);
  } else if (strncmp(request, "seed ", 5) == 0) {
    seed(request + 5, answer);
  } else if (strcmp(request, "memory") == 0) {
    report_memory(answer);
  } else if (begin_watch(it, request)) {
    outcome(answer, true);
  } else if (strcmp(request, "disk") != 0) {
    failed(answer, "that is no request");
  } else if ((fd = open_disk()) < 0) {
    failed(answer, "the data disk is not mounted");
  } else {
    report_disk_use(fd, answer);
    close(fd);
  }
  send_line(it, answer);
}

/* Handle the whole lines that were received, until one of them takes time. */
static void handle_lines(struct connection *it) {
  char *end;
  while (it->fd >= 0 && it->work < 0 && (end = memchr(it->line, '\n', it->kept)) != NULL) {
    char request[LINE];
    size_t length = end - it->line;
    memcpy(request, it->line, length);
    request[length] = 0;
    it->kept -= length + 1;
    memmove(it->line, end + 1, it->kept);
    handle_request(it, request);
  }
  if (it->kept == LINE && it->work < 0) close_connection(it);
}

static void read_requests(struct connection *it) {
  ssize_t got = recv(it->fd, it->line + it->kept, LINE - it->kept, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return close_connection(it);
  it->kept += got;
  handle_lines(it);
}

static void accept_connection(void) {
  int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  for (int i = 0; i < CONNECTIONS; i++) {
    struct connection *it = &connections[i];
    if (it->fd >= 0 || it->work >= 0) continue;
    *it = (struct connection){.fd = fd, .work = -1, .until = NEVER};
    return;
  }
  close(fd);
}

/* --- the clock --------------------------------------------------------------------------------- */

/* A timer that never expires, but is cancelled when the clock is set. */
static void watch_clock(void) {
  struct itimerspec far = {.it_value.tv_sec = (time_t)1 << 33};
  timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (timer < 0 ||
      timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL) < 0)
    fail("timerfd");
}

static void report_clock(void) {
  uint64_t ignored;
  if (read(timer, &ignored, sizeof ignored) >= 0 || errno != ECANCELED) return;
  for (int i = 0; i < CONNECTIONS; i++)
    if (connections[i].watches_clock) send_line(&connections[i], "clock\n");
}

/* --- how full the disk is ---------------------------------------------------------------------- */

/* A full disk has room again at twice the limit, not at the next byte. There is no event for it. */
static bool is_full(bool was) {
  struct statvfs had;
  int fd = open_disk();
  if (fd < 0) return was;
  bool known = fstatvfs(fd, &had) == 0;
  close(fd);
  if (!known) return was;
  uint64_t least = (uint64_t)had.f_blocks * had.f_frsize / 64;
  if (least > (uint64_t)256 << 20) least = (uint64_t)256 << 20;
  return (uint64_t)had.f_bavail * had.f_frsize < (was ? 2 * least : least);
}

static void report_disk(void) {
  bool is_watched = false;
  for (int i = 0; i < CONNECTIONS; i++) {
    struct connection *it = &connections[i];
    if (!it->watches_disk) continue;
    is_watched = true;
    bool full = is_full(it->full);
    if (full != it->full) send_line(it, full ? "full\n" : "room\n");
    it->full = full;
  }
  look_at = is_watched ? now() + LOOK : NEVER;
}

/* --- all of it --------------------------------------------------------------------------------- */

static int64_t earlier(int64_t one, int64_t other) {
  if (one == NEVER || other == NEVER) return one == NEVER ? other : one;
  return one < other ? one : other;
}

static void run_timers(void) {
  char answer[LINE];
  int64_t at = now();
  for (int i = 0; i < CONNECTIONS; i++)
    if (connections[i].until != NEVER && connections[i].until <= at)
      abort_work(&connections[i], "it takes too long");
  if (thaw_at != NEVER && thaw_at <= at) thaw(answer);
  if (look_at != NEVER && look_at <= at) report_disk();
}

static void run_once(void) {
  struct pollfd ready[CONNECTIONS + 2] = {{.fd = listening, .events = POLLIN},
                                          {.fd = timer, .events = POLLIN}};
  struct pollfd *each = ready + 2;
  int64_t until = earlier(thaw_at, look_at);
  for (int i = 0; i < CONNECTIONS; i++) {
    struct connection *it = &connections[i];
    each[i] = (struct pollfd){.fd = it->work >= 0 ? it->work : it->fd, .events = POLLIN};
    until = earlier(until, it->until);
  }
  int64_t left = until == NEVER ? NEVER : until - now();
  if (poll(ready, CONNECTIONS + 2, until != NEVER && left < 0 ? 0 : (int)left) < 0) fail("poll");
  for (int i = 0; i < CONNECTIONS; i++) {
    struct connection *it = &connections[i];
    if (each[i].revents == 0) continue;
    if (it->work >= 0 && each[i].fd == it->work) {
      finish_work(it);
      handle_lines(it);
    } else if (it->fd >= 0 && each[i].fd == it->fd) {
      read_requests(it);
    }
  }
  if (ready[0].revents != 0) accept_connection();
  if (ready[1].revents != 0) report_clock();
  run_timers();
}

/* If this process ended, a frozen disk would stay frozen: the kernel kills others for memory. */
static void protect_memory(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd >= 0 && write(fd, "-900", 4) < 0) perror("keeper: oom_score_adj");
  if (fd >= 0) close(fd);
  if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) perror("keeper: mlockall");
}

int main(int count, char **words) {
  if (count != 4) {
    fprintf(stderr, "usage: keeper SOCKET DISK CGROUP\n");
    return 2;
  }
  disk = words[2];
  cgroup = words[3];
  for (int i = 0; i < CONNECTIONS; i++)
    connections[i] = (struct connection){.fd = -1, .work = -1, .until = NEVER};
  look_at = NEVER;
  thaw_at = now() + LONGEST; /* a process before this one may have frozen it and died */
  protect_memory();
  watch_clock();
  listening = listen_at(words[1], SOCK_NONBLOCK, CONNECTIONS);
  for (;;) run_once();
}
