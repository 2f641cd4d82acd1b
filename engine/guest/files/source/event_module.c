// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* A kernel module that raises inotify events in the guest for changes that the host has seen.
 *
 * virtiofs has no events. Touching the files from the guest would raise "attributes changed" at best,
 * never a created or deleted name, and would write to the user's files. So this raises the same event
 * that the host's kernel has raised, for all watchers of the inode in the guest:
 *
 *   echo "MASK COOKIE PATH" > /sys/module/galley_events/parameters/raise
 *
 * MASK and COOKIE are inotify's, eight hexadecimal digits each. The guest's cache is updated from the
 * host first, so that a watcher finds the current state and not one cached for a second: the
 * attributes of a known inode; or, where names have changed or the name is unknown, the inode of the
 * name. Looking up a name that was deleted would drop its cached inode, and that inode's watchers
 * would miss the deletion. Nothing is requested from the host for a path without watchers.
 *
 * KERNEL_… come from the kernel's own description of its types (engine/guest/event_module.py). The
 * declarations here have been stable for many years, and the build checks the number of parameters.
 */
typedef unsigned int u32;
struct inode;
struct dentry;
struct vfsmount;

struct path {
  struct vfsmount *mount;
  struct dentry *dentry;
};

struct name {
  u32 hash, length;
  const char *text;
};

extern int kern_path(const char *path, u32 flags, struct path *found);
extern int vfs_path_lookup(struct dentry *, struct vfsmount *, const char *name, u32 flags,
                           struct path *found);
extern void path_put(const struct path *);
extern int vfs_getattr(const struct path *, void *attributes, u32 wanted, u32 flags);
extern struct dentry *d_lookup(const struct dentry *parent, const struct name *);
extern void dput(struct dentry *);
extern u32 full_name_hash(const void *salt, const char *text, u32 length);
extern int fsnotify(u32 mask, const void *data, int kind_of_data, struct inode *directory,
                    const struct name *, struct inode *child, u32 cookie);

enum { FOLLOW = 1 << 0, DIRECTORY = 1 << 1, REVALIDATE = 1 << 5 }; /* LOOKUP_… */
enum { BASIC_STATS = 0x7ff, FORCE_SYNC = 0x2000 };                  /* STATX_…, AT_STATX_… */
enum {
  MOVED_FROM = 0x40, MOVED_TO = 0x80, CREATE = 0x100, DELETE = 0x200,
  DELETE_SELF = 0x400, MOVE_SELF = 0x800,
  ON_CHILD = 0x08000000, ISDIR = 0x40000000,
  OF_NAMES = MOVED_FROM | MOVED_TO | CREATE | DELETE,
};
enum { EPERM = 1, EINVAL = 22, HEAD = 18 };

static struct inode *inode_of(struct dentry *dentry) {
  return dentry ? *(struct inode **)((char *)dentry + KERNEL_DENTRY_INODE) : 0;
}

static int is_watched(struct inode *inode) {
  return inode && *(volatile u32 *)((char *)inode + KERNEL_INODE_WATCHED) != 0;
}

static void notify(u32 mask, u32 cookie, struct inode *directory, const struct name *name,
                   struct inode *before, struct inode *now) {
  if (!(mask & OF_NAMES)) { /* where the name was deleted meanwhile, its deletion has an event */
    if (now) fsnotify(mask | ON_CHILD, now, KERNEL_DATA_IS_INODE, directory, name, now, 0);
    return;
  }
  fsnotify(mask, directory, KERNEL_DATA_IS_INODE, directory, name, 0, cookie);
  if (before && before != now && mask & (DELETE | MOVED_TO))
    fsnotify(DELETE_SELF | (mask & ISDIR), before, KERNEL_DATA_IS_INODE, 0, 0, before, 0);
  if (now && mask & MOVED_TO)
    fsnotify(MOVE_SELF | (mask & ISDIR), now, KERNEL_DATA_IS_INODE, 0, 0, now, 0);
}

