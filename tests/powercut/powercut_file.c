/*
** The files of the "powercut" VFS: writes are recorded, and the dead do nothing any more.
*/
#include "powercut_vfs.h"

#define FILE_OF(f) ((PcFile *)(f))
#define REAL(f) (FILE_OF(f)->real)

static int dead(sqlite3_file *f) {
  return power.counters.struck || FILE_OF(f)->life != power.life;
}

static int dead_now(sqlite3_file *f) {
  pthread_mutex_lock(&power.mutex);
  int result = dead(f);
  pthread_mutex_unlock(&power.mutex);
  return result;
}

static int pc_close(sqlite3_file *f) { return REAL(f)->pMethods->xClose(REAL(f)); }

static int pc_read(sqlite3_file *f, void *data, int amount, sqlite3_int64 offset) {
  if (dead_now(f)) return SQLITE_IOERR_READ;
  return REAL(f)->pMethods->xRead(REAL(f), data, amount, offset);
}

static int pc_write(sqlite3_file *f, const void *data, int amount, sqlite3_int64 offset) {
  int rc = SQLITE_IOERR_WRITE;
  pthread_mutex_lock(&power.mutex);
  if (!dead(f)) rc = REAL(f)->pMethods->xWrite(REAL(f), data, amount, offset);
  if (rc == SQLITE_OK && FILE_OF(f)->inode) {
    disk_write(FILE_OF(f)->inode, data, amount, offset);
    power.counters.bytes += amount;
    if (power_fails(&power.counters.writes)) rc = SQLITE_IOERR_WRITE;
  }
  pthread_mutex_unlock(&power.mutex);
  return rc;
}

static int pc_truncate(sqlite3_file *f, sqlite3_int64 size) {
  int rc = SQLITE_IOERR_TRUNCATE;
  pthread_mutex_lock(&power.mutex);
  if (!dead(f)) rc = REAL(f)->pMethods->xTruncate(REAL(f), size);
  if (rc == SQLITE_OK && FILE_OF(f)->inode) {
    disk_truncate(FILE_OF(f)->inode, size);
    if (power_fails(&power.counters.truncates)) rc = SQLITE_IOERR_TRUNCATE;
  }
  pthread_mutex_unlock(&power.mutex);
  return rc;
}

static int pc_sync(sqlite3_file *f, int flags) {
  (void)flags;
  PcFile *file = FILE_OF(f);
  int rc = SQLITE_OK;
  pthread_mutex_lock(&power.mutex);
  /* A cut at a sync comes before its effect; one after it is a cut at the next operation. */
  if (dead(f) || (file->inode && power_fails(&power.counters.syncs))) rc = SQLITE_IOERR_FSYNC;
  if (rc == SQLITE_OK && file->inode) {
    disk_sync(file->inode);
    if (file->syncs_directory) disk_sync_directory(file->path);
    file->syncs_directory = 0;
  }
  pthread_mutex_unlock(&power.mutex);
  return rc;
}

static int pc_file_size(sqlite3_file *f, sqlite3_int64 *size) {
  if (dead_now(f)) return SQLITE_IOERR_FSTAT;
  return REAL(f)->pMethods->xFileSize(REAL(f), size);
}

static int pc_lock(sqlite3_file *f, int level) {
  if (dead_now(f)) return SQLITE_IOERR_LOCK;
  return REAL(f)->pMethods->xLock(REAL(f), level);
}

static int pc_unlock(sqlite3_file *f, int level) {
  return REAL(f)->pMethods->xUnlock(REAL(f), level);
}

static int pc_check_reserved(sqlite3_file *f, int *result) {
  if (dead_now(f)) return SQLITE_IOERR_CHECKRESERVEDLOCK;
  return REAL(f)->pMethods->xCheckReservedLock(REAL(f), result);
}

static int pc_file_control(sqlite3_file *f, int operation, void *argument) {
  /* Both would let the real VFS change the file's size behind the record's back. */
  if (operation == SQLITE_FCNTL_SIZE_HINT) return SQLITE_NOTFOUND;
  if (operation == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_NOTFOUND;
  return REAL(f)->pMethods->xFileControl(REAL(f), operation, argument);
}

static int pc_sector_size(sqlite3_file *f) {
  (void)f;
  return power.fault.sector;
}

static int pc_characteristics(sqlite3_file *f) {
  (void)f;
  /* Promise nothing: no atomic and no ordered writes, since the simulated disk has none;
  ** and no powersafe overwrite, so that a torn sector may damage the bytes around those
  ** written. The unix VFS does promise the latter, and SQLite then neither pads a commit
  ** in the WAL to whole sectors nor keeps journal headers apart: `overwrite_safe` makes
  ** the same promise, and keeps it, to have SQLite write exactly what it does in use. */
  return power.fault.overwrite_safe ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
}

static int pc_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **memory) {
  if (dead_now(f)) return SQLITE_IOERR_SHMMAP;
  return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, memory);
}

static int pc_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
  if ((flags & SQLITE_SHM_LOCK) && dead_now(f)) return SQLITE_IOERR_SHMLOCK;
  return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}

static void pc_shm_barrier(sqlite3_file *f) { REAL(f)->pMethods->xShmBarrier(REAL(f)); }

static int pc_shm_unmap(sqlite3_file *f, int remove) {
  /* Removal is by name, and after a cut the name is that of the survivors' file. */
  return REAL(f)->pMethods->xShmUnmap(REAL(f), remove && !dead_now(f));
}

const sqlite3_io_methods pc_methods = {
  .iVersion = 2,
  .xClose = pc_close,
  .xRead = pc_read,
  .xWrite = pc_write,
  .xTruncate = pc_truncate,
  .xSync = pc_sync,
  .xFileSize = pc_file_size,
  .xLock = pc_lock,
  .xUnlock = pc_unlock,
  .xCheckReservedLock = pc_check_reserved,
  .xFileControl = pc_file_control,
  .xSectorSize = pc_sector_size,
  .xDeviceCharacteristics = pc_characteristics,
  .xShmMap = pc_shm_map,
  .xShmLock = pc_shm_lock,
  .xShmBarrier = pc_shm_barrier,
  .xShmUnmap = pc_shm_unmap,
};
