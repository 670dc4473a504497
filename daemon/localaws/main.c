/* rollout-localaws: a local stand-in for AWS Lambda and CloudWatch. See docs/localaws.md. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "daemon/localaws/listen.h"
#include "daemon/localaws/server.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

struct options {
	const char *listen;
	const char *world_file;
	uint64_t seed;
	bool seed_given;
	int ready_fd; /* -1: none */
	const char *keys[16];
	size_t n_keys;
};

static const char usage[] =
    "Usage: rollout-localaws [OPTION]...\n"
    "A local stand-in for AWS Lambda, CloudWatch and STS, all on one port.\n"
    "\n"
    "  --listen ADDRESS:PORT  loopback address to listen on (default 127.0.0.1:4599); port 0: any free one\n"
    "  --world FILE           functions, versions, aliases, traffic, faults (YAML)\n"
    "  --seed N               seed of everything that is drawn by chance (default: the world file's, or 1)\n"
    "  --key ID=SECRET        key that requests are signed with, instead of localaws=localaws; may be repeated\n"
    "  --ready-fd N           writes a line to this descriptor once requests are served, and closes it\n"
    "  --help, --version\n"
    "\n"
    "The first line on standard output names the address. AWS_ENDPOINT_URL=http://ADDRESS:PORT makes the AWS SDKs use\n"
    "it. State, traffic, faults and clock: http://ADDRESS:PORT/_localaws/state, see rollout-localaws(1).\n";

static int usage_error(const char *text, const char *what)
{
	fprintf(stderr, "rollout-localaws: %s%s\nTry 'rollout-localaws --help'.\n", text, what ? what : "");
	return EXIT_USAGE;
}

/* Returns -1 to go on, or the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
	    {"listen", required_argument, NULL, 'l'},	{"world", required_argument, NULL, 'w'},
	    {"seed", required_argument, NULL, 's'},	{"key", required_argument, NULL, 'k'},
	    {"ready-fd", required_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},	{NULL, 0, NULL, 0},
	};
	int c;
	uint64_t fd;
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'l':
			o->listen = optarg;
			break;
		case 'w':
			o->world_file = optarg;
			break;
		case 's':
			if (text_parse_u64(optarg, INT64_MAX, &o->seed) != 0)
				return usage_error("--seed wants a whole number, not ", optarg);
			o->seed_given = true;
			break;
		case 'k':
			if (!strchr(optarg, '=') || optarg[0] == '=' || o->n_keys == array_len(o->keys))
				return usage_error("--key wants ID=SECRET, at most 16 times", NULL);
			o->keys[o->n_keys++] = optarg;
			break;
		case 'r':
			if (text_parse_u64(optarg, 1 << 20, &fd) != 0)
				return usage_error("--ready-fd wants a descriptor's number, not ", optarg);
			o->ready_fd = (int)fd;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("rollout-localaws " ROLLOUTD_VERSION);
			return 0;
		default:
			return usage_error("see above", NULL);
		}
	}
	return optind < argc ? usage_error("there is no argument for ", argv[optind]) : -1;
}

static void add_keys(struct world *w, const struct options *o)
{
	if (!o->n_keys)
		world_add_key(w, "localaws", "localaws", NULL);
	for (size_t i = 0; i < o->n_keys; i++) {
		const char *equals = strchr(o->keys[i], '=');
		char *id cleanup(mem_free_p) = mem_strndup(o->keys[i], (size_t)(equals - o->keys[i]));
		world_add_key(w, id, equals + 1, NULL);
	}
}

static bool load_world(struct world *w, const char *path)
{
	char *text cleanup(mem_free_p) = NULL;
	size_t len;
	int r = file_read(path, WORLD_FILE_BYTES, &text, &len);
	if (r < 0) {
		fprintf(stderr, "rollout-localaws: cannot read %s: %s\n", path,
			r == -EFBIG ? "it is larger than 1 MiB" : strerror(-r));
		return false;
	}
	struct diags *diags = mem_alloc(sizeof(*diags));
	struct buf out = BUF_INIT(64 * 1024);
	bool good = world_load(w, text, len, server_now(), diags) == 0;
	diags_format(diags, path, &out);
	fputs(buf_text(&out), stderr);
	buf_deinit(&out);
	diags_deinit(diags);
	free(diags);
	return good;
}

/* Blocked for the process, so that they arrive in the loop and nowhere else. */
static int open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void announce(const struct options *o, const char *url)
{
	printf("rollout-localaws listening on %s\n", url);
	fflush(stdout);
	if (o->ready_fd >= 0) {
		ssize_t n = write(o->ready_fd, "ready\n", 6);
		if (n != 6)
			fprintf(stderr, "rollout-localaws: cannot write to descriptor %d: %s\n", o->ready_fd,
				strerror(errno));
		close(o->ready_fd);
	}
}

static void serve(struct server *s, int signals)
{
	struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.fd = server_fd(s), .events = POLLIN}};
	for (;;) {
		int n = poll(fds, array_len(fds), server_timeout_ms(s));
		if (n > 0 && fds[0].revents)
			return;
		server_run(s);
	}
}

int main(int argc, char **argv)
{
	struct options o = {.listen = "127.0.0.1:4599", .seed = 1, .ready_fd = -1};
	int status = read_options(argc, argv, &o);
	if (status >= 0)
		return status;
	struct world *w cleanup(world_free_p) = world_new(o.seed);
	if (o.seed_given)
		world_fix_seed(w);
	add_keys(w, &o);
	world_serve_admin(w, true);
	if (o.world_file && !load_world(w, o.world_file))
		return EXIT_FAILED;

	char error[512], url[LISTEN_URL_SIZE];
	int signals = open_signals();
	int fd = listen_open(o.listen, url, error, sizeof(error));
	if (fd < 0) {
		fprintf(stderr, "rollout-localaws: %s\n", error);
		return EXIT_FAILED;
	}
	struct server *s = server_new(w, fd);
	if (!s) {
		fprintf(stderr, "rollout-localaws: libmicrohttpd cannot serve %s\n", o.listen);
		return EXIT_FAILED;
	}
	announce(&o, url);
	serve(s, signals);
	server_free(s);
	close(signals);
	return 0;
}
