#include "mkfs.h"

#include "base/cleanup.h"

#include <endian.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define GROUP_BLOCKS     (MKFS_BLOCK * 8) /* what one block of bits describes */
#define INODE_BYTES      256
#define DESCRIPTOR_BYTES 32
#define INODES_PER_BLOCK (MKFS_BLOCK / INODE_BYTES)
#define FIRST_INODE      11 /* those before have a meaning */
#define ROOT_INODE       2
#define BLOCKS_MAX       ((uint64_t)1 << 31) /* 8 TiB */
#define EXTENTS_FLAG     0x80000
#define EXTENT_MAGIC     0xf30a
/* The kernel keeps a fiftieth, at most 4096 blocks, for extents that delayed writes may need. */
#define RESERVE_PART 50
#define RESERVE_MAX  4096

/* s_feature_*: extended attributes, indexed directories, no copies of the superblock; file types,
 * extents; large files, huge files, many links, large inodes. */
#define COMPATIBLE   (0x8 | 0x20 | 0x200)
#define INCOMPATIBLE (0x2 | 0x40)
#define READ_ONLY    (0x2 | 0x8 | 0x20 | 0x40)

struct super_block {
    uint32_t inodes, blocks, reserved_blocks, free_blocks, free_inodes, first_block;
    uint32_t block_size, cluster_size, blocks_per_group, clusters_per_group, inodes_per_group;
    uint32_t mount_time, write_time;
    uint16_t mounts, max_mounts, magic, state, errors, minor;
    uint32_t check_time, check_interval, creator, revision;
    uint16_t reserved_uid, reserved_gid;
    uint32_t first_inode;
    uint16_t inode_size, group;
    uint32_t compatible, incompatible, read_only;
    uint8_t uuid[16];
    uint8_t names[80];
    uint8_t unused[36]; /* bitmap algorithm, preallocation, journal */
    uint32_t hash_seed[4];
    uint8_t hash_version, journal_backup;
    uint16_t descriptor_size;
    uint32_t mount_options, first_meta, made_time;
    uint8_t journal_blocks[68];
    uint32_t blocks_high, reserved_high, free_high;
    uint16_t extra_inode_min, extra_inode_wanted;
    uint32_t flags;
    uint8_t rest[232];
    uint32_t backup_groups[2];
    uint8_t end[428];
};
_Static_assert(offsetof(struct super_block, uuid) == 0x68, "ext4 superblock");
_Static_assert(offsetof(struct super_block, hash_seed) == 0xec, "ext4 superblock");
_Static_assert(offsetof(struct super_block, blocks_high) == 0x150, "ext4 superblock");
_Static_assert(offsetof(struct super_block, backup_groups) == 0x24c, "ext4 superblock");
_Static_assert(sizeof(struct super_block) == 1024, "ext4 superblock");

struct descriptor {
    uint32_t block_bits, inode_bits, inode_table;
    uint16_t free_blocks, free_inodes, directories, flags;
    uint32_t unused[3];
};
_Static_assert(sizeof(struct descriptor) == DESCRIPTOR_BYTES, "ext4 group descriptor");

struct inode {
    uint16_t mode, uid;
    uint32_t size, atime, ctime, mtime, dtime;
    uint16_t gid, links;
    uint32_t sectors, flags, version;
    struct {
        uint16_t magic, entries, max, depth;
        uint32_t generation;
        uint32_t block;
        uint16_t length, start_high;
        uint32_t start;
        uint8_t others[36];
    } extents;
    uint8_t middle[28];
    uint16_t extra_size;
    uint8_t end[126];
};
_Static_assert(sizeof(struct inode) == INODE_BYTES, "ext4 inode");

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

/* Blocks at the start of GROUP that are not for data. */
static uint64_t overhead(const struct mkfs_plan *p, uint64_t group)
{
    /* The first also has superblock, descriptors and the root directory. */
    return 2 + p->table_blocks + (group == 0 ? 2 + (uint64_t)p->descriptor_blocks : 0);
}

static uint64_t blocks_of(const struct mkfs_plan *p, uint64_t group)
{
    return MIN(p->blocks - group * GROUP_BLOCKS, (uint64_t)GROUP_BLOCKS);
}

