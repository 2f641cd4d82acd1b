/* Reports to the host which ports containers listen on in the guest's network (`--network host`).
 *
 *   listeners SOCKET CGROUPS TRACING
 *
 * The host connects to SOCKET (engine/ports/listeners.py) while such containers run. It gets the
 * list at once, and again after each change: lines such as "tcp 0.0.0.0 8080 CONTAINER", with the
 * container's id, and an empty line at the end.
 *
 * sock_diag(7) lists the sockets of this network namespace with their cgroups, whose paths have the
 * container's id. So a socket of the guest's own services is never in the list. UDP does not listen: a
 * socket counts that is bound and not connected.
 *
 * Trace events trigger a new list: a TCP socket begins or ceases to listen, a UDP socket is bound or
 * closed. They are enabled only while the host is connected. CGROUPS and TRACING are the mount points
 * of cgroup2 and tracefs.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "own.h"

enum { LISTEN = 10, CLOSE = 7 }; /* of TCP; an unconnected UDP socket is in CLOSE */
enum { MOST = 1024, ID = 64, LINE = 136, TEXT = MOST * LINE, ROOM = 65536 };
enum { GATHER = 20, SPACING = 250, AGE = 2000 }; /* milliseconds */
#define NEVER INT64_MAX
enum { KERNFS_HANDLE = 0xfe };                   /* FILEID_KERNFS of linux/exportfs.h */

struct listener {
  char line[LINE];
  uint64_t cookie; /* the kernel's own number of the socket */
  int64_t since;   /* the time of the first list with it */
  bool is_ephemeral_udp;
};

struct list {
  int count;
  struct listener of[MOST];
};

static const char *cgroups, *tracing;

static int64_t now(void) {
  struct timespec it;
  clock_gettime(CLOCK_MONOTONIC, &it);
  return it.tv_sec * 1000 + it.tv_nsec / 1000000;
}

/* --- the container of a socket ------------------------------------------------------------------- */

/* The first part of a cgroup's path that is a container's id; false where there is none. */
static bool find_id(const char *path, char id[ID + 1]) {
  for (const char *part = path; part != NULL; part = strchr(part, '/')) {
    part += *part == '/';
    size_t length = strspn(part, "0123456789abcdef");
    if (length != ID || (part[ID] != '/' && part[ID] != 0)) continue;
    memcpy(id, part, ID);
    id[ID] = 0;
    return true;
  }
  return false;
}

