/* Frames of the agent stream, and what waits to be written to the port. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "own.h"

enum kind { OPEN = 1, OPENED, REFUSED, DATA, END, CLOSE, CREDIT, HELLO, MESSAGES };

enum {
  LARGEST = 32768,    /* bytes of data in one frame */
  HEAD = 16,
  TAIL = 4,
  FULL = 4 * LARGEST, /* bytes waiting for the port from which on no socket or file is read */
};

struct head {
  uint32_t session, number, kind, length;
};

struct bytes { /* what waits: from `start`, `length` bytes */
  uint8_t *data;
  size_t start, length, room;
};

static bool in_session;
static uint32_t session;
static struct bytes out; /* for the port */

static void append(struct bytes *to, const void *data, size_t length) {
  if (length == 0) return;
  if (to->start > 0 && (to->length == 0 || to->start + to->length + length > to->room)) {
    memmove(to->data, to->data + to->start, to->length);
    to->start = 0;
  }
  if (to->length + length > to->room) {
    to->room = (to->length + length) * 2;
    if ((to->data = realloc(to->data, to->room)) == NULL) fail("memory");
  }
  memcpy(to->data + to->start + to->length, data, length);
  to->length += length;
}

static void consume(struct bytes *from, size_t length) {
  from->start = from->length == length ? 0 : from->start + length;
  from->length -= length;
}

static void queue_frame(uint32_t number, enum kind kind, const void *data, uint32_t length) {
  struct head head = {session, number, kind, length};
  append(&out, &head, HEAD);
  append(&out, data, length);
  append(&out, &session, TAIL);
}

static void queue_number(uint32_t number, enum kind kind, uint32_t value) {
  queue_frame(number, kind, &value, sizeof value);
}

static uint32_t read_number(const uint8_t *data, size_t length) {
  uint32_t value = 0;
  memcpy(&value, data, length < sizeof value ? length : sizeof value);
  return value;
}
