/* Waits for who connects, and becomes the program that talks with him.
 *
 *   answer SOCKET PROGRAM WORD...
 *
 * The connection is the program's input and output: nothing stands between that would have to be
 * woken for each word. Nobody else is let in.
 */
#define _GNU_SOURCE
#include "own.h"

int main(int count, char **words) {
  if (count < 3) {
    fprintf(stderr, "usage: answer SOCKET PROGRAM WORD...\n");
    return 2;
  }
  int listening = listen_at(words[1], 0, 1);
  int connection = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) fail("accept");
  unlink(words[1]);
  if (dup2(connection, STDIN_FILENO) < 0 || dup2(connection, STDOUT_FILENO) < 0) fail("dup2");
  execvp(words[2], words + 2);
  fail(words[2]);
}
