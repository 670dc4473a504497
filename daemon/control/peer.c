#include "daemon/control/peer.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/mem.h"

int peer_read(int fd, struct peer *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct peer p = {0};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	p.uid = cred.uid;
	p.gid = cred.gid;
	p.pid = cred.pid;
	len = sizeof(p.groups);
	/* Somebody in more groups than we take is told by user and main group alone; so is everybody where the kernel
	 * has no such question. That takes rights away, and never gives any. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, p.groups, &len) == 0)
		p.n_groups = len / sizeof(p.groups[0]);
	else if (errno != ERANGE && errno != ENOPROTOOPT && errno != EOPNOTSUPP)
		return -errno;
	*ret = p;
	return 0;
}

static bool is_member(const struct peer *p, gid_t group)
{
	if (group == PEER_NO_GROUP)
		return false;
	if (p->gid == group)
		return true;
	for (size_t i = 0; i < p->n_groups; i++)
		if (p->groups[i] == group)
			return true;
	return false;
}

bool peer_may_look(const struct peer *p, const struct peer_rules *rules)
{
	return p->uid == 0 || p->uid == rules->own || is_member(p, rules->look);
}

bool peer_may_submit(const struct peer *p, const struct peer_rules *rules)
{
	return p->uid == 0 || p->uid == rules->own || is_member(p, rules->submit);
}

void peer_format(const struct peer *p, char out[static 48])
{
	snprintf(out, 48, "uid=%u pid=%d", p->uid, p->pid);
}

int peer_find_group(const char *name, gid_t *ret)
{
	struct group entry, *found = NULL;
	size_t size = 16 * 1024;
	for (;;) {
		cleanup(mem_free_p) char *space = mem_alloc(size);
		int r = getgrnam_r(name, &entry, space, size, &found);
		if (r == EINTR)
			continue;
		if (r == ERANGE && size < 1024 * 1024) { /* a group with very many members */
			size *= 2;
			continue;
		}
		/* Several codes say that there is no such group: see getgrnam(3). */
		if (r && r != ENOENT && r != ESRCH && r != EBADF && r != EPERM)
			return -r;
		if (!found)
			return PEER_GROUP_UNKNOWN;
		*ret = found->gr_gid;
		return PEER_GROUP_FOUND;
	}
}