/* The id in the path of the cgroup with this number, which is its handle in the cgroup file system. */
static bool container_of(uint64_t cgroup, char id[ID + 1]) {
  static int root = -1;
  union {
    struct file_handle handle;
    char room[sizeof(struct file_handle) + sizeof cgroup];
  } it = {.handle = {.handle_bytes = sizeof cgroup, .handle_type = KERNFS_HANDLE}};
  char link[64], path[4096];
  if (root < 0) root = open(cgroups, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  memcpy(it.handle.f_handle, &cgroup, sizeof cgroup);
  int fd = open_by_handle_at(root, &it.handle, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  close(fd);
  path[length < 0 ? 0 : length] = 0;
  return find_id(path, id);
}

/* --- the list ------------------------------------------------------------------------------------ */

/* Whether the kernel may have chosen the port, as it does for clients. */
static bool is_ephemeral(int port) {
  static int first, last;
  if (last == 0) {
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    if (file == NULL || fscanf(file, "%d %d", &first, &last) != 2) fail("ip_local_port_range");
    fclose(file);
  }
  return port >= first && port <= last;
}

/* A socket that serves IPv4 too is reported with its IPv4 address. */
static void write_address(struct inet_diag_msg *it, bool only_v6, char text[INET6_ADDRSTRLEN]) {
  struct in6_addr address;
  memcpy(&address, it->id.idiag_src, sizeof address);
  const void *four = it->id.idiag_src;
  bool is_four = it->idiag_family == AF_INET;
  if (!is_four && IN6_IS_ADDR_V4MAPPED(&address)) is_four = true, four = &address.s6_addr[12];
  if (!is_four && IN6_IS_ADDR_UNSPECIFIED(&address) && !only_v6)
    strcpy(text, "0.0.0.0");
  else
    inet_ntop(is_four ? AF_INET : AF_INET6, is_four ? four : &address, text, INET6_ADDRSTRLEN);
}

static void add(struct list *list, struct nlmsghdr *head, const char *protocol) {
  struct inet_diag_msg *it = NLMSG_DATA(head);
  uint64_t cgroup = 0;
  bool only_v6 = false;
  char address[INET6_ADDRSTRLEN], id[ID + 1];
  int left = head->nlmsg_len - NLMSG_LENGTH(sizeof *it);
  for (struct rtattr *at = (struct rtattr *)(it + 1); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
    if (at->rta_type == INET_DIAG_CGROUP_ID) memcpy(&cgroup, RTA_DATA(at), sizeof cgroup);
    if (at->rta_type == INET_DIAG_SKV6ONLY) only_v6 = *(uint8_t *)RTA_DATA(at);
  }
  if (list->count == MOST || !container_of(cgroup, id)) return;
  struct listener *made = &list->of[list->count++];
  int port = ntohs(it->id.idiag_sport);
  write_address(it, only_v6, address);
  snprintf(made->line, LINE, "%s %s %d %s\n", protocol, address, port, id);
  made->is_ephemeral_udp = strcmp(protocol, "udp") == 0 && is_ephemeral(port);
  memcpy(&made->cookie, it->id.idiag_cookie, sizeof made->cookie);
}

/* Add the sockets in the kernel's answer; returns whether the answer is complete. */
static bool read_answer(struct list *list, char *answer, ssize_t size, const char *protocol) {
  int left = size;
  for (struct nlmsghdr *it = (struct nlmsghdr *)answer; NLMSG_OK(it, left); it = NLMSG_NEXT(it, left)) {
    if (it->nlmsg_type == NLMSG_DONE) return true;
    if (it->nlmsg_type == NLMSG_ERROR) {
      errno = -((struct nlmsgerr *)NLMSG_DATA(it))->error;
      fail("sock_diag");
    }
    if (it->nlmsg_type == SOCK_DIAG_BY_FAMILY) add(list, it, protocol);
  }
  return false;
}

static void query(struct list *list, int family, int protocol, const char *name, int state) {
  static char answer[ROOM] __attribute__((aligned(NLMSG_ALIGNTO)));
  static int diag = -1;
  struct {
    struct nlmsghdr head;
    struct inet_diag_req_v2 about;
  } request = {
      {sizeof request, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 0, 0},
      {.sdiag_family = family, .sdiag_protocol = protocol, .idiag_states = 1 << state},
  };
  if (diag < 0) diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (diag < 0 || send(diag, &request, sizeof request, 0) < 0) fail("sock_diag");
  ssize_t size;
  do {
    size = recv(diag, answer, sizeof answer, 0);
    if (size < 0) fail("sock_diag");
  } while (!read_answer(list, answer, size, name));
}

/* A client that sends datagrams looks like a server, but is usually short-lived. So a UDP socket on an
 * ephemeral port counts only after AGE. Returns whether one was left out. */
static bool leave_out_young(struct list *list, const struct list *before, int64_t moment) {
  bool found = false;
  for (struct listener *it = list->of; it < list->of + list->count; it++) {
    if (!it->is_ephemeral_udp) continue;
    it->since = moment;
    for (int i = 0; i < before->count; i++)
      if (before->of[i].cookie == it->cookie) it->since = before->of[i].since;
    if (moment - it->since < AGE) it->line[0] = 0, found = true;
  }
  return found;
}

static int compare(const void *one, const void *other) {
  return strcmp(((const struct listener *)one)->line, ((const struct listener *)other)->line);
}

static void write_text(const struct list *list, char text[TEXT]) {
  const char *last = "";
  char *at = text;
  for (const struct listener *it = list->of; it < list->of + list->count; it++) {
    if (strcmp(it->line, last) != 0) at = stpcpy(at, it->line); /* several may share a port */
    last = it->line;
  }
  strcpy(at, "\n");
}

static struct list seen;
static char reported[TEXT]; /* the last list sent to the host; "" for none */

/* Sends the list if it has changed. Returns whether to look again after AGE; -1 when the host has
 * disconnected. */
static int report(int connection) {
  static struct list list;
  static char text[TEXT];
  list.count = 0;
  query(&list, AF_INET, IPPROTO_TCP, "tcp", LISTEN);
  query(&list, AF_INET6, IPPROTO_TCP, "tcp", LISTEN);
  query(&list, AF_INET, IPPROTO_UDP, "udp", CLOSE);
  query(&list, AF_INET6, IPPROTO_UDP, "udp", CLOSE);
  bool again = leave_out_young(&list, &seen, now());
  qsort(list.of, list.count, sizeof *list.of, compare);
  seen = list;
  write_text(&list, text);
  if (strcmp(text, reported) == 0) return again;
  strcpy(reported, text);
  size_t length = strlen(text), sent = 0;
  while (sent < length) {
    ssize_t got = write(connection, text + sent, length - sent);
    if (got <= 0) return -1;
    sent += got;
  }
  return again;
}

/* --- trace events -------------------------------------------------------------------------------- */

#define OURS "instances/galley"

static int open_trace(const char *file, int flags) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", tracing, file);
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0) fail(path);
  return fd;
}

