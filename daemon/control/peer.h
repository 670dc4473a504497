/*
 * Who is at the other end of a control connection, as the kernel says, and what that one may do. The groups are those
 * that the peer's process really has (SO_PEERGROUPS), not what a user database says of its user: so nothing is looked
 * up, and nothing can block.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/macros.h"

#define PEER_GROUPS_MAX 256

struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	gid_t groups[PEER_GROUPS_MAX];
	size_t n_groups;
};

#define PEER_NO_GROUP ((gid_t)-1)

struct peer_rules {
	uid_t own;    /* the daemon's user */
	gid_t look;   /* may look and command; PEER_NO_GROUP: no group may */
	gid_t submit; /* may submit plans as well */
};

/* Returns 0 or a negative errno. */
must_use int peer_read(int fd, struct peer *ret);
bool peer_may_look(const struct peer *p, const struct peer_rules *rules); /* and command */
bool peer_may_submit(const struct peer *p, const struct peer_rules *rules);
void peer_format(const struct peer *p, char out[static 48]); /* "uid=1000 pid=77" */

enum peer_group_result { PEER_GROUP_FOUND = 0, PEER_GROUP_UNKNOWN = 1 };
/* Asks the user database: for the start only. */
must_use int peer_find_group(const char *name, gid_t *ret);
