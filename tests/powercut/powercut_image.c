/*
** What one file may hold after the power fails, in SUBSET mode.
**
** The choices follow a file system that journals its metadata and nothing else. The file's
** size is that after some prefix of the changes. Each sector holds any version it has had
** since the last sync, independently of all others, or is torn half way to the next one.
** A truncation is metadata: what was written after a truncation that did not reach the
** disk is lost wherever the truncation had freed the sector. Space a file grew into but
** which was never written shows zeros or stale garbage.
*/
#include "powercut_disk.h"

#include <stdlib.h>
#include <string.h>

static int64_t sector_size;

static void garbage(unsigned char *bytes, int64_t length) {
  for (int64_t i = 0; i < length; i++) bytes[i] = (unsigned char)crash_below(256);
}

/* The part of the sector at `start` that `op` writes, put into `to`. */
static void apply_in_sector(unsigned char *to, int64_t start, const Op *op) {
  int64_t begin = op->offset > start ? op->offset : start;
  int64_t end = op->offset + op->length;
  if (end > start + sector_size) end = start + sector_size;
  memcpy(to + (begin - start), op->data + (begin - op->offset), (size_t)(end - begin));
}

static void tear(unsigned char *sector, int64_t start, const Op *op) {
  crash.counters->sectors_torn++;
  if (!crash.fault->overwrite_safe && crash_below(4) == 0) {
    garbage(sector, sector_size); /* bytes that were not being written suffer as well */
    return;
  }
  /* The disk writes a sector from one end to the other, whichever, and stops half way. */
  unsigned char *newer = memcpy(allocate(NULL, (size_t)sector_size), sector, (size_t)sector_size);
  apply_in_sector(newer, start, op);
  int64_t cut = 1 + crash_below(sector_size - 1);
  if (crash_below(2) == 0) memcpy(sector, newer, (size_t)cut);
  else memcpy(sector + cut, newer + cut, (size_t)(sector_size - cut));
  free(newer);
}

typedef struct Sector {
  int versions; /* how many writes to it could be on the disk */
  int kept;     /* how many are */
  int seen;     /* how many were carried out so far */
  char closed;  /* freed by a truncation that is not on the disk: no later write counts */
  char torn;    /* the write after the kept ones got half way */
} Sector;

static int64_t first_whole(int64_t offset) {
  return (offset + sector_size - 1) / sector_size;
}

static void count_versions(const Inode *inode, Sector *sectors, int64_t count, int metadata) {
  for (int i = 0; i < inode->op_count; i++) {
    const Op *op = &inode->ops[i];
    if (op->length < 0) {
      for (int64_t s = first_whole(op->offset); s < count; s++) {
        if (i < metadata) sectors[s].versions = 0;
        else sectors[s].closed = 1;
      }
      continue;
    }
    for (int64_t s = op->offset / sector_size; s * sector_size < op->offset + op->length; s++) {
      if (!sectors[s].closed) sectors[s].versions++;
    }
  }
}

static void choose_versions(Sector *sectors, int64_t count) {
  /* Neighbours share their fate in runs, mostly new or mostly old: else no long write
  ** would ever survive whole, and the cases where one piece is missing would be rare. */
  static const int newest_percent[] = {10, 50, 90};
  static const int run_length[] = {1, 8, 64};
  int newest = newest_percent[crash_below(3)], run = run_length[crash_below(3)];
  uint64_t fate = 0;
  for (int64_t s = 0; s < count; s++) {
    Sector *sector = &sectors[s];
    if (s % run == 0) fate = crash_draw();
    if (sector->versions == 0) continue;
    if ((int)(fate % 100) < newest) {
      sector->kept = sector->versions;
      crash.counters->sectors_kept++;
    } else {
      sector->kept = (int)((fate >> 32) % (uint64_t)sector->versions);
      sector->torn = crash_below(8) == 0;
      crash.counters->sectors_lost++;
    }
  }
}

static void carry_out(const Inode *inode, Buffer *image, Sector *sectors, int metadata) {
  for (int i = 0; i < inode->op_count; i++) {
    const Op *op = &inode->ops[i];
    if (op->length < 0) {
      if (i >= metadata) continue;
      for (int64_t s = first_whole(op->offset); s * sector_size < image->size; s++) {
        memset(image->bytes + s * sector_size, 0, (size_t)sector_size);
        sectors[s].seen = 0;
      }
      continue;
    }
    for (int64_t s = op->offset / sector_size; s * sector_size < op->offset + op->length; s++) {
      int64_t start = s * sector_size;
      int nth = ++sectors[s].seen;
      if (nth <= sectors[s].kept) apply_in_sector(image->bytes + start, start, op);
      else if (nth == sectors[s].kept + 1 && sectors[s].torn) tear(image->bytes + start, start, op);
    }
  }
}

static int64_t choose_size(const Inode *inode, int metadata) {
  int64_t size = metadata ? inode->ops[metadata - 1].size_after : inode->durable.size;
  if (metadata < inode->op_count) {
    int64_t grown = inode->ops[metadata].size_after;
    if (grown > size && crash_below(2) == 0) {
      /* The next write had begun to extend the file. */
      int64_t extra = 1 + crash_below(first_whole(grown - size));
      int64_t part = (size / sector_size + extra) * sector_size;
      size = part < grown ? part : grown;
    }
  }
  return size;
}

void subset_image(const Inode *inode, Buffer *image) {
  sector_size = crash.fault->sector;
  int64_t longest = inode->durable.size;
  for (int i = 0; i < inode->op_count; i++) {
    if (inode->ops[i].size_after > longest) longest = inode->ops[i].size_after;
  }
  int64_t count = first_whole(longest);
  set_size(image, count * sector_size);
  if (inode->durable.size) {
    memcpy(image->bytes, inode->durable.bytes, (size_t)inode->durable.size);
  }
  Sector *sectors = allocate(NULL, (size_t)count * sizeof *sectors);
  memset(sectors, 0, (size_t)count * sizeof *sectors);

  int metadata = inode->op_count; /* the size changes of so many operations are on the disk */
  int64_t fate = crash_below(8);
  if (fate == 0) metadata = 0;
  else if (fate < 4) metadata = (int)crash_below(inode->op_count + 1);
  count_versions(inode, sectors, count, metadata);
  choose_versions(sectors, count);
  if (crash.stale_garbage) {
    for (int64_t s = first_whole(inode->durable.size); s < count; s++) {
      if (!sectors[s].kept) garbage(image->bytes + s * sector_size, sector_size);
    }
  }
  carry_out(inode, image, sectors, metadata);
  set_size(image, choose_size(inode, metadata));
  free(sectors);
}