/* Append a line; it may exist already. */
static void put(const char *file, const char *text) {
  int fd = open_trace(file, O_WRONLY | O_APPEND);
  if (write(fd, text, strlen(text)) < 0 && errno != EEXIST) fail(text);
  close(fd);
}

/* Defines the events, which cost nothing until they are enabled. Those of UDP are limited to this
 * network namespace; the instance has its own events and buffers. */
static void prepare(void) {
  char udp[128], tcp[128], instance[256];
  struct stat network;
  snprintf(instance, sizeof instance, "%s/" OURS, tracing);
  if (mkdir(instance, 0700) < 0 && errno != EEXIST) fail(instance);
  if (stat("/proc/self/ns/net", &network) < 0) fail("namespace");
  put(OURS "/buffer_size_kb", "16");
  put(OURS "/buffer_percent", "0"); /* each event wakes the reader at once */
  const char *of = "network=sk->__sk_common.skc_net.net->ns.inum";
  const char *functions[] = {"udp_v4_get_port", "udp_v6_get_port", "udp_lib_unhash"};
  for (int i = 0; i < 3; i++) {
    char event[256];
    snprintf(event, sizeof event, "p:galley/%s %s %s%s\n", functions[i], functions[i], of,
             i < 2 ? " port=snum" : "");
    put("kprobe_events", event);
  }
  snprintf(udp, sizeof udp, "network == %u", (unsigned)network.st_ino);
  put(OURS "/events/galley/udp_lib_unhash/filter", udp);
  strcat(udp, " && port != 0"); /* else it is a client */
  put(OURS "/events/galley/udp_v4_get_port/filter", udp);
  put(OURS "/events/galley/udp_v6_get_port/filter", udp);
  snprintf(tcp, sizeof tcp, "newstate == %d || (oldstate == %d && newstate == %d)", LISTEN, LISTEN,
           CLOSE);
  put(OURS "/events/sock/inet_sock_set_state/filter", tcp);
}

static void enable(const char *is_on) {
  put(OURS "/events/galley/enable", is_on);
  put(OURS "/events/sock/inet_sock_set_state/enable", is_on);
}

static void drop(int events) {
  static char discarded[ROOM];
  while (read(events, discarded, sizeof discarded) > 0) continue;
}

/* Serve a connection until the host closes it. One report follows a burst of events, and a second one
 * after AGE: an event precedes its change, and a UDP socket may be connected afterwards. */
static void serve(int connection, int events) {
  struct pollfd waits[] = {{connection, POLLIN, 0}, {events, POLLIN, 0}};
  int64_t due = now(), last = 0;
  bool has_changed = false;
  reported[0] = 0, seen.count = 0;
  for (;;) {
    int64_t left = due - now();
    int most = due == NEVER ? -1 : left > 0 ? left : 0;
    if (poll(waits, has_changed ? 1 : 2, most) < 0) fail("poll");
    if (waits[0].revents != 0) return;
    if (!has_changed && waits[1].revents != 0) {
      int64_t soon = now() + GATHER;
      due = last + SPACING > soon ? last + SPACING : soon;
      has_changed = true;
    }
    if (now() < due) continue;
    drop(events);
    int again = report(connection);
    if (again < 0) return;
    last = now();
    due = again || has_changed ? last + AGE : NEVER;
    has_changed = false;
  }
}

int main(int count, char **words) {
  if (count != 4) {
    fprintf(stderr, "usage: listeners SOCKET CGROUPS TRACING\n");
    return 2;
  }
  cgroups = words[2], tracing = words[3];
  signal(SIGPIPE, SIG_IGN);
  int listening = listen_at(words[1], 0, 4), events = -1;
  for (;;) {
    int connection = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) fail("accept");
    if (events < 0) {
      prepare();
      events = open_trace(OURS "/trace_pipe", O_RDONLY | O_NONBLOCK);
    }
    enable("1");
    serve(connection, events);
    enable("0");
    close(connection);
  }
}
