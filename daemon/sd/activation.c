#include "daemon/sd/activation.h"

#include <sys/socket.h>
#include <systemd/sd-daemon.h>

int activation_take_socket(int *ret_fd)
{
	int n = sd_listen_fds(1);
	if (n < 0)
		return n;
	if (n == 0)
		return ACTIVATION_NONE;
	int r = sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0);
	if (r < 0)
		return r;
	if (n != 1 || r == 0)
		return ACTIVATION_WRONG;
	*ret_fd = SD_LISTEN_FDS_START;
	return ACTIVATION_TAKEN;
}