int mkfs_plan(uint64_t bytes, uint64_t inodes, struct mkfs_plan *ret)
{
    uint64_t data = divide_up(bytes, MKFS_BLOCK), own = 0;
    struct mkfs_plan p = {0};

    if (data > BLOCKS_MAX || inodes > UINT32_MAX / 2)
        return -EFBIG;
    p.inodes = inodes;
    data += MIN(data / (RESERVE_PART - 1) + 1, RESERVE_MAX);
    inodes += FIRST_INODE - 1;
    /* More groups have more overhead: until it fits. */
    for (p.groups = divide_up(data, GROUP_BLOCKS);; p.groups++) {
        uint64_t each = divide_up(inodes, p.groups);
        each = divide_up(each, INODES_PER_BLOCK) * INODES_PER_BLOCK;
        if (each > GROUP_BLOCKS)
            continue;
        p.inodes_per_group = (uint32_t)each;
        p.table_blocks = (uint32_t)(each / INODES_PER_BLOCK);
        p.descriptor_blocks = (uint32_t)divide_up(p.groups * DESCRIPTOR_BYTES, MKFS_BLOCK);
        own = overhead(&p, 0) + (p.groups - 1) * overhead(&p, 1);
        if (own + data <= p.groups * GROUP_BLOCKS)
            break;
    }
    p.blocks = own + data;
    if (p.blocks > BLOCKS_MAX)
        return -EFBIG;
    /* A last group must at least hold what it has itself. */
    p.blocks = MAX(p.blocks, (p.groups - 1) * GROUP_BLOCKS + overhead(&p, p.groups - 1) + 1);
    *ret = p;
    return 0;
}

/* Writes SIZE bytes of DATA at block AT. */
static int put(int fd, const void *data, size_t size, uint64_t at)
{
    ssize_t n;

    do
        n = pwrite(fd, data, size, (off_t)(at * MKFS_BLOCK));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : (size_t)n == size ? 0 : -ENOSPC;
}

/* A block of bits, the first USED of them set and all from VALID on. */
static int put_bits(int fd, uint64_t at, uint64_t used, uint64_t valid)
{
    uint8_t bits[MKFS_BLOCK] = {0};

    memset(bits, 0xff, used / 8);
    for (uint64_t i = used / 8 * 8; i < used; i++)
        bits[i / 8] |= (uint8_t)(1U << i % 8);
    for (uint64_t i = valid; i < divide_up(valid, 8) * 8; i++)
        bits[i / 8] |= (uint8_t)(1U << i % 8);
    memset(bits + divide_up(valid, 8), 0xff, MKFS_BLOCK - divide_up(valid, 8));
    return put(fd, bits, sizeof(bits), at);
}

/* Inodes of GROUP that may be used, the first group's reserved ones included: as many as it has,
 * until all are given out. What is left over in each group is marked as used for ever. */
static uint64_t inodes_of(const struct mkfs_plan *p, uint64_t group)
{
    uint64_t before = group * p->inodes_per_group, all = p->inodes + FIRST_INODE - 1;

    return all <= before ? 0 : MIN(all - before, (uint64_t)p->inodes_per_group);
}

static int put_group(int fd, const struct mkfs_plan *p, uint64_t group, struct descriptor *d)
{
    uint64_t first = group * GROUP_BLOCKS, taken = overhead(p, group);
    uint64_t at = first + (group == 0 ? 1 + (uint64_t)p->descriptor_blocks : 0);
    uint64_t inodes = group == 0 ? FIRST_INODE - 1 : 0;
    int r;

    *d = (struct descriptor){
        .block_bits = htole32((uint32_t)at),
        .inode_bits = htole32((uint32_t)at + 1),
        .inode_table = htole32((uint32_t)at + 2),
        .free_blocks = htole16((uint16_t)(blocks_of(p, group) - taken)),
        .free_inodes = htole16((uint16_t)(inodes_of(p, group) - inodes)),
        .directories = htole16(group == 0),
    };
    r = put_bits(fd, at, taken, blocks_of(p, group));
    return r < 0 ? r : put_bits(fd, at + 1, inodes, inodes_of(p, group));
}

