/*
** What powercut_vfs.c (opening, deleting, the switch) and powercut_file.c (reading, writing,
** syncing, locking) share.
*/
#ifndef POWERCUT_VFS_H
#define POWERCUT_VFS_H

#include "powercut.h"

#include <pthread.h>
#include <sqlite3.h>

typedef struct PcFile {
  sqlite3_file base;
  sqlite3_file *real;
  Inode *inode;        /* NULL for temporary files */
  const char *path;
  int syncs_directory; /* the next sync makes the file's name durable as well */
  int life;            /* between which two resets the file was opened */
} PcFile;

/* SQLite may be called from any thread: whoever touches this, or the disk, holds the mutex. */
typedef struct Power {
  pthread_mutex_t mutex;
  Counters counters;
  Fault fault;
  int journaled_names; /* creations and deletions are durable at once */
  int64_t countdown;   /* operations until the power fails, 0 for never */
  int life;
} Power;

extern Power power;
extern const sqlite3_io_methods pc_methods;

/* Count one operation; true if the power failed at it. */
int power_fails(int64_t *counter);

#endif
