/*
** What the disk as a whole holds after the power fails.
**
** Each path names any file (or none) that it has named since its directory was last synced.
** The image is written as NEW files under the old names: connections that died with the
** power still hold the old files, and can neither write to nor lock the new ones.
*/
#include "powercut_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Crash crash;

static uint64_t random_state;
static uint64_t dropped_seq; /* ALL_BUT_LAST: the change that is lost */

static uint64_t mix(uint64_t z) { /* splitmix64: small, and the same everywhere */
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint64_t crash_draw(void) { return mix(random_state += 0x9e3779b97f4a7c15u); }
int64_t crash_below(int64_t limit) { return (int64_t)(crash_draw() % (uint64_t)limit); }

static void whole_image(const Inode *inode, Buffer *image) {
  set_size(image, inode->durable.size);
  if (image->size) memcpy(image->bytes, inode->durable.bytes, (size_t)image->size);
  if (crash.fault->mode == POWERCUT_NOTHING) return;
  for (int i = 0; i < inode->op_count; i++) {
    if (inode->ops[i].seq != dropped_seq) apply(image, &inode->ops[i]);
  }
}

static int write_image(const Inode *inode, const char *path) {
  Buffer image = {0};
  if (crash.fault->mode == POWERCUT_SUBSET) subset_image(inode, &image);
  else whole_image(inode, &image);

  char *fresh = allocate(NULL, strlen(path) + sizeof ".powercut");
  strcat(strcpy(fresh, path), ".powercut");
  struct stat status;
  mode_t permissions = stat(path, &status) == 0 ? status.st_mode & 0777 : 0600;
  FILE *file = fopen(fresh, "wb");
  int ok = file != NULL;
  if (ok) {
    size_t size = (size_t)image.size;
    ok = size == 0 || fwrite(image.bytes, 1, size, file) == size;
    ok = fchmod(fileno(file), permissions) == 0 && ok;
    ok = fclose(file) == 0 && ok && rename(fresh, path) == 0;
  }
  free(fresh);
  free(image.bytes);
  return ok;
}

/* Decide which file `path` names after the cut, and put it there. */
static int settle_path(const char *path) {
  int states = 1; /* the state that is durable; then one more per creation and deletion */
  uint64_t last_change = 0;
  for (Inode *inode = disk_first(); inode; inode = inode->next) {
    if (inode->gone || strcmp(inode->path, path) != 0) continue;
    if (inode->created) states++, last_change = inode->created;
    if (inode->deleted) states++, last_change = inode->deleted;
  }
  int chosen = states - 1;
  if (crash.fault->mode == POWERCUT_NOTHING) chosen = 0;
  if (crash.fault->mode == POWERCUT_SUBSET) chosen = (int)crash_below(states);
  if (last_change && last_change == dropped_seq) chosen--;
  if (chosen != states - 1) crash.counters->entries_undone++;

  const Inode *winner = NULL;
  int state = 0;
  for (Inode *inode = disk_first(); inode; inode = inode->next) {
    if (inode->gone || strcmp(inode->path, path) != 0) continue;
    if (inode->created) state++;
    if (state <= chosen) winner = inode;
    if (inode->deleted && ++state <= chosen) winner = NULL;
  }
  /* The wal-index is shared memory; the first connection after a boot starts it anew. */
  char *shm = allocate(NULL, strlen(path) + sizeof "-shm");
  unlink(strcat(strcpy(shm, path), "-shm"));
  free(shm);
  if (winner) return write_image(winner, path);
  return unlink(path) == 0 || access(path, F_OK) != 0;
}

static uint64_t last_pending(void) {
  uint64_t last = 0;
  for (Inode *inode = disk_first(); inode; inode = inode->next) {
    if (inode->gone) continue;
    if (inode->created > last) last = inode->created;
    if (inode->deleted > last) last = inode->deleted;
    if (inode->op_count && inode->ops[inode->op_count - 1].seq > last) {
      last = inode->ops[inode->op_count - 1].seq;
    }
  }
  return last;
}

int disk_crash(const Fault *fault, Counters *counters) {
  random_state = mix(fault->seed + 1);
  crash = (Crash){.fault = fault, .counters = counters, .stale_garbage = crash_below(2) == 0};
  dropped_seq = fault->mode == POWERCUT_ALL_BUT_LAST ? last_pending() : 0;
  int ok = 1;
  for (Inode *inode = disk_first(); inode; inode = inode->next) {
    int settled = 0; /* under the name of an earlier inode */
    for (Inode *earlier = disk_first(); earlier != inode; earlier = earlier->next) {
      if (strcmp(earlier->path, inode->path) == 0) settled = 1;
    }
    if (!settled) ok = settle_path(inode->path) && ok;
  }
  return ok ? 0 : -1;
}
