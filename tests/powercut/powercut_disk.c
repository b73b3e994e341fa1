/*
** The disk under the power-cut simulator: a record of what is not durable yet.
**
** For every file the content at its last sync is kept ("durable"), and the list of all
** writes and truncations since. For every path the creations and deletions since the last
** sync of its directory are kept. powercut_crash.c makes the crash image out of these.
*/
#include "powercut_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static Inode *first_inode;
static Inode *last_inode;
static uint64_t last_seq;

Inode *disk_first(void) { return first_inode; }

void *allocate(void *old, size_t size) {
  void *memory = realloc(old, size ? size : 1);
  if (memory == NULL) abort(); /* a test tool: no memory, no verdict */
  return memory;
}

/* --- recording ------------------------------------------------------------------- */

void set_size(Buffer *buffer, int64_t size) {
  if (size > buffer->room) {
    buffer->room = size * 2;
    buffer->bytes = allocate(buffer->bytes, (size_t)buffer->room);
  }
  if (size > buffer->size) {
    memset(buffer->bytes + buffer->size, 0, (size_t)(size - buffer->size));
  }
  buffer->size = size;
}

void apply(Buffer *buffer, const Op *op) {
  if (op->length < 0) {
    set_size(buffer, op->offset);
    return;
  }
  if (op->offset + op->length > buffer->size) set_size(buffer, op->offset + op->length);
  memcpy(buffer->bytes + op->offset, op->data, (size_t)op->length);
}

static void drop_ops(Inode *inode) {
  for (int i = 0; i < inode->op_count; i++) free(inode->ops[i].data);
  free(inode->ops);
  inode->ops = NULL;
  inode->op_count = inode->op_room = 0;
}

static void drop_content(Inode *inode) {
  drop_ops(inode);
  free(inode->durable.bytes);
  memset(&inode->durable, 0, sizeof inode->durable);
}

static Inode *find(const char *path) {
  for (Inode *inode = first_inode; inode; inode = inode->next) {
    if (!inode->deleted && strcmp(inode->path, path) == 0) return inode;
  }
  return NULL;
}

static void load(Buffer *buffer, const char *path) {
  FILE *file = fopen(path, "rb");
  struct stat status;
  if (file == NULL || fstat(fileno(file), &status) != 0) abort();
  set_size(buffer, status.st_size);
  if (fread(buffer->bytes, 1, (size_t)buffer->size, file) != (size_t)buffer->size) abort();
  fclose(file);
}

Inode *disk_open(const char *path, int existed) {
  Inode *inode = find(path);
  if (inode && existed) return inode;
  if (inode) inode->deleted = ++last_seq; /* removed behind SQLite's back */
  inode = allocate(NULL, sizeof *inode);
  memset(inode, 0, sizeof *inode);
  inode->path = strcpy(allocate(NULL, strlen(path) + 1), path);
  if (existed) {
    load(&inode->durable, path); /* what is there before the test starts counts as durable */
    inode->size = inode->durable.size;
  } else {
    inode->created = ++last_seq;
  }
  if (last_inode) last_inode->next = inode;
  else first_inode = inode;
  last_inode = inode;
  return inode;
}

static void record(Inode *inode, const void *data, int64_t length, int64_t offset) {
  if (inode->gone) return;
  if (inode->op_count == inode->op_room) {
    inode->op_room = inode->op_room ? inode->op_room * 2 : 16;
    inode->ops = allocate(inode->ops, (size_t)inode->op_room * sizeof *inode->ops);
  }
  Op *op = &inode->ops[inode->op_count++];
  *op = (Op){.seq = ++last_seq, .offset = offset, .length = length};
  if (length < 0) {
    inode->size = offset;
  } else {
    op->data = memcpy(allocate(NULL, (size_t)length), data, (size_t)length);
    if (offset + length > inode->size) inode->size = offset + length;
  }
  op->size_after = inode->size;
}

void disk_write(Inode *inode, const void *data, int64_t length, int64_t offset) {
  record(inode, data, length, offset);
}

void disk_truncate(Inode *inode, int64_t size) { record(inode, NULL, -1, size); }

void disk_sync(Inode *inode) {
  for (int i = 0; i < inode->op_count; i++) apply(&inode->durable, &inode->ops[i]);
  drop_ops(inode);
}

int disk_delete(const char *path) {
  if (access(path, F_OK) != 0) return 0;
  Inode *inode = disk_open(path, 1); /* it may be new to us: a leftover journal, say */
  inode->deleted = ++last_seq;
  return 1;
}

static int same_directory(const char *a, const char *b) {
  const char *a_end = strrchr(a, '/'), *b_end = strrchr(b, '/');
  if (a_end == NULL || b_end == NULL) return a_end == b_end;
  return a_end - a == b_end - b && memcmp(a, b, (size_t)(a_end - a)) == 0;
}

void disk_sync_directory(const char *path) {
  for (Inode *inode = first_inode; inode; inode = inode->next) {
    if (!same_directory(inode->path, path)) continue;
    inode->created = 0;
    if (inode->deleted && !inode->gone) {
      inode->gone = 1;
      drop_content(inode);
    }
  }
}

void disk_forget(void) {
  while (first_inode) {
    Inode *inode = first_inode;
    first_inode = inode->next;
    drop_content(inode);
    free(inode->path);
    free(inode);
  }
  last_inode = NULL;
  last_seq = 0;
}