static int raise(u32 mask, u32 cookie, const char *directory, const char *text, u32 length) {
  struct path around, found;
  int error = kern_path(*directory ? directory : "/", FOLLOW | DIRECTORY, &around);
  if (error) return error;
  struct name name = {full_name_hash(around.dentry, text, length), length, text};
  struct dentry *kept = d_lookup(around.dentry, &name);
  struct inode *parent = inode_of(around.dentry), *before = inode_of(kept);
  int has_watchers = is_watched(parent) || is_watched(before);
  if (has_watchers && before && !(mask & OF_NAMES)) {
    char attributes[KERNEL_ATTRIBUTES_SIZE] __attribute__((aligned(16)));
    struct path known = {around.mount, kept};
    vfs_getattr(&known, attributes, BASIC_STATS, FORCE_SYNC);
    notify(mask, cookie, parent, &name, before, before);
  } else if (has_watchers) {
    int is_gone = vfs_path_lookup(around.dentry, around.mount, text, REVALIDATE, &found);
    notify(mask, cookie, parent, &name, before, is_gone ? 0 : inode_of(found.dentry));
    if (!is_gone) path_put(&found);
  }
  if (kept) dput(kept);
  path_put(&around);
  return 0;
}

/* Eight hexadecimal digits and a space. */
static int read_number(const char *text, u32 *value) {
  *value = 0;
  for (int i = 0; i < 8; i++) {
    char c = text[i];
    u32 digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
    if (digit > 15) return -EINVAL;
    *value = *value << 4 | digit;
  }
  return text[8] == ' ' ? 0 : -EINVAL;
}

struct kernel_param;

/* The line is in the caller's page, which may be changed while this runs: see param_attr_store. */
static int set(const char *line, const struct kernel_param *parameter) {
  (void)parameter;
  u32 mask, cookie, length = 0;
  if (read_number(line, &mask) || read_number(line + 9, &cookie)) return -EINVAL;
  char *path = (char *)line + HEAD, *slash = 0;
  for (; path[length]; length++)
    if (path[length] == '/') slash = path + length;
  if (*path != '/' || !slash[1]) return -EINVAL;
  *slash = 0;
  return raise(mask, cookie, path, slash + 1, path + length - (slash + 1));
}

/* --- what the kernel reads in a module ------------------------------------------------------- */

static const char information[]
    __attribute__((section(".modinfo"), used, aligned(1))) =
        "license=GPL\0name=galley_events\0retpoline=Y\0" /* it has no indirect call */
        "vermagic=" KERNEL_VERSION_MAGIC;

struct {
  char before_name[KERNEL_MODULE_NAME];
  char name[56];
  char rest[KERNEL_MODULE_SIZE - KERNEL_MODULE_NAME - 56];
} __this_module __attribute__((section(".gnu.linkonce.this_module"), used, aligned(64))) = {
    .name = "galley_events"};

static const struct {
  u32 flags;
  int (*set)(const char *, const struct kernel_param *);
  int (*get)(char *, const struct kernel_param *);
  void (*free)(void *);
} operations = {.set = set};

static const struct {
  const char *name;
  void *module;
  const void *operations;
  unsigned short mode;
  signed char level;
  unsigned char flags;
  void *argument;
} parameter __attribute__((section("__param"), used, aligned(8))) = {
    .name = "raise", .module = &__this_module, .operations = &operations, .mode = 0200, .level = -1};

_Static_assert(sizeof parameter == KERNEL_PARAMETER_SIZE, "struct kernel_param");
_Static_assert(sizeof operations == KERNEL_OPERATIONS_SIZE, "struct kernel_param_ops");

#ifdef __aarch64__ /* its module loader requires sections for long jumps */
__asm__(".pushsection .plt, \"ax\", %progbits\n.byte 0\n.popsection\n"
        ".pushsection .init.plt, \"a\", %progbits\n.byte 0\n.popsection\n"
        ".pushsection .text.ftrace_trampoline, \"ax\", %progbits\n.byte 0\n.popsection\n");
#endif
