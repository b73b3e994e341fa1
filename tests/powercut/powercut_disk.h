/*
** The record kept of each file: shared by powercut_disk.c, which keeps it, and by
** powercut_image.c and powercut_crash.c, which turn it into a crash image.
*/
#ifndef POWERCUT_DISK_H
#define POWERCUT_DISK_H

#include "powercut.h"

#include <stddef.h>

typedef struct Op {
  uint64_t seq;        /* position among all changes to all files */
  int64_t offset;      /* for a truncation: the new size */
  int64_t length;      /* -1 for a truncation */
  unsigned char *data;
  int64_t size_after;
} Op;

typedef struct Buffer {
  unsigned char *bytes;
  int64_t size;
  int64_t room;
} Buffer;

/* One file. Like a real inode it may outlive its name, and a name may pass to another. */
struct Inode {
  char *path;
  Inode *next;
  uint64_t created; /* seq of the creation, 0 if durable */
  uint64_t deleted; /* seq of the deletion, 0 if the path still names this file */
  int gone;         /* the deletion is durable: nothing can bring this file back */
  Buffer durable;
  int64_t size;
  Op *ops;
  int op_count;
  int op_room;
};

/* All files ever seen, oldest first. */
Inode *disk_first(void);

/* realloc() that never fails. */
void *allocate(void *old, size_t size);

/* Cut the buffer, or extend it by zeros. */
void set_size(Buffer *buffer, int64_t size);

/* Carry out one write or truncation, whole. */
void apply(Buffer *buffer, const Op *op);

/* The cut in progress: set by powercut_crash.c, read by powercut_image.c. */
typedef struct Crash {
  const Fault *fault;
  Counters *counters;
  int stale_garbage; /* this disk shows old garbage where nothing was written */
} Crash;

extern Crash crash;

/* The seeded random numbers of the cut in progress. */
uint64_t crash_draw(void);
int64_t crash_below(int64_t limit);

/* One of the contents the disk may hold of this file, chosen at random. */
void subset_image(const Inode *inode, Buffer *image);

#endif
