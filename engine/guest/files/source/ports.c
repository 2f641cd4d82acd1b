/* Reserves ports of the guest for the host, so that dockerd does not choose them.
 *
 *   ports SOCKET
 *
 * The host connects to SOCKET (engine/ports/reserved_ports.py) and sends lines such as "tcp 20005", the
 * last one empty. The answer is "held"; the ports are free again when the host disconnects. A port that
 * is in use already is skipped: dockerd would not choose it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>

#include "own.h"

/* Binds the port until this process ends; without SO_REUSEADDR, so that no other socket can. */
static void hold(const char *protocol, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd = socket(AF_INET, strcmp(protocol, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM, 0);
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) < 0) close(fd);
}

static void serve(int connection) {
  char line[64], protocol[4];
  int port;
  FILE *requests = fdopen(connection, "r");
  if (requests == NULL) return;
  while (fgets(line, sizeof line, requests) != NULL && line[0] != '\n')
    if (sscanf(line, "%3s %d", protocol, &port) == 2) hold(protocol, port);
  if (write(connection, "held\n", 5) < 0) return;
  while (fgets(line, sizeof line, requests) != NULL) continue;
}

int main(int count, char **words) {
  if (count != 2) {
    fprintf(stderr, "usage: ports SOCKET\n");
    return 2;
  }
  signal(SIGCHLD, SIG_IGN); /* children are reaped without wait() */
  int listening = listen_at(words[1], 0, 64);
  for (;;) {
    int connection = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) fail("accept");
    if (fork() == 0) {
      close(listening);
      serve(connection);
      _exit(0);
    }
    close(connection);
  }
}
