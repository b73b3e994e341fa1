/*
** "powercut": a SQLite VFS, for tests only, that can lose its power.
**
** It wraps the "unix" VFS. Writes go through to the real file, so that everybody reads
** them, and are recorded as volatile until SQLite syncs the file. When the power fails
** (powercut_strike(), or the n-th operation after powercut_arm()) the files are replaced
** by what a disk might hold, see powercut_crash.c, and every file opened before is dead:
** all further input and output on it fails, as the process would be gone.
**
** Nothing is ever really synced: the simulated disk decides what is durable, and a test
** that does not wait for the real one can afford hundreds of cuts.
**
** Temporary files are passed through unrecorded: nobody looks for them after a reboot.
** Memory mapping is not offered (io methods version 2), as it would bypass the record.
*/
#include "powercut_vfs.h"

#include <string.h>
#include <unistd.h>

Power power = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fault = {.sector = 512}};

static sqlite3_vfs *unix_vfs;

static void strike(void) {
  power.counters.struck = 1;
  power.countdown = 0;
  if (disk_crash(&power.fault, &power.counters) != 0) power.counters.failed = 1;
}

int power_fails(int64_t *counter) {
  power.counters.ops++;
  ++*counter;
  if (power.countdown == 0 || --power.countdown > 0) return 0;
  strike();
  return 1;
}

static int pc_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out) {
  (void)vfs;
  PcFile *file = (PcFile *)f;
  const int lasting = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL |
                      SQLITE_OPEN_SUPER_JOURNAL;
  memset(file, 0, sizeof *file);
  file->real = (sqlite3_file *)(file + 1);
  pthread_mutex_lock(&power.mutex);
  int rc = SQLITE_CANTOPEN;
  if (!power.counters.struck) {
    int existed = path && access(path, F_OK) == 0;
    rc = unix_vfs->xOpen(unix_vfs, path, file->real, flags, out);
    if (rc == SQLITE_OK && path && (flags & lasting)) {
      file->inode = disk_open(path, existed);
      file->path = path;
      /* The unix VFS syncs the directory along with the first sync of a journal or WAL
      ** that it may have created, not of a database: see UNIXFILE_DIRSYNC there. */
      file->syncs_directory = (flags & SQLITE_OPEN_CREATE) && !(flags & SQLITE_OPEN_MAIN_DB);
      if (power.journaled_names) disk_sync_directory(path);
    }
  }
  file->life = power.life;
  if (rc == SQLITE_OK) file->base.pMethods = &pc_methods;
  pthread_mutex_unlock(&power.mutex);
  return rc;
}

static int pc_delete(sqlite3_vfs *vfs, const char *path, int sync_directory) {
  (void)vfs;
  int rc = SQLITE_IOERR_DELETE;
  pthread_mutex_lock(&power.mutex);
  if (!power.counters.struck) {
    if (disk_delete(path) && power_fails(&power.counters.deletes)) {
      /* The deletion may or may not have reached the disk, like any other change. */
    } else {
      rc = unix_vfs->xDelete(unix_vfs, path, 0);
      if (sync_directory || power.journaled_names) disk_sync_directory(path);
    }
  }
  pthread_mutex_unlock(&power.mutex);
  return rc;
}

static int pc_access(sqlite3_vfs *vfs, const char *path, int flags, int *result) {
  (void)vfs;
  pthread_mutex_lock(&power.mutex);
  int struck = (int)power.counters.struck;
  pthread_mutex_unlock(&power.mutex);
  if (struck) return SQLITE_IOERR_ACCESS;
  return unix_vfs->xAccess(unix_vfs, path, flags, result);
}

/* --- what vfs.py calls ----------------------------------------------------------- */

static sqlite3_vfs pc_vfs;

int powercut_register(int is_default) {
  unix_vfs = sqlite3_vfs_find("unix");
  if (unix_vfs == NULL) return SQLITE_ERROR;
  if (pc_vfs.zName == NULL) {
    pc_vfs = *unix_vfs; /* whatever is not about files is done by the unix VFS itself */
    pc_vfs.pNext = NULL;
    pc_vfs.zName = "powercut";
    pc_vfs.szOsFile = (int)sizeof(PcFile) + unix_vfs->szOsFile;
    pc_vfs.xOpen = pc_open;
    pc_vfs.xDelete = pc_delete;
    pc_vfs.xAccess = pc_access;
  }
  return sqlite3_vfs_register(&pc_vfs, is_default);
}

int powercut_unregister(void) { return sqlite3_vfs_unregister(&pc_vfs); }

void powercut_disk(int sector, int overwrite_safe, int names_are_journaled) {
  pthread_mutex_lock(&power.mutex);
  power.fault.sector = sector;
  power.fault.overwrite_safe = overwrite_safe;
  power.journaled_names = names_are_journaled;
  pthread_mutex_unlock(&power.mutex);
}

/* The power fails at the n-th operation from now; n = 0 disarms. */
void powercut_arm(int64_t n, uint64_t seed, int mode) {
  pthread_mutex_lock(&power.mutex);
  power.countdown = n;
  power.fault.seed = seed;
  power.fault.mode = mode;
  pthread_mutex_unlock(&power.mutex);
}

void powercut_strike(uint64_t seed, int mode) {
  pthread_mutex_lock(&power.mutex);
  if (!power.counters.struck) {
    power.fault.seed = seed;
    power.fault.mode = mode;
    strike();
  }
  pthread_mutex_unlock(&power.mutex);
}

/* Power is back: new files may be opened, those opened before stay dead. */
void powercut_reset(void) {
  pthread_mutex_lock(&power.mutex);
  disk_forget();
  memset(&power.counters, 0, sizeof power.counters);
  power.countdown = 0;
  power.life++;
  pthread_mutex_unlock(&power.mutex);
}

void powercut_counters(Counters *copy) {
  pthread_mutex_lock(&power.mutex);
  *copy = power.counters;
  pthread_mutex_unlock(&power.mutex);
}
