/* What a channel of the agent stream leads to. The host names it:
 *
 *   /PATH               a Unix socket
 *   tcp ADDRESS PORT    IPv4 or IPv6, as numbers
 *   udp ADDRESS PORT    the same; each datagram with its length in front, in two bytes
 *   ssh                 an sshd of its own, whose stdin and stdout are the channel
 *
 * Anything else is refused with EPROTONOSUPPORT.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>

enum { LONGEST_TARGET = 127 };

extern char **environ;

/* The socket, connected or (`connecting`) about to be. Where that fails: -1 and errno. */
static int connect_to(const void *address, socklen_t size, int type, bool *connecting) {
  int family = ((const struct sockaddr *)address)->sa_family;
  int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (family != AF_UNIX && type == SOCK_STREAM)
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  if (connect(fd, address, size) == 0) return fd;
  if (errno == EINPROGRESS) {
    *connecting = true;
    return fd;
  }
  int reason = errno;
  close(fd);
  errno = reason;
  return -1;
}

static int open_unix(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  return connect_to(&address, sizeof address, SOCK_STREAM, &(bool){false});
}

/* `words`: ADDRESS PORT */
static int open_address(char *words, int type, bool *connecting) {
  struct sockaddr_in four = {.sin_family = AF_INET};
  struct sockaddr_in6 six = {.sin6_family = AF_INET6};
  char *end, *port = strchr(words, ' ');
  unsigned long number = 0;
  if (port != NULL) {
    *port++ = 0;
    number = strtoul(port, &end, 10);
    if (*port < '0' || *port > '9' || *end != 0) number = 0;
  }
  four.sin_port = six.sin6_port = htons(number);
  if (number >= 1 && number <= 65535) {
    if (inet_pton(AF_INET, words, &four.sin_addr) == 1)
      return connect_to(&four, sizeof four, type, connecting);
    if (inet_pton(AF_INET6, words, &six.sin6_addr) == 1)
      return connect_to(&six, sizeof six, type, connecting);
  }
  errno = EINVAL;
  return -1;
}

/* `sshd`: the words that start it. It ends when its end of the socket does. */
static int open_ssh(char **sshd) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t defaults;
  pid_t child;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return -1;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGCHLD);
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, pair[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, pair[1], STDOUT_FILENO);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  int reason = posix_spawn(&child, sshd[0], &files, &attributes, sshd, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  close(pair[1]);
  if (reason == 0) return pair[0];
  close(pair[0]);
  errno = reason;
  return -1;
}

/* A socket that is this target, or -1 and errno. `connecting`: not connected yet; EPOLLOUT reports
 * the end of it. `datagrams`: a UDP socket. */
static int open_target(const char *data, size_t length, char **sshd, bool *connecting,
                       bool *datagrams) {
  char target[LONGEST_TARGET + 1] = {0};
  if (length > LONGEST_TARGET) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(target, data, length);
  if (target[0] == '/') return open_unix(target);
  if (strncmp(target, "tcp ", 4) == 0) return open_address(target + 4, SOCK_STREAM, connecting);
  *datagrams = strncmp(target, "udp ", 4) == 0;
  if (*datagrams) return open_address(target + 4, SOCK_DGRAM, connecting);
  if (strcmp(target, "ssh") == 0 && sshd[0] != NULL) return open_ssh(sshd);
  errno = EPROTONOSUPPORT;
  return -1;
}
