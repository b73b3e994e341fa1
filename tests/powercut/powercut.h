/*
** What the two halves of the power-cut simulator share.
**
** powercut_disk.c  records what is not durable (powercut_crash.c, powercut_image.c: what is
**                  left of it when the power fails);
** powercut_vfs.c   shows SQLite that disk (with powercut_file.c) and fails the power.
**
** Everything declared disk_* must be called with the VFS's mutex held.
*/
#ifndef POWERCUT_H
#define POWERCUT_H

#include <stdint.h>

/* What of the unsynced changes reaches the disk. The numbers are known to vfs.py. */
enum {
  POWERCUT_NOTHING = 0,      /* none of it */
  POWERCUT_SUBSET = 1,       /* any subset of sectors, torn sectors, any plausible size */
  POWERCUT_ALL_BUT_LAST = 2, /* all of it except the very last change */
  POWERCUT_ALL = 3           /* all of it: a control, as if only the process had died */
};

/* Read by vfs.py through ctypes: same fields, same order. */
typedef struct Counters {
  int64_t ops; /* writes + syncs + truncates + deletes: what arm() counts */
  int64_t writes;
  int64_t syncs;
  int64_t truncates;
  int64_t deletes;
  int64_t bytes;
  int64_t struck;         /* 1 once the power has failed */
  int64_t failed;         /* 1 if the crash image could not be written: the run is void */
  int64_t sectors_kept;   /* changed sectors found in their newest version (SUBSET only) */
  int64_t sectors_lost;   /* changed sectors found in an older version (SUBSET only) */
  int64_t sectors_torn;   /* ... of these, damaged half way (SUBSET only) */
  int64_t entries_undone; /* paths whose last creation or deletion was undone */
} Counters;

typedef struct Fault {
  uint64_t seed;
  int mode;
  int sector;   /* bytes the disk writes at a time */
  int overwrite_safe; /* a torn sector spares the bytes that were not being written */
} Fault;

typedef struct Inode Inode;

/* The file now named `path`; `existed` says whether it was there before SQLite opened it. */
Inode *disk_open(const char *path, int existed);
void disk_write(Inode *inode, const void *data, int64_t length, int64_t offset);
void disk_truncate(Inode *inode, int64_t size);
void disk_sync(Inode *inode);

/* Record the deletion of a file that is still there; false if it is not. */
int disk_delete(const char *path);

/* Make every creation and deletion in the directory of `path` durable. */
void disk_sync_directory(const char *path);

/* Replace every known file by what the disk holds after the cut; 0 if all went well. */
int disk_crash(const Fault *fault, Counters *counters);

/* Forget all files; every Inode pointer handed out before is dead. */
void disk_forget(void);

#endif
