/*
 * Makes allocations of any program fail: loaded by LD_PRELOAD, told by the environment.
 *
 *   FAULT_REPORT=PATH   what happened is appended there, one line each
 *   FAULT_SURVEY=1      of every allocation: what would become of the program if it failed. A copy of the process is
 *                       forked that sees it fail and may do nothing but write to its own standard error and abort.
 *                       Where it does just that, with a sentence, that allocation is proven: the real process would
 *                       have ended there, which is the same as being killed there. All others are reported with their
 *                       call stack, and then tried by
 *   FAULT_STACK=HASH    fail the allocation with this call stack, and
 *   FAULT_NTH=N         of those the N-th (1); and
 *   FAULT_FROM=1        every one from there on.
 *   FAULT_AT=N          the same by the count of all allocations.
 *
 * A stack's hash is made of offsets into the files that are mapped, so that it is the same in every run.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

/* The innermost frames tell two allocations apart; beside them, room for this file's own. */
enum { FRAMES = 10, FRAMES_ALL = FRAMES + 6, SENTENCE_MAX = 512 };

static struct {
	bool on;
	bool survey;
	bool from;
	uint64_t stack; /* 0: by count */
	uint64_t nth;
	int report;
	int sentence;	  /* what a copy said last */
	const void *base; /* of this library: its own frames do not count */
} config = {.report = -1, .sentence = -1};

static atomic_ulong allocations;
static atomic_long live; /* not freed yet */
static atomic_ulong of_stack;
static atomic_bool failing;
static _Thread_local bool inside; /* this file's own work allocates as well */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	for (int i = 0; i < 8; i++, value >>= 8)
		hash = (hash ^ (value & 0xff)) * 1099511628211U;
	return hash;
}

/* Of one frame; 0 for this file's own. dladdr is slow, and the same frames come again and again. */
static uint64_t frame_hash(void *frame)
{
	static _Thread_local struct {
		void *frame;
		uint64_t hash;
	} known[4096];
	size_t slot = ((uintptr_t)frame ^ (uintptr_t)frame >> 12) % 4096;
	Dl_info where;
	if (known[slot].frame == frame)
		return known[slot].hash;
	uint64_t hash = 14695981039346656037U;
	if (!dladdr(frame, &where) || where.dli_fbase == config.base) {
		hash = 0;
	} else {
		for (const char *c = where.dli_fname; *c; c++)
			hash = mix(hash, (uint64_t)*c);
		hash = mix(hash, (uintptr_t)frame - (uintptr_t)where.dli_fbase);
	}
	known[slot].frame = frame;
	known[slot].hash = hash;
	return hash;
}

static uint64_t stack_hash(void **frames, int n)
{
	uint64_t hash = 14695981039346656037U;
	int used = 0;
	for (int i = 0; i < n && used < FRAMES; i++) {
		uint64_t of_frame = frame_hash(frames[i]);
		if (of_frame == 0)
			continue;
		hash = mix(hash, of_frame);
		used++;
	}
	return hash;
}

__attribute__((format(printf, 1, 2))) static void report(const char *format, ...)
{
	char line[4096];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (config.report < 0 || len <= 0)
		return;
	size_t n = (size_t)len < sizeof(line) - 1 ? (size_t)len : sizeof(line) - 2;
	line[n++] = '\n';
	if (write(config.report, line, n) != (ssize_t)n)
		config.report = -1;
}

/* --- a copy that may only say one sentence and abort --- */

#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Everything else would reach what the copy shares with the process: files, sockets, the event loop's descriptors. */
static bool confine(void)
{
	struct sock_filter rules[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    ALLOW(SYS_rt_sigprocmask),
	    ALLOW(SYS_rt_sigaction),
	    ALLOW(SYS_getpid),
	    ALLOW(SYS_gettid),
	    ALLOW(SYS_tgkill),
	    ALLOW(SYS_futex),
	    ALLOW(SYS_mmap),
	    ALLOW(SYS_munmap),
	    ALLOW(SYS_brk),
	    ALLOW(SYS_newfstatat),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, STDERR_FILENO, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {sizeof(rules) / sizeof(*rules), rules};
	struct rlimit second = {1, 1}; /* of processor time */
	return dup2(config.sentence, STDERR_FILENO) >= 0 && setrlimit(RLIMIT_CPU, &second) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Whether this is the copy. In the process itself, `ret_proven` says what the copy did. */
static bool fork_copy(bool *ret_proven)
{
	char sentence[SENTENCE_MAX] = "";
	int status = 0;
	*ret_proven = false;
	if (ftruncate(config.sentence, 0) < 0 || lseek(config.sentence, 0, SEEK_SET) < 0)
		return false;
	/* Without the handlers of fork(), and without a signal at its end that an event loop would hear of. */
	long pid = syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		if (!confine())
			_exit(1);
		return true;
	}
	while (pid > 0 && syscall(SYS_wait4, pid, &status, __WALL, NULL) < 0 && errno == EINTR)
		;
	if (pread(config.sentence, sentence, sizeof(sentence) - 1, 0) < 0)
		return false;
	*ret_proven = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strlen(sentence) > 20;
	if (!*ret_proven && WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS))
		report("crash signal=%d", WTERMSIG(status));
	return false;
}