static int put_root(int fd, const struct mkfs_plan *p, uint32_t now)
{
    uint64_t table = 3 + (uint64_t)p->descriptor_blocks, block = table + p->table_blocks;
    struct {
        struct inode before[ROOT_INODE - 1], root;
    } inodes = {0};
    struct {
        uint32_t inode;
        uint16_t size;
        uint8_t name_size, type;
        char name[4];
    } entries[2] = {
        {htole32(ROOT_INODE), htole16(12), 1, 2, "."},
        {htole32(ROOT_INODE), htole16(MKFS_BLOCK - 12), 2, 2, ".."},
    };
    uint8_t directory[MKFS_BLOCK] = {0};
    int r;

    inodes.root = (struct inode){
        .mode = htole16(040755),
        .size = htole32(MKFS_BLOCK),
        .atime = htole32(now),
        .ctime = htole32(now),
        .mtime = htole32(now),
        .links = htole16(2),
        .sectors = htole32(MKFS_BLOCK / 512),
        .flags = htole32(EXTENTS_FLAG),
        .extents = {.magic = htole16(EXTENT_MAGIC),
                    .entries = htole16(1),
                    .max = htole16(4),
                    .length = htole16(1),
                    .start = htole32((uint32_t)block)},
        .extra_size = htole16(32),
    };
    memcpy(directory, entries, sizeof(entries));
    r = put(fd, &inodes, sizeof(inodes), table);
    return r < 0 ? r : put(fd, directory, sizeof(directory), block);
}

static int put_super(int fd, const struct mkfs_plan *p, uint32_t now)
{
    uint64_t own = overhead(p, 0) + (p->groups - 1) * overhead(p, 1);
    struct {
        uint8_t boot[1024];
        struct super_block s;
    } block = {.s = {
                   .inodes = htole32((uint32_t)(p->groups * p->inodes_per_group)),
                   .blocks = htole32((uint32_t)p->blocks),
                   .free_blocks = htole32((uint32_t)(p->blocks - own)),
                   .free_inodes = htole32((uint32_t)p->inodes),
                   .block_size = htole32(2),
                   .cluster_size = htole32(2),
                   .blocks_per_group = htole32(GROUP_BLOCKS),
                   .clusters_per_group = htole32(GROUP_BLOCKS),
                   .inodes_per_group = htole32(p->inodes_per_group),
                   .write_time = htole32(now),
                   .max_mounts = htole16(0xffff),
                   .magic = htole16(0xef53),
                   .state = htole16(1),
                   .errors = htole16(1),
                   .check_time = htole32(now),
                   .revision = htole32(1),
                   .first_inode = htole32(FIRST_INODE),
                   .inode_size = htole16(INODE_BYTES),
                   .compatible = htole32(COMPATIBLE),
                   .incompatible = htole32(INCOMPATIBLE),
                   .read_only = htole32(READ_ONLY),
                   .hash_version = 1,
                   .made_time = htole32(now),
                   .extra_inode_min = htole16(32),
                   .extra_inode_wanted = htole16(32),
                   .flags = htole32(1),
               }};

    if (getrandom(block.s.uuid, sizeof(block.s.uuid), 0) < 0 ||
        getrandom(block.s.hash_seed, sizeof(block.s.hash_seed), 0) < 0)
        return -errno;
    return put(fd, &block, sizeof(block), 0);
}

int mkfs_make(int fd, const struct mkfs_plan *p)
{
    _cleanup_free_ struct descriptor *descriptors = calloc((size_t)p->groups, sizeof(*descriptors));
    uint32_t now = (uint32_t)time(NULL);
    int r = 0;

    if (!descriptors)
        return -ENOMEM;
    if (ftruncate(fd, (off_t)(p->blocks * MKFS_BLOCK)) < 0)
        return -errno;
    for (uint64_t group = 0; r == 0 && group < p->groups; group++)
        r = put_group(fd, p, group, &descriptors[group]);
    if (r == 0)
        r = put(fd, descriptors, (size_t)p->groups * sizeof(*descriptors), 1);
    if (r == 0)
        r = put_root(fd, p, now);
    return r < 0 ? r : put_super(fd, p, now);
}