/* --- which one fails --- */

static void name_frames(void **frames, int n, char *out, size_t size)
{
	size_t len = 0;
	for (int i = 0; i < n && len < size - 1; i++) {
		Dl_info where;
		if (!dladdr(frames[i], &where) || where.dli_fbase == config.base)
			continue;
		const char *slash = strrchr(where.dli_fname, '/');
		int r = snprintf(out + len, size - len, " %s+0x%tx(%s)", slash ? slash + 1 : where.dli_fname,
				 (char *)frames[i] - (char *)where.dli_fbase, where.dli_sname ? where.dli_sname : "");
		len += r > 0 ? (size_t)r : 0;
	}
}

static bool survey(unsigned long n)
{
	void *frames[FRAMES_ALL];
	char names[3000] = "";
	bool proven;
	if (fork_copy(&proven))
		return true;
	if (proven) {
		report("proven %lu", n);
		return false;
	}
	int depth = backtrace(frames, FRAMES_ALL);
	name_frames(frames, depth, names, sizeof(names));
	report("open %lu %016lx%s", n, stack_hash(frames, depth), names);
	return false;
}

static bool chosen(unsigned long n)
{
	void *frames[FRAMES_ALL];
	if (config.stack == 0)
		return n == config.nth;
	return stack_hash(frames, backtrace(frames, FRAMES_ALL)) == config.stack &&
	       atomic_fetch_add(&of_stack, 1) + 1 == config.nth;
}

static bool fails(void)
{
	if (!config.on || inside)
		return false;
	if (failing)
		return true;
	inside = true;
	unsigned long n = atomic_fetch_add(&allocations, 1) + 1;
	int saved = errno;
	bool now;
	if (config.survey) {
		now = survey(n);
	} else {
		now = chosen(n);
		if (now) {
			report("struck %lu", n);
			failing = config.from;
		}
	}
	errno = saved;
	inside = false;
	return now;
}

static uint64_t number_of(const char *name, int base)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, base) : 0;
}

__attribute__((constructor)) static void begin(void)
{
	void *frames[2];
	Dl_info self;
	const char *path = getenv("FAULT_REPORT");
	if (!path)
		return;
	if (dladdr(&config, &self))
		config.base = self.dli_fbase;
	backtrace(frames, 2); /* loads its library, now and not in the middle of an allocation */
	config.report = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	config.sentence = memfd_create("sentence", MFD_CLOEXEC);
	config.survey = number_of("FAULT_SURVEY", 10) != 0;
	config.stack = number_of("FAULT_STACK", 16);
	config.nth = config.stack ? number_of("FAULT_NTH", 10) : number_of("FAULT_AT", 10);
	config.from = number_of("FAULT_FROM", 10) != 0;
	/* Whatever this program runs is another program. */
	unsetenv("LD_PRELOAD");
	config.on = config.report >= 0 && config.sentence >= 0;
}

__attribute__((destructor)) static void end(void)
{
	config.on = false;
	report("end %lu %ld", atomic_load(&allocations), atomic_load(&live));
}

static void *counted(void *p)
{
	if (p)
		atomic_fetch_add(&live, 1);
	return p;
}

#define FAIL_OR(expression) (fails() ? (errno = ENOMEM, NULL) : (expression))

EXPORTED void *malloc(size_t size)
{
	return FAIL_OR(counted(__libc_malloc(size)));
}

EXPORTED void *calloc(size_t count, size_t size)
{
	return FAIL_OR(counted(__libc_calloc(count, size)));
}

EXPORTED void *realloc(void *old, size_t size)
{
	void *p = FAIL_OR(__libc_realloc(old, size));
	if (p && !old)
		atomic_fetch_add(&live, 1);
	else if (!p && old && size == 0)
		atomic_fetch_sub(&live, 1);
	return p;
}

EXPORTED void *memalign(size_t align, size_t size)
{
	return FAIL_OR(counted(__libc_memalign(align, size)));
}

EXPORTED void *aligned_alloc(size_t align, size_t size)
{
	return FAIL_OR(counted(__libc_memalign(align, size)));
}

EXPORTED int posix_memalign(void **ret, size_t align, size_t size)
{
	void *p = FAIL_OR(counted(__libc_memalign(align, size)));
	if (p)
		*ret = p;
	return p ? 0 : ENOMEM;
}

EXPORTED void free(void *p)
{
	if (p)
		atomic_fetch_sub(&live, 1);
	__libc_free(p);
}
